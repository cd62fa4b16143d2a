# SPDX-License-Identifier: Apache-2.0
"""PyTorch layers whose weights obey: the rule holds exactly wherever the weights are used, and the state is the plain layer's."""

import copy
import io
import pickle
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

import tareconv  # noqa: E402
from tareconv._start import deviation  # noqa: E402
from tareconv import torch as tt  # noqa: E402
from tareconv.torch import Conv2d, constrain, release  # noqa: E402

RULES = ["sum=0", "sum=1", "bayar", "sum=0@filter", "symmetric; sum=1", "centre=-1", "order=2", "derivative(2,0) accuracy=2"]
BASES = ["spectral", "dct", "orthonormal", "pivot", "centred"]
KINDS = [tt.Conv1d, tt.Conv2d, tt.Conv3d, tt.ConvTranspose1d, tt.ConvTranspose2d, tt.ConvTranspose3d]


def missed(layer, weight=None):
    """The exact residual of a layer's weights."""
    units = layer._to_units((layer.weight if weight is None else weight).detach().float())
    return tareconv.residual(units.t().numpy(), layer.constraint)


def axes(layer):
    return len(layer.kernel_size)


def images(layer, batch=3, size=14, scale=1.0):
    torch.manual_seed(1)
    return scale * torch.rand(batch, layer.in_channels, *(size - 3 * i for i in range(axes(layer))))


def quiet(function, *arguments, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*arguments, **options)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rule", ["sum=0", "sum=1@filter", "symmetric"])
def test_every_layer_obeys_and_is_its_plain_one(kind, rule):
    torch.manual_seed(0)
    layer = kind(4, 6, 3, stride=2, padding=1, groups=2, rule=rule)
    x = images(layer)
    layer(x).square().mean().backward()
    assert missed(layer) == 0 and layer.coefficients.grad.abs().max() > 0
    plain = kind.plain(4, 6, 3, stride=2, padding=1, groups=2)
    plain.load_state_dict(layer.state_dict())
    torch.testing.assert_close(plain(x), layer(x))
    assert isinstance(layer, kind.plain) and {k: v.shape for k, v in layer.state_dict().items()} == {k: v.shape for k, v in plain.state_dict().items()}


def test_units_are_those_of_the_layouts():
    from tareconv._layout import TORCH, TORCH_TRANSPOSED
    from tareconv._operations import NumPy

    for kind, layout in ((tt.Conv2d, TORCH), (tt.ConvTranspose2d, TORCH_TRANSPOSED)):
        for rule in ("sum=0", "sum=0@filter"):
            layer = kind(4, 6, 3, rule=rule)
            columns = layout.columns(NumPy(), layer.weight.detach().numpy(), layer.constraint)
            np.testing.assert_array_equal(columns, layer._to_units(layer.weight).detach().numpy())


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("optimizer", [lambda p: torch.optim.Adam(p, 1e-2), lambda p: torch.optim.SGD(p, 0.1, weight_decay=0.1, momentum=0.9)])
def test_obeys_after_every_step(rule, optimizer):
    torch.manual_seed(0)
    layer = Conv2d(2, 4, 5, rule=rule)
    steps, x = optimizer(layer.parameters()), images(layer)
    for _ in range(4):
        assert missed(layer) == 0
        steps.zero_grad()
        layer(x).square().mean().backward()
        steps.step()
    assert missed(layer) == 0


@pytest.mark.parametrize("basis", BASES)
def test_a_loop_written_by_hand(basis):
    layer = Conv2d(1, 3, 7, basis=basis)
    for _ in range(3):
        loss = layer(images(layer)).square().mean()
        gradient, = torch.autograd.grad(loss, layer.coefficients)
        with torch.no_grad():
            layer.coefficients -= 0.1 * gradient
        assert missed(layer) == 0


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("basis", ["spectral", "pivot"])
def test_saved_and_loaded_weights_are_the_same_bits(rule, basis):
    torch.manual_seed(0)
    layer, other = Conv2d(2, 4, 5, rule=rule, basis=basis), Conv2d(2, 4, 5, rule=rule, basis=basis)
    layer(images(layer, scale=255))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        other.load_state_dict(layer.state_dict())
    assert torch.equal(other.weight, layer.weight) and torch.equal(other.bias, layer.bias)
    for again in (copy.deepcopy(other), pickle.loads(pickle.dumps(other)), copy.deepcopy(other).double().float()):
        assert torch.equal(again.weight, layer.weight)
    assert not list(other.buffers())[1:] and [*dict(other.named_parameters())] == ["bias", "coefficients"]
    assert other.adapted and other.scale == layer.scale


