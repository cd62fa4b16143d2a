# SPDX-License-Identifier: Apache-2.0
"""How composed weights come to obey exactly: by PyTorch's operations where the rule allows it, else by tare_round on the CPU."""

from __future__ import annotations

import functools
import warnings

import numpy as np
import torch
from torch import Tensor

from .. import Constraint, round, round_fp32  # noqa: A004
from .._compose import Composer

_FORMATS = {torch.float16: "fp16", torch.bfloat16: "bf16"}


@functools.lru_cache(256)
def _again(rule: str, kernel: tuple[int, ...], channels: int) -> Constraint:
    return Constraint(rule, kernel, channels, allow_full=True)


def _narrowed(w: np.ndarray, constraint: Constraint, narrow: str) -> np.ndarray:
    try:
        return round(w, constraint, narrow).weights
    except NotImplementedError as error:  # a format may hold no weights that obey some rule but 0
        warnings.warn(f"tareconv: weights in {narrow} obey '{constraint.text}' only nearly: {error}", stacklevel=2)
        return w


@torch.library.custom_op("tareconv::obey", mutates_args=(), device_types="cpu")
def obey(w: Tensor, rule: str, kernel: list[int], channels: int, narrow: str) -> Tensor:
    """Weights (taps, units) rounded by tare_round, so that the rule holds exactly: to float32, or to what the format `narrow` holds."""
    constraint = _again(rule, tuple(kernel), channels)
    given = np.ascontiguousarray(w.detach().to(torch.float32).t().numpy())
    if narrow:
        rounded = _narrowed(given, constraint, narrow)
    else:
        rounded = round_fp32(given, constraint)
    return torch.from_numpy(np.ascontiguousarray(rounded.reshape(given.shape).T)).to(w.dtype)


@obey.register_fake
def _(w, rule, kernel, channels, narrow):
    return torch.empty_like(w, memory_format=torch.contiguous_format)


obey.register_autograd(lambda ctx, g: (g, None, None, None, None))  # straight through (Bengio et al. 2013)


def exact_of(composer: Composer, constraint: Constraint):
    """exact(constants, w, dtype name) -> weights of that dtype, of wide ones. Where no way is open the weights obey as well as their sums are precise."""
    if composer.grid is not None:
        return composer.obey
    try:
        round_fp32(np.zeros(constraint.taps, np.float32), constraint)
    except (ValueError, NotImplementedError):
        return composer.obey
    rule, kernel, channels = constraint.text, list(constraint.kernel_size), constraint.channels if constraint.per_filter else 1

    def exact(constants, w, dtype):
        kind, near = getattr(torch, dtype), w.narrow()
        if near.device.type != "cpu" or kind == torch.float64 or (kind == torch.float32 and composer.moments is not None):
            return composer.obey(constants, w, dtype)
        return obey(near, rule, kernel, channels, _FORMATS.get(kind, "")).to(kind)

    return exact
