# SPDX-License-Identifier: Apache-2.0
"""How the kernels of frameworks become units, in one place.

=================================  ==========================================  ==================
kernel                             axes                                        `Layout`
=================================  ==========================================  ==================
Keras Conv                         (*size, in / groups, out)                   ``KERAS``
Keras DepthwiseConv, SeparableConv (*size, in, multiplier)                     ``KERAS_DEPTHWISE``
Keras ConvTranspose                (*size, out, in)                            ``KERAS_TRANSPOSED``
PyTorch Conv                       (out, in / groups, *size)                   ``TORCH``
PyTorch ConvTranspose              (in, out / groups, *size)                   ``TORCH_TRANSPOSED``
=================================  ==========================================  ==================

A slice is `*size` for one pair of channels. Under scope ``@filter`` a unit also runs over the input channels, channel by channel.
Here kernels become (taps, units): a column is a unit, as _compose.py has them.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from ._constraint import Constraint


@dataclass(frozen=True)
class Layout:
    """Where a kernel's axes are: the two channel axes come first (`channels_first`) or last, and `inputs` (0 or 1) says which of them runs over a filter's
    inputs; None: a filter has one input (depthwise)."""

    channels_first: bool
    inputs: int | None

    def channels(self, shape) -> int:
        """Input channels of one filter."""
        return 1 if self.inputs is None else shape[self._channel_axis(len(shape), self.inputs)]

    def size(self, shape) -> tuple[int, ...]:
        """The kernel's spatial sizes."""
        return tuple(shape[axis] for axis in self._spatial(len(shape)))

    def unit_shape(self, shape, constraint: Constraint) -> tuple[int, ...]:
        """The kernel's axes that number units."""
        return tuple(shape[axis] for axis in self._order(len(shape), constraint.per_filter)[1])

    def columns(self, ops, kernel, constraint: Constraint):
        """The kernel as (taps, units)."""
        taps, units, _ = self._order(len(kernel.shape), constraint.per_filter)
        return ops.reshape(ops.permute(kernel, taps + units), (constraint.taps, -1))

    def kernel(self, ops, columns, shape, constraint: Constraint):
        """(taps, units) as a kernel of `shape`."""
        taps, units, back = self._order(len(shape), constraint.per_filter)
        return ops.permute(ops.reshape(columns, tuple(shape[axis] for axis in taps + units)), back)

    def _channel_axis(self, axes: int, which: int) -> int:
        return which if self.channels_first else axes - 2 + which

    def _spatial(self, axes: int) -> tuple[int, ...]:
        return tuple(range(2, axes)) if self.channels_first else tuple(range(axes - 2))

    @functools.lru_cache  # noqa: B019 (layouts are the few below)
    def _order(self, axes: int, per_filter: bool) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        """The axes that are a unit's taps, those that number units, and what puts them all back."""
        taps, units = self._spatial(axes), (self._channel_axis(axes, 0), self._channel_axis(axes, 1))
        if per_filter and self.inputs is not None:
            taps, units = (units[self.inputs], *taps), (units[1 - self.inputs],)
        return taps, units, tuple(int(axis) for axis in np.argsort(taps + units))


KERAS = Layout(channels_first=False, inputs=0)
KERAS_DEPTHWISE = Layout(channels_first=False, inputs=None)
KERAS_TRANSPOSED = Layout(channels_first=False, inputs=1)
TORCH = Layout(channels_first=True, inputs=1)
TORCH_TRANSPOSED = Layout(channels_first=True, inputs=0)
