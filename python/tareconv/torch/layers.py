# SPDX-License-Identifier: Apache-2.0
"""The layers: PyTorch's convolutions, with weights that obey a rule."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from .. import Constraint, Covariance
from ._conv import How, convolve, convolve_transposed, engine_border
from ._kernel import Constrained


class _Convolution(Constrained):
    """Conv1d, Conv2d, Conv3d."""

    def _respond(self, x: Tensor, weight: Tensor) -> Tensor:
        x = x if x.dim() == weight.dim() else x[None]
        inside = all(size > step * (taps - 1) for size, taps, step in zip(x.shape[2:], self.kernel_size, self.dilation))
        if self.padding_mode == "zeros" and inside:  # without the border
            return convolve(x, weight, None, How(self.stride, (0,) * len(self.stride), self.dilation, self.groups), self.engine)
        return self._conv_forward(x, weight, None)

    def forward(self, x: Tensor) -> Tensor:
        return self._conv_forward(*self._arguments(x))

    def _conv_forward(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if x.dim() == weight.dim() - 1:
            return self._conv_forward(x[None], weight, bias)[0]
        border, around = engine_border(self.padding_mode), self._reversed_padding_repeated_twice
        padding = tuple(around[::-2])
        if border is None or any(before != after for before, after in zip(around[::2], around[1::2])):
            mode = "constant" if self.padding_mode == "zeros" else self.padding_mode
            x, padding, border = F.pad(x, around, mode), (0,) * len(padding), "zero"
        return convolve(x, weight, bias, How(self.stride, padding, self.dilation, self.groups, border), self.engine)


class _Transposed(Constrained):
    """ConvTranspose1d, ConvTranspose2d, ConvTranspose3d. The rule speaks of the weights as they are stored."""

    _flipped = True

    def _respond(self, x: Tensor, weight: Tensor) -> Tensor:
        return self._transposed(x if x.dim() == weight.dim() else x[None], weight, None, None)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        return self._transposed(*self._arguments(x), output_size)

    def _transposed(self, x: Tensor, weight: Tensor, bias: Tensor | None, output_size: list[int] | None) -> Tensor:
        if x.dim() == weight.dim() - 1:
            return self._transposed(x[None], weight, bias, output_size)[0]
        more = self._output_padding(x, output_size, self.stride, self.padding, self.kernel_size, len(self.kernel_size), self.dilation)
        how = How(self.stride, self.padding, self.dilation, self.groups)
        return convolve_transposed(x, weight, bias, tuple(more), how, self.engine)


_DOC = """{plain}, with weights that obey a linear rule exactly, in training and after.

    Args:
        *args, **kwargs: those of torch.nn.{plain}.
        rule: text as in tareconv.Constraint ("sum=0", "bayar", "order=2", ...), or such an object.
        basis: what is trained: "spectral" (default), "whitened" (needs `covariance`), "dct", "pivot", "orthonormal", "centred", ...
        covariance: tareconv.measure(images, kernel_size), for "whitened".
        engine: "auto" (tare's convolution on the CPU where it measures faster, else PyTorch's), "tare" or "framework".

    The parameter that is trained is `coefficients`; `weight` is composed of it whenever it is asked for. State dicts are those of torch.nn.{plain}.
    The first training batch sets the input's scale, so that the response starts with variance 1 (or `adapt`).

    Raises:
        ValueError: a rule that does not parse or does not fit the kernel, an unknown basis or engine.
    """


def _layer(kind: type[Constrained], plain: type[nn.Module]) -> type:
    def __init__(self, *args, rule: str | Constraint = "sum=0", basis: str = "spectral", covariance: Covariance | None = None,
                 engine: str = "auto", **kwargs):
        plain.__init__(self, *args, **kwargs)
        self._start(rule, basis, covariance, engine)

    name = plain.__name__
    return type(name, (kind, plain), {"__init__": __init__, "__doc__": _DOC.format(plain=name), "__module__": "tareconv.torch", "plain": plain})


Conv1d, Conv2d, Conv3d = (_layer(_Convolution, plain) for plain in (nn.Conv1d, nn.Conv2d, nn.Conv3d))
ConvTranspose1d, ConvTranspose2d, ConvTranspose3d = (
    _layer(_Transposed, plain) for plain in (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d))
LAYERS = {layer.plain: layer for layer in (Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d)}
"""The layer for each plain one."""
