# SPDX-License-Identifier: Apache-2.0
"""From a plain kernel to coefficients, with a warning where the kernel breaks the rule: for the layers of every framework."""

from __future__ import annotations

import warnings

import numpy as np

from ._basis import Basis
from ._constraint import residual

NEARLY = 1e-5
"""Projections that change weights by less than this part of the largest are the rounding of float32 weights that were meant to obey."""


def nearest(basis: Basis, w: np.ndarray, who: str, stacklevel: int) -> np.ndarray:
    """The coefficients, (units, coefficients), of the weights nearest `w` (units, taps) that obey. Warns, in the name of `who` and with warnings.warn's
    `stacklevel`, if those are other weights."""
    t = basis.solve(w)
    change, largest = np.abs(basis.compose(t) - w).max(initial=0), np.abs(w).max(initial=0)
    if change > NEARLY * largest:
        missed = float(residual(w.astype(np.float32), basis.constraint))
        warnings.warn(f"{who}: a kernel that does not obey '{basis.constraint.text}' (A w - b is up to {missed:.3g}) was taken to the nearest one that does: a "
                      f"change of up to {change:.3g}, where the largest weight is {largest:.3g}", stacklevel=stacklevel)
    return t
