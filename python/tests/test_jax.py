# SPDX-License-Identifier: Apache-2.0
"""Kernels that obey in JAX, and the engine as XLA's handlers."""

import itertools
import os
import subprocess
import sys
import warnings

import numpy as np
import pytest

jax = pytest.importorskip("jax")
import jax.numpy as jnp  # noqa: E402
from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

import tareconv  # noqa: E402
import tareconv.jax as tj  # noqa: E402
from tareconv._engine import jax_op  # noqa: E402
from tareconv._engine.problem import Geometry  # noqa: E402
from tareconv.jax import _conv  # noqa: E402

if jax.default_backend() != "cpu":
    pytest.skip("these tests compare on the CPU", allow_module_level=True)

RULES = ["sum=0", "sum=1", "bayar", "sum=0@filter", "symmetric; sum=1"]
SHAPES = {"NHWC": (5, 5, 3, 8), "NCHW": (8, 3, 5, 5)}


def near(a, b, tolerance=2e-5):
    assert a.shape == b.shape
    assert float(jnp.abs(a - b).max()) <= tolerance * float(jnp.abs(b).max() + 1e-3)


def missed(filters, kernel):
    columns = filters._where.columns(tareconv._operations.NumPy(), np.asarray(kernel, np.float32), filters.constraint)
    return tareconv.residual(columns.T, filters.constraint)


@pytest.mark.parametrize("layout", SHAPES)
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, jnp.float16])
def test_composed_kernels_obey_exactly(rule, layout, dtype):
    filters = tj.Filters(SHAPES[layout], rule, layout=layout)
    t = tj.init(jax.random.key(0), filters)
    kernel = tj.compose(filters, t, dtype)
    assert kernel.shape == SHAPES[layout] and kernel.dtype == dtype and missed(filters, kernel) == 0
    assert missed(filters, jax.jit(tj.compose, static_argnums=(0, 2))(filters, t, dtype)) == 0


def test_the_same_kernel_as_in_c_and_torch():
    filters = tj.Filters((8, 3, 7, 7), layout="NCHW", scale=0.25)
    t = tj.init(jax.random.key(1), filters)
    reference = filters.scale * tareconv.Basis(filters.constraint).compose(np.asarray(t, np.float64).T).reshape(filters.shape)
    near(np.asarray(tj.compose(filters, t)), reference, 2e-6)
    torch = pytest.importorskip("torch")
    from tareconv.torch import Conv2d

    layer = Conv2d(3, 8, 7)
    with torch.no_grad():
        layer.coefficients.copy_(torch.from_numpy(np.array(t)))
        layer.scale.fill_(0.25)
    near(np.asarray(tj.compose(filters, t)), layer.weight.detach().numpy(), 2e-6)


def test_under_jit_grad_and_vmap():
    filters = tj.Filters((5, 5, 1, 4), "sum=1")
    ts = jax.vmap(lambda key: tj.init(key, filters))(jax.random.split(jax.random.key(0), 3))
    kernels = jax.vmap(lambda t: tj.compose(filters, t))(ts)
    for t, kernel in zip(ts, kernels):
        assert missed(filters, kernel) == 0
        np.testing.assert_allclose(kernel, tj.compose(filters, t), atol=1e-6)
    weights = jax.random.normal(jax.random.key(1), filters.shape)
    gradient = jax.jit(jax.grad(lambda t: (weights * tj.compose(filters, t)).sum()))(ts[0])
    through = tareconv.Basis(filters.constraint).transpose(np.asarray(weights, np.float64).reshape(25, 4).T).T
    near(gradient, jnp.asarray(through, jnp.float32))


@pytest.mark.parametrize("rule", RULES + ["order=2"])
def test_training_keeps_the_rule_and_exact_makes_it_exact(rule):
    filters = tj.Filters((5, 5, 2, 4), rule)
    x, t = jax.random.uniform(jax.random.key(0), (2, 12, 12, 2)), tj.init(jax.random.key(1), filters)
    filters, t = tj.adapt(filters, t, x)
    step = jax.jit(lambda t: t - 0.1 * jax.grad(lambda t: (tj.conv(x, tj.compose(filters, t)) ** 2).mean())(t))
    for _ in range(3):
        t = step(t)
        assert missed(filters, tj.compose(filters, t)) == 0
    assert missed(filters, tj.exact(filters, t)) == 0


