# SPDX-License-Identifier: Apache-2.0
"""safetensors (doc/formats.md). Rules are in the metadata that tare writes."""

from __future__ import annotations

import json
import struct

import numpy as np

from . import BadFile, Kernel, array, widened

_TYPES = {"F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": np.uint16, "I8": np.int8}


def read(path, data: bytes) -> list[Kernel]:
    """See `tareconv._files.read`."""
    length, = struct.unpack_from("<Q", data)
    if length > len(data) - 8:
        raise BadFile(f"a header of {length} bytes in a file of {len(data)}")
    header = json.loads(data[8:8 + length])
    metadata = header.pop("__metadata__", {})
    rules = {entry["tensor"]: entry for entry in json.loads(metadata.get("rules", "[]"))}
    tensors = {name: _tensor(entry, data[8 + length:]) for name, entry in header.items() if entry["dtype"] in _TYPES}
    return [_kernel(name, value, kind, tensors, rules.get(name)) for name, (value, kind) in tensors.items() if 3 <= value.ndim <= 5]


def _tensor(entry, data) -> tuple[np.ndarray, str]:
    first, last = entry["data_offsets"]
    if not 0 <= first <= last <= len(data):
        raise BadFile("a tensor lies outside the file")
    value = array(data[first:last], _TYPES[entry["dtype"]], entry["shape"])
    return widened(value) if entry["dtype"] == "BF16" else value, entry["dtype"]


def _kernel(name: str, value: np.ndarray, kind: str, tensors, entry) -> Kernel:
    rule = entry["rule"] if entry else None
    scale = tensors[f"{name}_scale"][0] if kind == "I8" and f"{name}_scale" in tensors else None
    if entry and entry.get("times", 1) != 1:  # the rule is of the weights times a power of two
        value, scale = (value, scale * np.float32(entry["times"])) if scale is not None else (value * np.float32(entry["times"]), None)
    if scale is not None:
        scale = np.broadcast_to(scale.reshape(scale.shape[0] if scale.ndim else 1, -1)[:, 0], value.shape[:1])
    return Kernel(name, value, scale, rule, kind, int(entry.get("divisor", 1)) if entry else 1)
