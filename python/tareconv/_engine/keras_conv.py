# SPDX-License-Identifier: Apache-2.0
"""keras.ops.conv and depthwise_conv, by the engine where it is chosen, on each backend.

With TensorFlow the engine's operator cannot be inside an XLA program, and a layer does not know how its model will be compiled. So there it is used
by layers that say so beforehand: those for which `leaves_xla` is true have to set `supports_jit = False`.
"""

from __future__ import annotations

import dataclasses
import math

import keras
from keras import ops

from . import choice
from .problem import Geometry

_LARGE = 7
"""Under TensorFlow: the largest size of a kernel from which "auto" means the engine. Smaller ones gain little, and would lose XLA."""


def leaves_xla(kernel_size: tuple[int, ...], engine: str) -> bool:
    """Whether a layer will use the engine in a way that XLA cannot compile: with TensorFlow on the CPU, for large kernels or if it is insisted on."""
    engine = choice.check(engine)
    if keras.config.backend() != "tensorflow" or engine == "framework" or len(kernel_size) > 2:
        return False
    if engine == "auto" and max(kernel_size) < _LARGE:
        return False
    return _tensorflow_is_ready()


def _tensorflow_is_ready() -> bool:
    import tensorflow as tf

    from . import tf_op

    return not tf.config.list_logical_devices("GPU") and tf_op.available()


@dataclasses.dataclass(frozen=True)
class _How:
    """A convolution's arguments, numbers an axis each."""

    strides: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int
    last: bool
    engine: str


def conv(inputs, kernel, strides, padding, data_format, dilation_rate, engine: str = "auto", bias=None):
    """keras.ops.conv(inputs, kernel [*size, c / groups, o], ...) + bias [o] (or None)."""
    how = _how(inputs, kernel, strides, data_format, dilation_rate, engine, _channels(inputs, data_format) // kernel.shape[-2])
    axes = len(kernel.shape)
    y = _ours(inputs, lambda: ops.transpose(kernel, (axes - 1, axes - 2, *range(axes - 2))), bias, kernel, padding, how)
    return _biased(ops.conv(inputs, kernel, strides, padding, data_format, dilation_rate), bias, how) if y is None else y


def depthwise_conv(inputs, kernel, strides, padding, data_format, dilation_rate, engine: str = "auto", bias=None):
    """keras.ops.depthwise_conv(inputs, kernel [*size, c, multiplier], ...) + bias [c * multiplier] (or None)."""
    size, axes = kernel.shape[:-2], len(kernel.shape)
    how = _how(inputs, kernel, strides, data_format, dilation_rate, engine, kernel.shape[-2])
    outputs = kernel.shape[-2] * kernel.shape[-1]
    y = _ours(inputs, lambda: ops.reshape(ops.transpose(kernel, (axes - 2, axes - 1, *range(axes - 2))), (outputs, 1, *size)), bias, kernel, padding, how)
    if y is not None:
        return y
    if not _sums_narrow(inputs):
        return _biased(ops.depthwise_conv(inputs, kernel, strides, padding, data_format, dilation_rate), bias, how)
    wide = ops.depthwise_conv(ops.cast(inputs, "float32"), ops.cast(kernel, "float32"), strides, padding, data_format, dilation_rate)
    return _biased(ops.cast(wide, inputs.dtype), bias, how)


def _biased(y, bias, how: _How):
    if bias is None:
        return y
    return ops.add(y, bias if how.last else ops.reshape(bias, (-1, *(1,) * (len(y.shape) - 2))))


def _sums_narrow(inputs) -> bool:
    """Whether the framework's depthwise convolution adds up products in a type so narrow that taps whose sum is 0 leave a rest on a constant image: TensorFlow's on
    the CPU in bfloat16 and float16."""
    if keras.config.backend() != "tensorflow" or keras.backend.standardize_dtype(inputs.dtype) not in ("bfloat16", "float16"):
        return False
    import tensorflow as tf

    return not tf.config.list_logical_devices("GPU")


def _channels(inputs, data_format: str) -> int:
    return inputs.shape[-1 if data_format == "channels_last" else 1]


def _how(inputs, kernel, strides, data_format, dilation, engine, groups) -> _How:
    axes = len(kernel.shape) - 2
    each = lambda n: (n,) * axes if isinstance(n, int) else tuple(n) * (axes if len(tuple(n)) == 1 else 1)  # noqa: E731
    return _How(each(strides), each(dilation), groups, data_format == "channels_last", choice.check(engine))


def _ours(inputs, weight, bias, kernel, padding: str, how: _How):
    """y by the engine, bias and all, or None where it is not chosen. `weight()`: the kernel as [o, c / groups, *size]."""
    run = _BACKENDS.get(keras.config.backend())
    floats = all(keras.backend.standardize_dtype(a.dtype) == "float32" for a in (inputs, kernel, *([] if bias is None else [bias])))
    if run is None or how.engine == "framework" or isinstance(inputs, keras.KerasTensor) or not floats or len(kernel.shape) > 4:
        return None
    size = tuple(inputs.shape[1:-1] if how.last else inputs.shape[2:])
    pairs = _pairs(padding, size, kernel.shape[:-2], how)
    if pairs is None or 0 in inputs.shape:
        return None
    if any(before != after for before, after in pairs):
        around = [(0, 0), *pairs, (0, 0)] if how.last else [(0, 0), (0, 0), *pairs]
        inputs, pairs = ops.pad(inputs, around), [(0, 0)] * len(pairs)
    return run(inputs, weight, bias, tuple(before for before, _ in pairs), how)


def _pairs(padding: str, size, kernel, how: _How) -> list[tuple[int, int]] | None:
    """Padding before and after, as Keras means it; None if it depends on a size that is not known."""
    if padding not in ("same", "valid"):
        return None
    pairs = []
    for n, k, s, d in zip(size, kernel, how.strides, how.dilation):
        if padding == "same" and n is None and s > 1:
            return None
        total = max((math.ceil(n / s) - 1) * s + d * (k - 1) + 1 - n, 0) if s > 1 and n is not None else d * (k - 1)
        pairs.append((total // 2, total - total // 2) if padding == "same" else (0, 0))
    return pairs


def _tensor(bias):
    return None if bias is None else ops.convert_to_tensor(bias)


def _with_torch(inputs, weight, bias, padding, how: _How):
    from ..torch._conv import How, convolve

    x = inputs.movedim(-1, 1) if how.last else inputs
    y = convolve(x, weight(), _tensor(bias), How(how.strides, padding, how.dilation, how.groups), how.engine)
    return y.movedim(1, -1) if how.last else y


def _with_jax(inputs, weight, bias, padding, how: _How):
    from ..jax._conv import convolve

    layout = "NHWC" if how.last else "NCHW"
    return convolve(inputs, weight(), _tensor(bias), how.strides, [(p, p) for p in padding], how.dilation, how.groups, layout, how.engine)


def _with_tensorflow(inputs, weight, bias, padding, how: _How):
    w = weight()
    if not leaves_xla(tuple(w.shape[2:]), how.engine):
        return None
    from . import tf_op

    size = tuple(inputs.shape[1:-1] if how.last else inputs.shape[2:])
    g = Geometry(inputs.shape[0], w.shape[1] * how.groups, size, w.shape[0], tuple(w.shape[2:]), how.strides, padding, how.dilation, how.groups)
    return tf_op.convolve(g, "nhwc" if how.last else "nchw", inputs, w, _tensor(bias))


_BACKENDS = {"torch": _with_torch, "jax": _with_jax, "tensorflow": _with_tensorflow}
