# SPDX-License-Identifier: Apache-2.0
"""Operators of frameworks that have to be compiled for the installed version: once, into the user's cache.

XLA's and TensorFlow's interfaces for operators come with the frameworks, as C headers, and change between their versions. Each operator is
one small C file that links with neither: the engine's functions are handed to it as a table. Where there is no compiler, or
compiling fails, a warning says so once, and the framework's own convolution is used.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import pathlib
import shutil
import subprocess
import sysconfig
import tempfile
import warnings
from collections.abc import Callable
from typing import Any

from . import calls

_HERE = pathlib.Path(__file__).parent


def _compiler() -> list[str]:
    named = os.environ.get("CC") or next((c for c in ("cc", "gcc", "clang") if shutil.which(c)), "")
    if not named:
        raise OSError("there is no C compiler (cc, gcc or clang; or name one in CC)")
    return named.split()


def _cache() -> pathlib.Path:
    named = os.environ.get("XDG_CACHE_HOME")
    return (pathlib.Path(named) if named else pathlib.Path.home() / ".cache") / "tareconv"


def _build(source: pathlib.Path, target: pathlib.Path, include: str, link: tuple[str, ...]) -> None:
    """Compiles into a file of its own first: processes that start together do not read half of one."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        fresh = pathlib.Path(folder) / "operator.so"
        command = [*_compiler(), "-O2", "-fPIC", "-shared", "-fvisibility=hidden", "-o", str(fresh), str(source), f"-I{_HERE}",
                   f"-isystem{include}", *link]
        made = subprocess.run(command, capture_output=True, text=True)
        if made.returncode:
            raise OSError(f"{' '.join(command)}: {made.stderr.strip()[:500]}")
        os.replace(fresh, target)


def _made(name: str, version: str, include: str, link: tuple[str, ...]) -> str:
    """The path of the operator's library."""
    source = _HERE / f"{name}.c"
    told = source.read_bytes() + (_HERE / "engine.h").read_bytes() + repr((version, link, sysconfig.get_platform())).encode()
    target = _cache() / f"{name}-{version}-{hashlib.sha256(told).hexdigest()[:16]}.so"
    if not target.exists():
        _build(source, target, include, link)
    return str(target)


@functools.lru_cache(None)
def operator(name: str, framework: str, version: str, include: str, begin: str, link: tuple[str, ...] = (), load: Callable[[str], Any] = ctypes.CDLL):
    """The operators of NAME.c as `load` gives them, with the engine's table given to their function `begin`; None after a warning."""
    try:
        path = _made(name, version, include, link)
        loaded = load(path)
        start = getattr(ctypes.CDLL(path), begin)
    except Exception as error:  # no compiler, no home, another TensorFlow's symbols: whatever it is, there is another way
        warnings.warn(f"tareconv: the engine's operator for {framework} {version} could not be compiled, so that convolutions cost what "
                      f"{framework}'s own cost: {error}", RuntimeWarning, stacklevel=3)
        return None
    start.argtypes, start.restype = [ctypes.c_void_p], None
    start(calls.table())
    return loaded
