# SPDX-License-Identifier: Apache-2.0
"""Rounding weights so that their rule holds exactly (include/tare/round.h, doc/rounding.md)."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import numpy as np

from . import _arrays
from ._constraint import Constraint, units
from ._core import ffi, lib
from ._errors import call, made, text

FORMATS = ("fp32", "fp16", "bf16", "int8", "int4")
_GRADES = {"exact": lib.TARE_GRADE_EXACT, "grid": lib.TARE_GRADE_GRID}


@dataclass(frozen=True)
class Rounding:
    """Rounded weights: integers times scales.

    Attributes:
        weights: float32, in the shape given; fp16 and bf16 hold them exactly, and ``residual(weights, constraint) == 0``.
        integers: int32, in the same shape.
        scale: float32, filters x scales: one scale a filter, or one for each of its slices. weight = integer * scale without error.
        divisor: 1; with `allow_divisor` the weights obey A w = divisor * b, so divide the response.
        cost_mean, cost_max: distance from the given weights over that of plain rounding with the same scales, over all and of the worst filter.
        certificate: what was proved, as JSON has it (rule, format, hash of the weights, ...).
    """

    weights: np.ndarray
    integers: np.ndarray
    scale: np.ndarray
    divisor: int
    cost_mean: float
    cost_max: float
    certificate: dict = field(repr=False)


def round(w, constraint: Constraint, format: str = "fp32", *, grade: str = "exact", pixel_bits: int = 8,  # noqa: A001
          allow_divisor: bool = False) -> Rounding:
    """The weights nearest `w` (nearly so for rules of several rows) that `format` holds and that obey exactly.

    Args:
        w: filters; the last axes are a filter's taps, (..., channels, *kernel_size), or of one channel (..., *kernel_size).
        format: ``"fp32"``, ``"fp16"``, ``"bf16"``, ``"int8"``, ``"int4"``.
        grade: ``"grid"`` also makes an fp32 convolution of integer pixels of `pixel_bits` exact in any order of summation.
        allow_divisor: meet a right-hand side that no binary number is (1/10) by the weights times `Rounding.divisor`.

    Raises:
        ValueError: shapes that do not fit, weights that are not finite or too large, a right-hand side that no binary number holds.
        NotImplementedError: the format holds no such filter but 0 (the message names the smallest that does).
    """
    if format not in FORMATS:
        raise ValueError(f"format: expected one of {', '.join(FORMATS)}, found {format!r}")
    if grade not in _GRADES:
        raise ValueError(f"grade: expected 'exact' or 'grid', found {grade!r}")
    array, _ = units(w, constraint, dtype=np.float32)
    taps = int(np.prod(constraint.kernel_size)) * constraint.channels
    if array.size % taps:
        raise ValueError(f"w: expected filters of {taps} weights ({constraint!r}), found the shape {array.shape}")
    options = ffi.new("tare_round_options *", {"format": FORMATS.index(format), "grade": _GRADES[grade], "allow_divisor": int(allow_divisor),
                                               "pixel_bits": pixel_bits if grade == "grid" else 0})
    c = made(lib.tare_round, constraint._c, options, array.size // taps, _arrays.pointer(array), free=lib.tare_rounding_free)
    return Rounding(_arrays.copied(c.weights, np.float32, array.shape), _arrays.copied(c.integers, np.int32, array.shape),
                    _arrays.copied(c.scale, np.float32, (c.filters, c.scales)), c.divisor, c.cost_mean, c.cost_max, _certificate(constraint, c))


def round_fp32(w, constraint: Constraint) -> np.ndarray:
    """`w` in float32, obeying exactly; like `round` without a certificate. Units may be slices."""
    array, count = units(w, constraint, dtype=np.float32)
    out = np.empty_like(array)
    call(lib.tare_round_fp32, constraint._c, count, _arrays.pointer(array), _arrays.pointer(out))
    return out


def _certificate(constraint: Constraint, c) -> dict:
    return json.loads(text(made(lib.tare_certificate_write, constraint._c, c, free=lib.tare_certificate_free)))


def verify(certificate: dict | str, weights) -> None:
    """Checks that `weights` are those of a certificate and that what it states of them is so.

    Raises:
        OSError: they are not, or it is not a certificate; the message says what differs.
    """
    array = _arrays.floats(weights, "weights", np.float32)
    written = certificate if isinstance(certificate, str) else json.dumps(certificate)
    call(lib.tare_certificate_verify, written.encode(), array.size, _arrays.pointer(array))
