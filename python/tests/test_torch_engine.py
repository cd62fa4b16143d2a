# SPDX-License-Identifier: Apache-2.0
"""The engine as PyTorch operators, and when layers use it."""

import pytest

torch = pytest.importorskip("torch")
import torch.nn.functional as F  # noqa: E402
from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from tareconv._engine import torch_op  # noqa: E402
from tareconv.torch import Conv2d, ConvTranspose2d, _conv  # noqa: E402

LAST = {3: torch.contiguous_format, 4: torch.channels_last}


def near(a, b, tolerance=2e-5):
    assert a.shape == b.shape
    a, b = a.detach(), b.detach()
    assert float((a - b).abs().max()) <= tolerance * float(b.abs().max() + 1e-3)


def gradients(y, leaves, dy):
    return torch.autograd.grad(y, leaves, dy)


@given(st.integers(1, 2), st.integers(1, 3), st.integers(1, 2), st.integers(0, 2), st.integers(1, 2), st.booleans(), st.integers(0, 99))
def test_as_pytorchs_convolutions_and_transposed_ones(axes, groups, stride, padding, dilation, last, seed):
    torch.manual_seed(seed)
    kernel, s, p, d = (3, 2)[:axes], [stride] * axes, [padding] * axes, [dilation] * axes
    plain, flipped = ((F.conv1d, F.conv_transpose1d), (F.conv2d, F.conv_transpose2d))[axes - 1]
    x = torch.randn(2, 2 * groups, *(9, 8)[:axes]).to(memory_format=LAST[axes + 2] if last else torch.contiguous_format).requires_grad_()
    w, b = torch.randn(3 * groups, 2, *kernel, requires_grad=True), torch.randn(3 * groups, requires_grad=True)
    ours, theirs = torch_op.convolve(x, w, b, s, p, d, groups), plain(x, w, b, s, p, d, groups)
    near(ours, theirs)
    assert ours.stride() == theirs.stride() or axes == 1
    dy = torch.randn_like(theirs)
    for a, c in zip(gradients(ours, (x, w, b), dy), gradients(theirs, (x, w, b), dy)):
        near(a, c)
    t = torch.randn_like(theirs, requires_grad=True)
    back = flipped(t, w, None, s, p, 0, groups, d)
    ours = torch_op.convolve_transposed(t, w, None, back.shape[2:], s, p, d, groups)
    near(ours, back)
    dy = torch.randn_like(back)
    for a, c in zip(gradients(ours, (t, w), dy), gradients(back, (t, w), dy)):
        near(a, c)


@pytest.mark.parametrize("border, mode", [("reflect", "reflect"), ("edge", "replicate")])
def test_borders(border, mode):
    x, w = torch.randn(1, 2, 7, 8, requires_grad=True), torch.randn(3, 2, 3, 5, requires_grad=True)
    ours = torch_op.convolve(x, w, None, (1, 1), (1, 2), (1, 1), 1, border)
    theirs = F.conv2d(F.pad(x, (2, 2, 1, 1), mode), w)
    near(ours, theirs)
    for a, c in zip(gradients(ours.sum(), (x, w), None), gradients(theirs.sum(), (x, w), None)):
        near(a, c)


def doubles():
    torch.manual_seed(0)
    return [torch.randn(shape, dtype=torch.double, requires_grad=True) for shape in ((2, 2, 5, 6), (4, 1, 3, 3), (4,))]


def test_gradcheck_and_gradgradcheck():
    both = lambda x, w, b: torch_op.convolve(x, w, b, (2, 1), (1, 1), (1, 1), 2)  # noqa: E731
    assert torch.autograd.gradcheck(both, doubles()) and torch.autograd.gradgradcheck(both, doubles())
    x, w, b = doubles()
    y = torch.randn(2, 4, 5, 6, dtype=torch.double, requires_grad=True)
    back = lambda y, w: torch_op.convolve_transposed(y, w, None, (5, 6), (1, 1), (1, 1), (1, 1), 2)  # noqa: E731
    assert torch.autograd.gradcheck(back, (y, w)) and torch.autograd.gradgradcheck(back, (y, w))


@pytest.mark.parametrize("passes", [1, 3, 5, 7])
def test_opcheck(passes):
    x, w, b = (t.detach().float().requires_grad_() for t in doubles())
    how = ([1, 1], [1, 1], [1, 1], 2, "zero", False)
    torch.library.opcheck(torch_op.conv, (x, w, b, *how, passes))
    y, saved = torch_op.conv(x, w, b, *how, passes)
    dy = torch.randn_like(y, requires_grad=True)
    if passes > 1:
        torch.library.opcheck(torch_op.conv_backward, (x, w, dy, saved.detach(), [2, 2, 5, 6], *how, passes, passes - 1))
    torch.library.opcheck(torch_op.conv_backward, (None, w, dy, None, [2, 2, 5, 6], *how, 2, 2))


def test_only_float32_and_float64():
    with pytest.raises(TypeError, match="expected float32"):
        torch_op.convolve(torch.ones(1, 1, 5, 5).half(), torch.ones(1, 1, 3, 3).half(), None, (1, 1), (0, 0), (1, 1))


def counted(monkeypatch):
    """The engine's calls from here on."""
    seen = []
    for name in ("convolve", "convolve_transposed"):
        run = getattr(torch_op, name)
        monkeypatch.setattr(torch_op, name, lambda *a, run=run, name=name: (seen.append(name), run(*a))[1])
    return seen


