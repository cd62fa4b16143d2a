# SPDX-License-Identifier: Apache-2.0
"""run.py ROOT BUILD TARE HELPER: what the documents say can be typed in, and is.

- Each block ```sh of README.md, CONTRIBUTING.md and doc/*.md is run, the blocks of a document one after the other in one empty folder that has
  build/, doc/ and examples/ as a checkout has, photos/ (PHOTOS, DIR) with a few pictures and mnist/ with a small idx data set.
- A comment right before a block may change that:
    <!-- tested as: COMMANDS -->     a shorter form is run; it must use every verb of tare and every program that the block uses
    <!-- not run: REASON -->
    <!-- file: examples/x.py part -->     the block is what the file has between "# part" (or "/* part */") and "end"; without a part, the file
- Commands inside sentences (`tare race leaves --steps 400`, `make demo`, `doc/x.md`) must have verbs, options, targets that exist.
- Links to files must lead somewhere.
"""
import os
import re
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

ROOT, BUILD, TARE, HELPER = (Path(path).resolve() for path in sys.argv[1:5])
BLOCK = re.compile(r"(?:<!-- (tested as|not run|file):\s*(.*?)\s*-->\n+)?^```(\w*)\n(.*?)^```$", re.M | re.S)
results = []


def check(name, good, detail=""):
    results.append(good)
    detail = "".join(f"\n# {line}" for line in detail.splitlines()) if not good else ""
    print(f"{'ok' if good else 'not ok'} {len(results)} - {name}".replace("#", "\\#") + detail, flush=True)


def words(text):
    """Programs and verbs that a block uses: 'tare train', 'cc', 'make demo'."""
    found = set()
    for line in re.sub(r"\\\n", " ", text).splitlines():
        for command in re.split(r"[;|&]+ ", re.sub(r"'[^']*'|\s#.*|^#.*", "", line)):
            parts = [word for word in command.split() if not re.match(r"\w+=", word)]
            if parts:
                name = parts[0].rsplit("/", 1)[-1]
                found.add(f"{name} {parts[1]}" if name in ("tare", "make") and len(parts) > 1 else name)
    return found


def prepare(folder):
    for name, target in {"build": BUILD, "examples": ROOT / "examples", "doc": ROOT / "doc"}.items():
        os.symlink(target, folder / name)
    for name in ("photos", "mnist"):
        (folder / name).mkdir()
    for i in range(4):
        subprocess.run([HELPER, "png", folder / f"photos/{i}.png", "128", "96", str(i)], check=True)
    subprocess.run([HELPER, "idx", folder / "mnist", "64", "32"], check=True)
    (folder / "photo.png").write_bytes((folder / "photos/0.png").read_bytes())


def run(name, script, folder):
    env = {**os.environ, "PATH": f"{TARE.parent}:{os.environ['PATH']}", "LD_LIBRARY_PATH": f"{BUILD}:{os.environ.get('LD_LIBRARY_PATH', '')}",
           "CPATH": str(ROOT / "include"), "LIBRARY_PATH": str(BUILD), "PKG_CONFIG_PATH": str(BUILD / "meson-uninstalled")}
    done = subprocess.run(["sh", "-eu", "-c", script], cwd=folder, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    check(name, done.returncode == 0, f"{script}\nexit {done.returncode}\n{done.stdout[-3000:]}")


def part_of(reference):
    path, _, part = reference.partition(" ")
    text = (ROOT / path).read_text()
    if not part:
        return text
    found = re.search(rf"^ *(?:#|/\*) {re.escape(part)}(?: \*/)?\n(.*?)^ *(?:#|/\*) end", text, re.M | re.S)
    return textwrap.dedent(found.group(1)) if found else f"({path} has no part '{part}')"


def blocks(document, text):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder)
        for match in BLOCK.finditer(text):
            tag, value, language, body = match.groups()
            place = f"{document}:{text.count(chr(10), 0, match.start(3)) + 1}"
            if tag == "file":
                check(f"{place} is {value}", part_of(value).strip() == body.strip(), "the block and the file differ")
            elif language == "sh" and tag == "not run":
                print(f"# {place} is not run: {value}")
            elif language == "sh":
                if tag:
                    check(f"{place}: the shorter form uses what the block does", words(body) <= words(value), str(words(body) - words(value)))
                run(place, value if tag else body, folder)


def options_of(verb, known={}):
    if verb not in known:
        done = subprocess.run([TARE, verb, "--help"], capture_output=True, text=True)
        known[verb] = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", done.stdout)) if done.returncode == 0 else None
    return known[verb]


def sentences(document, text):
    text = BLOCK.sub("", text)
    targets = set(re.findall(r"^([\w-]+):(?!=)", (ROOT / "Makefile").read_text(), re.M))
    for code in sorted(set(re.findall(r"`([^`\n]+)`", text))):
        verb = re.match(r"(?:build/cli/)?tare ([a-z]+)(?= |$)", code)
        if verb:
            given = set(re.findall(r"(?<=\s)--?[a-z][a-z-]*", re.sub(r"'[^']*'", "", code))) - {"--help"}
            known = options_of(verb.group(1))
            check(f"{document}: `{code}`", known is not None and given <= known, f"unknown: {'the verb' if known is None else given - known}")
        target = re.match(r"make ([a-z][\w-]*)(?= |$)", code)
        if target:
            check(f"{document}: `{code}`", target.group(1) in targets, "no such target")
    for link in sorted(set(re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text))):
        check(f"{document}: link to {link}", ((ROOT / document).parent / link).exists(), "leads nowhere")


for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "doc").glob("*.md"))]:
    document = str(path.relative_to(ROOT))
    blocks(document, path.read_text())
    sentences(document, path.read_text())
print(f"1..{len(results)}")
sys.exit(not all(results))
