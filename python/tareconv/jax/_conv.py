# SPDX-License-Identifier: Apache-2.0
"""Convolutions in JAX: by the engine where it is chosen, else by lax.conv_general_dilated."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from .._engine import choice, jax_op
from .._engine.problem import DATA, FORWARD, WEIGHTS, Geometry

LAYOUTS = ("NHWC", "NCHW")
_LETTERS = {1: "W", 2: "HW", 3: "DHW"}


def _axes(dims: int, layout: str) -> tuple[str, str, str]:
    """lax's names of the axes of images, of a kernel [o, i, ...], and of the result."""
    letters = _LETTERS[dims]
    images = f"N{letters}C" if layout == "NHWC" else f"NC{letters}"
    return images, "OI" + letters, images


def _plain(x, weight, g: Geometry, layout: str):
    axes = _axes(len(g.size), layout)
    padding = [(p, p) for p in g.padding]
    return lax.conv_general_dilated(x, weight, g.stride, padding, rhs_dilation=g.dilation, dimension_numbers=axes, feature_group_count=g.groups)


def _step(g: Geometry, layout: str, passes: int) -> choice.Step:
    """JAX's own passes, to be timed (choice.Choices)."""
    wanted = [number for number, bit in enumerate((DATA, WEIGHTS)) if passes & bit]
    forward = lambda x, w: _plain(x, w, g, layout.upper())  # noqa: E731

    def run(x, w, dy):
        y, back = jax.vjp(forward, x, w)
        return [y] + [back(dy)[number] for number in wanted]

    compiled = jax.jit(run)
    return lambda x, w, dy: jax.block_until_ready(compiled(x, w, dy))


_choices = choice.Choices("JAX", _step)


def _reason_against(x, weight) -> str:
    """Why the engine cannot do this convolution; empty: it can."""
    if jax.default_backend() != "cpu":
        return f"it works on the CPU, JAX is on {jax.default_backend()}"
    if x.dtype != jnp.float32 or weight.dtype != jnp.float32:
        return f"it works in float32, the images are {x.dtype} and the kernel {weight.dtype}"
    if 0 in x.shape:
        return "there are no images"
    return "" if jax_op.available() else "its operator could not be compiled"


def _use_engine(x, weight, g: Geometry, layout: str, engine: str) -> bool:
    engine = choice.check(engine)
    if engine == "framework" or (engine == "auto" and (x.ndim == 5 or jax.device_count() > 1)):
        return False  # among several devices XLA divides its own convolutions, and would gather the arrays of ours
    reason = _reason_against(x, weight)
    if engine == "tare" and reason:
        raise RuntimeError(f"engine='tare': {reason}; engine='auto' takes JAX's own convolution where tare's cannot be used")
    fits = weight.shape[1] * g.groups == g.channels and weight.shape[0] % g.groups == 0 and min(g.result) > 0
    if reason or not fits or engine == "tare":  # what does not fit is lax's, for its usual exceptions
        return fits and not reason
    return _choices.engine_is_faster(g, layout.lower(), FORWARD | DATA | WEIGHTS)


def _pairs(padding, kernel, size, stride, dilation) -> list[tuple[int, int]]:
    """Padding before and after, an axis each."""
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation)]
    if isinstance(padding, str):
        return [tuple(pair) for pair in lax.padtype_to_pads(size, reach, stride, padding.upper())]
    if isinstance(padding, int):
        return [(padding, padding)] * len(kernel)
    return [(p, p) if isinstance(p, int) else (int(p[0]), int(p[1])) for p in padding]


def convolve(x, weight, bias, stride, padding, dilation, groups: int, layout: str, engine: str):
    """y of x, weight [o, c / groups, ...] and bias [o] (or None), in lists of one number (padding: or pair) an axis."""
    first = 1 if layout == "NHWC" else 2
    size, kernel = x.shape[first:first + weight.ndim - 2], weight.shape[2:]
    pairs = _pairs(padding, kernel, size, stride, dilation)
    if any(before != after for before, after in pairs):
        around = [(0, 0)] * x.ndim
        around[first:first + len(pairs)] = pairs
        x, size, pairs = jnp.pad(x, around), tuple(n + a + b for n, (a, b) in zip(size, pairs)), [(0, 0)] * len(pairs)
    channels = x.shape[-1 if layout == "NHWC" else 1]
    g = Geometry(x.shape[0], channels, tuple(size), weight.shape[0], tuple(kernel), tuple(stride), tuple(before for before, _ in pairs), tuple(dilation),
                 groups)
    if _use_engine(x, weight, g, layout, engine):
        return jax_op.convolve(g, layout.lower(), x, weight, bias)
    y = _plain(x, weight, g, layout)
    return y if bias is None else y + (bias if layout == "NHWC" else bias.reshape(-1, *(1,) * (y.ndim - 2)))


def conv(x, kernel, *, stride: int | Sequence[int] = 1, padding: str | int | Sequence = "SAME", dilation: int | Sequence[int] = 1, groups: int = 1,
         layout: str = "NHWC", engine: str = "auto"):
    """A convolution (cross-correlation) of one to three axes, differentiable, by whichever is faster.

    Args:
        x: images, [n, ..., c] or, with layout "NCHW", [n, c, ...].
        kernel: [..., c / groups, o] for "NHWC", [o, c / groups, ...] for "NCHW" (what `compose` gives).
        stride, dilation: one number, or one an axis. padding: "SAME", "VALID", a number, or one (or a pair) an axis.
        engine: "auto": tare's engine on the CPU in float32, where it measures faster when a shape is first met; "tare" or "framework" insist.
            The engine's has reverse-mode gradients only (jax.grad, jax.vjp; not jvp), to any order.

    Raises:
        ValueError: sizes that do not fit, an unknown layout or engine. RuntimeError: engine="tare" where it cannot be used.
    """
    if layout not in LAYOUTS:
        raise ValueError(f"layout: expected 'NHWC' or 'NCHW', found {layout!r}")
    x, kernel = jnp.asarray(x), jnp.asarray(kernel)
    dims = kernel.ndim - 2
    if x.ndim != kernel.ndim or not 1 <= dims <= 3:
        raise ValueError(f"conv: expected images and a kernel of 3 to 5 axes each, found the shapes {x.shape} and {kernel.shape}")
    weight = jnp.moveaxis(kernel, (-1, -2), (0, 1)) if layout == "NHWC" else kernel
    channels = x.shape[-1 if layout == "NHWC" else 1]
    if weight.shape[1] * groups != channels or weight.shape[0] % groups:
        raise ValueError(f"conv: expected a kernel for {channels} channels in {groups} groups, found the shape {kernel.shape} ({layout})")
    each = lambda n: [int(n)] * dims if isinstance(n, (int, np.integer)) else [int(i) for i in n]  # noqa: E731
    return convolve(x, weight, None, each(stride), padding, each(dilation), groups, layout, engine)
