# SPDX-License-Identifier: Apache-2.0
"""terminal.py TARE: what a person sees on a terminal. Each command runs on a pseudo-terminal of its own. Prints TAP."""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import tap  # noqa: E402: it stands in the folder above

TRAIN = ['train', 'leaves', '--images', '6', '--patch', '20', '--batch', '8', '--out', 'm']


def on_terminal(tare, words, width=90, interrupt=None, seconds=60, **variables):
    """What the command wrote to its terminal, and its exit code; Ctrl-C is typed once `interrupt` was seen."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack('HHHH', 24, width, 0, 0))
    environment = {'PATH': os.environ['PATH'], 'TERM': 'xterm-256color', 'LC_ALL': 'C.UTF-8', **variables}
    environment.update({name: value for name, value in os.environ.items() if name.endswith('SAN_OPTIONS') or name == 'LD_LIBRARY_PATH'})
    child = subprocess.Popen([tare, *words], stdin=slave, stdout=subprocess.DEVNULL, stderr=slave, env=environment, start_new_session=True,
                             preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
    os.close(slave)
    seen, end = b'', time.monotonic() + seconds
    while time.monotonic() < end:
        if select.select([master], [], [], 0.2)[0]:
            try:
                data = os.read(master, 65536)
            except OSError:  # Linux says so when the other end is closed
                break
            if not data:
                break
            seen += data
        if interrupt and re.search(interrupt, seen.decode(errors='replace')):
            os.write(master, b'\x03')
            interrupt = None
    if child.poll() is None and time.monotonic() >= end:
        child.send_signal(signal.SIGKILL)
    os.close(master)
    return seen.decode(), child.wait()


def frames(text):
    """The states of the bar, without colours."""
    plain = re.sub(r'\x1b\[[0-9;]*[A-Za-z]', '', text)
    return [part for part in re.split(r'[\r\n]+', plain) if ' %' in part and ('━' in part or part.startswith(('#', '.')))]


def bar_says_it_all(tare):
    text, code = on_terminal(tare, [*TRAIN, '--steps', '150'], width=100)
    assert code == 0, text
    last = [frame for frame in frames(text) if 'loss' in frame][-1]
    assert re.fullmatch(r'━+ +\d+ %, .*loss \d\.\d{4}, accuracy \d+\.\d %, \d+ images/s(, step \d+ of 150)?', last), last
    assert '\x1b[36m' in text
    assert 'wrote m\r\n' in text and text.endswith('\r\x1b[K'), 'the bar is gone at the end'


def bar_fits_the_width(tare):
    for width in (40, 64, 120):
        text, _ = on_terminal(tare, [*TRAIN, '--steps', '60'], width=width)
        assert frames(text) and all(len(frame) < width for frame in frames(text)), frames(text)[-1]
        plain = re.sub(r'\x1b\[[0-9;]*[A-Za-z]', '', text)
        assert all(len(line) <= width for line in re.split(r'[\r\n]+', plain)), 'lines are broken at words'


def no_color_and_plain_letters(tare):
    text, _ = on_terminal(tare, [*TRAIN, '--steps', '60'], NO_COLOR='1', LC_ALL='C')
    assert re.match(r'[#.]+ +\d+ %', frames(text)[0]), frames(text)[0]
    assert not re.search(r'\x1b\[[0-9;]*m', text) and text.isascii()
    text, _ = on_terminal(tare, [*TRAIN, '--steps', '60'], NO_COLOR='')
    assert '\x1b[36m' in text, 'an empty NO_COLOR does not count'


def quiet_where_nobody_looks(tare):
    for words, variables in (([*TRAIN, '--steps', '30', '--quiet'], {}), ([*TRAIN, '--steps', '30'], {'TERM': 'dumb'})):
        text, code = on_terminal(tare, words, **variables)
        assert code == 0 and not frames(text) and '\x1b' not in text, text
    piped = subprocess.run([tare, *TRAIN, '--steps', '30'], capture_output=True, text=True)
    assert '\r' not in piped.stderr + piped.stdout and '\x1b' not in piped.stderr + piped.stdout


def interrupted_and_gone_on(tare):
    words = [*TRAIN, '--steps', '4000', '--schedule', 'constant']
    text, code = on_terminal(tare, words, interrupt='━.*loss')
    assert code == 130 and re.search(r'stopped; the same command with --resume\s+goes on from m\.checkpoint', text), text
    assert os.path.exists('m.checkpoint')
    text, code = on_terminal(tare, [*words, '--resume'], interrupt='━.*loss')
    assert code == 130 and 'going on from m.checkpoint' in text, text


TESTS = [bar_says_it_all, bar_fits_the_width, no_color_and_plain_letters, quiet_where_nobody_looks, interrupted_and_gone_on]


with tempfile.TemporaryDirectory() as folder:
    binary = os.path.abspath(sys.argv[1])
    os.chdir(folder)
    tap.run(TESTS, binary)
    os.chdir('/')
