# SPDX-License-Identifier: Apache-2.0
"""test_shell.py TARE PAGES: completions in the shells that are here, and the manual pages (PAGES: the folder where the build puts them).

Prints TAP; what is missing here is skipped.
"""
import os
import pathlib
import pty
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import tap  # noqa: E402: it stands in the folder above


def output(*words, **more):
    return subprocess.run(words, check=True, capture_output=True, text=True, **more).stdout


def verbs(tare):
    return re.findall(r'^  ([a-z]+) ', output(tare), re.M)


def options(tare, verb):
    return set(re.findall(r'^ +(?:-[a-z], )?(--[a-z-]+)', output(tare, verb, '--help'), re.M))


class Bash:
    """What bash would offer after these words: the completion function called as bash calls it."""
    name = 'bash'

    def __init__(self, tare, folder):
        self.script = folder / 'c.bash'
        self.script.write_text(output(tare, '--completion', 'bash'))

    def offers(self, line, folder):
        words = re.findall(r'[:=]|[^:= ]+|(?<= )$', line)  # as COMP_WORDBREAKS divides them
        quoted = ' '.join(f"'{word}'" for word in words)
        script = f'source {self.script}; COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; _tare; printf "%s\\n" "${{COMPREPLY[@]}}"'
        return set(output('bash', '--norc', '-c', script, cwd=folder).split())


class Fish:
    name = 'fish'

    def __init__(self, tare, folder):
        self.script = folder / 'c.fish'
        self.script.write_text(output(tare, '--completion', 'fish'))
        self.environment = {**os.environ, 'HOME': str(folder), 'XDG_CONFIG_HOME': str(folder)}

    def offers(self, line, folder):
        text = output('fish', '--no-config', '-c', f"source {self.script}; complete -C '{line}'", cwd=folder, env=self.environment)
        return {offer.split('\t')[0] for offer in text.splitlines()}


class Zsh:
    """zsh completes only while a line is edited: one on a pseudo-terminal, asked to list its choices a line each."""
    name = 'zsh'

    def __init__(self, tare, folder):
        (folder / 'functions').mkdir()
        (folder / 'functions/_tare').write_text(output(tare, '--completion', 'zsh'))
        (folder / '.zshrc').write_text(f'PS1="READY>"; unsetopt zle_bracketed_paste; fpath=({folder}/functions $fpath); autoload -U compinit; compinit -u -D\n'
                                       'LISTMAX=10000; setopt no_always_last_prompt no_auto_menu list_packed; zstyle ":completion:*" verbose no\n')
        self.folder = folder

    def offers(self, line, folder):
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(folder)
            os.execvpe('zsh', ['zsh', '-i'], {'PATH': os.environ['PATH'], 'ZDOTDIR': str(self.folder), 'HOME': str(self.folder), 'TERM': 'dumb',
                                              'COLUMNS': '200', 'LC_ALL': 'C.UTF-8'})
        self.read(terminal, 'READY>')
        os.write(terminal, line.encode() + b'\x04\x15: END')  # Ctrl-D lists the choices, Ctrl-U takes the line away, and then this is seen
        text = self.read(terminal, ': END')
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        os.close(terminal)
        return set(text.replace(line, '', 1).split()) - {'READY>' + line}

    @staticmethod
    def read(terminal, mark):
        seen, end = '', time.monotonic() + 60
        while time.monotonic() < end and mark not in seen:
            if select.select([terminal], [], [], 0.1)[0]:
                seen += os.read(terminal, 65536).decode(errors='replace')
        return seen