@pytest.mark.parametrize("scale", [1 / 256, 1, 255])
@pytest.mark.parametrize("offset", [0, 10])
@pytest.mark.parametrize("basis", ["spectral", "orthonormal"])
def test_the_first_training_batch_sets_the_response_to_variance_one(scale, offset, basis):
    torch.manual_seed(0)
    layer = Conv2d(3, 64, 7, padding=3, bias=False, basis=basis)
    x = scale * (torch.rand(8, 3, 32, 32) + offset)
    layer.eval()
    layer(x)
    assert not layer.adapted  # only training sets it
    layer.train()
    first = layer(x)[:, :, 3:-3, 3:-3]
    assert 0.9 < float(first.detach().var([0, 2, 3]).mean()) < 1.1
    torch.testing.assert_close(layer(2 * x)[:, :, 3:-3, 3:-3], 2 * first, rtol=1e-4, atol=1e-4)  # and no later one


def test_adapt_and_reset_parameters():
    layer = Conv2d(1, 8, 5, rule="sum=1")
    layer.adapt(torch.rand(4, 1, 20, 20) * 255)
    scale, weight = layer.scale.clone(), layer.weight.detach()
    layer(torch.rand(2, 1, 20, 20))
    assert layer.scale == scale and torch.equal(layer.weight, weight)
    layer.reset_parameters()
    assert not layer.adapted and layer.scale == 1 and not torch.equal(layer.weight, weight) and missed(layer) == 0
    layer.adapt(torch.zeros(2, 1, 20, 20))  # nothing responds
    assert layer.scale == 1


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("rule", RULES)
def test_autocast_uses_weights_that_obey_exactly(rule, dtype):
    torch.manual_seed(0)
    layer = Conv2d(2, 4, 5, rule=rule, bias=False)
    x, constant = images(layer), torch.full((1, 2, 9, 9), 3.0)
    with torch.autocast("cpu", dtype=dtype):
        y = layer(x)
        assert y.dtype == dtype and missed(layer, layer._kernel(dtype)) == 0
        if rule.startswith(("sum=0", "order")):
            assert layer(constant).abs().max() == 0
    y.float().square().mean().backward()
    half = layer.coefficients.grad.clone()
    layer.coefficients.grad = None
    layer(x).square().mean().backward()
    assert torch.nn.functional.cosine_similarity(half.flatten(), layer.coefficients.grad.flatten(), 0) > 0.99


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_layers_of_other_precisions(dtype):
    layer = Conv2d(2, 4, 5, padding=2).to(dtype)
    y = layer(images(layer).to(dtype))
    assert y.dtype == dtype and layer.scale.dtype == torch.float32
    if dtype != torch.float64:
        assert missed(layer) == 0
    assert Conv2d(2, 4, 5, dtype=dtype).weight.dtype == dtype


