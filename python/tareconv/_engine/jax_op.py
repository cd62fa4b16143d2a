# SPDX-License-Identifier: Apache-2.0
"""The engine as a function for JAX on the CPU: float32, differentiable in reverse mode to any order, under jit and vmap.

Forward-mode differentiation (jvp, jacfwd) is for engine="framework": a function has a rule for one of the two.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import jaxlib
import numpy as np

from . import calls, compiled
from .problem import DATA, FORWARD, WEIGHTS, Geometry

_FORWARD, _BACKWARD = "tareconv_forward", "tareconv_backward"
_NONE = np.zeros(0, np.float32)


@functools.lru_cache(None)
def available() -> bool:
    """Whether the operators are there; compiles and registers them when first asked."""
    library = compiled.operator("xla_op", "JAX", jaxlib.__version__, jax.ffi.include_dir(), "tareconv_xla_begin")
    if library is None:
        return False
    for name, handler in ((_FORWARD, library.tareconv_xla_forward), (_BACKWARD, library.tareconv_xla_backward)):
        jax.ffi.register_ffi_target(name, jax.ffi.pycapsule(handler), platform="cpu")
    return True


def _images(g: Geometry, layout: str, channels: int, size: tuple[int, ...]) -> tuple[int, ...]:
    return (g.batch, channels, *size) if layout == "nchw" else (g.batch, *size, channels)


def _floats(*shape: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, jnp.float32)


def _operator(name: str, call: str, results, *arguments):
    if not available():
        raise RuntimeError("the engine's operator for JAX could not be compiled")
    return jax.ffi.ffi_call(name, results, vmap_method="sequential")(*arguments, call=call)


@jax.tree_util.register_static
class _Passes(tuple):
    """The passes of a plan and those whose gradients are wanted, carried beside arrays."""

    plan = property(lambda self: self[0])
    wanted = property(lambda self: self[1])

    def __new__(cls, plan: int, wanted: int):
        return super().__new__(cls, (plan, wanted))


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1, 2))
def _forward(g: Geometry, layout: str, passes: _Passes, x, weight, bias):
    """y, and what the backward passes of the plan can use. Differentiated only where `convolve` is differentiated twice."""
    call = g.call(layout, passes.plan)
    y = _floats(*_images(g, layout, g.outputs, g.result))
    saved = _floats(calls.sizes(call).saved if passes.wanted else 0)
    return _operator(_FORWARD, call, (y, saved), x, weight, _NONE if bias is None else bias)


def _forward_forward(g, layout, passes, x, weight, bias):
    y, saved = _forward(g, layout, passes, x, weight, bias)
    return (y, saved), (x, weight, bias, saved)


def _to_inputs(g, layout, passes, x, weight, bias, saved, dy):
    dx, dweight = _gradients(g, layout, passes, x, weight, dy, saved) if passes.wanted else (None, None)
    axes = tuple(i for i in range(dy.ndim) if i != (1 if layout == "nchw" else dy.ndim - 1))
    return dx if passes.wanted & DATA else None, dweight if passes.wanted & WEIGHTS else None, None if bias is None else dy.sum(axes)


def _forward_backward(g, layout, passes, rest, cotangents):
    """Nothing here says which gradients are wanted: all."""
    every = _Passes(FORWARD | DATA | WEIGHTS, DATA | WEIGHTS)
    x, weight, bias, saved = rest
    return _to_inputs(g, layout, every, x, weight, bias, saved if passes == every else _NONE, cotangents[0])


_forward.defvjp(_forward_forward, _forward_backward)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def convolve(g: Geometry, layout: str, x, weight, bias):
    """y of x (nchw or nhwc, as `layout` says), weight [outputs][channels / groups][kernel...] and bias [outputs] or None."""
    return _forward(g, layout, _Passes(FORWARD, 0), x, weight, bias)[0]


def _convolve_forward(g, layout, x, weight, bias):
    wanted = DATA * x.perturbed | WEIGHTS * weight.perturbed
    passes = _Passes(FORWARD | wanted, wanted)
    x, weight, bias = x.value, weight.value, None if bias is None else bias.value
    y, saved = _forward(g, layout, passes, x, weight, bias)
    return y, (passes, x, weight, bias, saved)


def _convolve_backward(g, layout, rest, dy):
    passes, *arrays = rest
    if isinstance(dy, jax.custom_derivatives.SymbolicZero):
        return None, None, None
    return _to_inputs(g, layout, passes, *arrays, dy)


convolve.defvjp(_convolve_forward, _convolve_backward, symbolic_zeros=True)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1, 2))
def _gradients(g: Geometry, layout: str, passes: _Passes, x, weight, dy, saved):
    """dx and dweight, empty where they are not wanted; `saved` of a forward pass of the same plan, or empty."""
    dx = _floats(*_images(g, layout, g.channels, g.size)) if passes.wanted & DATA else _floats(0)
    dweight = _floats(g.outputs, g.channels // g.groups, *g.kernel) if passes.wanted & WEIGHTS else _floats(0)
    return _operator(_BACKWARD, g.call(layout, passes.plan), (dx, dweight), x, weight, dy, saved)


def _alone(g, layout, wanted, x, weight, dy):
    """One gradient without a forward pass before it."""
    return _gradients(g, layout, _Passes(wanted, wanted), x, weight, dy, _NONE)[0 if wanted == DATA else 1]


def _gradients_forward(g, layout, passes, x, weight, dy, saved):
    return _gradients(g, layout, passes, x, weight, dy, saved), (x, weight, dy)


def _gradients_backward(g, layout, passes, rest, cotangents):
    """The convolution C and its gradients D (data) and W (weights) are linear in each argument, and each other's transposes."""
    x, weight, dy = rest
    gx, gw = cotangents
    to_x = to_weight = None
    to_dy = jnp.zeros_like(dy)
    if passes.wanted & DATA:
        to_weight = _alone(g, layout, WEIGHTS, gx, weight, dy)
        to_dy += convolve(g, layout, gx, weight, None)
    if passes.wanted & WEIGHTS:
        to_x = _alone(g, layout, DATA, x, gw, dy)
        to_dy += convolve(g, layout, x, gw, None)
    return to_x, to_weight, to_dy, None


_gradients.defvjp(_gradients_forward, _gradients_backward)


def transposed(g: Geometry, layout: str, y, weight):
    """Backward data as a function of its own: what a transposed convolution runs."""
    return _alone(g, layout, DATA, _NONE, weight, y)
