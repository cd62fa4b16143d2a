# SPDX-License-Identifier: Apache-2.0
"""The convolution of a layer: by the engine where it is chosen, else by PyTorch's own functions."""

from __future__ import annotations

import dataclasses

import torch
import torch.nn.functional as F
from torch import Tensor

from .._engine import choice
from .._engine.problem import DATA, FORWARD, WEIGHTS, Geometry, result_size

try:
    from .._engine import torch_op
except ImportError:  # a build without the C part
    torch_op = None

_exporting = getattr(torch.compiler, "is_exporting", lambda: False)  # since PyTorch 2.7
_PLAIN = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}
_BORDERS = {"zeros": "zero", "reflect": "reflect", "replicate": "edge"}
"""PyTorch's padding modes that the engine knows."""


@dataclasses.dataclass(frozen=True)
class How:
    """What a layer says of its convolution; tuples of one number an axis. `padding` on both sides."""

    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int
    border: str = "zero"


def _step(g: Geometry, layout: str, passes: int) -> choice.Step:
    """PyTorch's own passes, to be timed (choice.Choices)."""
    def step(x, weights, dy):
        x, weights, dy = (torch.from_numpy(a) for a in (x, weights, dy))
        if layout == "nhwc":
            x, dy = x.movedim(-1, 1), dy.movedim(-1, 1)
        x.requires_grad_(bool(passes & DATA))
        weights.requires_grad_(bool(passes & WEIGHTS))
        y = framework(x, weights, None, How(g.stride, g.padding, g.dilation, g.groups, g.border))
        leaves = [t for t in (x, weights) if t.requires_grad]
        if leaves:
            torch.autograd.grad(y, leaves, dy)

    return step


_choices = choice.Choices("PyTorch", _step, lambda: torch_op.threads())


@torch.compiler.assume_constant_result
def _faster(image, weight, how: How, layout: str, passes: int) -> bool:
    g = Geometry(image[0], image[1], tuple(image[2:]), weight[0], tuple(weight[2:]), how.stride, how.padding, how.dilation, how.groups,
                 how.border)
    return _choices.engine_is_faster(g, layout, passes)


def _reason_against(x: Tensor, weight: Tensor) -> str:
    """Why the engine cannot do this convolution; empty: it can."""
    if torch_op is None:
        return "this build of tareconv is without it"
    if x.device.type != "cpu":
        return f"it works on the CPU, the images are on {x.device}"
    if x.dtype != torch.float32 or weight.dtype != torch.float32:
        return f"it works in float32, the images are {x.dtype} and the weights {weight.dtype}"
    if 0 in x.shape:
        return "there are no images"
    return ""


def _use_engine(x: Tensor, weight: Tensor, how: How, engine: str, image: tuple[int, ...] | None = None) -> bool:
    """`image`: the shape of a convolution's images, where x is its result and not they."""
    engine = choice.check(engine)
    if engine == "framework":
        return False
    reason = _reason_against(x, weight)
    if engine == "tare" and reason:
        raise RuntimeError(f"engine='tare': {reason}; engine='auto' takes PyTorch's own operations where tare's cannot be used")
    if reason or not _fits(x, weight, how, image):
        return False
    if engine == "tare":
        return True
    # An exported graph is to run where tareconv is not; functorch's transforms know only PyTorch's own operators.
    if _exporting() or torch._C._functorch.peek_interpreter_stack() is not None:
        return False
    return x.dim() < 5 and _measured(x, weight, how, image)


def _fits(x: Tensor, weight: Tensor, how: How, image: tuple[int, ...] | None) -> bool:
    """Whether the shapes fit each other. Those that do not are PyTorch's, for its usual exceptions."""
    if x.dim() != weight.dim() or weight.shape[0] % how.groups:
        return False
    if image is not None:
        return x.shape[1] == weight.shape[0] and all(n > 0 for n in image)
    result = result_size(x.shape[2:], weight.shape[2:], how.stride, how.padding, how.dilation)
    return x.shape[1] == weight.shape[1] * how.groups and all(n > 0 for n in result)


def _measured(x: Tensor, weight: Tensor, how: How, image: tuple[int, ...] | None) -> bool:
    passes = FORWARD
    if torch.is_grad_enabled():
        passes |= DATA * x.requires_grad | WEIGHTS * weight.requires_grad
    if image is not None:
        passes = FORWARD if passes == FORWARD else FORWARD | DATA | WEIGHTS
    layout = "nhwc" if torch_op.channels_last(x) else "nchw"
    return _faster(tuple(int(n) for n in image or x.shape), tuple(weight.shape), how, layout, passes)


def framework(x: Tensor, weight: Tensor, bias: Tensor | None, how: How) -> Tensor:
    """The same by PyTorch's own functions."""
    padding = how.padding
    if how.border != "zero" and any(padding):
        mode = {ours: theirs for theirs, ours in _BORDERS.items()}[how.border]
        x, padding = F.pad(x, [p for n in reversed(padding) for p in (n, n)], mode), (0,) * len(padding)
    return _PLAIN[len(padding)](x, weight, bias, how.stride, padding, how.dilation, how.groups)


def engine_border(padding_mode: str) -> str | None:
    """The engine's name of a padding mode, None if it has none."""
    return _BORDERS.get(padding_mode)


def convolve(x: Tensor, weight: Tensor, bias: Tensor | None, how: How, engine: str) -> Tensor:
    """y of x [n, c, ...] and weight [o, c / groups, ...]."""
    if _use_engine(x, weight, how, engine):
        return torch_op.convolve(x, weight, bias, how.stride, how.padding, how.dilation, how.groups, how.border)
    return framework(x, weight, bias, how)


def convolve_transposed(x: Tensor, weight: Tensor, bias: Tensor | None, more: tuple[int, ...], how: How, engine: str) -> Tensor:
    """y of x [n, c, ...] and weight [c, o / groups, ...], `more` pixels at each end. Chosen as the convolution whose gradient it is."""
    kernel = weight.shape[2:]
    size = tuple((n - 1) * s - 2 * p + d * (k - 1) + m + 1
                 for n, s, p, d, k, m in zip(x.shape[2:], how.stride, how.padding, how.dilation, kernel, more))
    image = (x.shape[0], weight.shape[1] * how.groups, *size)
    if _use_engine(x, weight, how, engine, image):
        return torch_op.convolve_transposed(x, weight, bias, size, how.stride, how.padding, how.dilation, how.groups)
    return _TRANSPOSED[len(kernel)](x, weight, bias, how.stride, how.padding, more, how.groups, how.dilation)
