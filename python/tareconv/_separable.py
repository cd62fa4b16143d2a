# SPDX-License-Identifier: Apache-2.0
"""B t for large kernels without the matrix B: where the coefficients are those of the cosines, without the constant one (``spectral``, ``dct`` and ``whitened`` under
sums), B t is the inverse DCT of scaled coefficients, taken axis by axis: 2 K^3 multiplications a slice of K x K, not K^4. Sums of K terms are also more precise than
sums of K^2."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ._basis import Basis

SMALLEST = 225
"""Taps from which on it is faster on CPUs: 15x15."""


@dataclass(frozen=True)
class Separable:
    """One basis' transform.

    Attributes:
        size: of the kernel.
        constant: whether the constant cosine has no coefficient.
        constants: ``"factor"`` (coefficients x 1) and ``"cosines0"``, ... (one square matrix an axis: column k is the cosine of frequency k).
    """

    size: tuple[int, ...]
    constant: bool
    constants: dict[str, np.ndarray]

    @classmethod
    def of(cls, basis: Basis) -> Separable | None:
        """The transform of a basis, or None: a small kernel, one axis, or another kind of basis or rule."""
        size, missing = basis.constraint.kernel_size, basis.taps - basis.coefficients
        if len(size) < 2 or basis.taps < SMALLEST or basis.taps != math.prod(size) or missing > 1:
            return None
        cosines = [_cosines(n) for n in size]
        found = _along_axes(np.matmul, np.reshape, np.transpose, [c.T for c in cosines], basis.matrix)
        factor = np.diagonal(found, -missing).copy()
        np.fill_diagonal(found[missing:], 0)
        if np.abs(found).max() > 1e-12 * np.abs(factor).min():
            return None
        return cls(size, missing == 1, {"factor": factor[:, None], **{f"cosines{axis}": c for axis, c in enumerate(cosines)}})

    def respond(self, ops, constants, t):
        """B t, (taps, units)."""
        x = t * constants["factor"]
        x = ops.join([0 * x[:1], x]) if self.constant else x
        return _along_axes(ops.matmul, ops.reshape, ops.permute, [constants[f"cosines{axis}"] for axis in range(len(self.size))], x)


def _along_axes(matmul, reshape, permute, matrices, x):
    """(M_0 (x) M_1 (x) ...) x. Each turn takes the first axis of the kernel and puts it last, so that all end where they were."""
    taps, units = x.shape
    for matrix in matrices:
        n = matrix.shape[0]
        x = permute(reshape(matmul(matrix, reshape(x, (n, taps // n * units))), (n, taps // n, units)), (1, 0, 2))
    return reshape(x, (taps, units))


def _cosines(n: int) -> np.ndarray:
    """The orthonormal DCT-II's, by columns."""
    place, frequency = np.mgrid[:n, :n]
    out = np.sqrt(2 / n) * np.cos(np.pi * frequency * (2 * place + 1) / (2 * n))
    out[:, 0] = np.sqrt(1 / n)
    return out
