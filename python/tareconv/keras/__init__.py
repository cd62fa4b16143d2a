# SPDX-License-Identifier: Apache-2.0
"""Keras layers whose filters obey a linear rule exactly, on every backend.

    from tareconv.keras import Conv2D
    x = Conv2D(32, 7, kernel_constraint="sum=0", basis="spectral")(x)   # the rest as in keras.layers.Conv2D
"""

from __future__ import annotations

from . import constraints, initializers, regularizers
from ._convert import constrain, release
from ._layers import (
    Conv1D,
    Conv1DTranspose,
    Conv2D,
    Conv2DTranspose,
    Conv3D,
    Conv3DTranspose,
    DepthwiseConv1D,
    DepthwiseConv2D,
    SeparableConv1D,
    SeparableConv2D,
)

__all__ = ["Conv1D", "Conv1DTranspose", "Conv2D", "Conv2DTranspose", "Conv3D", "Conv3DTranspose", "DepthwiseConv1D", "DepthwiseConv2D",
           "SeparableConv1D", "SeparableConv2D", "constrain", "constraints", "initializers", "regularizers", "release"]
