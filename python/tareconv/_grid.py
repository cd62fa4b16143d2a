# SPDX-License-Identifier: Apache-2.0
"""Exact rounding in vectorised operations, for rules that need no lattice: sums, fixed taps, symmetries and what they combine to.

Weights become integers q times one power of two a unit, so that A q = b / step holds in integers. This is what `tareconv.round` does (doc/rounding.md), for use inside
a training step on any device. In float32 the step is that of the format for the largest weight: a weight is off by half a step from rounding and by at most one
more from mending its sum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ._bits import WORDS, in_steps, power
from ._constraint import Constraint

# Integers up to 2^bits, and the finest step, 2^finest (bfloat16 has float32's range; below float32's normal numbers devices flush to 0).
BITS = {"float16": 11, "bfloat16": 8, "float32": 24, "float64": 44}
FINEST = {"float16": -24, "bfloat16": -126, "float32": -126, "float64": -1022}
NARROW = ("float16", "bfloat16")
_ROOM = 1 + 2.0**-20  # in wide formats, of the largest weight: mending may move it by several steps, and it must stay within the format's integers


@dataclass(frozen=True)
class Part:
    """Variables, numbered first to first + count, whose sum is fixed: sum v = total, or with `single` variables that count half: sum single v + 2 sum v = total.

    `single` of them, the first ones, count once and the others twice where `single` is neither 0 nor all.
    """

    first: int
    count: int
    single: int
    total: float


@dataclass(frozen=True)
class Grid:
    """A rule on variables: what is left when taps that a rule fixes are taken out and taps tied by w_i = +-w_j are made one.

    Attributes:
        parts: disjoint sets of variables with one sum each; variables after them are free.
        variables: how many.
        constants: ``"turns"`` (..., 1, 0, as many as the largest part has variables, x 1), and where taps are not simply the variables: ``"take"`` (the tap that gives each
            variable), ``"spread"`` (the variable of each tap; fixed taps come after them), ``"sign"`` (taps x 1), ``"fixed"`` (values of fixed taps, x 1).
        coarsest: no step may be over 2^coarsest, or a right-hand side would fall between steps.
    """

    parts: tuple[Part, ...]
    variables: int
    constants: dict[str, np.ndarray]
    coarsest: int

    @classmethod
    def of(cls, constraint: Constraint) -> Grid | None:
        """The grid of a rule, or None if it needs more than this (moments: a lattice; a right-hand side that no binary number is)."""
        from ._presolve import presolve

        return presolve(constraint)

    def round(self, constants, w, near, dtype: str):
        """`w` (taps, units), wide, to values of its narrow type that `dtype` holds and that obey exactly; no gradient. `near`: w.narrow()."""
        ops = w.ops
        name, narrow = ops.name(near), dtype in NARROW
        word, step = WORDS[name], self._step(ops, near, dtype)
        variables = w.each(lambda x: ops.take(ops.stop(x), constants["take"])) if "take" in constants else w.each(ops.stop)
        q, left = variables.in_steps(step, word, narrow or self.mixed)
        pieces, end = [], 0
        for part in self.parts:
            end = part.first + part.count
            right = in_steps(ops, part.total, step) if part.total else 0
            others = None if left is None else left[part.first:end]
            pieces.append(_mended(ops, q if part.count == self.variables else q[part.first:end], others, right, part, None if narrow else constants["turns"]))
        if end < self.variables:
            pieces.append(q[end:])
        values = [ops.cast(piece, name) * step for piece in pieces]
        if "fixed" in constants:
            values.append(constants["fixed"] + 0 * step)
        taps = ops.join(values) if len(values) > 1 else values[0]
        taps = ops.take(taps, constants["spread"]) if "spread" in constants else taps
        return taps * constants["sign"] if "sign" in constants else taps

    @property
    def mixed(self) -> bool:
        """Whether in some part variables count once and others twice."""
        return any(0 < part.single < part.count for part in self.parts)

    def _step(self, ops, w, dtype: str):
        """One power of two a unit: 2^(1 - bits) times the power of two in its largest weight."""
        largest = ops.largest(ops.abs(w)) * (2.0 ** (1 - BITS[dtype]) * (1 if dtype in NARROW else _ROOM))
        return ops.clip(power(ops, largest), 2.0 ** FINEST[dtype], 2.0**self.coarsest)


def _mended(ops, q, left, right, part: Part, turns):
    """Integers near q + left (|left| <= 1/2) whose sum is `right`. Sums are modulo the word's size: what is over is small."""
    if part.single in (0, part.count):
        return _spread(ops, q, left, ops.total(q) - right, part.count, turns)
    one, two = q[:part.single], q[part.single:]
    excess = ops.total(one) + 2 * ops.total(two) - right
    odd = excess & 1
    odd = ops.where(left[:1] < 0, odd, -odd)  # the first that counts once goes to its other neighbour: the rest is even
    one = ops.join([one[:1] - odd, one[1:]]) if part.single > 1 else one - odd
    return ops.join([one, _spread(ops, two, left[part.single:], (excess - odd) // 2, part.count - part.single, turns)])


def _spread(ops, q, left, excess, count: int, turns):
    """q less `excess` in all: as evenly as can be, and one more for those that were rounded up most (largest remainders; on a fine grid, where it does not
    matter, for the first). With largest remainders only such change as had been rounded the other way: none passes the format's largest integer."""
    if turns is not None:  # count - 1, ..., 0
        return q - (excess + ops.cast(turns if turns.shape[0] == count else turns[-count:], ops.name(q))) // count
    word = ops.name(q)
    each = excess // count
    rest = excess - each * count
    rank = ops.order(ops.order(-left))  # the last was rounded up most
    return q - each - ops.cast(ops.cast(rank, word) >= count - rest, word)