def check_shell(tare, folder, kind):
    if not shutil.which(kind.name):
        return 'not here'
    shell = kind(tare, folder)
    subprocess.run([kind.name, '-n', folder / ('functions/_tare' if kind is Zsh else f'c.{kind.name}')], check=True)
    place = folder / f'place-{kind.name}'
    (place / 'deep').mkdir(parents=True)
    (place / 'a.safetensors').write_text('')
    assert set(verbs(tare)) <= shell.offers('tare ', place), shell.offers('tare ', place)
    assert shell.offers('tare ra', place) >= {'race'} or kind is Zsh
    for verb in ['race', 'check'] if kind is Zsh else verbs(tare):
        found = {re.sub('=$', '', offer) for offer in shell.offers(f'tare {verb} --', place)}
        assert options(tare, verb) <= found, (verb, options(tare, verb) - found)
    assert shell.offers('tare race --optimizer ', place) >= {'adam', 'adamw', 'sgd'}
    assert shell.offers('tare race --methods ', place) >= {'spectral', 'default', 'rivals'}
    assert shell.offers('tare race ', place) >= {'leaves', 'photos:'}, shell.offers('tare race ', place)
    assert any('deep' in offer for offer in shell.offers('tare race photos:', place)), shell.offers('tare race photos:', place)
    assert 'a.safetensors' in shell.offers('tare check ', place), shell.offers('tare check ', place)
    files = {re.sub('/$', '', offer) for offer in shell.offers('tare train leaves --out ', place)}
    assert {'a.safetensors', 'deep'} <= files, files
    folders = {re.sub('/$', '', offer) for offer in shell.offers('tare train leaves --tensorboard ', place)}
    assert 'deep' in folders and 'a.safetensors' not in folders, folders


def in_bash(tare, folder):
    return check_shell(tare, folder, Bash)


def in_fish(tare, folder):
    return check_shell(tare, folder, Fish)


def in_zsh(tare, folder):
    return check_shell(tare, folder, Zsh)


def every_verb_has_its_page(tare, folder):
    pages = pathlib.Path(sys.argv[2])
    if not pages.exists():
        return 'pages are not made when the command cannot be run here'
    for verb in [None, *verbs(tare)]:
        page = pages / (f'tare-{verb}.1' if verb else 'tare.1')
        assert page.read_text() == output(tare, '--man', *([verb] if verb else [])), page


def manual_pages_say_what_help_says(tare, folder):
    if not shutil.which('groff'):
        return 'no groff here'
    for verb in [None, *verbs(tare)]:
        page = output(tare, '--man', *([verb] if verb else []))
        made = subprocess.run(['groff', '-man', '-Tascii', '-ww', '-P-c', '-rLL=300n'], input=page, capture_output=True, text=True, check=True)
        assert not made.stderr, f'{verb}: {made.stderr}'
        text = re.sub('.\b', '', made.stdout)
        wanted = options(tare, verb) if verb else verbs(tare)
        assert all(word in text for word in wanted), verb
        for part in ('NAME', 'SYNOPSIS', 'DESCRIPTION', 'EXIT STATUS', *(('OPTIONS', 'EXAMPLES') if verb else ('ENVIRONMENT',))):
            assert re.search(f'^{part}$', text, re.M), f'{verb}: no {part}'
        if verb:
            assert 'default: ' not in output(tare, verb, '--help') or 'default: ' in text


def mistakes_are_met_with_the_nearest_word(tare, folder):
    for words, meant in ((['rcae'], "'tare race'"), (['--vesion'], "'tare --version'"), (['race', 'leaves', '--kernl', '7'], '--kernel'),
                         (['--completion', 'csh'], 'bash, zsh or fish'), (['help', 'trian'], "'tare train'")):
        result = subprocess.run([tare, *words], capture_output=True, text=True)
        assert result.returncode == 2 and meant in result.stderr and len(result.stderr.splitlines()) == 1, result


TESTS = [in_bash, in_fish, in_zsh, every_verb_has_its_page, manual_pages_say_what_help_says, mistakes_are_met_with_the_nearest_word]


with tempfile.TemporaryDirectory() as name:
    tap.run(TESTS, os.path.abspath(sys.argv[1]), pathlib.Path(name))
