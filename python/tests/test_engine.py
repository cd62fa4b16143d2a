# SPDX-License-Identifier: Apache-2.0
"""The engine's calls on addresses, its problem strings, and the choice between it and a framework; NumPy alone."""

import itertools
import os
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tareconv._engine import calls, choice, compiled
from tareconv._engine.problem import DATA, FORWARD, WEIGHTS, Geometry

ALL = FORWARD | DATA | WEIGHTS


@st.composite
def geometries(draw):
    """One or two axes, and small sizes of everything; an output of at least one pixel."""
    axes, groups = draw(st.integers(1, 2)), draw(st.integers(1, 3))
    numbers = lambda low, high: tuple(draw(st.integers(low, high)) for _ in range(axes))  # noqa: E731
    kernel, stride, padding, dilation = numbers(1, 4), numbers(1, 2), numbers(0, 2), numbers(1, 2)
    size = tuple((k - 1) * d + 1 + draw(st.integers(0, 6)) for k, d in zip(kernel, dilation))
    channels, outputs = groups * draw(st.integers(1, 3)), groups * draw(st.integers(1, 3))
    return Geometry(draw(st.integers(1, 3)), channels, size, outputs, kernel, stride, padding, dilation, groups)


def reference(g, x, w, dy):
    """y, dx and dw by the definition, in double; x and dy nchw."""
    padded = np.pad(x.astype(float), [(0, 0), (0, 0), *((p, p) for p in g.padding)])
    y, dpadded, dw = np.zeros(dy.shape), np.zeros(padded.shape), np.zeros(w.shape)
    inputs, outputs = g.channels // g.groups, g.outputs // g.groups
    spatial = [0, *range(2, dy.ndim)]
    for group, tap in itertools.product(range(g.groups), np.ndindex(*g.kernel)):
        o, c = slice(group * outputs, (group + 1) * outputs), slice(group * inputs, (group + 1) * inputs)
        at = tuple(slice(t * d, t * d + s * (r - 1) + 1, s) for t, d, s, r in zip(tap, g.dilation, g.stride, g.result))
        seen, weights = padded[(slice(None), c, *at)], w[(o, slice(None), *tap)].astype(float)
        y[:, o] += np.einsum("nc...,oc->no...", seen, weights)
        dpadded[(slice(None), c, *at)] += np.einsum("no...,oc->nc...", dy[:, o].astype(float), weights)
        dw[(o, slice(None), *tap)] = np.tensordot(dy[:, o].astype(float), seen, (spatial, spatial))
    inside = tuple(slice(p, p + n) for p, n in zip(g.padding, g.size))
    return y, dpadded[(slice(None), slice(None), *inside)], dw


