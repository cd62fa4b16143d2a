# SPDX-License-Identifier: Apache-2.0
"""ONNX: the stored weights of Conv, ConvTranspose and QLinearConv, directly or as INT8 behind a DequantizeLinear. Read by the wire format of protocol
buffers (field numbers: onnx.proto), so no other package is needed."""

from __future__ import annotations

import json
import pathlib

import numpy as np

from . import MOST_BYTES, BadFile, Kernel, array, widened

_TYPES = {1: ("float32", np.float32), 3: ("int8", np.int8), 10: ("float16", np.float16), 11: ("float64", np.float64), 16: ("bfloat16", np.uint16)}
_NUMBERS = {4: np.float32, 10: np.float64}  # TensorProto's float_data, double_data
_WEIGHTS = {"Conv": 1, "ConvTranspose": 1, "QLinearConv": 3}  # which input is the kernel


def _varint(data, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
        if shift > 63:
            raise BadFile("a number of more than 64 bits")


def _fields(data: memoryview):
    """(field number, value): varints as int, the rest as bytes."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        kind = key & 7
        if kind == 0:
            value, at = _varint(data, at)
        elif kind in (1, 2, 5):
            size = {1: 8, 5: 4}.get(kind)
            if size is None:
                size, at = _varint(data, at)
            if size > len(data) - at:
                raise BadFile("a field that ends after the file")
            value, at = data[at:at + size], at + size
        else:
            raise BadFile(f"a field of wire type {kind}")
        yield key >> 3, value


def _text(data) -> str:
    return bytes(data).decode("utf-8", "replace")


def _message(data) -> dict[int, list]:
    found: dict[int, list] = {}
    for number, value in _fields(memoryview(data)):
        found.setdefault(number, []).append(value)
    return found


def _integers(values) -> list[int]:
    """A repeated varint, packed or not."""
    found = []
    for value in values:
        if isinstance(value, int):
            found.append(value)
            continue
        at = 0
        while at < len(value):
            number, at = _varint(value, at)
            found.append(number)
    return found


def _tensor(message: dict[int, list], folder: pathlib.Path):
    """A TensorProto's numbers and type; None for types that no kernel has."""
    code = message.get(2, [0])[0]
    if code not in _TYPES:
        return None
    kind, dtype = _TYPES[code]
    shape = _integers(message.get(1, []))
    if 13 in message and message.get(14, [0])[0] == 1:
        data = _external(message[13], folder)
    elif 9 in message:
        data = message[9][0]
    else:
        number = next((n for n in _NUMBERS if n in message), None)
        data = b"".join(bytes(part) for part in message[number]) if number else np.array(_integers(message.get(5, [])), np.uint64).astype(dtype).tobytes()
    value = array(data, dtype, shape)
    return (widened(value) if kind == "bfloat16" else value), kind


def _external(entries, folder: pathlib.Path) -> bytes:
    """Numbers in a file beside the model; never elsewhere."""
    where = {_text(entry[1][0]): _text(entry[2][0]) for entry in map(_message, entries)}
    name = where["location"]
    if pathlib.PurePath(name).name != name or name in (".", ".."):
        raise BadFile(f"external data in {name!r}, which is not a file beside it")
    first, size = int(where.get("offset", 0)), int(where["length"]) if "length" in where else None
    path = folder / name
    if first < 0 or path.stat().st_size > MOST_BYTES or (size is not None and not 0 <= size <= path.stat().st_size):
        raise BadFile(f"external data outside {name!r}")
    with path.open("rb") as file:
        file.seek(first)
        return file.read() if size is None else file.read(size)


def read(path, data: bytes) -> list[Kernel]:
    """See `tareconv._files.read`."""
    model = _message(data)
    if 7 not in model:
        raise BadFile("no graph: not an ONNX model")
    graph = _message(model[7][0])
    stored = {_text(message[8][0]): message for message in map(_message, graph.get(5, [])) if 8 in message}
    nodes = [_message(node) for node in graph.get(1, [])]
    made = {_text(name): node for node in nodes for name in node.get(2, [])}
    rules = {entry["tensor"]: entry for entry in _metadata(model).get("rules", [])}
    found: dict[str, Kernel] = {}
    for node in nodes:
        kind = _text(node[4][0]) if 4 in node else ""
        inputs = [_text(name) for name in node.get(1, [])]
        if kind in _WEIGHTS and len(inputs) > _WEIGHTS[kind]:
            scale = inputs[4] if kind == "QLinearConv" else None
            kernel = _kernel(inputs[_WEIGHTS[kind]], scale, stored, made, path.parent, rules)
            if kernel is not None:
                kernel.values = np.swapaxes(kernel.values, 0, 1) if kind == "ConvTranspose" else kernel.values
                found[kernel.name] = kernel
    return list(found.values())


def _metadata(model) -> dict:
    pairs = {_text(entry[1][0]): _text(entry[2][0]) for entry in map(_message, model.get(14, [])) if 1 in entry and 2 in entry}
    return {"rules": json.loads(pairs["rules"])} if "rules" in pairs else {}


def _kernel(name: str, scale: str | None, stored, made, folder, rules) -> Kernel | None:
    """The kernel of that name, through Identity, Constant and DequantizeLinear; None if it is computed."""
    for _ in range(8):
        if name in stored:
            break
        node = made.get(name, {})
        kind, inputs = (_text(node[4][0]) if 4 in node else ""), [_text(value) for value in node.get(1, [])]
        if kind == "Constant":
            attribute = _message(node[5][0])
            stored = {**stored, name: _message(attribute[5][0])}
        elif kind in ("Identity", "DequantizeLinear") and inputs:
            scale = inputs[1] if kind == "DequantizeLinear" else scale
            if kind == "DequantizeLinear" and len(inputs) > 2 and inputs[2] in stored and _nonzero(stored[inputs[2]], folder):
                raise BadFile(f"{inputs[0]}: zero-points that are not 0")
            name = inputs[0]
        else:
            return None
    value = _tensor(stored[name], folder)
    if value is None or not 3 <= value[0].ndim <= 5:
        return None
    numbers, kind = value
    entry = rules.get(name, {})
    times = np.float32(entry.get("times", 1))
    if numbers.dtype != np.int8:
        return Kernel(name, numbers * times if times != 1 else numbers, None, entry.get("rule"), kind)
    if scale not in stored:
        raise BadFile(f"{name}: integers without stored scales")
    factor = np.atleast_1d(_tensor(stored[scale], folder)[0]).astype(np.float32)
    return Kernel(name, numbers, np.broadcast_to(factor * times, numbers.shape[:1]), entry.get("rule"), kind)


def _nonzero(message, folder) -> bool:
    value = _tensor(message, folder)
    return value is not None and bool(value[0].any())
