# SPDX-License-Identifier: Apache-2.0
"""The library's failures as Python exceptions, with its messages."""

from __future__ import annotations

from ._core import ffi, lib

_EXCEPTIONS = {  # the others: by family
    lib.TARE_E_DATA: OSError,
    lib.TARE_E_UNSUPPORTED: NotImplementedError,
    lib.TARE_E_MEMORY: MemoryError,
    lib.TARE_E_IO: OSError,
}


def call(function, *arguments):
    """Calls `function(*arguments, &error)`; raises what its status stands for: wrong use is a ValueError, a failure underneath a RuntimeError."""
    error = ffi.new("tare_error *")
    status = function(*arguments, error)
    if status == lib.TARE_OK:
        return
    kind = _EXCEPTIONS.get(status, ValueError if status > lib.TARE_E_UNSUPPORTED else RuntimeError)
    raise kind(text(error.message) or text(lib.tare_status_name(status)))


def made(function, *arguments, free):
    """The object that `function(*arguments, &object, &error)` makes, given back with `free` when Python drops it."""
    place = ffi.new(ffi.typeof(function).args[len(arguments)])
    call(function, *arguments, place)
    return ffi.gc(place[0], free)


def text(chars) -> str:
    """A C string."""
    return ffi.string(chars).decode("utf-8", "replace")
