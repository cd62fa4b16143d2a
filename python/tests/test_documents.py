# SPDX-License-Identifier: Apache-2.0
"""What the documents' Python says can be typed in, and is: each block ```python of README.md and doc/*.md runs with the framework that it names.

A comment right before a block, as in tests/doc/run.py: `<!-- file: ... -->` is a part of an example, whose own test runs it; `<!-- not run: REASON -->`.
A comparison that stands alone as a statement must hold.
"""

import ast
import base64
import json
import os
import re
import sys
import warnings
import zipfile
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")

import numpy as np
import pytest

import tareconv

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"(?:<!-- (file|not run):[^>]*-->\n+)?^```python\n(.*?)^```$", re.M | re.S)


def blocks():
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "doc").glob("*.md"))]:
        text = path.read_text()
        for match in BLOCK.finditer(text):
            if not match[1]:
                line = text.count("\n", 0, match.start(2))
                yield pytest.param(match[2], id=f"{path.relative_to(ROOT)}:{line}")


def keras_names():
    """A functional model around `x`, and one of plain layers whose weights are in a file."""
    keras = pytest.importorskip("keras")
    from tareconv.keras import Conv2D

    def model(layer):
        return keras.Sequential([keras.Input((24, 24, 1)), layer(name="conv2d"), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2)])

    plain = model(lambda name: keras.layers.Conv2D(4, 7, name=name))
    plain.save_weights("plain.weights.h5")
    return {"x": keras.Input((24, 24, 1)), "model": model(lambda name: Conv2D(4, 7, kernel_constraint="sum=0", name=name))}


def torch_names():
    torch = pytest.importorskip("torch")

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1 = torch.nn.Conv2d(1, 4, 7)

    return {"model": Model()}


def jax_names():
    pytest.importorskip("jax")
    x = np.random.default_rng(0).normal(size=(4, 24, 24, 1)).astype("float32")
    return {"x": x, "first_images": x}


def core_names():
    """Batches of smooth images of random brightness, and the JSON of a race with one look."""
    rng = np.random.default_rng(0)
    filters = np.arange(98, dtype="<f4")
    look = {"filters": {"shape": [2, 1, 7, 7], "values": base64.b64encode(filters.tobytes()).decode()}}
    Path("race.json").write_text(json.dumps({"looks": [look]}))
    return {"dataset": [rng.normal(size=(8, 32, 32, 1)).cumsum(1).cumsum(2) + 9 * rng.normal(size=(8, 1, 1, 1)) for _ in range(3)]}


FRAMEWORKS = {r"tareconv\.keras": keras_names, r"tareconv\.torch": torch_names, r"tareconv\.jax": jax_names, "": core_names}


class Holds(ast.NodeTransformer):
    def visit_Expr(self, node):
        return ast.copy_location(ast.Assert(test=node.value, msg=None), node) if isinstance(node.value, ast.Compare) else node


def run(text, names):
    exec(compile(ast.fix_missing_locations(Holds().visit(ast.parse(text))), "block", "exec"), names)
    return names


@pytest.mark.parametrize("text", list(blocks()))
def test_a_block_runs(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = next(names for pattern, names in FRAMEWORKS.items() if re.search(pattern, text))()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*(obey|rule).*")  # plain weights that break the rule: said in the documents
        made = run(text, {"tareconv": tareconv, **given})
    if "plain Keras loads" in text:
        assert b"tareconv" not in zipfile.ZipFile("model.keras").read("config.json")
        sys.modules["keras"].models.load_model("model.keras")
    if "filters = numpy" in text:
        assert made["filters"].shape == (2, 1, 7, 7) and made["filters"][1, 0, 6, 6] == 97
