# SPDX-License-Identifier: Apache-2.0
"""The core against NumPy in float64 and rationals."""

import json
import pickle
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tareconv
from tareconv import Basis, Constraint, Covariance

RULES = ["sum=0", "sum=1", "sum=1/2", "order=1", "order=2", "bayar", "symmetric", "antisymmetric", "symmetric; sum=0", "centre=-1", "none",
         "derivative(2,0) accuracy=2", "sum=0@filter"]
NAMES = ["centred", "orthonormal", "pivot", "spectral", "spectral(0.5)", "dct", "whitened", "whitened-full"]


def covariance(size=(5, 5)):
    return tareconv.measure(np.random.default_rng(3).normal(size=(2, 24, 24, 2)).cumsum(1), size)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("rule", RULES)
def test_every_basis_gives_weights_that_obey(rule, name):
    c = Constraint(rule, (5, 5), 2)
    basis = Basis(c, name, covariance())
    t = np.random.default_rng(0).normal(size=(3, 4, basis.coefficients))
    w = basis.compose(t)
    a, b = c.matrix()
    assert w.shape == (3, 4, c.taps)
    np.testing.assert_allclose(w @ a.T, np.broadcast_to(b, (3, 4, c.rows)), atol=1e-9)
    np.testing.assert_allclose(w, basis.offset + t @ basis.matrix.T, atol=1e-10)
    np.testing.assert_allclose(basis.compose(basis.solve(w)), w, atol=1e-8)
    np.testing.assert_allclose(basis.transpose(w), w @ basis.matrix, atol=1e-8)
    np.testing.assert_allclose(basis.project(w), w, atol=1e-9)


def test_float32_stays_float32():
    basis = Basis(Constraint("sum=0", 7))
    t = np.ones(basis.coefficients, np.float32)
    assert basis.compose(t).dtype == np.float32 and basis.compose(t.astype(np.float64)).dtype == np.float64
    np.testing.assert_allclose(basis.compose(t), basis.compose(t.astype(np.float64)), rtol=1e-5, atol=1e-6)


def test_condition_and_response_of_the_model():
    model = Covariance.model((7, 7))
    basis = Basis(Constraint("sum=0", (7, 7)))
    assert basis.condition(model) == pytest.approx(1, abs=1e-9)
    assert basis.response(model) == pytest.approx(48)
    assert tareconv.condition(model) == pytest.approx(72)  # |k|^2 up to 36 + 36
    basis.rescale(2)
    assert basis.response(model) == pytest.approx(4 * 48)


