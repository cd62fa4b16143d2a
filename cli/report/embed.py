# SPDX-License-Identifier: Apache-2.0
"""embed.py PAGE.html PART... OUT.c: the report's page as C.

Puts each part where the page names it (/*page.css*/; scripts, in order, at /*scripts*/) and cuts the page in two at /*data*/.
"""
import pathlib
import sys

LINE = 24  # bytes a line of the array


def array(name, text):
    data = text.encode() + b'\0'
    lines = (', '.join(str(b - 256 * (b > 127)) for b in data[i:i + LINE]) for i in range(0, len(data), LINE))
    return f'extern const char {name}[];\nconst char {name}[] = {{\n' + ',\n'.join(lines) + '};\n'


def main(page, *parts, out):
    html = pathlib.Path(page).read_text(encoding='utf-8')
    style = [p for p in parts if p.endswith('.css')]
    scripts = [p for p in parts if p.endswith('.js')]
    read = lambda paths: '\n'.join(pathlib.Path(p).read_text(encoding='utf-8') for p in paths)
    for mark, text in (('/*style*/', read(style)), ('/*scripts*/', read(scripts))):
        if html.count(mark) != 1 or '</script' in text:
            sys.exit(f'{page}: expected {mark} once, and no </script in what goes there')
        html = html.replace(mark, text)
    head, tail = html.split('/*data*/')
    pathlib.Path(out).write_text('/* Made by embed.py. */\n' + array('cli_report_head', head) + array('cli_report_tail', tail))


main(*sys.argv[1:-1], out=sys.argv[-1])
