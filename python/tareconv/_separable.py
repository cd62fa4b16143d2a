# SPDX-License-Identifier: Apache-2.0
"""B t for large kernels without the matrix B: where the coefficients are those of the cosines, without the constant one (``spectral``, ``dct`` and ``whitened`` under
sums), B t is the inverse DCT of scaled coefficients, taken axis by axis: 2 K^3 multiplications a slice of K x K, not K^4. Sums of K terms are also more precise than
sums of K^2."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ._basis import Basis
from ._operations import NumPy
from ._wide import Double

SMALLEST = 225
"""Taps from which on it is faster on CPUs: 15x15."""


@dataclass(frozen=True)
class Separable:
    """One basis' transform.

    Attributes:
        size: of the kernel.
        constant: whether the constant cosine has no coefficient.
        factor: one number a coefficient, a column.
        cosines: ``"cosines0"``, ...: one square matrix an axis; column k is the cosine of frequency k.
    """

    size: tuple[int, ...]
    constant: bool
    factor: np.ndarray
    cosines: dict[str, np.ndarray]

    @classmethod
    def of(cls, basis: Basis) -> Separable | None:
        """The transform of a basis, or None: a small kernel, one axis, or another kind of basis or rule."""
        size, missing = basis.constraint.kernel_size, basis.taps - basis.coefficients
        if len(size) < 2 or basis.taps < SMALLEST or basis.taps != math.prod(size) or missing > 1:
            return None
        cosines = {f"cosines{axis}": _cosines(n) for axis, n in enumerate(size)}
        found = _along_axes(Double.of(NumPy(), basis.matrix), {name: c.T for name, c in cosines.items()}, size).narrow()
        factor = np.diagonal(found, -missing).copy()
        np.fill_diagonal(found[missing:], 0)
        if np.abs(found).max() > 1e-12 * np.abs(factor).min():
            return None
        return cls(size, missing == 1, factor[:, None], cosines)

    def respond(self, constants, t):
        """B t, (taps, units), both wide."""
        x, ops = t.times(constants, "factor"), t.ops
        return _along_axes(x.each(lambda a: ops.join([0 * a[:1], a])) if self.constant else x, constants, self.size)


def _along_axes(x, constants, size: tuple[int, ...]):
    """(M_0 (x) M_1 (x) ...) x. Each turn takes the first axis of the kernel and puts it last, so that all end where they were."""
    ops, taps = x.ops, math.prod(size)
    for axis, n in enumerate(size):
        x = x.each(lambda a, n=n: ops.reshape(a, (n, -1))).product(constants, f"cosines{axis}")
        x = x.each(lambda a, n=n: ops.reshape(ops.permute(ops.reshape(a, (n, taps // n, -1)), (1, 0, 2)), (taps, -1)))
    return x


def _cosines(n: int) -> np.ndarray:
    """The orthonormal DCT-II's, by columns."""
    place, frequency = np.mgrid[:n, :n]
    out = np.sqrt(2 / n) * np.cos(np.pi * frequency * (2 * place + 1) / (2 * n))
    out[:, 0] = np.sqrt(1 / n)
    return out
