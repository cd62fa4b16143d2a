# SPDX-License-Identifier: Apache-2.0
"""Kernels that obey, as pure functions: init draws coefficients, compose makes the kernel of them, solve finds them."""

from __future__ import annotations

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from .. import Basis, Constraint, Covariance, round_fp32
from .._compose import Composer
from .._layout import KERAS, TORCH, Layout
from .._operations import NumPy
from .._operations import jax as _jax_operations
from .._solve import left_out as _left_out
from .._solve import nearest
from .._start import deviation, scale_of
from ._conv import LAYOUTS, conv

_ops, _numpy = _jax_operations(), NumPy()
_MOST_IMAGES = 256


@dataclasses.dataclass(frozen=True)
class Filters:
    """What a kernel is to be: constant, hashable, to be closed over or passed as a static argument.

    Args:
        shape: the kernel's, [*size, c / groups, o], or [o, c / groups, *size] with layout "NCHW".
        rule: text as in tareconv.Constraint.
        basis: "spectral", "whitened" (needs `covariance`), "dct", "pivot", ...
        scale: the input's: `adapt` sets it.

    Raises:
        ValueError: a rule that does not parse or fit, an unknown basis or layout.
    """

    shape: tuple[int, ...]
    rule: str = "sum=0"
    basis: str = "spectral"
    layout: str = "NHWC"
    scale: float = 1.0
    covariance: Covariance | None = None

    def __post_init__(self):
        if self.layout not in LAYOUTS:
            raise ValueError(f"layout: expected 'NHWC' or 'NCHW', found {self.layout!r}")
        object.__setattr__(self, "shape", tuple(int(n) for n in self.shape))
        if not 3 <= len(self.shape) <= 5:
            raise ValueError(f"shape: expected 3 to 5 numbers (taps along each axis, input and output channels), found {self.shape}")
        _made(self)

    @property
    def constraint(self) -> Constraint:
        """The rule on these filters."""
        return _made(self)[0].constraint

    @property
    def coefficients(self) -> tuple[int, int]:
        """The shape of what `init` draws: coefficients of a unit (a slice; a filter under @filter) by units."""
        basis, *_ = _made(self)
        return basis.coefficients, math.prod(self.shape) // basis.taps

    @property
    def _where(self) -> Layout:
        return KERAS if self.layout == "NHWC" else TORCH


def _made(filters: Filters) -> tuple[Basis, Composer, dict[str, np.ndarray]]:
    where = filters._where
    return _basis(filters.rule, where.size(filters.shape), where.channels(filters.shape), filters.basis, filters.covariance)


@functools.lru_cache(256)
def _basis(rule: str, size: tuple[int, ...], channels: int, name: str, covariance: Covariance | None):
    basis = Basis(Constraint(rule, size, channels), name, covariance)
    composer = Composer.of(basis)
    return basis, composer, composer.constants(_ops, np.zeros((), np.float32))


def init(key: jax.Array, filters: Filters) -> jax.Array:
    """Coefficients (float32) of a start: the response to images of the basis' model has variance 1. Train these."""
    return deviation(_made(filters)[0]) * jax.random.normal(key, filters.coefficients, jnp.float32)


def compose(filters: Filters, coefficients: jax.Array, dtype=jnp.float32, rest: jax.Array | None = None) -> jax.Array:
    """The kernel, rounded so that the rule holds exactly in `dtype` (float32, bfloat16 or float16); its gradient is that of w0 + scale B t.

    `rest` is that of `left_out`, for coefficients that `solve` gave.

    Rules of several moments hold exactly in float32 alone; those that need a lattice (rows of your own) to rounding. For `exact` all hold exactly.
    """
    basis, composer, constants = _made(filters)
    if coefficients.shape != filters.coefficients:
        raise ValueError(f"coefficients: expected the shape {filters.coefficients}, found {coefficients.shape}")
    t = coefficients.astype(jnp.float32)
    w = composer.compose(_ops, constants, t, np.float32(filters.scale), rest)
    return filters._where.kernel(_ops, composer.obey(constants, w, jnp.dtype(dtype).name), filters.shape, basis.constraint)


def exact(filters: Filters, coefficients: jax.Array) -> np.ndarray:
    """The kernel as a NumPy array for which every rule holds exactly. Outside of jit.

    Raises:
        ValueError: a rule that no binary numbers obey (sum=1/3).
    """
    constraint, kernel = filters.constraint, np.asarray(compose(filters, coefficients))
    columns = filters._where.columns(_numpy, kernel, constraint)
    return filters._where.kernel(_numpy, round_fp32(columns.T, constraint).T, filters.shape, constraint)


def solve(filters: Filters, kernel) -> tuple[Filters, jax.Array]:
    """Filters (with a scale that fits) and the coefficients of the weights nearest `kernel` that obey; warns if those are others. Outside of jit.

    Raises:
        ValueError: another shape.
    """
    basis, w = _made(filters)[0], _units(filters, kernel)
    t = nearest(basis, w, "tareconv", 3)
    scale = scale_of(basis, t.T) if basis.absorbs else 1.0
    return dataclasses.replace(filters, scale=scale), jnp.asarray(t.T / scale, jnp.float32)


def left_out(filters: Filters, coefficients: jax.Array, kernel) -> jax.Array:
    """What the float32 coefficients that `solve` gave for `kernel` leave out of it (some last bits): with it `compose` gives a kernel that obeys back bit by bit. A
    constant beside the coefficients, not to be trained. Outside of jit.

    Raises:
        ValueError: another shape.
    """
    basis, composer, _ = _made(filters)
    return jnp.asarray(_left_out(composer, basis, _units(filters, kernel), np.asarray(coefficients), np.float32(filters.scale)))


def _units(filters: Filters, kernel) -> np.ndarray:
    kernel = np.asarray(kernel, np.float64)
    if kernel.shape != filters.shape:
        raise ValueError(f"kernel: expected the shape {filters.shape}, found {kernel.shape}")
    return filters._where.columns(_numpy, kernel, filters.constraint).T


def adapt(filters: Filters, coefficients: jax.Array, x, *, stride=1, dilation=1, groups: int = 1) -> tuple[Filters, jax.Array]:
    """Filters and coefficients whose response to the images `x` (256 of them) has variance 1, the mean over filters: call it once, before training,
    outside of jit, with a batch of what the layer gets. Either the scale changes or, for bases that keep their matrix, the coefficients.
    """
    basis, composer, constants = _made(filters)
    columns = composer.respond(_ops, constants, coefficients.astype(jnp.float32)) * np.float32(filters.scale)
    kernel = filters._where.kernel(_ops, columns, filters.shape, basis.constraint)
    y = conv(jnp.asarray(x, jnp.float32)[:_MOST_IMAGES], kernel, stride=stride, padding="VALID", dilation=dilation, groups=groups, layout=filters.layout)
    channel = y.ndim - 1 if filters.layout == "NHWC" else 1
    variance = float(y.var([axis for axis in range(y.ndim) if axis != channel]).mean())
    factor = 1 / math.sqrt(variance) if 0 < variance < math.inf else 1.0
    if basis.absorbs:
        return dataclasses.replace(filters, scale=filters.scale * factor), coefficients
    return filters, coefficients * factor