def images(g, seed=0, dtype=np.float32):
    draw = np.random.default_rng(seed)
    shapes = (g.batch, g.channels, *g.size), (g.outputs, g.channels // g.groups, *g.kernel), (g.batch, g.outputs, *g.result)
    return [draw.standard_normal(shape).astype(dtype) for shape in shapes]


def askew(array):
    """A copy that begins 4 bytes beside a multiple of 64."""
    memory = np.empty(array.size + 32, array.dtype)
    first = (-memory.ctypes.data // array.itemsize) % (64 // array.itemsize) + 1
    place = memory[first:first + array.size].reshape(array.shape)
    place[...] = array
    return place


def run(g, x, w, dy, *, layout="nchw", precision="f32", keep=True, skew=False, threads=0, passes=ALL):
    """y, dx, dw by the engine, in arrays that were full of NaN."""
    kind = x.dtype
    place = askew if skew else np.ascontiguousarray
    last = (lambda a: np.moveaxis(a, 1, -1)) if layout == "nhwc" else (lambda a: a)
    first = (lambda a: np.moveaxis(a, -1, 1)) if layout == "nhwc" else (lambda a: a)
    x, dy, w = place(last(x)), place(last(dy)), place(w)
    call = g.call(layout, passes, precision)
    sizes = calls.sizes(call)
    assert (sizes.x, sizes.weights, sizes.y, sizes.bias) == (x.size, w.size, dy.size, g.outputs)
    saved = place(np.full(sizes.saved, np.nan, kind)) if keep else np.empty(0, kind)
    y, dx, dw = (place(np.full(a.shape, np.nan, kind)) for a in (dy, x, w))
    address = lambda **arrays: {name: a.ctypes.data for name, a in arrays.items() if a.size}  # noqa: E731
    calls.forward(call, threads, **address(x=x, weights=w, y=y, saved=saved))
    calls.backward(call, threads, **address(x=x, weights=w, dy=dy, saved=saved, dx=dx, dweights=dw))
    return first(y), first(dx), dw


def assert_near(got, expected, tolerance):
    for a, b in zip(got, expected):
        assert np.abs(a - b).max() <= tolerance * max(np.sqrt(np.mean(b * b)), 1e-3) * 10


@given(geometries(), st.sampled_from(["nchw", "nhwc"]), st.booleans(), st.booleans(), st.integers(0, 99))
def test_every_pass_against_the_definition(g, layout, keep, skew, seed):
    if min(g.result) < 1:
        return
    arrays = images(g, seed)
    assert_near(run(g, *arrays, layout=layout, keep=keep, skew=skew), reference(g, *arrays), 1e-6)


@given(geometries(), st.integers(0, 99))
def test_doubles_go_through_the_reference(g, seed):
    arrays = images(g, seed, np.float64)
    assert_near(run(g, *arrays, precision="f64"), reference(g, *arrays), 1e-15)


@pytest.mark.parametrize("g", [Geometry(4, 8, (40, 40), 8, (15, 15), (1, 1), (7, 7), (1, 1)),
                               Geometry(4, 16, (33, 30), 16, (21, 21), (1, 1), (10, 10), (1, 1), 16)], ids=["dense", "depthwise"])
def test_bits_depend_neither_on_threads_nor_on_what_was_saved_nor_on_where_arrays_lie(g):
    arrays = images(g)
    assert_near(run(g, *arrays), reference(g, *arrays), 1e-6)
    one = run(g, *arrays, threads=1)
    for other in (dict(threads=2), dict(keep=False), dict(skew=True)):
        for a, b in zip(one, run(g, *arrays, **other)):
            np.testing.assert_array_equal(a, b)


def test_bias_is_added():
    g = Geometry(2, 3, (9, 9), 4, (3, 3), (1, 1), (1, 1), (1, 1))
    x, w, dy = images(g)
    bias, call = np.arange(4, dtype=np.float32), g.call("nchw", FORWARD)
    plain, added = np.empty_like(dy), np.empty_like(dy)
    calls.forward(call, x=x.ctypes.data, weights=w.ctypes.data, y=plain.ctypes.data)
    calls.forward(call, x=x.ctypes.data, weights=w.ctypes.data, bias=bias.ctypes.data, y=added.ctypes.data)
    np.testing.assert_allclose(added, plain + bias[:, None, None], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("call, told", [
    ("c1h5o1k3", "expected a call as"), ("c1h5o1k3 nchw f16 7 0", "expected a call as"), ("c1h5o1k3 nchw f32 7 0 1", "expected a call as"),
    ("h5o1k3 nchw f32 7 0", "input channels are missing"), ("c1h2o1k3 nchw f32 7 0", "does not fit")])
def test_wrong_calls_say_what_was_expected(call, told):
    with pytest.raises(ValueError, match=told):
        calls.sizes(call)
    with pytest.raises(ValueError, match=told):
        calls.describe(call)


def test_a_pass_that_the_call_does_not_name_is_refused():
    g = Geometry(1, 1, (5, 5), 1, (3, 3), (1, 1), (0, 0), (1, 1))
    x, w, dy = images(g)
    with pytest.raises(ValueError, match="passes"):
        calls.backward(g.call("nchw", FORWARD), x=x.ctypes.data, weights=w.ctypes.data, dy=dy.ctypes.data, dx=x.copy().ctypes.data)


def test_describe_names_a_candidate_for_each_pass():
    lines = calls.describe(Geometry(8, 32, (64, 64), 32, (31, 31), (1, 1), (15, 15), (1, 1), 32).call("nchw", ALL)).splitlines()
    assert [line.split(":")[0] for line in lines] == ["forward", "backward data", "backward weights"]
    assert "fft" in lines[0]


def test_many_problems_do_not_pile_up():
    for size in range(5, 305):
        assert calls.sizes(Geometry(1, 1, (size,), 1, (3,), (1,), (0,), (1,)).call("nchw", FORWARD)).y == size - 2


def test_a_forked_child_goes_on():
    g = Geometry(4, 8, (40, 40), 8, (15, 15), (1, 1), (7, 7), (1, 1))
    arrays = images(g)
    before = run(g, *arrays, threads=2)
    child = os.fork()
    if not child:
        os._exit(0 if all(np.array_equal(a, b) for a, b in zip(before, run(g, *arrays, threads=2))) else 1)
    assert os.waitpid(child, 0)[1] == 0


def sleeping(seconds):
    """A framework whose steps take so long, and the batches that were asked of it."""
    batches = []

    def framework(g, layout, passes):
        def step(x, w, dy):
            batches.append(len(x))
            time.sleep(seconds)

        return step

    return framework, batches


def test_a_slow_framework_loses_and_is_timed_with_one_image_only():
    framework, batches = sleeping(0.05)
    g = Geometry(3, 2, (8, 8), 2, (3, 3), (1, 1), (1, 1), (1, 1))
    choices = choice.Choices("sleep", framework)
    assert choices.engine_is_faster(g, "nchw", ALL)
    assert set(batches) == {1}
    asked = len(batches)
    assert choices.engine_is_faster(g, "nchw", ALL) and len(batches) == asked  # remembered


def test_a_fast_framework_wins():
    framework, batches = sleeping(0)
    g = Geometry(2, 16, (64, 64), 16, (9, 9), (1, 1), (4, 4), (1, 1))
    assert not choice.Choices("sleep", framework).engine_is_faster(g, "nhwc", ALL)
    assert set(batches) == {1, 2}


def test_further_sizes_of_one_layer_are_not_measured():
    framework, batches = sleeping(0.02)
    choices = choice.Choices("sleep", framework)
    for batch in range(1, 12):
        assert choices.engine_is_faster(Geometry(batch, 1, (8,), 1, (3,), (1,), (1,), (1,)), "nchw", FORWARD)
        measured = len(batches) if batch == 6 else measured if batch > 6 else 0
    assert len(batches) == measured


def test_volumes_are_the_frameworks():
    framework, batches = sleeping(0)
    g = Geometry(1, 1, (4, 4, 4), 1, (3, 3, 3), (1,) * 3, (1,) * 3, (1,) * 3)
    assert not choice.Choices("sleep", framework).engine_is_faster(g, "nchw", ALL) and not batches


def test_engine_names(monkeypatch):
    monkeypatch.delenv("TARECONV_ENGINE", raising=False)
    assert choice.check("auto") == "auto"
    with pytest.raises(ValueError, match="expected 'auto', 'tare' or 'framework', found 'fast'"):
        choice.check("fast")
    monkeypatch.setenv("TARECONV_ENGINE", "framework")
    assert (choice.check("auto"), choice.check("tare")) == ("framework", "tare")
    monkeypatch.setenv("TARECONV_ENGINE", "no")
    with pytest.raises(ValueError, match="TARECONV_ENGINE"):
        choice.check("auto")


@pytest.mark.parametrize("compiler", ["/nowhere/cc", "false"])
def test_without_a_compiler_a_warning_says_what_it_costs(monkeypatch, tmp_path, compiler):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("CC", compiler)
    with pytest.warns(RuntimeWarning, match="for JAX 1.2.3 could not be compiled, so that convolutions cost what JAX's own cost"):
        assert compiled.operator("xla_op", "JAX", "1.2.3", str(tmp_path), "tareconv_xla_begin", (compiler,)) is None
    assert not list((tmp_path / "tareconv").glob("*.so"))
