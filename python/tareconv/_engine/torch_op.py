# SPDX-License-Identifier: Apache-2.0
"""The engine as PyTorch operators: tareconv::conv and tareconv::conv_backward, for float32 and float64 on the CPU.

`conv` gives y and what the backward pass can use (`saved`: prepared weights, spectra), since an operator may keep nothing by itself.
`conv_backward` gives both gradients from one call, and is what a transposed convolution runs forward. Each is differentiated by
the other two ways round: with C(x, w) = y, D(w, y) = dx and W(x, y) = dw, all three are linear in each argument, and
<C(x, w), y> = <x, D(w, y)> = <w, W(x, y)>.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from . import calls, openmp
from .problem import DATA, FORWARD, WEIGHTS, Geometry, result_size

_PRECISIONS = {torch.float32: "f32", torch.float64: "f64"}
_SIZES = {"dy": "y", "dx": "x", "dweights": "weights"}
"""Of which array an output or gradient has the size, where the name differs."""
_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}
_PARALLEL = openmp.torch_parallel()


def threads() -> tuple[int, int]:
    """How many threads a call may use here, and whose they are: the arguments `threads` and `parallel` of the engine's calls."""
    return torch.get_num_threads(), _PARALLEL


def channels_last(x: Tensor) -> bool:
    """Whether a tensor's channels lie last in memory. One channel lies first and last: then, as in PyTorch, the strides say what its maker had in mind."""
    if x.dim() not in _LAST or not x.is_contiguous(memory_format=_LAST[x.dim()]):
        return False
    return not x.is_contiguous() or (x.shape[1] == 1 and x.stride(1) == 1 and x.stride(-1) == 1 and x.shape[-1] > 1)


def _ordered(x: Tensor, last: bool) -> Tensor:
    return x.contiguous(memory_format=_LAST[x.dim()] if last else torch.contiguous_format)


def _empty(like: Tensor, shape, last: bool) -> Tensor:
    order = _LAST[len(shape)] if last else torch.contiguous_format
    return torch.empty(shape, dtype=like.dtype, device=like.device, memory_format=order)


@functools.lru_cache(1024)
def _named(dtype: torch.dtype, last: bool, passes: int, image, weight, stride, padding, dilation, groups, border) -> str:
    if dtype not in _PRECISIONS:
        raise TypeError(f"tareconv: expected float32 (or float64, on the reference kernels), found {dtype}")
    g = Geometry(image[0], image[1], image[2:], weight[0], weight[2:], stride, padding, dilation, groups, border)
    return g.call("nhwc" if last else "nchw", passes, _PRECISIONS[dtype])


def _call(x: Tensor, image, weight, stride, padding, dilation, groups, border, last: bool, passes: int) -> str:
    integers = (tuple(int(n) for n in numbers) for numbers in (image, weight, stride, padding, dilation))
    return _named(x.dtype, last, passes, *integers, groups, border)


def _addresses(call: str, **tensors: Tensor | None) -> dict[str, int]:
    """The addresses of the tensors that are there, each of the size that C will read or write."""
    sizes, there = calls.sizes(call), {name: t for name, t in tensors.items() if t is not None and t.numel()}
    for name, t in there.items():
        expected = getattr(sizes, _SIZES.get(name, name))
        if t.numel() != expected:
            raise ValueError(f"tareconv: {name}: expected {expected} elements for {call}, found {tuple(t.shape)}")
    return {name: t.data_ptr() for name, t in there.items()}


def _result_shape(image, weight, stride, padding, dilation) -> tuple:
    return (image[0], weight[0], *result_size(image[2:], weight[2:], stride, padding, dilation))


@torch.library.custom_op("tareconv::conv", mutates_args=(), device_types="cpu")
def conv(x: Tensor, weight: Tensor, bias: Tensor | None, stride: list[int], padding: list[int], dilation: list[int], groups: int,
         border: str, last: bool, passes: int) -> tuple[Tensor, Tensor]:
    """y [n, o, ...] of x [n, c, ...] and weight [o, c / groups, ...], channels last in memory or first; and what the backward passes among `passes` can use."""
    x, weight = _ordered(x, last), weight.contiguous()
    call = _call(x, x.shape, weight.shape, stride, padding, dilation, groups, border, last, passes)
    y = _empty(x, _result_shape(x.shape, weight.shape, stride, padding, dilation), last)
    saved = x.new_empty(calls.sizes(call).saved if passes != FORWARD else 0)
    bias = None if bias is None else bias.contiguous()
    calls.forward(call, *threads(), **_addresses(call, x=x, weights=weight, bias=bias, y=y, saved=saved))
    return y, saved


@conv.register_fake
def _(x, weight, bias, stride, padding, dilation, groups, border, last, passes):
    y = _empty(x, _result_shape(x.shape, weight.shape, stride, padding, dilation), last)
    if passes == FORWARD:
        return y, x.new_empty(0)
    if any(isinstance(n, torch.SymInt) for n in (*x.shape, *weight.shape)):
        return y, x.new_empty(torch.library.get_ctx().new_dynamic_size())
    call = _call(x, x.shape, weight.shape, stride, padding, dilation, groups, border, last, passes)
    return y, x.new_empty(calls.sizes(call).saved)


