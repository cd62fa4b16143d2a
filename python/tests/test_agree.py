# SPDX-License-Identifier: Apache-2.0
"""One spec and the same coefficients give the same kernel in C, Keras (on the backend that is set), PyTorch and JAX, as near as float32 and the grid allow."""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import numpy as np
import pytest

import tareconv
from tareconv import Basis, Constraint

UNITS = 12
GRID = 48
"""Units in the last place of a slice's largest weight: half a step of the 20-bit grid (8) for rounding, and what mending the sums moves."""
FLOAT32 = 8
"""The same for kernels before they are rounded to the grid, and for C's in float32."""


def keras_kernel(rule, size, basis, t):
    keras = pytest.importorskip("keras")
    import tareconv.keras as tk

    layer = tk.Conv2D(UNITS, size, kernel_constraint=rule, basis=basis, input_scale=1.0)
    layer.build((None, size, size, 1))
    layer._t.assign(t.reshape(layer._t.shape))
    return keras.ops.convert_to_numpy(layer.kernel)[:, :, 0].transpose(2, 0, 1)


def torch_kernel(rule, size, basis, t):
    torch = pytest.importorskip("torch")
    from tareconv.torch import Conv2d

    layer = Conv2d(1, UNITS, size, rule=rule, basis=basis)
    layer.coefficients.data = torch.from_numpy(t)
    return layer.weight.detach().numpy()[:, 0]


def jax_kernel(rule, size, basis, t):
    pytest.importorskip("jax")
    import tareconv.jax as tj

    return np.asarray(tj.compose(tj.Filters((size, size, 1, UNITS), rule, basis), t))[:, :, 0].transpose(2, 0, 1)


SPECS = [("sum=0", 3), ("sum=0", 7), ("sum=0", 15), ("sum=0", 31), ("bayar", 3), ("bayar", 15), ("symmetric", 7)]
WAYS = {"keras": keras_kernel, "torch": torch_kernel, "jax": jax_kernel}


def coefficients(rule, size, name):
    basis = Basis(Constraint(rule, (size, size)), name)
    return basis, np.random.default_rng(size).normal(size=(basis.coefficients, UNITS)).astype(np.float32) * np.float32(basis.coefficients**-0.5)


def apart(w, reference):
    """The largest distance, in units in the last place (float32's) of each slice's largest weight."""
    w, reference = w.reshape(UNITS, -1), reference.reshape(UNITS, -1)
    return (np.abs(w - reference) / 2.0 ** (np.floor(np.log2(np.abs(reference).max(1, keepdims=True))) - 23)).max()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("rule, size", SPECS)
def test_kernels_agree_with_c(way, rule, size):
    for name in ("spectral", "dct", "orthonormal", "centred"):
        basis, t = coefficients(rule, size, name)
        w = WAYS[way](rule, size, name, t)
        assert tareconv.residual(w, basis.constraint) == 0
        assert apart(w, basis.compose(t.T.astype(np.float64))) <= GRID


@pytest.mark.parametrize("rule, size", SPECS)
def test_before_the_grid_they_agree_to_the_errors_of_float32(rule, size):
    from tareconv._compose import Composer
    from tareconv._operations import NumPy

    for name in ("spectral", "dct"):
        basis, t = coefficients(rule, size, name)
        composer = Composer.of(basis)
        constants = {key: value.astype(np.float32) if value.dtype == float else value for key, value in composer.constants.items()}
        exact = basis.compose(t.T.astype(np.float64))
        assert apart(composer.compose(NumPy(), constants, t).T, exact) <= FLOAT32
        assert apart(basis.compose(t.T), exact) <= FLOAT32


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("format", ["int8", "int4"])
@pytest.mark.parametrize("rule, size", [("sum=0", 7), ("sum=0", 31), ("bayar", 7)])
def test_after_round_they_are_the_same_integers(way, format, rule, size):
    """But for weights nearer to a tie than the kernels are to each other: fewer than one in a thousand, then by one."""
    basis, t = coefficients(rule, size, "spectral")
    try:
        c = tareconv.round(basis.compose(t.T).reshape(UNITS, 1, size, size), basis.constraint, format)
    except NotImplementedError:
        pytest.skip("the format holds no such filter")
    w = tareconv.round(WAYS[way](rule, size, "spectral", t)[:, None], basis.constraint, format)
    differ = np.abs(w.integers - c.integers)
    assert differ.max() <= 1 and (differ > 0).mean() <= 1e-3
    np.testing.assert_allclose(w.scale, c.scale, rtol=1e-5)