def test_plain_files_are_projected_with_a_warning_that_says_by_how_much():
    plain, layer = nn.Conv2d(2, 4, 5), Conv2d(2, 4, 5)
    with torch.no_grad():
        plain.weight += 1
    with pytest.warns(UserWarning, match=r"'sum=0' \(A w - b is up to 2[0-9.]+\).*change of up to 1"):
        layer.load_state_dict(plain.state_dict())
    assert missed(layer) == 0
    nearest = plain.weight - plain.weight.mean((2, 3), keepdim=True)
    torch.testing.assert_close(layer.weight, nearest, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(layer.bias, plain.bias)
    assert 0.3 < float(layer.coefficients.detach().std()) / deviation(layer._basis) < 3  # of a size to train on


def test_wrong_states_get_pytorchs_exceptions():
    layer = Conv2d(1, 2, 5)
    with pytest.raises(RuntimeError, match=r"size mismatch for weight.*\[2, 1, 3, 3\].*\[2, 1, 5, 5\]"):
        layer.load_state_dict(nn.Conv2d(1, 2, 3).state_dict())
    with pytest.raises(RuntimeError, match='Missing key.*"weight"'):
        layer.load_state_dict({"bias": torch.zeros(2)})
    with pytest.raises(RuntimeError, match='Unexpected key.*"more"'):
        layer.load_state_dict({**layer.state_dict(), "more": torch.zeros(2)})
    with pytest.raises(ValueError, match="weight: expected the shape"):
        layer.weight = torch.zeros(2, 1, 3, 3)
    assert layer.load_state_dict({"bias": torch.zeros(2)}, strict=False).missing_keys == ["weight"]


@pytest.mark.parametrize("make, told", [
    (lambda: Conv2d(1, 1, 4, rule="bayar"), "odd"), (lambda: Conv2d(1, 1, 3, rule="order=9"), "no free weight"),
    (lambda: Conv2d(1, 1, 3, rule="summ=0"), "column"), (lambda: Conv2d(1, 1, 3, basis="fourier"), "fourier"),
    (lambda: Conv2d(1, 1, 3, basis="whitened"), "covariance"), (lambda: Conv2d(1, 1, 3, engine="fast"), "engine: expected"),
    (lambda: Conv2d(1, 1, 3, rule=tareconv.Constraint("sum=0", (5, 5))), "expected one for a kernel of"),
    (lambda: constrain(nn.Conv2d(1, 1, 4), "bayar"), "odd"),
    (lambda: constrain(nn.Sequential(nn.Conv2d(1, 1, 3)), only=["1"]), "expected names of convolutions")])
def test_wrong_use(make, told):
    with pytest.raises(ValueError, match=told):
        make()


def test_constrain_refuses_what_is_no_convolution_and_leaves_it_whole():
    with pytest.raises(TypeError, match="expected a convolution of torch.nn"):
        constrain(nn.Linear(2, 2))
    with pytest.raises(TypeError, match="expected a convolution of torch.nn"):
        constrain("conv1")
    with pytest.raises(TypeError, match="basis: expected a name"):
        Conv2d(1, 2, 5, basis=None)
    layer = nn.Conv2d(1, 2, 4)
    with pytest.raises(ValueError):
        constrain(layer, "bayar")
    assert type(layer) is nn.Conv2d and layer(torch.rand(1, 1, 8, 8)).shape == (1, 2, 5, 5)


def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 5), nn.ReLU(), nn.Conv2d(4, 8, 1), nn.Conv2d(8, 4, 3, bias=False), nn.ConvTranspose2d(4, 1, 4, stride=2))


def test_constrain_and_release_a_model():
    net, x = model(), torch.rand(2, 1, 16, 16)
    with pytest.warns(UserWarning, match="taken to the nearest"):
        assert constrain(net, "sum=0") is net
    assert [type(layer) for layer in net] == [Conv2d, nn.ReLU, nn.Conv2d, Conv2d, tt.ConvTranspose2d]
    constrained = net(x)
    keys = list(net.state_dict())
    assert release(net) is net and [type(layer) for layer in net] == [type(layer) for layer in model()]
    assert list(net.state_dict()) == keys and all(isinstance(p, nn.Parameter) for p in net.parameters())
    torch.testing.assert_close(net(x), constrained)
    assert tareconv.residual(net[0].weight.detach().numpy(), tareconv.Constraint("sum=0", (5, 5))) == 0
    assert not set(net[0].__dict__) - set(model()[0].__dict__)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        constrain(net, "sum=0")  # obeys: nothing to say
    torch.testing.assert_close(net(x), constrained)
    assert "rule='sum=0', basis='spectral'" in repr(net)


def test_constrain_one_layer_and_afresh():
    net = model()
    constrain(net, "bayar", "pivot", fresh=True, only="0")
    assert type(net[0]) is Conv2d and net[0].rule == "bayar" and net[0].basis == "pivot" and type(net[3]) is nn.Conv2d
    frozen = nn.Conv2d(1, 1, 3).requires_grad_(False)
    assert not quiet(constrain, frozen).coefficients.requires_grad and not release(frozen).weight.requires_grad