@pytest.mark.parametrize("basis", ["spectral", "pivot"])
@pytest.mark.parametrize("scale", [1 / 256, 255])
def test_adapt_and_solve(basis, scale):
    filters = tj.Filters((7, 7, 1, 32), basis=basis)
    x, t = scale * jax.random.uniform(jax.random.key(0), (8, 24, 24, 1)), tj.init(jax.random.key(1), filters)
    filters, t = tj.adapt(filters, t, x)
    kernel = tj.compose(filters, t)
    assert 0.9 < float(tj.conv(x, kernel, padding="VALID").var((0, 1, 2)).mean()) < 1.1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = tj.solve(tj.Filters((7, 7, 1, 32), basis=basis), kernel)
    np.testing.assert_allclose(tj.compose(*again), kernel, rtol=0, atol=2**-22 * np.abs(kernel).max())
    rest = tj.left_out(*again, kernel)
    np.testing.assert_array_equal(jax.jit(lambda t: tj.compose(again[0], t, rest=rest))(again[1]), kernel)
    with pytest.warns(UserWarning, match="a change of up to 1"):
        tj.solve(filters, kernel + 1)


@pytest.mark.parametrize("make, told", [
    (lambda: tj.Filters((4, 4, 1, 1), "bayar"), "odd"), (lambda: tj.Filters((3, 3, 1, 1), basis="no"), "no"),
    (lambda: tj.Filters((3, 3, 1, 1), layout="HW"), "layout: expected"), (lambda: tj.Filters((3, 3)), "shape: expected 3 to 5"),
    (lambda: tj.compose(tj.Filters((3, 3, 1, 1)), jnp.zeros((3, 1))), "coefficients: expected"),
    (lambda: tj.solve(tj.Filters((3, 3, 1, 1)), np.zeros((3, 3))), "kernel: expected"),
    (lambda: tj.conv(jnp.ones((1, 9, 9, 2)), jnp.ones((3, 3, 1, 1))), "for 2 channels"),
    (lambda: tj.conv(jnp.ones((1, 9, 9)), jnp.ones((3, 3, 1, 1))), "3 to 5 axes"),
    (lambda: tj.conv(jnp.ones((1, 9, 9, 1)), jnp.ones((3, 3, 1, 1)), engine="fast"), "engine: expected")])
def test_wrong_use(make, told):
    with pytest.raises(ValueError, match=told):
        make()


# The engine

def plain(x, w, g):
    return _conv._plain(x, w, g, "NCHW")


