# SPDX-License-Identifier: Apache-2.0
"""TensorFlow Lite: the stored weights of its convolutions. Read as a FlatBuffer (field numbers: tensorflow/compiler/mlir/lite/schema/schema.fbs), so no other
package is needed."""

from __future__ import annotations

import struct

import numpy as np

from . import BadFile, Kernel, array

_TYPES = {0: ("float32", np.float32), 1: ("float16", np.float16), 9: ("int8", np.int8)}
_CONV_2D, _DEPTHWISE, _DEQUANTIZE, _TRANSPOSED, _CONV_3D = 3, 4, 6, 67, 132


class _Table:
    """A table at a place of the file; a field that is not there is the default."""

    def __init__(self, data: bytes, at: int):
        self.data, self.at = data, at
        self.fields = at - struct.unpack_from("<i", data, at)[0]
        if self.fields < 0:
            raise BadFile("a table outside the file")
        self.count = (struct.unpack_from("<H", data, self.fields)[0] - 4) // 2

    def _place(self, field: int) -> int:
        offset = struct.unpack_from("<H", self.data, self.fields + 4 + 2 * field)[0] if field < self.count else 0
        return self.at + offset if offset else 0

    def number(self, field: int, form: str, default=0):
        place = self._place(field)
        return struct.unpack_from("<" + form, self.data, place)[0] if place else default

    def _vector(self, field: int) -> tuple[int, int]:
        """Where the elements of a vector (or text) begin, and how many there are."""
        place = self._place(field)
        if not place:
            return 0, 0
        start = place + struct.unpack_from("<I", self.data, place)[0]
        count = struct.unpack_from("<I", self.data, start)[0]
        if count > len(self.data):
            raise BadFile("a vector that ends after the file")
        return start + 4, count

    def bytes(self, field: int) -> bytes:
        start, count = self._vector(field)
        return self.data[start:start + count]

    def numbers(self, field: int, dtype) -> np.ndarray:
        start, count = self._vector(field)
        return array(self.data[start:start + count * np.dtype(dtype).itemsize], dtype, (count,))

    def tables(self, field: int) -> list[_Table]:
        start, count = self._vector(field)
        places = [start + 4 * index for index in range(count)]
        return [_Table(self.data, place + struct.unpack_from("<I", self.data, place)[0]) for place in places]

    def table(self, field: int) -> _Table | None:
        place = self._place(field)
        return _Table(self.data, place + struct.unpack_from("<I", self.data, place)[0]) if place else None


def read(path, data: bytes) -> list[Kernel]:
    """See `tareconv._files.read`."""
    if data[4:8] != b"TFL3":
        raise BadFile("no TFL3 mark: not a TensorFlow Lite model")
    try:
        model = _Table(data, struct.unpack_from("<I", data)[0])
        codes = [max(code.number(0, "b"), code.number(3, "i")) for code in model.tables(1)]
        buffers = model.tables(4)
        return [kernel for graph in model.tables(2) for kernel in _of_graph(graph, codes, buffers)]
    except struct.error as error:
        raise BadFile(f"ends too early ({error})") from None


def _of_graph(graph: _Table, codes: list[int], buffers: list[_Table]) -> list[Kernel]:
    tensors, found = graph.tables(0), {}
    operators = [(codes[operator.number(0, "I")], operator.numbers(1, "<i4"), operator.numbers(2, "<i4")) for operator in graph.tables(3)]
    source = {int(outputs[0]): int(inputs[0]) for code, inputs, outputs in operators if code == _DEQUANTIZE}
    for code, inputs, _ in operators:
        if code in (_CONV_2D, _DEPTHWISE, _TRANSPOSED, _CONV_3D) and len(inputs) > 1:
            number = source.get(int(inputs[1]), int(inputs[1]))
            kernel = _kernel(tensors[number], code, buffers)
            if kernel is not None:
                found[number] = kernel
    return list(found.values())


def _kernel(tensor: _Table, code: int, buffers: list[_Table]) -> Kernel | None:
    """None where the kernel is computed, or of a type that is not read."""
    data = buffers[tensor.number(2, "I")].bytes(0)
    if tensor.number(1, "b") not in _TYPES or not data:
        return None
    kind, dtype = _TYPES[tensor.number(1, "b")]
    value = _canonical(array(data, dtype, tensor.numbers(0, "<i4")), code)
    name, scale = tensor.bytes(3).decode("utf-8", "replace"), None
    if kind == "int8":
        how = tensor.table(4)
        if how is None or how.numbers(3, "<i8").any():
            raise BadFile(f"{name}: integers without scales, or with zero-points that are not 0")
        scale = np.broadcast_to(how.numbers(2, "<f4"), value.shape[:1])
    return Kernel(name, value, scale, kind=kind)


def _canonical(value: np.ndarray, code: int) -> np.ndarray:
    """(out, rows, columns, in), depthwise (1, rows, columns, out), 3-D (*size, in, out) as (filters, channels, *size)."""
    if code == _CONV_3D:
        return np.moveaxis(value, (-1, -2), (0, 1))
    moved = np.moveaxis(value, -1, 1)
    return np.swapaxes(moved, 0, 1) if code == _DEPTHWISE else moved