def test_measure_is_the_mean_over_patches_of_any_batches():
    images = np.random.default_rng(1).normal(size=(6, 9, 8, 2)).astype(np.float32)
    patches = np.lib.stride_tricks.sliding_window_view(images, (3, 3), (1, 2)).reshape(-1, 9)
    expected = patches.T.astype(np.float64) @ patches / len(patches)
    for data in (images, [images[:2], images[2:]], [(images[:4], "labels"), (images[4:], "labels")], [{"x": images}]):
        np.testing.assert_allclose(tareconv.measure(data, (3, 3)).matrix, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(tareconv.measure(np.moveaxis(images, -1, 1), (3, 3), data_format="channels_first").matrix, expected, rtol=1e-5, atol=1e-6)


def test_measure_a_signal_and_a_dilated_filter():
    signal = np.random.default_rng(1).normal(size=(4, 20, 3)).astype(np.float32)
    patches = np.stack([signal[:, i:20 - 4 + i] for i in (0, 2, 4)], -1).reshape(-1, 3)
    np.testing.assert_allclose(tareconv.measure(signal, 3, dilation=2).matrix, patches.T @ patches / len(patches), rtol=1e-5, atol=1e-6)


@given(st.lists(st.floats(-4, 4, width=32), min_size=9, max_size=9))
def test_residual_is_the_rational_sum(weights):
    w = np.array(weights, np.float32)
    assert abs(tareconv.residual(w, Constraint("sum=1/3", 9))) == abs(sum(Fraction(float(x)) for x in w) - Fraction(1, 3))


@given(st.sampled_from(["sum=0", "sum=1", "bayar", "order=1", "symmetric; sum=0"]), st.sampled_from(["fp32", "fp16", "bf16", "int8"]),
       st.integers(0, 2**32 - 1))
def test_rounded_weights_obey_exactly(rule, name, seed):
    c = Constraint(rule, (5, 5))
    w = Basis(c, "orthonormal").compose(np.random.default_rng(seed).normal(size=(4, 24 if rule == "sum=0" else Basis(c).coefficients)))
    rounded = tareconv.round(w, c, name)
    result = tareconv.residual(rounded.weights, c)
    assert result == 0 and result.exact_units == result.units == 4
    assert isinstance(result, Fraction) and rounded.certificate["residual"] == "0"
    np.testing.assert_array_equal(tareconv.round(rounded.weights, c, name).weights, rounded.weights)
    tareconv.verify(rounded.certificate, rounded.weights)
    with pytest.raises(OSError, match="hash|differ|weights"):
        tareconv.verify(json.dumps(rounded.certificate), rounded.weights + np.float32(1))


@pytest.mark.parametrize("make, kind, message", [
    (lambda: Constraint("sum=x", 7), ValueError, "column 5"),
    (lambda: Constraint("bayar", (4, 4)), ValueError, "centre tap"),
    (lambda: Constraint("sum=0; sum=1", 3), ValueError, "contradict"),
    (lambda: Constraint("sum=0", (3, 3, 3, 3)), ValueError, "1 to 3 sizes"),
    (lambda: Constraint(0, 3), TypeError, "sum=0"),
    (lambda: Constraint("sum=0", "77"), TypeError, "whole numbers"),
    (lambda: Constraint("sum=0", 7.0), TypeError, "whole numbers"),
    (lambda: Constraint("rows=/missing.json", 3), OSError, "missing.json"),
    (lambda: Basis(Constraint("sum=0", 3), "fourier"), ValueError, "unknown basis"),
    (lambda: Basis(Constraint("sum=0", 3), "whitened"), ValueError, "measured covariance"),
    (lambda: Basis(Constraint("sum=0", (5, 5))).compose(np.zeros(3)), ValueError, "last axis of 24"),
    (lambda: Basis(Constraint("sum=0", (5, 5)), "pivot").rescale(2), ValueError, "takes a scale"),
    (lambda: tareconv.round(np.ones((2, 3, 3)), Constraint("sum=0", (3, 3)), "int9"), ValueError, "expected one of"),
    (lambda: tareconv.round(np.ones((2, 3, 3)), Constraint("sum=0", (5, 5))), ValueError, "expected units of 25"),
    (lambda: tareconv.round(np.full((3, 3), np.nan), Constraint("sum=0", (3, 3))), ValueError, "finite"),
    (lambda: tareconv.round(np.ones((3, 3)), Constraint("sum=1/10", (3, 3))), ValueError, "1/10|binary"),
    (lambda: tareconv.residual(np.full((3, 3), 1 / 3), Constraint("sum=0", (3, 3))), ValueError, "float32"),
    (lambda: tareconv.measure([], (3, 3)), ValueError, "at least one batch"),
    (lambda: tareconv.measure(np.zeros((2, 8, 8)), (3, 3)), ValueError, "4 axes"),
    (lambda: tareconv.measure(np.zeros((2, 2, 8, 1)), (3, 3)), ValueError, "3"),
    (lambda: Covariance.from_matrix(np.eye(3), (3, 3)), ValueError, r"\(9, 9\)"),
])
def test_wrong_use_says_what_was_expected(make, kind, message):
    with pytest.raises(kind, match=message):
        make()


def test_pickled_and_compared():
    basis = Basis(Constraint("order=1", (5, 5)), "whitened", covariance())
    basis.rescale(3)
    again = pickle.loads(pickle.dumps(basis))
    np.testing.assert_allclose(again.matrix, basis.matrix, rtol=1e-12, atol=1e-12)
    assert again.constraint == basis.constraint and hash(again.constraint) == hash(basis.constraint)
    assert Constraint("sum=0", 3) != Constraint("sum=0", 5)


def test_notes_and_text():
    c = Constraint("sum=0; order=1", (3, 3))
    assert "dropped" in c.notes and Constraint(c.text, (3, 3)) == c and c.homogeneous and not c.per_filter
