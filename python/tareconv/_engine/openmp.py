# SPDX-License-Identifier: Apache-2.0
"""The threads that PyTorch has: OpenMP's, which go on looking for work for some milliseconds after each operation.

Threads beside them would have to share the cores with them all that time, so the engine's work goes to the same ones.
"""

from __future__ import annotations

import ctypes

import torch

from . import calls

_OPENMP = "ATen parallel backend: OpenMP"


def torch_parallel() -> int:
    """The address of GOMP_parallel in the OpenMP library that PyTorch itself uses, 0: it uses none, or one without this function.

    Looked for as the linker does for PyTorch: first among what all libraries see (LD_PRELOAD), then in what PyTorch brings. To be called before a
    process forks: OpenMP's threads are not there in a child, whose calls the engine then runs on its own.
    """
    if _OPENMP not in torch.__config__.parallel_info():
        return 0
    for library in (None, torch._C.__file__):
        try:
            function = ctypes.CDLL(library).GOMP_parallel
        except (AttributeError, OSError):
            continue
        calls.watch_forks()
        return ctypes.cast(function, ctypes.c_void_p).value or 0
    return 0
