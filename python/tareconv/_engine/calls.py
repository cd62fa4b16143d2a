# SPDX-License-Identifier: Apache-2.0
"""The engine's calls on addresses. cffi lets go of the interpreter's lock while C works.

`threads`: at most so many, 0 for all that the process may use; `parallel`: the address of OpenMP's GOMP_parallel, whose threads these are then, 0: threads of
the engine's own.
"""

from __future__ import annotations

import functools
import typing

from tareconv._core import ffi, lib

_MEMORY, _MESSAGE = -200, 1000


class Sizes(typing.NamedTuple):
    """Elements of a call's arrays."""

    x: int
    weights: int
    bias: int
    y: int
    saved: int


def _check(status: int, written) -> None:
    if not status:
        return
    message = ffi.string(written).decode()
    raise MemoryError(message) if status == _MEMORY else ValueError(message) if status > -100 else RuntimeError(message)


@functools.lru_cache(1024)
def sizes(call: str) -> Sizes:
    """Elements of the arrays of a call. When first asked its plan is made, and kept."""
    out, message = ffi.new("tareconv_sizes *"), ffi.new("char[]", _MESSAGE)
    _check(lib.tareconv_sizes_of(call.encode(), out, message), message)
    return Sizes(out.x, out.weights, out.bias, out.y, out.saved)


def _run(function, call: str, threads: int, parallel: int, addresses: dict[str, int]) -> None:
    arrays, message = ffi.new("tareconv_arrays *"), ffi.new("char[]", _MESSAGE)
    for name, address in addresses.items():
        setattr(arrays, name, ffi.cast("void *", address))
    _check(function(call.encode(), threads, ffi.cast("tareconv_parallel", parallel), arrays, message), message)


def forward(call: str, threads: int = 0, parallel: int = 0, **addresses: int) -> None:
    """y (and what is saved) of x, weights and bias; addresses by the names of tareconv_arrays, 0 or left out: none."""
    _run(lib.tareconv_forward, call, threads, parallel, addresses)


def backward(call: str, threads: int = 0, parallel: int = 0, **addresses: int) -> None:
    """dx and dweights, each where it has an address, of x, weights, dy and what forward saved."""
    _run(lib.tareconv_backward, call, threads, parallel, addresses)


def watch_forks() -> None:
    """From now on a forked child runs calls on threads of the engine's own, whatever `parallel` says; else from the first call on."""
    lib.tareconv_watch_forks()


def describe(call: str) -> str:
    """How the passes of a call are done, a line each."""
    message = ffi.new("char[]", _MESSAGE)
    length = lib.tareconv_describe(call.encode(), ffi.NULL, 0, message)
    _check(0 if length else lib.TARE_E_ARGUMENT, message)
    text = ffi.new("char[]", length + 1)
    lib.tareconv_describe(call.encode(), text, length + 1, message)
    return ffi.string(text).decode()


def table() -> int:
    """The address of the table of functions (engine.h) that an operator of a framework is given."""
    return int(ffi.cast("uintptr_t", lib.tareconv_engine_table()))
