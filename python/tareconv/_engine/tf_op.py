# SPDX-License-Identifier: Apache-2.0
"""The engine as operators of TensorFlow on the CPU, in eager mode and in graphs (not in XLA's: jit_compile), with gradients to any order."""

from __future__ import annotations

import dataclasses
import functools

import tensorflow as tf

from . import compiled
from .problem import DATA, FORWARD, WEIGHTS, Geometry

try:  # there is no public way to ask whether a gradient may be wanted
    from tensorflow.python.eager.record import should_record_backprop
except ImportError:
    def should_record_backprop(tensors) -> bool:
        return True


@functools.lru_cache(None)
def _operators():
    """The module of operators, or None; compiled and loaded when first asked."""
    link = tuple(tf.sysconfig.get_link_flags())
    return compiled.operator("tf_op", "TensorFlow", tf.__version__, tf.sysconfig.get_include(), "tareconv_tf_begin", link, tf.load_op_library)


def available() -> bool:
    """Whether the operators are there."""
    return _operators() is not None


def _problem(g: Geometry) -> str:
    """The problem without the batch and the image's size, which the operator takes from the images."""
    many = {"k": g.kernel, "s": g.stride, "p": g.padding, "d": g.dilation}
    return f"c{g.channels}o{g.outputs}g{g.groups}" + "".join(letter + "x".join(map(str, numbers)) for letter, numbers in many.items())


def _forward(x, weights, bias, problem, last, passes):
    return _operators().tareconv_conv(x=x, weights=weights, bias=bias, problem=problem, last=last, passes=passes, wanted=0)


def _backward(x, weights, dy, saved, problem, last, passes, wanted):
    results = _operators().tareconv_conv_backward(x=x, weights=weights, dy=dy, saved=saved, problem=problem, last=last, passes=passes, wanted=wanted)
    for result, like, bit in zip(results, (x, weights), (DATA, WEIGHTS)):
        result.set_shape(like.shape if wanted & bit else [0])
    return results


def _attributes(op):
    return [op.get_attr(name) for name in ("problem", "last")]


def _wanted(op) -> int:
    """Of images and weights, those whose gradients somebody asks for, where TensorFlow tells."""
    skipped = getattr(op, "skip_input_indices", None) or ()
    return DATA * (0 not in skipped) | WEIGHTS * (1 not in skipped)


def _bias_gradient(op, dy):
    """A sum over images and pixels, where there is a bias and somebody asks for it."""
    if 2 in (getattr(op, "skip_input_indices", None) or ()) or op.inputs[2].shape == [0]:
        return None
    axes = len(op.inputs[0].shape)
    channels = axes - 1 if op.get_attr("last") else 1
    return tf.reduce_sum(dy, [axis for axis in range(axes) if axis != channels])


@tf.RegisterGradient("TareconvConv")
def _conv_gradient(op, dy, _):
    (x, weights, _), saved, passes = op.inputs, op.outputs[1], op.get_attr("passes")
    wanted = _wanted(op)
    if passes & wanted != wanted:
        passes, saved = wanted, tf.zeros([0])
    dx, dweights = _backward(x, weights, dy, saved, *_attributes(op), passes, wanted)
    return dx if wanted & DATA else None, dweights if wanted & WEIGHTS else None, _bias_gradient(op, dy)


@tf.RegisterGradient("TareconvConvBackward")
def _backward_gradient(op, gx, gw):
    """The convolution C and its gradients D (data) and W (weights) are linear in each argument, and each other's transposes."""
    x, weights, dy, _ = op.inputs
    wanted, how, none = op.get_attr("wanted"), _attributes(op), tf.zeros([0])
    to_x = to_weights = to_dy = None
    if wanted & DATA:
        to_weights = _backward(gx, weights, dy, none, *how, WEIGHTS, WEIGHTS)[1]
        to_dy = _forward(gx, weights, none, *how, FORWARD)[0]
    if wanted & WEIGHTS:
        to_x = _backward(x, gw, dy, none, *how, DATA, DATA)[0]
        more = _forward(x, gw, none, *how, FORWARD)[0]
        to_dy = more if to_dy is None else to_dy + more
    return to_x, to_weights, to_dy, None


def convolve(g: Geometry, layout: str, x, weights, bias=None):
    """y of x (nchw or nhwc, as `layout` says), weights [outputs][channels / groups][kernel...] and bias [outputs] (or None). g.batch and g.size may be unknown (None)."""
    x, weights = tf.convert_to_tensor(x), tf.convert_to_tensor(weights)
    passes = FORWARD | DATA * should_record_backprop([x]) | WEIGHTS * should_record_backprop([weights])
    y, _ = _forward(x, weights, tf.zeros([0]) if bias is None else bias, _problem(g), layout == "nhwc", passes)
    size = [None if n is None else r for n, r in zip(g.size, dataclasses.replace(g, size=tuple(n or 1 << 20 for n in g.size)).result)]
    y.set_shape([g.batch, *size, g.outputs] if layout == "nhwc" else [g.batch, g.outputs, *size])
    return y
