# SPDX-License-Identifier: Apache-2.0
"""Tests as functions, their results as TAP: what meson counts one by one."""
import traceback


def run(tests, *arguments):
    """Calls each test with the arguments. One that returns a text was skipped: the text says why."""
    print(f'1..{len(tests)}')
    for number, test in enumerate(tests, 1):
        try:
            missing = test(*arguments)
            print('ok', number, test.__name__ + (f' # SKIP {missing}' if missing else ''), flush=True)
        except Exception:
            print('not ok', number, test.__name__, flush=True)
            print('\n'.join('# ' + line for line in traceback.format_exc().splitlines()), flush=True)
