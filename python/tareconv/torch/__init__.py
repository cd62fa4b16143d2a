# SPDX-License-Identifier: Apache-2.0
"""PyTorch layers whose filters obey linear rules exactly.

    >>> from tareconv.torch import Conv2d, constrain, release
    >>> layer = Conv2d(1, 32, 7, rule="sum=0", basis="spectral")   # the rest as in torch.nn.Conv2d
    >>> constrain(model.conv1, "bayar")                            # a layer of a model, in place
    >>> release(model)                                             # plain layers again, with the weights that were used
"""

from ._convert import constrain, release
from .layers import Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d

__all__ = ["Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d", "constrain", "release"]
