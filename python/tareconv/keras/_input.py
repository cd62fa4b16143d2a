# SPDX-License-Identifier: Apache-2.0
"""What a layer learns of its input: the scale at which its response has variance 1, the covariance of patches. And what it hands to the backend."""

from __future__ import annotations

import contextvars

import keras
import numpy as np
from keras import ops

from .._compose import Composer
from .._covariance import measure
from .._operations import for_keras

MOST_IMAGES = 256
RELEASING = contextvars.ContextVar("RELEASING", default=False)
"""True while release() copies weights: kernels are then stored as the compute dtype holds them, so that the plain layer's cast changes nothing."""


class Constants:
    """A composer's arrays for the backend: PyTorch's are tensors, made once a device; elsewhere NumPy arrays, which a trace takes in."""

    def __init__(self, composer: Composer):
        self._composer = composer
        self._made: dict = {}

    def of(self, t):
        """The constants for t's precision, beside it."""
        dtype = keras.backend.standardize_dtype(t.dtype)
        where = getattr(t, "device", None) if keras.config.backend() == "torch" else None
        if (dtype, where) not in self._made:
            arrays = self._composer.constants(for_keras(), t)
            self._made[dtype, where] = arrays if where is None else {name: _tensor(value, where) for name, value in arrays.items()}
        return self._made[dtype, where]

    def __deepcopy__(self, memo):
        return Constants(self._composer)


def _tensor(value, device):
    import torch

    return torch.as_tensor(value, device=device)


def see(layer, inputs):
    """Sets the layer's scale from a first training batch, inside whatever graph the step is in; later batches change nothing."""
    scale = ops.convert_to_tensor(layer._scale)
    if keras.config.backend() == "torch":  # eager: after the first batch not even the question is asked
        if scale.device.type == "meta":
            return
        if not scale > 0:
            layer._scale.assign(unit_factor(layer, inputs))
        layer._scale_known = bool(ops.convert_to_tensor(layer._scale) > 0)
        return
    layer._scale.assign(ops.cond(scale > 0, lambda: scale, lambda: unit_factor(layer, inputs)))


def unit_factor(layer, inputs):
    """The factor that brings the response B t to variance 1 (the mean over filters of the variance over images and places; doc/net.md), 0 where
    nothing responds. Padding is left out where the input allows: the edge of a zero border is no part of the image."""
    t = ops.stop_gradient(ops.convert_to_tensor(layer._t))
    own = for_keras()
    columns = layer._composer.respond(own, layer._constants.of(t), ops.reshape(t, (layer._composer.coefficients, -1)))
    kernel = ops.cast(layer._kind.layout.kernel(own, columns, layer.kernel_shape, layer.constraint), "float32")
    images = ops.cast(ops.stop_gradient(inputs), "float32")[:MOST_IMAGES]
    response = layer._kind.respond(layer, images, kernel, "valid" if _large(layer, images) else "same")
    channel = 1 if layer.data_format == "channels_first" else len(response.shape) - 1
    variance = ops.mean(ops.var(response, axis=[axis for axis in range(len(response.shape)) if axis != channel]))
    return ops.where(variance > 0, 1 / ops.sqrt(ops.maximum(variance, 1e-30)), ops.zeros_like(variance))


def _large(layer, images) -> bool:
    first = 2 if layer.data_format == "channels_first" else 1
    reach = [step * (taps - 1) + 1 for taps, step in zip(layer.kernel_size, np.broadcast_to(layer.dilation_rate, len(layer.kernel_size)))]
    return all(size is None or size >= need for size, need in zip(images.shape[first:], reach))


def first_images(data) -> np.ndarray:
    """Up to MOST_IMAGES images of an array or an iterable of batches."""
    found, count = [], 0
    for batch in [data] if hasattr(data, "shape") else data:
        while isinstance(batch, (tuple, list, dict)):
            batch = next(iter(batch.values())) if isinstance(batch, dict) else batch[0]
        found.append(np.asarray(ops.convert_to_numpy(batch[:MOST_IMAGES - count]), np.float32))
        count += len(found[-1])
        if count >= MOST_IMAGES:
            break
    if not count:
        raise ValueError("adapt: expected at least one image, found none")
    return np.concatenate(found)


def covariance(layer, images):
    """The covariance of the layer's input patches."""
    return measure(images, layer.kernel_size, data_format=layer.data_format, dilation=list(np.broadcast_to(layer.dilation_rate, len(layer.kernel_size))))
