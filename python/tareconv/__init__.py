# SPDX-License-Identifier: Apache-2.0
"""Convolution filters that obey linear rules A w = b, exactly.

Layers are in `tareconv.keras`, `tareconv.torch` and `tareconv.jax`; here are the rules, the bases and the rounding they stand on, NumPy in and out.

    >>> import numpy as np, tareconv
    >>> rule = tareconv.Constraint("sum=0", (7, 7))
    >>> basis = tareconv.Basis(rule, "spectral")
    >>> w = basis.compose(np.random.default_rng(0).normal(size=(32, basis.coefficients)))
    >>> q = tareconv.round(w, rule, "int8")
    >>> tareconv.residual(q.weights, rule) == 0
    True
"""

from __future__ import annotations

from ._basis import Basis, basis_names, condition
from ._constraint import Constraint, Residual, residual
from ._core import lib as _lib
from ._covariance import Covariance, measure
from ._errors import text as _text
from ._round import Rounding, round, round_fp32, verify  # noqa: A004

__version__ = _text(_lib.tare_version())
__all__ = ["Basis", "Constraint", "Covariance", "Residual", "Rounding", "basis_names", "condition", "measure", "residual", "round", "round_fp32",
           "verify"]