@pytest.mark.parametrize("again", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
@pytest.mark.parametrize("rule", ["sum=0", "order=2"])
def test_copies_are_independent(again, rule):
    net = nn.Sequential(Conv2d(1, 4, 5, rule=rule), nn.ReLU(), Conv2d(4, 2, 5, rule=rule))
    x = images(net[0])
    net(x)
    copied = again(net)
    assert torch.equal(copied[0].weight, net[0].weight) and copied[0].adapted
    torch.optim.SGD(copied.parameters(), 0.1).zero_grad()
    copied(x).square().mean().backward()
    with torch.no_grad():
        copied[0].coefficients -= 0.1 * copied[0].coefficients.grad
    assert net[0].coefficients.grad is None and not torch.equal(copied[0].weight, net[0].weight) and missed(copied[0]) == 0


def test_training_goes_on_from_a_checkpoint():
    """pytorch issues 113415 and 137409: an optimizer's state has to fit the parameters again."""
    x = torch.rand(4, 1, 12, 12) * 255

    def steps(net, optimizer, count):
        for _ in range(count):
            optimizer.zero_grad()
            net(x).square().mean().backward()
            optimizer.step()

    torch.manual_seed(0)
    straight = nn.Sequential(Conv2d(1, 4, 5), nn.ReLU(), Conv2d(4, 2, 3, rule="sum=1"))
    optimizer = torch.optim.Adam(straight.parameters(), 1e-2)
    steps(straight, optimizer, 3)
    file = io.BytesIO()
    torch.save({"net": straight.state_dict(), "optimizer": optimizer.state_dict()}, file)
    file.seek(0)
    steps(straight, optimizer, 3)
    torch.manual_seed(1)
    resumed = nn.Sequential(Conv2d(1, 4, 5), nn.ReLU(), Conv2d(4, 2, 3, rule="sum=1"))
    saved = torch.load(file, weights_only=True)
    resumed.load_state_dict(saved["net"])
    optimizer = torch.optim.Adam(resumed.parameters(), 1e-2)
    optimizer.load_state_dict(saved["optimizer"])
    steps(resumed, optimizer, 3)
    torch.testing.assert_close(resumed[0].weight, straight[0].weight, rtol=1e-3, atol=1e-5 * float(straight[0].weight.detach().abs().max()))


def test_whitened_and_meta_and_functional_call():
    covariance = tareconv.measure(np.random.default_rng(0).random((8, 16, 16, 1), np.float32), (5, 5))
    layer = Conv2d(1, 4, 5, basis="whitened", covariance=covariance)
    layer(torch.rand(4, 1, 16, 16))
    assert missed(layer) == 0 and torch.equal(copy.deepcopy(layer).weight, layer.weight)
    skeleton = Conv2d(1, 4, 5, device="meta")
    skeleton(torch.rand(2, 1, 9, 9, device="meta")).sum().backward()  # a whole step without looking at a number: none is copied to the host
    skeleton.to_empty(device="cpu").reset_parameters()
    assert missed(skeleton) == 0 and skeleton(torch.rand(1, 1, 9, 9)).isfinite().all()
    doubled = {name: 2 * value for name, value in layer.named_parameters()}
    torch.testing.assert_close(torch.func.functional_call(layer, doubled, (torch.ones(1, 1, 5, 5),)), 2 * layer(torch.ones(1, 1, 5, 5)))


def test_the_gradient_is_that_of_the_composition():
    layer = Conv2d(1, 2, 3, rule="sum=1", dtype=torch.float64)
    layer.adapted = True
    x, w = torch.rand(2, 1, 8, 8, dtype=torch.float64), layer.weight.detach().clone().requires_grad_()
    dw, = torch.autograd.grad(torch.nn.functional.conv2d(x, w, layer.bias).square().sum(), w)
    layer(x).square().sum().backward()
    through = torch.from_numpy(tareconv.Basis(layer.constraint).transpose(dw.reshape(2, 9).numpy())).t()
    torch.testing.assert_close(layer.coefficients.grad, through)


def test_a_step_in_float32_does_without_a_lattice(monkeypatch):
    from tareconv.torch import _exact

    calls, run = [], _exact.obey
    monkeypatch.setattr(_exact, "obey", lambda *a: (calls.append(a[-1]), run(*a))[1])
    layer = Conv2d(1, 4, 5, rule="order=2")
    y = layer(images(layer))
    layer(images(layer)).sum().backward()
    assert not calls and missed(layer, layer._kernel(torch.float32, training=True)) == 0
    with torch.autocast("cpu", dtype=torch.bfloat16):
        layer(images(layer))
    assert calls == ["bf16"]
    layer.eval()
    torch.testing.assert_close(layer(images(layer)), y)
