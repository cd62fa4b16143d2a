# SPDX-License-Identifier: Apache-2.0
"""What a layer starts with: coefficients whose response has variance 1, and bases from their configuration."""

from __future__ import annotations

import numpy as np

from ._basis import Basis
from ._constraint import Constraint
from ._covariance import Covariance


def deviation(basis: Basis) -> float:
    """The standard deviation of each coefficient of a start: a whole filter's response has variance 1, to the measured patches or the model of images
    (variance 1/\\|k\\|^2)."""
    constraint = basis.constraint
    slices = 1 if constraint.per_filter else constraint.channels
    return float(1 / np.sqrt(slices * basis.response(basis.covariance or Covariance.model(constraint.kernel_size, 0.0))))


def draw(basis: Basis, units: int, seed: int) -> np.ndarray:
    """Coefficients of a start, (coefficients, units)."""
    return np.random.default_rng(seed).normal(0, deviation(basis), (basis.coefficients, units))


def scale_of(basis: Basis, t: np.ndarray) -> float:
    """The scale of an input for which coefficients `t` (as solved from weights) would be as large as those of a start."""
    rms = float(np.sqrt(np.mean(np.square(t)))) if t.size else 0.0
    return rms / deviation(basis) if rms > 0 else 1.0


def measured_to_config(basis_name: str, covariance: Covariance | None) -> dict | None:
    """What a configuration keeps of a covariance: for ``whitened`` the variance of each DCT coefficient, which is all it uses."""
    if covariance is None:
        return None
    size = list(covariance.kernel_size)
    if basis_name == "whitened":
        dct = Basis(Constraint("none", size), "dct").matrix
        return {"kernel_size": size, "spectrum": np.einsum("ik,ij,jk->k", dct, covariance.matrix, dct).tolist()}
    return {"kernel_size": size, "matrix": covariance.matrix.tolist()}


def measured_from_config(config: dict | Covariance | None) -> Covariance | None:
    """The reverse."""
    if config is None or isinstance(config, Covariance):
        return config
    if "matrix" in config:
        return Covariance.from_matrix(config["matrix"], config["kernel_size"])
    dct = Basis(Constraint("none", config["kernel_size"]), "dct").matrix
    return Covariance.from_matrix((dct * np.array(config["spectrum"])) @ dct.T, config["kernel_size"])
