# SPDX-License-Identifier: Apache-2.0
"""python -m tareconv VERB ..."""

from __future__ import annotations

import sys

from . import __version__, _check

_USAGE = f"""usage: python -m tareconv check FILE [--constraint RULE]   whether the kernels of a file obey (check --help)
       python -m tareconv --version                       {__version__}"""


def main(arguments: list[str]) -> int:
    """Returns the exit status."""
    if arguments and arguments[0] == "check":
        return _check.main(arguments[1:])
    if arguments in (["--version"], ["--help"], ["-h"]):
        print(__version__ if arguments == ["--version"] else _USAGE)
        return 0
    print(_USAGE, file=sys.stderr)
    return 2


sys.exit(main(sys.argv[1:]))
