# SPDX-License-Identifier: Apache-2.0
"""NumPy arrays for C functions, and C arrays for NumPy."""

from __future__ import annotations

import numpy as np

from ._core import ffi

_TYPES = {np.dtype(np.float32): "float[]", np.dtype(np.float64): "double[]", np.dtype(np.int32): "int32_t[]", np.dtype(np.uint16): "uint16_t[]"}


def pointer(array: np.ndarray):
    """`array` (contiguous, of a type that C functions take) as a C array; valid as long as it."""
    return ffi.from_buffer(_TYPES[array.dtype], array, require_writable=array.flags.writeable)


def copied(chars, dtype, shape) -> np.ndarray:
    """A copy of the C array at `chars`."""
    count = int(np.prod(shape, dtype=np.int64))
    if count == 0:
        return np.empty(shape, dtype)
    return np.frombuffer(ffi.buffer(chars, count * np.dtype(dtype).itemsize), dtype).reshape(shape).copy()


def floats(value, what: str, dtype=None) -> np.ndarray:
    """`value` as a contiguous float32 or float64 array (float64 unless it is float32 or smaller, or `dtype` says)."""
    array = np.asarray(value)
    if array.dtype == object or array.dtype.kind not in "fiubV":
        raise TypeError(f"{what}: expected an array of numbers, found {type(value).__name__} of {array.dtype}")
    if dtype is None:
        dtype = np.float32 if array.dtype.itemsize <= 4 and array.dtype.kind in "fV" else np.float64
    return np.ascontiguousarray(array, dtype)