def case(g, seed=0):
    keys = jax.random.split(jax.random.key(seed), 2)
    return jax.random.normal(keys[0], (g.batch, g.channels, *g.size)), jax.random.normal(keys[1], (g.outputs, g.channels // g.groups, *g.kernel))


G = Geometry(2, 4, (9, 11), 6, (3, 5), (1, 2), (1, 2), (2, 1), 2)


def loss(f):
    return lambda x, w: (f(x, w) ** 2).sum() + f(x, w).sum()


def ours(x, w):
    return jax_op.convolve(G, "nchw", x, w, None)


def theirs(x, w):
    return plain(x, w, G)


@settings(max_examples=10)
@given(st.integers(1, 2), st.integers(1, 2), st.integers(1, 2), st.integers(0, 2), st.integers(1, 2), st.sampled_from(tj._conv.LAYOUTS))
def test_conv_by_either_engine(axes, groups, stride, padding, dilation, layout):
    kernel, size = (3, 2)[:axes], (9, 8)[:axes]
    g = Geometry(2, 2 * groups, size, 3 * groups, kernel, (stride,) * axes, (padding,) * axes, (dilation,) * axes, groups)
    x, w = case(g)
    if layout == "NHWC":
        x, w = jnp.moveaxis(x, 1, -1), jnp.moveaxis(w, (0, 1), (-1, -2))
    one, two = (tj.conv(x, w, stride=stride, padding=padding, dilation=dilation, groups=groups, layout=layout, engine=e) for e in ("tare", "framework"))
    near(one, two)


@pytest.mark.parametrize("padding", ["SAME", "VALID", 2, [(1, 2), (0, 3)]])
def test_paddings(padding):
    x, w = jax.random.normal(jax.random.key(0), (1, 9, 8, 2)), jax.random.normal(jax.random.key(1), (4, 3, 2, 3))
    near(*(tj.conv(x, w, stride=2, padding=padding, engine=engine) for engine in ("tare", "framework")))


@pytest.mark.parametrize("wanted", [(0,), (1,), (0, 1)])
def test_gradients(wanted):
    x, w = case(G)
    for a, b in zip(jax.jit(jax.grad(loss(ours), wanted))(x, w), jax.grad(loss(theirs), wanted)(x, w)):
        near(a, b)
    bias = jnp.arange(6.0)
    near(jax.grad(lambda b: (jax_op.convolve(G, "nchw", x, w, b) ** 2).sum())(bias),
         jax.grad(lambda b: ((theirs(x, w) + b[:, None, None]) ** 2).sum())(bias))


@pytest.mark.parametrize("first, second", list(itertools.product((0, 1), (0, 1))))
def test_gradients_of_gradients(first, second):
    x, w = case(G)
    twice = lambda f: jax.grad(lambda *a: (jax.grad(loss(f), first)(*a) ** 2).sum(), second)(x, w)  # noqa: E731
    near(jax.jit(lambda: twice(ours))(), twice(theirs), 1e-4)


def test_vmap():
    x, w = case(G)
    near(jax.vmap(ours, (0, None))(jnp.stack([x, 2 * x]), w), jnp.stack([theirs(x, w), theirs(2 * x, w)]))
    both = jax.vmap(lambda w: jax.grad(loss(ours), 1)(x, w))(jnp.stack([w, 2 * w]))
    near(both, jnp.stack([jax.grad(loss(theirs), 1)(x, w), jax.grad(loss(theirs), 1)(x, 2 * w)]))


def test_large_filters_use_the_engine_and_choices_are_measured(monkeypatch):
    x, w = jnp.ones((2, 32, 32, 16)), jnp.ones((31, 31, 1, 16))
    call = lambda: str(jax.make_jaxpr(lambda x, w: tj.conv(x, w, groups=16))(x, w))  # noqa: E731
    assert "tareconv_forward" in call()
    monkeypatch.setattr(_conv._choices, "engine_is_faster", lambda *a: False)
    assert "tareconv_forward" not in call()


def test_wrong_arrays_are_refused_and_not_read():
    x, w = case(G)
    with pytest.raises(Exception, match="with the sizes of the problem were expected"):
        jax.block_until_ready(jax_op._operator("tareconv_forward", G.call("nchw", 7), (jax_op._floats(3), jax_op._floats(0)), x, w, jax_op._NONE))
    with pytest.raises(Exception, match="input channels are missing"):
        jax.block_until_ready(jax_op._operator("tareconv_forward", "h8 nchw f32 7 0", (jax_op._floats(3), jax_op._floats(0)), x, w, jax_op._NONE))
    with pytest.raises(RuntimeError, match="it works in float32"):
        tj.conv(jnp.ones((1, 9, 9, 1), jnp.bfloat16), jnp.ones((3, 3, 1, 1), jnp.bfloat16), engine="tare")


@pytest.mark.parametrize("engine", ["auto", "tare"])
def test_shapes_that_do_not_fit_get_laxs_exceptions(engine):
    with pytest.raises((TypeError, ValueError), match="feature dimension size"):
        _conv.convolve(jnp.ones((1, 9, 9, 4)), jnp.ones((2, 3, 3, 3)), None, (1, 1), "VALID", (1, 1), 1, "NHWC", engine)
    assert tj.conv(jnp.ones((1, 2, 9, 1)), jnp.ones((3, 3, 1, 1)), padding="VALID", engine=engine).shape == (1, 0, 7, 1)


def test_without_the_operator_auto_takes_jaxs_own(monkeypatch):
    monkeypatch.setattr(jax_op, "available", lambda: False)
    x, w = jnp.ones((1, 9, 9, 1)), jnp.ones((3, 3, 1, 1))
    near(tj.conv(x, w), tj.conv(x, w, engine="framework"))
    with pytest.raises(RuntimeError, match="could not be compiled"):
        tj.conv(x, w, engine="tare")


@pytest.mark.parametrize("platform", ["cpu", "gpu"])
@pytest.mark.parametrize("rule", ["sum=0", "bayar", "order=1"])
def test_for_a_gpu_a_step_is_xlas_own_operations(monkeypatch, rule, platform):
    """Lowered for CUDA, which needs none: neither the engine's handlers nor calls of the host are in it. For the CPU the handlers are."""
    monkeypatch.setattr(jax, "default_backend", lambda: platform)
    monkeypatch.setattr(_conv._choices, "engine_is_faster", lambda *arguments: True)
    filters = tj.Filters((15, 15, 1, 4), rule)
    step = jax.jit(jax.value_and_grad(lambda t, x: (tj.conv(x, tj.compose(filters, t)) ** 2).sum()))
    lowered = step.trace(tj.init(jax.random.key(0), filters), jnp.ones((2, 20, 20, 1))).lower(lowering_platforms=("cuda" if platform == "gpu" else "cpu",))
    text = lowered.as_text()
    assert "callback" not in text and ("tareconv" in text) == (platform == "cpu") and ("stablehlo.convolution" in text) == (platform == "gpu")


def test_the_example_runs():
    example = os.path.join(os.path.dirname(__file__), "../../examples/jax_filters.py")
    said = subprocess.run([sys.executable, example, "20"], capture_output=True, text=True, timeout=300)
    assert said.returncode == 0, said.stderr
    assert "it makes 0.0 0.0 1.0\nresidual of the rule: 0" in said.stdout
