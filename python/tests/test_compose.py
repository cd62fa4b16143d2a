# SPDX-License-Identifier: Apache-2.0
"""Composition and exact rounding in vectorised operations, against C."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tareconv
from tareconv import Basis, Constraint
from tareconv._compose import Composer
from tareconv._operations import NumPy
from tareconv._solve import left_out
from tareconv._wide import widen

RULES = ["sum=0", "sum=1", "sum=1/2", "bayar", "symmetric", "antisymmetric", "symmetric; sum=0", "symmetric; sum=1", "centre=-1", "sum=0@filter",
         "sum=0; centre=1/4", "none"]
FORMATS = {"float16": "fp16", "bfloat16": "bf16"}
OPS = {"double": NumPy(), "pair": NumPy(double=False)}
"""With float64, and as where there is none."""


def composed(rule, size, seed, magnitude=1.0, units=20, ops=OPS["double"], name="spectral"):
    basis = Basis(Constraint(rule, (size, size), 3), name)
    composer = Composer.of(basis)
    t = np.random.default_rng(seed).normal(size=(basis.coefficients, units)) * magnitude / np.sqrt(basis.coefficients)
    t = t.astype(np.float32)
    return composer, composer.constants(ops, t), t, basis


def last_places(w, reference):
    """The largest distance, in units in the last place (float32's) of each unit's largest weight."""
    return (np.abs(w - reference) / 2.0 ** (np.floor(np.log2(np.abs(reference).max(0) * (1 + 1e-9))) - 23)).max()


@pytest.mark.parametrize("ops", OPS)
@pytest.mark.parametrize("size, name", [(3, "spectral"), (7, "spectral"), (15, "spectral"), (31, "spectral"), (15, "pivot"), (15, "orthonormal"), (9, "dct")])
@pytest.mark.parametrize("rule", RULES + ["order=2"])
def test_composed_as_in_c(rule, size, name, ops):
    """Wide weights are right to a small part of the last place, in sums of thousands of terms and with a scale; narrow ones to half of it and that part."""
    composer, constants, t, basis = composed(rule, size, 0, ops=OPS[ops], name=name)
    reference = basis.compose(t.T.astype(np.float64)).T
    w = composer.compose(OPS[ops], constants, t)
    part = 1e-4 if ops == "double" else 0.3
    assert last_places(w.narrow(), reference) <= 0.5 + part
    q, left = w.in_steps(np.full((1, t.shape[1]), np.float32(2.0**-23)), "int32")
    assert last_places((q + left.astype(np.float64)) * 2.0**-23, reference) <= part
    if basis.absorbs:
        basis.rescale(float(np.float32(0.1)))
        w = composer.compose(OPS[ops], constants, t, np.float32(0.1))
        assert last_places(w.narrow(), basis.compose(t.T.astype(np.float64)).T) <= 0.5 + part


@given(st.sampled_from(RULES), st.sampled_from([3, 5, 7]), st.integers(0, 10**6), st.integers(-20, 6))
def test_float32_obeys_exactly_and_moves_little(rule, size, seed, power):
    composer, constants, t, basis = composed(rule, size, seed, 2.0**power)
    w = composer.compose(NumPy(), constants, t)
    exact = composer.obey(constants, w, "float32")
    assert tareconv.residual(exact.T, basis.constraint) == 0
    assert last_places(exact, basis.compose(t.T.astype(np.float64)).T) <= (1.6 if "symmetric" not in rule else 2.6)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("rule", RULES)
def test_narrow_formats_obey_exactly_as_near_as_c_rounds(rule, name):
    composer, constants, t, basis = composed(rule, 7, 1, 4.0, units=21)
    wide = composer.compose(NumPy(), constants, t)
    w = wide.narrow()
    exact = composer.grid.round(constants, wide, w, name)
    assert tareconv.residual(exact.T, basis.constraint) == 0
    c = tareconv.round(w.T, basis.constraint, FORMATS[name]).weights
    assert tareconv.round(exact.T, basis.constraint, FORMATS[name]).cost_max in (0, 1)  # what the format holds comes back unchanged
    assert ((exact.T - w.T) ** 2).sum() <= 1.02 * ((c - w.T) ** 2).sum()


@pytest.mark.parametrize("ops", OPS)
@pytest.mark.parametrize("rule, size, name", [
    *((rule, size, name) for name in ("spectral", "pivot", "orthonormal", "centred")
      for rule, size in (*((rule, 7) for rule in RULES), ("sum=0", 15), ("sum=1", 15), ("sum=0", 31), ("bayar", 31), ("symmetric; sum=0", 15))),
    ("symmetric; sum=0", 31, "spectral")])
def test_solved_and_composed_again_comes_back_bit_by_bit(rule, size, name, ops):
    """With what float32 coefficients leave out; by either arithmetic what the other made."""
    composer, constants, t, basis = composed(rule, size, 2, units=60, name=name)
    exact = composer.obey(constants, composer.compose(NumPy(), constants, t), "float32")
    solved, ops = basis.solve(exact.T).T.astype(np.float32), OPS[ops]
    rest, constants = left_out(composer, basis, exact.T.astype(np.float64), solved), composer.constants(ops, solved)
    again = composer.obey(constants, composer.compose(ops, constants, solved, None, rest), "float32")
    np.testing.assert_array_equal(again, exact)


@pytest.mark.parametrize("rule, size", [("sum=1", 15), ("sum=1", 31), ("sum=1@filter", 31), ("sum=1/2; symmetric", 31), ("sum=-1", 15)])
@pytest.mark.parametrize("magnitude", [0, 1e-6, 1e-3])
def test_small_weights_add_up_to_more_steps_than_a_word_holds(rule, size, magnitude):
    composer, constants, t, basis = composed(rule, size, 4, magnitude)
    exact = composer.obey(constants, composer.compose(NumPy(), constants, t), "float32")
    assert tareconv.residual(exact.T, basis.constraint) == 0
    assert last_places(exact, basis.compose(t.T.astype(np.float64)).T) <= 2.6


def test_weights_stay_within_the_format_at_the_top_of_a_power_of_two():
    """Largest weights just below a power of two have no room for mending on their own grid."""
    constraint = Constraint("sum=0", (3, 3))
    composer = Composer.of(Basis(constraint, "centred"))
    w = np.zeros((9, 4), np.float32)
    w[0], w[1:] = np.nextafter(np.float32(1), np.float32(0)), -np.nextafter(np.float32(1), np.float32(0)) / 8
    w[:, 1], w[:, 2] = -w[:, 0], w[::-1, 0]
    w[2:4, 3] += np.float32(2.0**-24)
    constants = composer.constants(NumPy(), w)
    exact = composer.obey(constants, widen(NumPy(), w), "float32")
    assert tareconv.residual(exact.T, constraint) == 0 and np.abs(exact - w).max() <= 2.0**-22


@pytest.mark.parametrize("rule", ["none", "sum=0", "sum=1/2"])
@pytest.mark.parametrize("name, size", [("spectral", (15, 16)), ("dct", (15, 16)), ("whitened", (15, 16)), ("spectral(0.5)", (7, 6, 8))])
def test_cosines_along_each_axis_are_the_matrix(rule, name, size):
    images = np.random.default_rng(0).normal(size=(2, *(n + 4 for n in size), 1))
    basis = Basis(Constraint(rule, size), name, tareconv.measure(images, size) if name == "whitened" else None)
    composer, t = Composer.of(basis), np.random.default_rng(1).normal(size=(basis.coefficients, 3))
    constants = composer.constants(NumPy(), t)
    assert composer.separable and "matrix" not in constants
    np.testing.assert_allclose(composer.compose(NumPy(), constants, t).narrow().T, basis.compose(t.T), rtol=1e-11, atol=1e-11 * np.abs(basis.matrix).max())


def test_other_bases_and_rules_keep_their_matrix():
    for rule, name, size in (("bayar", "spectral", (15, 15)), ("sum=0", "orthonormal", (15, 15)), ("sum=0", "spectral", (7, 7)), ("sum=0", "dct", (225,)),
                             ("sum=0@filter", "dct", (15, 15))):
        assert Composer.of(Basis(Constraint(rule, size, 2), name)).separable is None


@pytest.mark.parametrize("rule, size", [("order=1", 3), ("order=1", 4), ("order=2", 7), ("order=2", 8), ("order=1", 15), ("order=3", 7), ("order=1@filter", 5),
                                        ("derivative(2,0) accuracy=2", 5), ("derivative(1,0)", 3), ("derivative(1,1) accuracy=2", 7)])
def test_moments_are_exact_in_float32(rule, size):
    composer, constants, t, basis = composed(rule, size, 3)
    wide = composer.compose(NumPy(), constants, t)
    w, exact = wide.narrow(), composer.obey(constants, wide, "float32")
    assert composer.grid is None and tareconv.residual(w.T, basis.constraint) != 0
    assert tareconv.residual(exact.T, basis.constraint) == 0
    assert np.abs(exact - w).max() <= 2e-4 * np.abs(w).max()


def test_rules_that_need_a_lattice_say_so():
    for rule, size in (("moment(1,0)=0", 5), ("sum=1/3", 5), ("order=4", 31), ("derivative(2,0) accuracy=4", 7), ("order=2; symmetric", 7)):
        composer = Composer.of(Basis(Constraint(rule, (size, size))))
        assert composer.grid is None and composer.moments is None


def test_zero_weights_stay_zero():
    composer, constants, t, _ = composed("sum=0", 5, 0)
    for name in ("float32", "float16", "bfloat16"):
        zeros = np.zeros((25, 2), np.float32)
        assert not composer.grid.round(constants, widen(NumPy(), zeros), zeros, name).any()
