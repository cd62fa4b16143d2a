# SPDX-License-Identifier: Apache-2.0
"""w = w0 + B t and exact rounding in a framework's own operations, on any device: written once, over a small set of operations (_operations.py).

Arrays are (taps, units) and (coefficients, units): a column is one unit. Everything that does not depend on the coefficients is in `constants`, NumPy arrays
which a framework turns into its own once. Between t and the rounded weights numbers have more digits than either (_wide.py).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ._basis import Basis
from ._grid import Grid
from ._moments import Moments
from ._separable import Separable
from ._wide import kind_of, widen


@dataclass(frozen=True)
class Composer:
    """How a basis composes weights, without C.

    Attributes:
        taps, coefficients: n and the length of t.
        homogeneous: whether w0 = 0.
        matrices: ``"matrix"`` (B) or those of `separable`, float64.
        columns: ``"offset"`` (w0) and those of `separable`, float64.
        grid: how composed weights come to obey exactly in every type, or None where that takes a lattice.
        moments: then, how they come to obey exactly in float32 and float64; or None (they obey to the precision of the sums; `tareconv.round`
            makes them exact).
        separable: B as a transform along each axis, or None.
    """

    taps: int
    coefficients: int
    homogeneous: bool
    matrices: dict[str, np.ndarray]
    columns: dict[str, np.ndarray]
    grid: Grid | None
    moments: Moments | None = None
    separable: Separable | None = None

    @classmethod
    def of(cls, basis: Basis) -> Composer:
        """The composer of a basis as it is now (after `Basis.rescale`, make another)."""
        grid = Grid.of(basis.constraint)
        moments = None if grid else Moments.of(basis.constraint)
        separable = Separable.of(basis)
        matrices = separable.cosines if separable else {"matrix": basis.matrix}
        columns = {"offset": basis.offset[:, None]} | ({"factor": separable.factor} if separable else {})
        return cls(basis.taps, basis.coefficients, not basis.offset.any(), matrices, columns, grid, moments, separable)

    def constants(self, ops, t) -> dict[str, np.ndarray]:
        """What the methods below take as `constants` for coefficients such as t, where they are: float32 and float64 as they must stay."""
        exact = self.grid or self.moments
        near = {name: value.astype(ops.name(t)) if value.dtype == np.float64 else value for name, value in (exact.constants if exact else {}).items()}
        return kind_of(ops, t).prepare(self.matrices, self.columns) | near

    def respond(self, ops, constants, t):
        """B t alone, (taps, units), in t's type: what a response is measured with."""
        return self._respond(constants, widen(ops, t)).narrow()

    def _respond(self, constants, t):
        return self.separable.respond(constants, t) if self.separable else t.product(constants, "matrix")

    def compose(self, ops, constants, t, scale=None, rest=None):
        """w0 + scale B t + rest, (taps, units), wide (`narrow` gives it in t's type); `scale` (a number or a tensor of one) is the input's, which the bases
        that absorb it take, `rest` what the coefficients' own type left out when they were solved for (_solve.py)."""
        t = widen(ops, t)
        w = self._respond(constants, t if scale is None else t.scaled(scale))
        if not self.homogeneous:
            w = w.plus(constants, "offset")
        return w if rest is None else w.with_rest(rest)

    def obey(self, constants, w, dtype: str):
        """`w` (wide, nearly obeying) in `dtype`, obeying exactly; the gradient passes straight through (Bengio et al. 2013)."""
        ops, near = w.ops, w.narrow()
        if self.grid is not None:
            exact = ops.cast(self.grid.round(constants, w, ops.stop(near), dtype), dtype)
        elif self.moments is not None and dtype == ops.name(near):
            exact = self.moments.round(ops, constants, ops.stop(near))
        else:
            return ops.cast(near, dtype)
        through = ops.cast(near, dtype)
        return exact + (through - ops.stop(through))  # the difference is 0 exactly: its gradient is all it adds
