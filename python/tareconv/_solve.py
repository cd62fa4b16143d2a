# SPDX-License-Identifier: Apache-2.0
"""From a plain kernel to coefficients, with a warning where the kernel breaks the rule: for the layers of every framework."""

from __future__ import annotations

import warnings

import numpy as np

from ._basis import Basis
from ._compose import Composer
from ._constraint import residual
from ._operations import NumPy

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


def left_out(composer: Composer, basis: Basis, w: np.ndarray, t: np.ndarray, scale=None) -> np.ndarray:
    """What coefficients t, (coefficients, units), that were solved for and rounded, leave out of the weights nearest `w` (units, taps, float64) that obey: (taps, units),
    float32. Weights that obey come back bit by bit when it is added (`Composer.compose`)."""
    ops, target = NumPy(), basis.project(w).T
    t64 = t.astype(np.float64)
    composed = composer.compose(ops, composer.constants(ops, t64), t64, None if scale is None else np.float64(scale)).narrow()
    return (target - composed).astype(np.float32)
