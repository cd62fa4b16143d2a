# SPDX-License-Identifier: Apache-2.0
"""Second moments of the patches that a filter sees (include/tare/basis.h)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from . import _arrays
from ._constraint import filter_shape
from ._core import ffi, lib
from ._errors import made


class Covariance:
    """E[x x'] of input patches x of `kernel_size` taps. Make one with `Covariance.model`, `Covariance.from_matrix` or `measure`.

    Attributes:
        kernel_size: taps along each axis.
        matrix: the n x n matrix (float64), in squared units of the input.
    """

    def __init__(self, c, shape):
        self._c = c
        self.kernel_size: tuple[int, ...] = tuple(shape.size[axis] for axis in range(shape.dims))
        taps = int(np.prod(self.kernel_size))
        self.matrix: np.ndarray = _arrays.copied(lib.tare_covariance_matrix(c), np.float64, (taps, taps))

    @classmethod
    def model(cls, kernel_size: int | Sequence[int], dc_variance: float = 1.0) -> Covariance:
        """Natural images: DCT coefficients are independent with variance 1/\\|k\\|^2, and `dc_variance` at k = 0 (Field 1987; doc/maths.md)."""
        shape = filter_shape(kernel_size)
        return cls(made(lib.tare_covariance_model, shape, dc_variance, free=lib.tare_covariance_free), shape)

    @classmethod
    def from_matrix(cls, matrix, kernel_size: int | Sequence[int]) -> Covariance:
        """A symmetric n x n matrix of your own, n the product of `kernel_size`."""
        shape = filter_shape(kernel_size)
        array = _arrays.floats(matrix, "matrix", np.float64)
        taps = int(np.prod([shape.size[axis] for axis in range(shape.dims)]))
        if array.shape != (taps, taps):
            raise ValueError(f"matrix: expected the shape {(taps, taps)} for a kernel of {kernel_size}, found {array.shape}")
        return cls(made(lib.tare_covariance_from_matrix, shape, _arrays.pointer(array), free=lib.tare_covariance_free), shape)

    def __reduce__(self):
        return Covariance.from_matrix, (self.matrix, self.kernel_size)


def measure(dataset, kernel_size: int | Sequence[int], *, data_format: str = "channels_last", dilation: int | Sequence[int] = 1,
            batches: int | None = None) -> Covariance:
    """The covariance of every patch in a dataset, batch after batch: what the basis ``whitened`` needs.

    Args:
        dataset: an array of images, or an iterable of batches (arrays or tensors of NumPy, PyTorch, TensorFlow or JAX, a ``tf.data.Dataset``, a
            ``DataLoader``); of a tuple, list or dict the first entry counts. A batch is (images, rows, columns, channels), for a kernel of one
            size (images, steps, channels).
        kernel_size: one or two sizes.
        data_format: ``"channels_last"``, or ``"channels_first"`` as in PyTorch.
        dilation: distance between taps, one for all axes or one each.
        batches: stop after so many.

    Returns:
        The mean over batches, each weighed by its patches, pooled over channels (each channel's patches count alike).
    """
    if data_format not in ("channels_last", "channels_first"):
        raise ValueError(f"data_format: expected 'channels_last' or 'channels_first', found {data_format!r}")
    shape = filter_shape(kernel_size)
    if shape.dims > 2:
        raise NotImplementedError(f"measure: kernels of one or two sizes, found {kernel_size!r}")
    steps = [dilation] * shape.dims if isinstance(dilation, int) else list(dilation)
    if len(steps) != shape.dims:
        raise ValueError(f"dilation: expected one number, or one an axis, found {dilation!r} for a kernel of {kernel_size!r}")
    total, weight = 0, 0.0
    for number, batch in enumerate(_batches(dataset)):
        if number == batches:
            break
        images = _images(batch, shape.dims, data_format)
        covariance, patches = _of_batch(images, shape, steps)
        total, weight = total + patches * covariance, weight + patches
    if not weight:
        raise ValueError("measure: expected at least one batch, found none (an iterator that was used up?)")
    sizes = [shape.size[axis] for axis in range(shape.dims)]
    return Covariance.from_matrix(total / weight, sizes)


def _batches(dataset) -> Iterable:
    return [dataset] if hasattr(dataset, "shape") else dataset


def _images(batch, dims: int, data_format: str) -> np.ndarray:
    """A batch as nhwc floats; a signal is an image of one row."""
    while isinstance(batch, (tuple, list, dict)):
        batch = next(iter(batch.values())) if isinstance(batch, dict) else batch[0]
    if hasattr(batch, "detach"):  # PyTorch; of half precision NumPy knows only fp16
        batch = batch.detach().cpu().float()
    images = _arrays.floats(batch, "a batch", np.float32)
    if images.ndim != dims + 2:
        raise ValueError(f"measure: expected batches of {dims + 2} axes for a kernel of {dims}, found the shape {images.shape}")
    if data_format == "channels_first":
        images = np.moveaxis(images, 1, -1)
    return np.ascontiguousarray(images[:, None] if dims == 1 else images)


def _of_batch(images: np.ndarray, shape, steps: list[int]) -> tuple[np.ndarray, int]:
    """The matrix of one batch and its patches. C measures 2-D shapes: a signal's is one row."""
    rows = shape.dims == 1
    flat = filter_shape([1, shape.size[0]]) if rows else shape
    apart = ffi.new("int[2]", [1, *steps] if rows else steps)
    count, height, width, channels = images.shape
    c = made(lib.tare_covariance_measure, flat, _arrays.pointer(images), count, height, width, channels, apart, 0.0, free=lib.tare_covariance_free)
    places = [size - step * (taps - 1) for size, step, taps in zip((height, width), apart, (flat.size[0], flat.size[1]))]
    return Covariance(c, flat).matrix, count * channels * places[0] * places[1]
