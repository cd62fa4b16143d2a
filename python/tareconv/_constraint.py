# SPDX-License-Identifier: Apache-2.0
"""Rules on filters (include/tare/constraint.h)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction

import numpy as np

from . import _arrays
from ._core import ffi, lib
from ._errors import call, made, text


def filter_shape(kernel_size: int | Sequence[int], channels: int = 1):
    """The C description of one filter."""
    sizes = list(kernel_size) if isinstance(kernel_size, Iterable) else [kernel_size]
    if not all(isinstance(size, (int, np.integer)) for size in sizes):
        raise TypeError(f"kernel_size: expected whole numbers such as (7, 7), found {kernel_size!r}")
    if not 1 <= len(sizes) <= lib.TARE_MAX_DIMS:
        raise ValueError(f"kernel_size: expected 1 to {lib.TARE_MAX_DIMS} sizes, found {kernel_size!r}")
    shape = ffi.new("tare_filter_shape *", {"dims": len(sizes), "channels": channels})
    for axis, size in enumerate(sizes):
        shape.size[axis] = size
    return shape


class Constraint:
    """A rule A w = b that every filter must obey, exactly.

    Args:
        rule: text such as ``"sum=0"``, ``"sum=1"``, ``"order=2"``, ``"bayar"``, ``"centre=-1"``, ``"moment(1,0)=0"``,
            ``"derivative(2,0) accuracy=2"``, ``"symmetric"``, ``"antisymmetric"``, ``"rows=FILE.json"``; several joined by ``;``. ``@filter``
            after a rule makes it run over all input channels of a filter (default: over each channel by itself). ``""`` and ``"none"``: no rule.
        kernel_size: taps along each axis, one to three of them; one number is a filter of one axis: ``Constraint("sum=0", (7, 7))``.
        channels: input channels of a filter; only rules with ``@filter`` depend on it.
        allow_full: take a rule that leaves no free weight too.

    Raises:
        ValueError: the rule does not parse (the message says at which column), contradicts itself, leaves no free weight or does not fit the
            kernel.

    The weights that a rule speaks of are a *unit*: one slice (``kernel_size`` taps, row by row), or under ``@filter`` a whole filter
    (channel by channel). Meaning of every rule: doc/rules.md.
    """

    def __init__(self, rule: str, kernel_size: int | Sequence[int], channels: int = 1, *, allow_full: bool = False):
        if not isinstance(rule, str):
            raise TypeError(f"rule: expected text such as 'sum=0', found {type(rule).__name__}")
        shape = filter_shape(kernel_size, channels)
        self._c = made(lib.tare_constraint_create, rule.encode(), shape, int(allow_full), free=lib.tare_constraint_free)
        self.kernel_size: tuple[int, ...] = tuple(shape.size[axis] for axis in range(shape.dims))
        self.channels = channels

    @property
    def text(self) -> str:
        """The rules in canonical form; parsing it gives the same constraint."""
        return text(lib.tare_constraint_text(self._c))

    @property
    def notes(self) -> str:
        """A line for each rule or row that was dropped because others imply it."""
        return text(lib.tare_constraint_notes(self._c))

    @property
    def taps(self) -> int:
        """n, the weights of one unit."""
        return lib.tare_constraint_taps(self._c)

    @property
    def rows(self) -> int:
        """m, the independent rows: n - m weights are free."""
        return lib.tare_constraint_rows(self._c)

    @property
    def per_filter(self) -> bool:
        """Whether a unit is a whole filter (scope ``@filter``) and not one slice."""
        return bool(lib.tare_constraint_is_filter(self._c))

    @property
    def homogeneous(self) -> bool:
        """Whether b = 0."""
        return bool(lib.tare_constraint_is_homogeneous(self._c))

    def matrix(self) -> tuple[np.ndarray, np.ndarray]:
        """A (m x n) and b (m), each entry the nearest float64."""
        a, b = np.empty((self.rows, self.taps)), np.empty(self.rows)
        lib.tare_constraint_matrix(self._c, _arrays.pointer(a), _arrays.pointer(b))
        return a, b

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Constraint) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        return f"Constraint({self.text!r}, {self.kernel_size}, channels={self.channels})"

    def __reduce__(self):
        return _again, (self.text, self.kernel_size, self.channels)

    def _key(self):
        return self.text, self.kernel_size, self.channels


def _again(rule: str, kernel_size: tuple[int, ...], channels: int) -> Constraint:
    return Constraint(rule, kernel_size, channels, allow_full=True)


def units(w, constraint: Constraint, what: str = "w", dtype=None) -> tuple[np.ndarray, int]:
    """`w` as a contiguous array of whole units (its last axes hold the taps), and how many there are."""
    array = _arrays.floats(w, what, dtype)
    if array.size % constraint.taps or array.size == 0 or not _ends_with_units(array.shape, constraint):
        raise ValueError(f"{what}: expected units of {constraint.taps} weights ({constraint!r}) along the last axes, found the shape {array.shape}")
    return array, array.size // constraint.taps


def _ends_with_units(shape: tuple[int, ...], constraint: Constraint) -> bool:
    """Whether some last axes hold exactly one unit, or one slice where slices are units."""
    taps = 1
    for size in reversed(shape):
        taps *= size
        if taps == constraint.taps:
            return True
    return False


class Residual(Fraction):
    """The largest residual A w - b (in size) of many units, an exact ``Fraction``: 0 only if every unit obeys exactly.

    Attributes:
        units, exact_units: all units, and those whose every row holds exactly.
        worst_unit, worst_row: where the largest is.
    """

    def __new__(cls, c, units: int):
        written = text(c.fraction)
        self = super().__new__(cls, Fraction(c.max_abs) if "..." in written else written)
        self.units, self.exact_units, self.worst_unit, self.worst_row = units, c.exact_units, c.worst_unit, c.worst_row
        return self


def residual(w, constraint: Constraint, divisor: int = 1) -> Residual:
    """The exact residual of weights whose last axes are the taps of units, in rationals: A w / divisor - b (see `round` for divisors).

    Raises:
        ValueError: shapes that do not fit, weights that are not finite or that float32 does not hold (convert first: the residual is of the
            weights as they are stored).
    """
    array, count = units(w, constraint)
    single = np.ascontiguousarray(array, np.float32)
    if not np.array_equal(single, array) and np.isfinite(array).all():
        raise ValueError("w: expected weights that float32 holds, found float64 ones; the residual is of stored weights, so convert or round first")
    out = ffi.new("tare_residual *")
    call(lib.tare_constraint_residual_over, constraint._c, _arrays.pointer(single), count, int(divisor), out)
    return Residual(out, count)
