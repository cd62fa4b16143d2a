# SPDX-License-Identifier: Apache-2.0
"""What torch.save writes: a zip with a pickle that refers to raw numbers. The pickle may call nothing but what rebuilds tensors, and that is rebuilt here, so
PyTorch is not needed and no code of the file runs."""

from __future__ import annotations

import collections
import io
import pickle
import zipfile

import numpy as np

from . import MOST_BYTES, BadFile, Kernel, widened

_STORAGE = {"FloatStorage": np.float32, "DoubleStorage": np.float64, "HalfStorage": np.float16, "BFloat16Storage": np.uint16, "CharStorage": np.int8}


class _Other:
    """Stands for every object that is no tensor; takes whatever a pickle does to it."""

    def __init__(self, *arguments):
        pass

    def __setstate__(self, state):
        self.state = state

    def __call__(self, *arguments):
        return _Other()


class _Unpickler(pickle.Unpickler):
    def __init__(self, archive: zipfile.ZipFile, folder: str):
        super().__init__(io.BytesIO(archive.read(f"{folder}/data.pkl")))
        self.archive, self.folder = archive, folder

    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if module == "torch._utils" and name in ("_rebuild_tensor_v2", "_rebuild_parameter"):
            return _tensor if name == "_rebuild_tensor_v2" else lambda data, *_: data
        if module == "torch" and name in _STORAGE:
            return name
        return _Other

    def persistent_load(self, key):
        _, storage, number, _, count = key
        if not isinstance(storage, str):
            return None
        data = self.archive.read(f"{self.folder}/data/{int(number)}")
        return np.frombuffer(data, _STORAGE[storage], count=int(count)), storage


def _tensor(storage, offset, size, stride, *_):
    """A strided view of a storage, within its bounds."""
    if storage is None:
        return _Other()
    numbers, kind = storage
    last = offset + sum((n - 1) * step for n, step in zip(size, stride))
    if min([offset, *size, *stride], default=0) < 0 or len(size) != len(stride) or (0 not in size and last >= len(numbers)):
        raise BadFile("a tensor lies outside its storage")
    width = numbers.itemsize
    value = np.lib.stride_tricks.as_strided(numbers[offset:], size, [step * width for step in stride], writeable=False).copy()
    return widened(value) if kind == "BFloat16Storage" else value


def read(path, data: bytes) -> list[Kernel]:
    """See `tareconv._files.read`."""
    if data[:4] != b"PK\3\4":
        raise BadFile("expected the zip file that torch.save writes since PyTorch 1.6")
    archive = zipfile.ZipFile(io.BytesIO(data))
    if sum(info.file_size for info in archive.infolist()) > MOST_BYTES:
        raise BadFile(f"holds more than {MOST_BYTES} bytes")
    folder = next((name.removesuffix("/data.pkl") for name in archive.namelist() if name.endswith("/data.pkl")), None)
    if folder is None:
        raise BadFile("no data.pkl: a file of torch.jit or torch.export? Save the state_dict")
    try:
        found = _Unpickler(archive, folder).load()
    except pickle.UnpicklingError as error:
        raise BadFile(f"a pickle that does not load ({error})") from None
    kernels: list[Kernel] = []
    _collect(found, "", kernels, 0)
    return kernels


def _collect(value, name: str, kernels: list[Kernel], depth: int) -> None:
    """Every tensor of 3 to 5 axes in dicts, lists and the states of objects."""
    if isinstance(value, np.ndarray):
        if 3 <= value.ndim <= 5:
            kernels.append(Kernel(name, value))
        return
    if isinstance(value, _Other):
        value = getattr(value, "state", None)
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, (list, tuple)) else ()
    if depth > 50:
        raise BadFile("nested more than 50 deep")
    for key, inner in entries:
        inside = key in ("_modules", "_parameters", "_buffers") if isinstance(key, str) else False
        _collect(inner, name if inside else f"{name}.{key}".strip("."), kernels, depth + 1)
