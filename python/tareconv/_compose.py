# SPDX-License-Identifier: Apache-2.0
"""w = w0 + B t and exact rounding in a framework's own operations, on any device: written once, over a small set of operations (_operations.py).

Arrays are (taps, units) and (coefficients, units): a column is one unit. Everything that does not depend on the coefficients is in `constants`, NumPy arrays
which a framework turns into its own once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ._basis import Basis
from ._grid import Grid
from ._moments import Moments


@dataclass(frozen=True)
class Composer:
    """How a basis composes weights, without C.

    Attributes:
        taps, coefficients: n and the length of t.
        homogeneous: whether w0 = 0.
        constants: ``"matrix"`` (B, taps x coefficients) and ``"offset"`` (w0, taps x 1), float64; and those of `grid`.
        grid: how composed weights come to obey exactly in every type, or None where that takes a lattice.
        moments: then, how they come to obey exactly in float32 and float64; or None (they obey to the precision of the sums; `tareconv.round`
            makes them exact).
    """

    taps: int
    coefficients: int
    homogeneous: bool
    constants: dict[str, np.ndarray]
    grid: Grid | None
    moments: Moments | None = None

    @classmethod
    def of(cls, basis: Basis) -> Composer:
        """The composer of a basis as it is now (after `Basis.rescale`, make another)."""
        grid = Grid.of(basis.constraint)
        moments = None if grid else Moments.of(basis.constraint)
        exact = grid or moments
        constants = {"matrix": basis.matrix, "offset": basis.offset[:, None], **(exact.constants if exact else {})}
        return cls(basis.taps, basis.coefficients, not basis.offset.any(), constants, grid, moments)

    def respond(self, ops, constants, t):
        """B t alone, (taps, units): what a response is measured with."""
        return ops.matmul(constants["matrix"], t)

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
