# SPDX-License-Identifier: Apache-2.0
"""Exact rounding in vectorised operations for rules that fix every moment up to an order (`order=Q`, `derivative(...)`), in float32 and float64.

Binomial moments M_p(w) = sum_i C(i, p) w(i), p running over all exponents of total order up to Q, span the same rows with whole coefficients. The forward difference of order p,
D_p, taken at i = 0, has M_q(D_p) = 1 for q = p and 0 for every other q (sum_k (-1)^(p-k) C(p, k) C(k, q); Graham, Knuth & Patashnik 1994, 5.3). So whole
weights q that miss their moments by r obey as q - sum_p r_p D_p. What is mended lands on a few taps in the middle, in steps of 2^-22 of the largest weight.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from ._bits import WORDS, exponent, in_steps, power
from ._constraint import Constraint, residual

BITS = {"float32": 22, "float64": 44}
_ROOM = 2.0**-13  # as much as mending may change a weight, of the largest: orders and sizes beyond are left to tareconv.round


@dataclass(frozen=True)
class Moments:
    """The moments of one rule.

    Attributes:
        rights: what each must be, binary fractions.
        coarsest: no step may be over 2^coarsest.
        constants: ``"moments"`` (rows x taps) and ``"differences"`` (rows x taps), int32.
    """

    rights: tuple[float, ...]
    coarsest: int
    constants: dict[str, np.ndarray]

    @classmethod
    def of(cls, constraint: Constraint) -> Moments | None:
        """The moments of a rule, or None if it is another kind of rule, or mending would change weights too much."""
        a, b = constraint.matrix()
        dims, size = len(constraint.kernel_size), constraint.kernel_size
        order = next((q for q in range(1, 21) if math.comb(q + dims, dims) >= len(b)), 0)
        if not order or math.comb(order + dims, dims) != len(b) or min(size) <= order:
            return None
        powers = [p for p in itertools.product(range(order + 1), repeat=dims) if sum(p) <= order]
        start = [(n - 1 - order) // 2 for n in size]
        rows = np.array([_product([[_binomial(i - s, p) for i in range(n)] for n, s, p in zip(size, start, power)]) for power in powers])
        steps = np.array([_product([[(-1) ** (p - i + s) * math.comb(p, i - s) if 0 <= i - s <= p else 0 for i in range(n)]
                                    for n, s, p in zip(size, start, power)]) for power in powers])
        channels = constraint.taps // rows.shape[1]
        rows, steps = np.tile(rows, (1, channels)), np.pad(steps, ((0, 0), (0, (channels - 1) * steps.shape[1])))
        rights = _rights(constraint, a, b, rows, steps)
        missed = 0.29 * np.sqrt((rows.astype(float) ** 2).sum(1))  # of rounding errors, uniform in +-1/2
        if rights is None or (missed @ np.abs(steps)).max() > _ROOM * 2 ** BITS["float32"] or np.abs(rows).max() >= 2**31:
            return None
        coarsest = min([127] + [exponent(right) for right in rights if right])
        return cls(tuple(float(right) for right in rights), coarsest, {"moments": rows.astype(np.int32), "differences": steps.astype(np.int32)})

    def round(self, ops, constants, w):
        """`w` (taps, units) to values of its own type that obey exactly."""
        name = ops.name(w)
        word = WORDS[name]
        step = ops.clip(power(ops, ops.largest(ops.abs(w))) * 2.0 ** (1 - BITS[name]), 2.0**-126, 2.0**self.coarsest)
        q = ops.cast(ops.round(w / step), word)
        for number, right in enumerate(self.rights):
            row, difference = (ops.cast(constants[key][number], word)[:, None] for key in ("moments", "differences"))
            over = ops.total(q * row)
            if right:
                over = over - in_steps(ops, right, step)
            q = q - over * difference
        return ops.cast(q, name) * step


def _binomial(i: int, p: int) -> int:
    """C(i, p), for negative i too."""
    return math.comb(i, p) if i >= 0 else (-1) ** p * math.comb(p - i - 1, p)


def _product(axes) -> np.ndarray:
    out = np.ones(1, np.int64)
    for axis in axes:
        out = np.multiply.outer(out, np.array(axis, np.int64)).ravel()
    return out


def _rights(constraint: Constraint, a, b, rows, steps) -> list[Fraction] | None:
    """What the binomial moments of weights that obey are: binary fractions, checked against the rule in rationals. None if the rows are others."""
    change, _, rank, _ = np.linalg.lstsq(a.T, rows.T.astype(float), rcond=None)
    if rank < len(b) or np.abs(a.T @ change - rows.T).max() > 1e-9 * np.abs(rows).max():
        return None
    rights = [Fraction(float(value)).limit_denominator(1 << 12) for value in change.T @ b]
    if any(right.denominator & (right.denominator - 1) for right in rights):
        return None
    weights = (np.array([float(right) for right in rights]) @ steps).astype(np.float32)
    return rights if residual(weights, constraint) == 0 else None
