# SPDX-License-Identifier: Apache-2.0
""".keras (a zip with config.json and model.weights.h5) and .weights.h5. A kernel's rule is in the configuration."""

from __future__ import annotations

import io
import json
import re
import zipfile

import numpy as np

from . import MOST_BYTES, BadFile, Kernel

_CLASS = re.compile(r"(depthwise_conv|separable_conv|conv)([123])d(_transpose)?(_\d+)?$")


def read(path, data: bytes) -> list[Kernel]:
    """See `tareconv._files.read`."""
    rules: dict[str, str] = {}
    if path.suffix == ".keras":
        archive = zipfile.ZipFile(io.BytesIO(data))
        if sum(info.file_size for info in archive.infolist()) > MOST_BYTES:
            raise BadFile(f"holds more than {MOST_BYTES} bytes")
        rules = _rules(json.loads(archive.read("config.json")))
        data = archive.read("model.weights.h5")
    return _kernels(data, rules)


def _kernels(data: bytes, rules: dict[str, str]) -> list[Kernel]:
    try:
        import h5py
    except ImportError:
        raise BadFile("HDF5 files are read with h5py, which is not installed: pip install h5py") from None
    found: list[Kernel] = []

    def visit(name, node):
        if not (name.endswith("/vars/0") and isinstance(node, h5py.Dataset)):
            return
        *_, folder, _, _ = name.split("/")
        kind = _CLASS.match(folder)
        if kind and len(node.shape) == int(kind[2]) + 2:
            layer = str(node.parent.attrs.get("name", folder))
            found.append(Kernel(layer, _canonical(np.asarray(node), kind), rule=rules.get(layer), kind=str(node.dtype)))

    with h5py.File(io.BytesIO(data), "r") as file:
        file.visititems(visit)
    return found


def _canonical(kernel: np.ndarray, kind) -> np.ndarray:
    """(*size, in, out), transposed (*size, out, in), depthwise (*size, in, multiplier) as (filters, channels, *size)."""
    kernel = np.moveaxis(kernel, (-1, -2), (0, 1))
    if kind[3]:
        return np.swapaxes(kernel, 0, 1)
    if kind[1] != "conv":
        return kernel.reshape(-1, 1, *kernel.shape[2:])
    return kernel


def _rules(value, found: dict[str, str] | None = None) -> dict[str, str]:
    """The rule of each layer's name, from all layers in a configuration."""
    found = {} if found is None else found
    if isinstance(value, dict):
        config = value.get("config")
        if isinstance(config, dict) and "name" in config:
            for key in ("kernel_constraint", "depthwise_constraint"):
                rule = config.get(key)
                if isinstance(rule, dict) and str(rule.get("registered_name")) == "tareconv>Linear":
                    rule = rule["config"]["rule"]
                if isinstance(rule, str) and rule != "none":
                    found[str(config["name"])] = rule
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _rules(inner, found)
    return found
