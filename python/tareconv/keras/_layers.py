# SPDX-License-Identifier: Apache-2.0
"""The table of layers: Keras's convolutions with filters that obey. Each takes the arguments of its Keras layer, and these:

Args:
    kernel_constraint: a rule such as ``"sum=0"`` or a `tareconv.Constraint` (doc/rules.md; ``"none"``: no rule). Depthwise and separable layers take
        ``depthwise_constraint`` too, for the same; the rule is for the depthwise kernel.
    basis: ``"spectral"`` (default), ``"spectral(0.5)"``, ``"dct"``, ``"whitened"``, ``"pivot"``, ... (`tareconv.Basis`).
    covariance: for ``whitened``: `tareconv.measure` of the layer's input; or call `adapt`.
    engine: ``"auto"`` (default: tare's own convolution on the CPU where it is faster), ``"tare"``, ``"framework"``. Under TensorFlow tare's cannot be inside XLA:
        for ``jit_compile=True`` say ``"framework"``.
    input_scale: what `adapt` or the first training batch found, kept in the configuration.
    kernel_initializer: None (default) draws coefficients whose response to the input has variance 1; Keras's initialisers give a kernel, and the
        nearest one that obeys is taken.
    kernel_regularizer: sees the composed kernel.

What an optimiser does with weights it does with the coefficients t: its weight decay pulls w to w0, the smallest kernel that obeys, each frequency by its
own scale. Variables in files are those of the plain layer.
"""

from __future__ import annotations

import keras
from keras import layers, ops

from .._engine import keras_conv
from .._layout import KERAS, KERAS_DEPTHWISE, KERAS_TRANSPOSED
from ._mixin import Kind, Obeying


def _conv(layer, inputs, kernel, padding):
    return ops.conv(inputs, kernel, list(layer.strides), padding, layer.data_format, layer.dilation_rate)


def _depthwise(layer, inputs, kernel, padding):
    return ops.depthwise_conv(inputs, kernel, layer.strides, padding, layer.data_format, layer.dilation_rate)


def _transposed(layer, inputs, kernel, padding):
    return ops.conv_transpose(inputs, kernel, list(layer.strides), padding, None, layer.data_format, layer.dilation_rate)


CONV = Kind("kernel", "kernel", KERAS, _conv, keras_conv.conv)
DEPTHWISE = Kind("kernel", "depthwise", KERAS_DEPTHWISE, _depthwise, keras_conv.depthwise_conv)
SEPARABLE = Kind("depthwise_kernel", "depthwise", KERAS_DEPTHWISE, _depthwise)
TRANSPOSED = Kind("kernel", "kernel", KERAS_TRANSPOSED, _transposed)

PLAIN: dict[str, type] = {}
"""The Keras class of each name."""


def _layer(cls):
    plain = cls.__mro__[2]
    PLAIN[cls.__name__] = plain
    cls.__module__ = "tareconv.keras"  # what files say
    cls.__doc__ = f"`keras.layers.{plain.__name__}` whose filters obey a linear rule exactly.\n\n" + __doc__.split("\n\n", 1)[1]
    return keras.saving.register_keras_serializable("tareconv")(cls)


@_layer
class Conv1D(Obeying, layers.Conv1D):
    _kind = CONV


@_layer
class Conv2D(Obeying, layers.Conv2D):
    _kind = CONV


@_layer
class Conv3D(Obeying, layers.Conv3D):
    _kind = CONV


@_layer
class DepthwiseConv1D(Obeying, layers.DepthwiseConv1D):
    _kind = DEPTHWISE


@_layer
class DepthwiseConv2D(Obeying, layers.DepthwiseConv2D):
    _kind = DEPTHWISE


@_layer
class SeparableConv1D(Obeying, layers.SeparableConv1D):
    _kind = SEPARABLE


@_layer
class SeparableConv2D(Obeying, layers.SeparableConv2D):
    _kind = SEPARABLE


@_layer
class Conv1DTranspose(Obeying, layers.Conv1DTranspose):
    _kind = TRANSPOSED


@_layer
class Conv2DTranspose(Obeying, layers.Conv2DTranspose):
    _kind = TRANSPOSED


@_layer
class Conv3DTranspose(Obeying, layers.Conv3DTranspose):
    _kind = TRANSPOSED