@pytest.mark.parametrize("layer, kind", [(Conv2d, "convolve"), (ConvTranspose2d, "convolve_transposed")])
def test_layers_use_the_engine_that_is_asked_for(monkeypatch, layer, kind):
    seen, x = counted(monkeypatch), torch.rand(2, 4, 16, 16)
    one = layer(4, 4, 5, groups=2, stride=2, engine="tare")
    one.adapted = True
    y = one(x)
    assert seen == [kind]
    one.engine = "framework"
    near(one(x), y)
    assert seen == [kind]


def test_auto_takes_what_measures_faster(monkeypatch):
    seen, layer = counted(monkeypatch), Conv2d(2, 4, 7)
    layer.adapted = True
    for faster in (True, False):
        monkeypatch.setattr(_conv._choices, "engine_is_faster", lambda *a, faster=faster: faster)
        layer(torch.rand(1, 2, 16, 16))
        assert len(seen) == 1


def test_a_large_depthwise_filter_is_faster_by_far():
    """A hundredfold in fact; here only that the measurement says so."""
    _conv._choices._known.clear()
    assert _conv._faster((2, 16, 48, 48), (16, 1, 31, 31), _conv.How((1, 1), (15, 15), (1, 1), 16), "nchw", 7)


@pytest.mark.parametrize("padding_mode", ["zeros", "reflect", "replicate", "circular"])
@pytest.mark.parametrize("padding", [0, 2, "same", "valid", (1, 2)])
def test_paddings(padding, padding_mode):
    torch.manual_seed(0)
    plain = torch.nn.Conv2d(2, 3, (4, 5), padding=padding, padding_mode=padding_mode)
    x = torch.rand(2, 2, 12, 11)
    for engine in ("tare", "framework"):
        layer = Conv2d(2, 3, (4, 5), padding=padding, padding_mode=padding_mode, engine=engine)
        layer.adapted = True
        plain.load_state_dict(layer.state_dict())
        near(layer(x), plain(x))
        near(layer(x[0]), plain(x[0]))


def test_what_the_engine_cannot_do():
    with pytest.raises(RuntimeError, match="engine='tare': it works in float32"):
        Conv2d(1, 1, 3, engine="tare").double()(torch.rand(1, 1, 5, 5).double())
    with pytest.raises(RuntimeError, match="engine='tare': .* the images are on meta"):
        Conv2d(1, 1, 3, engine="tare", device="meta")(torch.rand(1, 1, 5, 5, device="meta"))
    assert Conv2d(1, 1, 3)(torch.rand(0, 1, 5, 5)).shape == (0, 1, 3, 3)


def test_the_result_of_one_channel_lies_as_pytorchs():
    """One channel lies first and last: the strides say what was meant."""
    w = torch.rand(4, 1, 3, 3, requires_grad=True)
    for x in (torch.rand(2, 1, 8, 9), torch.rand(2, 8, 9, 1).movedim(-1, 1)):
        ours, theirs = torch_op.convolve(x, w, None, (1, 1), (0, 0), (1, 1)), F.conv2d(x, w)
        near(ours, theirs)
        assert ours.stride() == theirs.stride()
        near(*(gradients(y.square().sum(), (w,), None)[0] for y in (ours, theirs)))


def test_compiled_with_changing_batches():
    how = _conv.How((1, 1), (3, 3), (1, 1), 1)
    f = lambda x, w: _conv.convolve(x, w, None, how, "tare").sin()  # noqa: E731
    compiled = torch.compile(f, fullgraph=True, backend="aot_eager")
    for batch in (4, 3, 5):
        x, w = torch.randn(batch, 3, 12, 12, requires_grad=True), torch.randn(4, 3, 7, 7, requires_grad=True)
        for a, b in zip(gradients(compiled(x, w).sum(), (x, w), None), gradients(f(x, w).sum(), (x, w), None)):
            near(a, b)


@pytest.mark.parametrize("engine", ["auto", "tare", "framework"])
def test_shapes_that_do_not_fit_get_pytorchs_exceptions(engine):
    """And nothing outside of the arrays is read."""
    layer, transposed = Conv2d(3, 4, 7, engine=engine).eval(), ConvTranspose2d(3, 4, 7, engine=engine).eval()
    for x, told in ((torch.rand(1, 4, 9, 9), "to have 3 channels, but got 4"), (torch.rand(1, 3, 5, 9), "Kernel size can't be greater"),
                    (torch.rand(3, 3, 9, 9, 9), "Expected 3D .* or 4D")):
        with pytest.raises(RuntimeError, match=told):
            layer(x)
    with pytest.raises(RuntimeError, match="to have 3 channels, but got 4"):
        transposed(torch.rand(1, 4, 9, 9))


def test_operators_check_what_they_are_given():
    x, w, how = torch.rand(1, 4, 9, 9), torch.rand(2, 3, 3, 3), ([1, 1], [0, 0], [1, 1], 1, "zero", False)
    with pytest.raises(ValueError, match="weights: expected 72 elements"):
        torch_op.conv(x, w, None, *how, 7)
    with pytest.raises(ValueError, match="bias: expected 2 elements"):
        torch_op.conv(x[:, :3], w, torch.zeros(3), *how, 7)
    for dy, saved in ((torch.rand(1, 2, 7, 6), None), (torch.rand(1, 2, 7, 7), torch.rand(5))):
        with pytest.raises(ValueError, match="dy: expected|saved: expected"):
            torch_op.conv_backward(x[:, :3], w, dy, saved, [1, 3, 9, 9], *how, 6, 6)
