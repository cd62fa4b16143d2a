# SPDX-License-Identifier: Apache-2.0
"""Kernels in files of other programs, for `python -m tareconv check`. Files are not trusted: nothing in them is executed or imported."""

from __future__ import annotations

import importlib
import pathlib
from dataclasses import dataclass, field

import numpy as np

MOST_BYTES = 1 << 31
"""Larger files are refused: the readers hold a file in memory."""


@dataclass
class Kernel:
    """The weights of one convolution.

    Attributes:
        name: as the file has it.
        values: (filters, channels of a group, *size): floats, or the integers of a quantised file.
        scale: of integers, one a filter; None for floats.
        rule: what the file says the kernel obeys, or None.
        divisor: the weights over it obey (`round` with `allow_divisor` leaves multiples of filters).
        kind: the type of number the file stores.
    """

    name: str
    values: np.ndarray
    scale: np.ndarray | None = None
    rule: str | None = None
    kind: str = field(default="")
    divisor: int = 1

    def __post_init__(self):
        self.kind = self.kind or str(self.values.dtype)


class BadFile(ValueError):
    """A file that is not what its name says, or more than a reader does."""


READERS = {  # ending: module of this package, whose read(path, data) gives the kernels
    ".keras": "keras",
    ".h5": "keras",
    ".hdf5": "keras",
    ".pt": "torch",
    ".pth": "torch",
    ".safetensors": "safetensors",
    ".onnx": "onnx",
    ".tflite": "tflite",
}


def read(path: str | pathlib.Path) -> list[Kernel]:
    """The kernels of a file, by the ending of its name.

    Raises:
        BadFile: another ending, damaged, too large. OSError: it cannot be read.
    """
    path = pathlib.Path(path)
    if path.suffix not in READERS:
        raise BadFile(f"{path}: expected a file that ends in {', '.join(READERS)}")
    if path.stat().st_size > MOST_BYTES:
        raise BadFile(f"{path}: {path.stat().st_size} bytes; at most {MOST_BYTES} are read")
    reader = importlib.import_module(f"{__name__}.{READERS[path.suffix]}")
    try:
        return reader.read(path, path.read_bytes())
    except BadFile as error:
        raise BadFile(f"{path}: {error}") from None
    except Exception as error:  # whatever a damaged file makes zip, JSON, HDF5 or a reader say
        raise BadFile(f"{path}: damaged, or not such a file ({type(error).__name__}: {error})") from error


def array(data, dtype, shape) -> np.ndarray:
    """Numbers of a file; their count is checked first."""
    shape = tuple(int(size) for size in shape)
    dtype = np.dtype(dtype)
    if any(size < 0 for size in shape) or len(data) != int(np.prod(shape, dtype=object)) * dtype.itemsize:
        raise BadFile(f"a tensor of shape {shape} and type {dtype} does not fit its {len(data)} bytes")
    return np.frombuffer(data, dtype).reshape(shape)


def widened(bits: np.ndarray) -> np.ndarray:
    """bfloat16, given as uint16, as float32."""
    return (bits.astype(np.uint32) << 16).view(np.float32)
