# SPDX-License-Identifier: Apache-2.0
"""One spec and the same coefficients give the same kernel in C, Keras (on the backend that is set), PyTorch and JAX, within two units in the last place."""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import numpy as np
import pytest

import tareconv
from tareconv import Basis, Constraint

UNITS = 12
NEAR = 2
"""Units in the last place of a slice's largest weight: half of one from rounding to the grid, one from mending the sum, and what C rounds."""


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


SPECS = [("sum=0", 3), ("sum=0", 7), ("sum=0", 15), ("sum=0", 31), ("sum=1", 7), ("bayar", 3), ("bayar", 15), ("symmetric", 7), ("symmetric; sum=0", 9)]
WAYS = {"keras": keras_kernel, "torch": torch_kernel, "jax": jax_kernel}


def coefficients(rule, size, name):
    basis = Basis(Constraint(rule, (size, size)), name)
    return basis, np.random.default_rng(size).normal(size=(basis.coefficients, UNITS)).astype(np.float32) * np.float32(basis.coefficients**-0.5)


def apart(w, reference):
    """The largest distance, in units in the last place (float32's) of each slice's largest weight."""
    w, reference = w.reshape(UNITS, -1), reference.reshape(UNITS, -1)
    return (np.abs(w - reference) / 2.0 ** (np.floor(np.log2(np.abs(reference).max(1, keepdims=True) * (1 + 1e-9))) - 23)).max()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("rule, size", SPECS)
def test_kernels_agree_with_c(way, rule, size):
    for name in ("spectral", "dct", "pivot", "orthonormal", "centred"):
        basis, t = coefficients(rule, size, name)
        w = WAYS[way](rule, size, name, t)
        assert tareconv.residual(w, basis.constraint) == 0
        assert apart(w, basis.compose(t.T)) <= NEAR
        assert apart(w, basis.compose(t.T.astype(np.float64))) <= NEAR


@pytest.mark.parametrize("rule, size", SPECS)
def test_frameworks_agree_with_each_other(rule, size):
    """Bit by bit, but for weights so near to a tie that float32 pairs (JAX) round them otherwise than float64 (PyTorch): those, and what mends their sum, by one."""
    pytest.importorskip("torch")
    for name in ("spectral", "pivot"):
        _, t = coefficients(rule, size, name)
        kernels = [WAYS[way](rule, size, name, t) for way in WAYS]
        for kernel in kernels[1:]:
            assert apart(kernel, kernels[0]) <= 1 and (kernel != kernels[0]).mean() <= 0.15


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("format", ["fp16", "bf16", "int8", "int4"])
@pytest.mark.parametrize("rule, size", [("sum=0", 7), ("sum=0", 15), ("sum=0", 31), ("bayar", 7), ("symmetric", 7)])
def test_after_round_they_are_the_same_integers(way, format, rule, size):
    """In fp16 and bf16, whose steps are finer, but for weights nearer to a tie than the kernels are to each other: fewer than one in a thousand, then by one."""
    basis, t = coefficients(rule, size, "spectral")
    try:
        c = tareconv.round(basis.compose(t.T).reshape(UNITS, 1, size, size), basis.constraint, format)
    except NotImplementedError:
        pytest.skip("the format holds no such filter")
    w = tareconv.round(WAYS[way](rule, size, "spectral", t)[:, None], basis.constraint, format)
    differ = np.abs(w.integers - c.integers)
    assert differ.max() <= (format in ("fp16", "bf16")) and (differ > 0).mean() <= 1e-3
    np.testing.assert_allclose(w.scale, c.scale, rtol=1e-6)
