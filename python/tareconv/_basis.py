# SPDX-License-Identifier: Apache-2.0
"""Bases: w = w0 + B t for the weights that obey a rule (include/tare/basis.h)."""

from __future__ import annotations

import numpy as np

from . import _arrays
from ._constraint import Constraint, units
from ._core import ffi, lib
from ._covariance import Covariance
from ._errors import call, made, text

ABSORBING = ("spectral", "dct", "whitened")
"""Beginnings of the names of bases whose matrix takes the input's scale."""


def basis_names() -> list[str]:
    """The names that `Basis` knows; ``spectral(p)`` is one more for each exponent p from -4 to 4."""
    names, c = [], lib.tare_basis_names()
    while c[len(names)] != ffi.NULL:
        names.append(text(c[len(names)]))
    return names


class Basis:
    """All weights that obey a rule, as w = w0 + B t: t are the coefficients that are trained.

    Args:
        constraint: the rule.
        name: ``"spectral"`` (DCT scaled by frequency, no data needed), ``"spectral(0.5)"``, ``"dct"``, ``"whitened"`` and ``"whitened-full"``
            (need `covariance`), ``"pivot"``, ``"orthonormal"``, ``"centred"``. Which and why: doc/maths.md.
        covariance: second moments of the input's patches (`measure`).

    Raises:
        ValueError: an unknown name, a missing covariance or one of another kernel.
        NotImplementedError: a unit of more than 65536 taps (whitened-full: 256).

    Arrays keep their leading axes: (..., coefficients) becomes (..., taps). float32 in gives float32 out, all else is float64.
    """

    def __init__(self, constraint: Constraint, name: str = "spectral", covariance: Covariance | None = None):
        if not isinstance(constraint, Constraint):
            raise TypeError(f"constraint: expected a tareconv.Constraint, found {type(constraint).__name__}")
        measured = covariance._c if covariance is not None else ffi.NULL
        self._c = made(lib.tare_basis_create, constraint._c, name.encode(), measured, free=lib.tare_basis_free)
        self.constraint = constraint
        self.covariance = covariance
        self._factor = 1.0

    @property
    def name(self) -> str:
        """The canonical name."""
        return text(lib.tare_basis_name(self._c))

    @property
    def taps(self) -> int:
        """n, the weights of one unit."""
        return lib.tare_basis_taps(self._c)

    @property
    def coefficients(self) -> int:
        """The length of t: n - m (n for ``centred``)."""
        return lib.tare_basis_coefficients(self._c)

    @property
    def absorbs(self) -> bool:
        """Whether `rescale` works: B takes the input's scale."""
        return self.name.startswith(ABSORBING)

    @property
    def matrix(self) -> np.ndarray:
        """B, taps x coefficients, float64."""
        out = np.empty((self.taps, self.coefficients))
        lib.tare_basis_matrix(self._c, _arrays.pointer(out))
        return out

    @property
    def offset(self) -> np.ndarray:
        """w0, the weights of least norm that obey, float64."""
        return _arrays.copied(lib.tare_basis_offset(self._c), np.float64, (self.taps,))

    def compose(self, t) -> np.ndarray:
        """w = w0 + B t."""
        return self._apply("tare_basis_compose", t, "t", self.coefficients, self.taps)

    def transpose(self, dw) -> np.ndarray:
        """B' dw: the gradient for t from the gradient for w."""
        return self._apply("tare_basis_transpose", dw, "dw", self.taps, self.coefficients)

    def solve(self, w) -> np.ndarray:
        """The t of the weights nearest `w` (least squares) that obey, float64; for ``centred`` the shortest such t."""
        array = self._checked(_arrays.floats(w, "w", np.float64), "w", self.taps)
        out = np.empty((*array.shape[:-1], self.coefficients))
        call(lib.tare_basis_solve, self._c, array.size // self.taps, _arrays.pointer(array), _arrays.pointer(out))
        return out

    def project(self, w) -> np.ndarray:
        """The weights nearest `w` that obey."""
        array = self._checked(_arrays.floats(w, "w"), "w", self.taps).copy()
        project = lib.tare_basis_project if array.dtype == np.float32 else lib.tare_basis_project_f64
        project(self._c, array.size // self.taps, _arrays.pointer(array))
        return array

    def rescale(self, factor: float) -> None:
        """Multiplies B by `factor` > 0, as an input of another scale asks for.

        Raises:
            ValueError: a basis that keeps its matrix (``absorbs`` is False: multiply its t instead) or a factor that is not positive and finite.
        """
        if not lib.tare_basis_rescale(self._c, factor):
            raise ValueError(f"rescale: expected a basis that takes a scale and a positive finite factor, found {self.name} and {factor}")
        self._factor *= factor

    def response(self, covariance: Covariance) -> float:
        """trace(B' C B): the variance of the response for independent coefficients of variance 1."""
        self._fits(covariance)
        return lib.tare_basis_response(self._c, covariance._c)

    def condition(self, covariance: Covariance) -> float:
        """The condition number of B' C B, which bounds gradient descent on t (over its non-zero eigenvalues for ``centred``)."""
        self._fits(covariance)
        return _condition(self._c, covariance)

    def __repr__(self) -> str:
        return f"Basis({self.constraint!r}, {self.name!r})"

    def __reduce__(self):
        return _again, (self.constraint, self.name, self.covariance, self._factor)

    def _apply(self, function: str, value, what: str, inner: int, outer: int) -> np.ndarray:
        array = self._checked(_arrays.floats(value, what), what, inner)
        out = np.empty((*array.shape[:-1], outer), array.dtype)
        apply = getattr(lib, function if array.dtype == np.float32 else function + "_f64")
        apply(self._c, array.size // inner, _arrays.pointer(array), _arrays.pointer(out))
        return out

    def _checked(self, array: np.ndarray, what: str, inner: int) -> np.ndarray:
        if array.ndim < 1 or array.shape[-1] != inner:
            raise ValueError(f"{what}: expected a last axis of {inner}, found the shape {array.shape}")
        return array

    def _fits(self, covariance: Covariance) -> None:
        if covariance.kernel_size != self.constraint.kernel_size:
            raise ValueError(f"covariance: expected a kernel of {self.constraint.kernel_size}, found {covariance.kernel_size}")


def condition(covariance: Covariance) -> float:
    """The condition number of a covariance itself: free weights (method ``none``)."""
    return _condition(ffi.NULL, covariance)


def _condition(basis, covariance: Covariance) -> float:
    out = ffi.new("double *")
    call(lib.tare_basis_condition, basis, covariance._c, out)
    return out[0]


def _again(constraint: Constraint, name: str, covariance: Covariance | None, factor: float) -> Basis:
    basis = Basis(constraint, name, covariance)
    if factor != 1:
        basis.rescale(factor)
    return basis