@torch.library.custom_op("tareconv::conv_backward", mutates_args=(), device_types="cpu")
def conv_backward(x: Tensor | None, weight: Tensor, dy: Tensor, saved: Tensor | None, image: list[int], stride: list[int], padding: list[int],
                  dilation: list[int], groups: int, border: str, last: bool, passes: int, wanted: int) -> tuple[Tensor, Tensor]:
    """dx [image] and dweight, empty where `wanted` (a sum of passes) has them not. `saved` is that of conv with the same `last` and `passes`, or None."""
    dy, weight = _ordered(dy, last), weight.contiguous()
    x = None if x is None else _ordered(x, last)
    call = _call(dy, image, weight.shape, stride, padding, dilation, groups, border, last, passes)
    dx = _empty(dy, image, last) if wanted & DATA else dy.new_empty(0)
    dweight = torch.empty_like(weight) if wanted & WEIGHTS else dy.new_empty(0)
    calls.backward(call, *threads(), **_addresses(call, x=x, weights=weight, dy=dy, saved=saved, dx=dx, dweights=dweight))
    return dx, dweight


@conv_backward.register_fake
def _(x, weight, dy, saved, image, stride, padding, dilation, groups, border, last, passes, wanted):
    dx = _empty(dy, image, last) if wanted & DATA else dy.new_empty(0)
    return dx, weight.new_empty(weight.shape) if wanted & WEIGHTS else dy.new_empty(0)


def _gradients(x, weight, dy, geometry, image, wanted, passes=None, saved=None):
    """dx and dweight, None where they are not wanted."""
    if not wanted:
        return None, None
    passes = wanted if saved is None else passes
    dx, dweight = conv_backward(x if wanted & WEIGHTS else None, weight, dy, saved, image, *geometry, passes, wanted)
    return dx if wanted & DATA else None, dweight if wanted & WEIGHTS else None


def _bias_gradient(dy: Tensor) -> Tensor:
    return dy.sum([0, *range(2, dy.dim())])


def _save_conv(ctx, inputs, output):
    x, weight, bias, *geometry, passes = inputs
    ctx.geometry, ctx.passes = geometry, passes
    ctx.save_for_backward(x, weight, output[1])
    ctx.set_materialize_grads(False)


def _conv_gradient(ctx, dy, _):
    x, weight, saved = ctx.saved_tensors
    if dy is None:
        return (None,) * 10
    wanted = DATA * ctx.needs_input_grad[0] | WEIGHTS * ctx.needs_input_grad[1]
    shared = saved if wanted & ctx.passes == wanted else None
    dx, dweight = _gradients(x, weight, dy, ctx.geometry, x.shape, wanted, ctx.passes, shared)
    return dx, dweight, _bias_gradient(dy) if ctx.needs_input_grad[2] else None, *(None,) * 7


conv.register_autograd(_conv_gradient, setup_context=_save_conv)


def _save_backward(ctx, inputs, output):
    x, weight, dy, _, image, *geometry, _, wanted = inputs
    ctx.geometry, ctx.image, ctx.wanted, ctx.has_x = geometry, image, wanted, x is not None
    ctx.save_for_backward(*(t for t in (x, weight, dy) if t is not None))
    ctx.set_materialize_grads(False)


def _backward_gradient(ctx, gx, gw):
    """Of D(w, dy) and W(x, dy): to x comes D(gw, dy); to w W(gx, dy); to dy C(gx, w) + C(x, gw)."""
    x, weight, dy = ctx.saved_tensors if ctx.has_x else (None, *ctx.saved_tensors)
    gx = gx if ctx.wanted & DATA else None
    gw = gw if ctx.wanted & WEIGHTS else None
    to_x = to_weight = to_dy = None
    if gw is not None and ctx.needs_input_grad[0]:
        to_x, _ = _gradients(None, gw, dy, ctx.geometry, ctx.image, DATA)
    if gx is not None and ctx.needs_input_grad[1]:
        _, to_weight = _gradients(gx, weight, dy, ctx.geometry, ctx.image, WEIGHTS)
    if ctx.needs_input_grad[2]:
        parts = [conv(a, b, None, *ctx.geometry, FORWARD)[0] for a, b in ((gx, weight), (x, gw)) if a is not None and b is not None]
        to_dy = sum(parts[1:], parts[0]) if parts else None
    return to_x, to_weight, to_dy, *(None,) * 10


conv_backward.register_autograd(_backward_gradient, setup_context=_save_backward)


def convolve(x: Tensor, weight: Tensor, bias: Tensor | None, stride, padding, dilation, groups: int = 1, border: str = "zero") -> Tensor:
    """conv2d and its kin by the engine, with gradients; sizes as lists of one number an axis."""
    wanted = (DATA * x.requires_grad | WEIGHTS * weight.requires_grad) if torch.is_grad_enabled() else 0
    return conv(x, weight, bias, list(stride), list(padding), list(dilation), groups, border, channels_last(x), FORWARD | wanted)[0]


def convolve_transposed(x: Tensor, weight: Tensor, bias: Tensor | None, size, stride, padding, dilation, groups: int = 1) -> Tensor:
    """conv_transpose2d and its kin by the engine: weight [channels, outputs / groups, ...], `size` the pixels of the result."""
    image = [x.shape[0], weight.shape[1] * groups, *size]
    how = list(stride), list(padding), list(dilation), groups, "zero", channels_last(x)
    y, _ = conv_backward(None, weight, x, None, image, *how, DATA, DATA)
    return y if bias is None else y + bias.reshape(-1, *(1,) * (x.dim() - 2))
