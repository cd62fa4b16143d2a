# SPDX-License-Identifier: Apache-2.0
"""test_report.py TARE: the pages of --report in a real browser. Prints TAP; skips where there is no Chromium."""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import tap  # noqa: E402: it stands in the folder above
from browser import Browser, find  # noqa: E402

SMALL = '--images 6 --patch 20 --kernel 5 --steps 40 --batch 8 --threads 2 --timing 0.1'.split()
METHODS = 'none,penalty(1),projection,difference,spectral,laplacian,dct'
MOST_BYTES = 2_000_000


def make(tare, folder):
    run = lambda *words: subprocess.run([tare, *words, '--quiet'], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    run('race', 'leaves', *SMALL, '--methods', METHODS, '--lr', '0.01', '--seeds', '2', '--report', 'race.html', '--json', 'race.json')
    run('train', 'leaves', '--images', '6', '--patch', '20', '--steps', '40', '--out', "it's a model", '--report', 'train.html', '--json', 'train.json')


def rows_of(browser, label):
    return browser.run(f'''[...document.querySelector('table[aria-label="{label}"]').tBodies[0].rows].map(row => [...row.cells].map(cell => cell.textContent))''')


def click(browser, text):
    browser.run(f'[...document.querySelectorAll("button, label")].find(e => e.textContent.trim() === {json.dumps(text)}).click()')


CHART = 'Chart.getChart(document.querySelector("#curves ~ figure canvas"))'


def page_is_quiet_and_alone(browser, folder):
    browser.problems.clear()
    for name in ('race.html', 'train.html'):
        page = folder / name
        assert page.stat().st_size < MOST_BYTES, f'{name}: {page.stat().st_size} bytes'
        browser.loads.clear()
        browser.open(page)
        assert set(browser.loads) == {page.resolve().as_uri()}, f'{name} loads {browser.loads}'
        sections = browser.run('[...document.querySelectorAll("section")].map(s => s.getAttribute("aria-labelledby"))')
        assert {'curves', 'exact', 'filters', 'examples', 'again'} <= set(sections), sections
    assert not browser.problems, browser.problems


def values_equal_the_json(browser, folder):
    browser.problems.clear()
    race = json.loads((folder / 'race.json').read_text())
    browser.open(folder / 'race.html')
    rows = rows_of(browser, 'Summary of the race')
    assert [row[0] for row in rows] == [row['method'] for row in race['summary']]
    for shown, row in zip(rows, race['summary']):
        assert shown[1].split()[0] == f'{row["mean_loss"]:.3f}', shown
        assert shown[2].split()[0] == f'{row["final_loss"]:.3f}', shown
        assert shown[4] == ('never' if row['steps_to_reference'] is None else str(row['steps_to_reference'])), shown
        assert (shown[8] == '0') == (row['residual_max'] == 0), shown
    window, seeds = race['window'], 2
    for row in race['summary']:
        losses = [run['loss'][-window:] for run in race['runs'] if run['method'] == row['method']]
        last = browser.run(f'data.curves[{json.dumps(row["method"])}].mean.at(-1)')
        assert abs(last - sum(map(sum, losses)) / window / seeds) < 1e-5, row['method']
        drawn = browser.run(f'{CHART}.data.datasets.find(set => set.method === {json.dumps(row["method"])}).data.at(-1)')
        assert drawn['x'] == race['options']['steps'] and abs(drawn['y'] - last) < 1e-9, drawn
    assert browser.run('document.getElementById("command").textContent').startswith("tare race leaves --images 6 --patch 20")


def rules_are_seen_in_responses(browser, folder):
    browser.problems.clear()
    browser.open(folder / 'race.html')
    notes = dict(browser.run('[...document.querySelectorAll(".bank figcaption")].map(e => [...e.children].map(c => c.textContent))'))
    for method in ('projection', 'difference', 'spectral', 'dct', 'laplacian'):
        assert 'passes no brightness' in notes[method], notes[method]
    assert '% of brightness' in notes['none'], notes['none']


def table_sorts(browser, folder):
    browser.problems.clear()
    browser.open(folder / 'race.html')
    for column, head in enumerate(['method', 'mean loss']):
        for direction, wanted in (('ascending', False), ('descending', True)):
            click(browser, head)
            cells = [row[column] for row in rows_of(browser, 'Summary of the race')]
            keys = [float(cell.split()[0]) if column else cell for cell in cells]
            assert keys == sorted(keys, reverse=wanted), cells
            assert browser.run('document.querySelector("th[aria-sort]").getAttribute("aria-sort")') == direction
    click(browser, 'steps to ref')
    click(browser, 'steps to ref')
    known = [row[4] != 'never' for row in rows_of(browser, 'Summary of the race')]
    assert known == sorted(known, reverse=True), 'what has no value is last'


def switches_work(browser, folder):
    browser.problems.clear()
    browser.open(folder / 'race.html')
    visible = lambda: browser.run(f'{CHART}.data.datasets.filter((set, i) => !set.quiet && {CHART}.isDatasetVisible(i)).map(set => set.method)')
    bands = lambda: browser.run(f'{CHART}.data.datasets.filter((set, i) => set.quiet && set.method && {CHART}.isDatasetVisible(i)).length')
    assert 'spectral' in visible() and 'dct' not in visible(), visible()
    click(browser, 'dct')
    click(browser, 'spectral')
    assert 'spectral' not in visible() and 'dct' in visible(), visible()
    click(browser, 'Show all')
    assert len(visible()) == len(METHODS.split(',')) and bands() == 2 * len(visible())
    assert browser.run('[...document.querySelectorAll(".pill input")].every(input => input.checked)')
    click(browser, 'spread over seeds')
    assert bands() == 0
    click(browser, 'logarithmic scale')
    assert browser.run(f'{CHART}.scales.y.type') == 'logarithmic'
    says = lambda: browser.run('[...document.querySelectorAll(".strip span")].map(e => e.textContent)')
    before = says()
    browser.run('(s => { s.value = "none"; s.dispatchEvent(new Event("change")); })(document.querySelector("select"))')
    assert len(before) >= 12 and says() != before
    assert not browser.problems, browser.problems


def values_under_pointer_and_keys(browser, folder):
    browser.problems.clear()
    browser.open(folder / 'race.html')
    shown = lambda: browser.run(f'{CHART}.tooltip.opacity ? {CHART}.tooltip.title[0] : ""')
    browser.run('document.querySelector("#curves ~ figure canvas").focus()')
    browser.press('ArrowRight')
    assert shown() == 'step 25', shown()
    browser.press('End')
    assert shown() == 'step 40', shown()
    browser.press('Escape')
    assert shown() == ''
    x, y = browser.run('(r => [r.x + r.width / 2, r.y + r.height / 2])(document.querySelector("#curves ~ figure canvas").getBoundingClientRect())')
    browser.move(x, y)
    browser.frame()
    assert re.fullmatch(r'step \d+', shown()), shown()


def has_labels(browser, folder):
    """What a screen reader is told: the browser's own accessibility tree."""
    browser.problems.clear()
    for name in ('race.html', 'train.html'):
        browser.open(folder / name)
        nodes = browser.call('Accessibility.getFullAXTree')['nodes']
        for node in nodes:
            role = node.get('role', {}).get('value')
            if not node.get('ignored') and role in ('button', 'checkbox', 'combobox', 'image', 'img', 'figure', 'region', 'table', 'heading'):
                assert role == 'figure' or node.get('name', {}).get('value'), f'{name}: a {role} without a name'
        assert browser.run('document.documentElement.lang') == 'en'
        assert browser.run('[...document.querySelectorAll("canvas")].every(c => c.getAttribute("aria-label") || c.getAttribute("aria-hidden"))')


def fits_phone_dark_and_paper(browser, folder):
    browser.problems.clear()
    for name in ('race.html', 'train.html'):
        browser.open(folder / name, width=360, height=740, phone=True)
        assert browser.run('document.documentElement.scrollWidth') <= 360, f'{name} is wider than a phone'
        browser.open(folder / name, dark=True)
        dark = browser.run('getComputedStyle(document.body).backgroundColor')
        line = browser.run(f'{CHART}.options.scales.x.ticks.color')
        browser.media(dark=False)
        browser.frame()
        assert browser.run('getComputedStyle(document.body).backgroundColor') != dark
        assert browser.run(f'{CHART}.options.scales.x.ticks.color') != line, 'charts follow the colours'
        browser.pdf(folder / 'page.pdf')
        assert (folder / 'page.pdf').stat().st_size > 20_000
    assert not browser.problems, browser.problems


def training_equals_the_json(browser, folder):
    browser.problems.clear()
    run = json.loads((folder / 'train.json').read_text())
    browser.open(folder / 'train.html')
    assert browser.run('document.querySelector("h1").textContent').startswith(f'{run["accuracy"] * 100:.1f} %')
    assert [row[0] for row in rows_of(browser, 'Rules')] == [rule['tensor'] for rule in run['rules']]
    assert [row[2] for row in rows_of(browser, 'Rules')] == ['0'] * len(run['rules'])
    assert browser.run("document.getElementById('command').textContent").find(r"--out 'it'\''s a model'") > 0


TESTS = [page_is_quiet_and_alone, values_equal_the_json, rules_are_seen_in_responses, table_sorts, switches_work, values_under_pointer_and_keys,
         has_labels, fits_phone_dark_and_paper, training_equals_the_json]


def main(tare):
    if not find():
        print('1..0 # SKIP no Chromium here')
        return
    with tempfile.TemporaryDirectory() as name, Browser() as browser:
        folder = pathlib.Path(name)
        make(os.path.abspath(tare), folder)
        tap.run(TESTS, browser, folder)


main(sys.argv[1])
