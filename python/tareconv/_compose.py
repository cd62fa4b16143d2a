# SPDX-License-Identifier: Apache-2.0
"""w = w0 + B t and exact rounding in a framework's own operations, on any device: written once, over a small set of operations (_operations.py).

Arrays are (taps, units) and (coefficients, units): a column is one unit. Everything that does not depend on the coefficients is in `constants`, NumPy arrays
which a framework turns into its own once.
"""

from __future__ import annotations

import functools
import operator
from dataclasses import dataclass

import numpy as np

from ._basis import Basis
from ._grid import Grid
from ._moments import Moments
from ._separable import Separable

_TERMS = 64
"""So many products are summed at a time: the rounding errors of sums of sums are a few last bits; those of one long sum could pass half a step of the grid (_grid.py),
and a kernel that was saved would come back as another."""


@dataclass(frozen=True)
class Composer:
    """How a basis composes weights, without C.

    Attributes:
        taps, coefficients: n and the length of t.
        homogeneous: whether w0 = 0.
        constants: ``"offset"`` (w0, taps x 1), float64; ``"matrix0"``, ... (columns of B) or those of `separable`; and those of `grid` or `moments`.
        grid: how composed weights come to obey exactly in every type, or None where that takes a lattice.
        moments: then, how they come to obey exactly in float32 and float64; or None (they obey to the precision of the sums; `tareconv.round`
            makes them exact).
        separable: B as a transform along each axis, or None.
    """

    taps: int
    coefficients: int
    homogeneous: bool
    constants: dict[str, np.ndarray]
    grid: Grid | None
    moments: Moments | None = None
    separable: Separable | None = None

    @classmethod
    def of(cls, basis: Basis) -> Composer:
        """The composer of a basis as it is now (after `Basis.rescale`, make another)."""
        grid = Grid.of(basis.constraint)
        moments = None if grid else Moments.of(basis.constraint)
        separable = Separable.of(basis)
        exact = grid or moments
        matrix = separable.constants if separable else _split(basis.matrix)
        constants = {"offset": basis.offset[:, None], **matrix, **(exact.constants if exact else {})}
        return cls(basis.taps, basis.coefficients, not basis.offset.any(), constants, grid, moments, separable)

    def respond(self, ops, constants, t):
        """B t alone, (taps, units): what a response is measured with."""
        if self.separable is not None:
            return self.separable.respond(ops, constants, t)
        products = (ops.matmul(constants[f"matrix{number}"], part) for number, part in enumerate(ops.split(t, _TERMS)))
        return functools.reduce(operator.add, products)

    def compose(self, ops, constants, t, scale=None):
        """w0 + scale B t, (taps, units), in t's precision; `scale` (a number or a tensor of one) is the input's, which the bases that absorb it take."""
        w = self.respond(ops, constants, t)
        if scale is not None:
            w = w * scale
        return w if self.homogeneous else w + constants["offset"]

    def obey(self, ops, constants, w, dtype: str):
        """`w` (float32 or float64, nearly obeying) in `dtype`, obeying exactly; the gradient passes straight through (Bengio et al. 2013)."""
        if self.grid is not None:
            exact = ops.cast(self.grid.round(ops, constants, ops.stop(w), dtype), dtype)
        elif self.moments is not None and dtype == ops.name(w):
            exact = self.moments.round(ops, constants, ops.stop(w))
        else:
            return ops.cast(w, dtype)
        through = ops.cast(w, dtype)
        return exact + (through - ops.stop(through))  # the difference is 0 exactly: its gradient is all it adds


def _split(matrix: np.ndarray) -> dict[str, np.ndarray]:
    """B by columns, as `respond` takes it."""
    return {f"matrix{number}": matrix[:, first:first + _TERMS] for number, first in enumerate(range(0, max(matrix.shape[1], 1), _TERMS))}
