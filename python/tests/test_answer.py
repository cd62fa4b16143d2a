# SPDX-License-Identifier: Apache-2.0
"""examples/answer.py, the answer in Keras and NumPy alone: its kernel is C's, and the mended attempts do what they say."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

keras = pytest.importorskip("keras")
import tareconv  # noqa: E402

_spec = importlib.util.spec_from_file_location("answer", Path(__file__).parents[2] / "examples/answer.py")
answer = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(answer)


def array(x):
    return keras.ops.convert_to_numpy(x)


@pytest.mark.parametrize("size", [3, 4, 15])
def test_the_layers_kernel_is_that_of_c(size):
    layer = answer.SumZeroConv2D(5, size)
    y = layer(np.zeros((1, 32, 32, 3), "float32"))
    t = np.random.default_rng(size).normal(size=(size**2 - 1, 3, 5)).astype("float32")
    layer.t.assign(t)
    basis = tareconv.Basis(tareconv.Constraint("sum=0", (size, size)), "spectral")
    expected = basis.compose(np.moveaxis(t, 0, -1).reshape(15, -1)).reshape(3, 5, size, size).transpose(2, 3, 0, 1)
    kernel = array(layer.kernel())
    assert y.shape == (1, 33 - size, 33 - size, 5)
    np.testing.assert_allclose(kernel, expected, rtol=0, atol=2e-6 * abs(expected).max())
    assert abs(kernel.sum(axis=(0, 1), dtype="float64")).max() < 1e-5 * abs(kernel).max()


def test_the_layer_does_not_see_brightness():
    layer = answer.SumZeroConv2D(4, 7)
    x = np.random.default_rng(0).normal(size=(2, 20, 20, 1)).astype("float32")
    np.testing.assert_allclose(array(layer(x)), array(layer(x + 3)), atol=1e-3 * abs(array(layer(x))).max())


def test_as_posted_the_regularizer_is_never_called():
    class AsPosted(keras.regularizers.Regularizer):
        def call(self, x):
            raise AssertionError("called after all")

    def penalty(regularizer):
        layer = keras.layers.Conv2D(3, 5, kernel_regularizer=regularizer)
        layer.build((None, 9, 9, 2))
        return float(sum(layer.losses)), array(layer.kernel)

    assert penalty(AsPosted())[0] == 0
    value, kernel = penalty(answer.FixSum(0.5))
    np.testing.assert_allclose(value, 0.5 * abs(kernel.sum(axis=(0, 1))).sum(), rtol=1e-4)


def test_the_constraint_divides_by_the_taps():
    w = np.random.default_rng(0).normal(size=(5, 7, 2, 3)).astype("float32")
    np.testing.assert_allclose(array(answer.FixedSum()(w)).sum(axis=(0, 1)), 0, atol=1e-5)
    np.testing.assert_allclose(array(answer.FixedSum(1)(w)).sum(axis=(0, 1)), 1, atol=1e-5)


def test_the_differences_are_one_filter_that_sums_to_zero():
    fixed, mixed = answer.differences(4, 5)
    x = np.random.default_rng(0).normal(size=(1, 9, 9, 1)).astype("float32")
    y = array(mixed(fixed(x)))
    kernel = np.einsum("ijcd,dn->ijcn", array(fixed.kernel), array(mixed.kernel)[0, 0])
    assert abs(kernel.sum(axis=(0, 1))).max() < 1e-5
    np.testing.assert_allclose(y, array(keras.ops.conv(x, kernel.astype("float32"))), atol=1e-5)


def test_every_method_makes_the_same_network():
    x, labels = answer.patches(1, batch=2)
    assert labels.shape == (2,)
    outputs = [answer.network(head(8, 7))(x) for head in answer.METHODS.values()]
    assert {y.shape for y in outputs} == {(2, 4)}
