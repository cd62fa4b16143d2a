# SPDX-License-Identifier: Apache-2.0
"""From plain layers to layers that obey, and back, in place."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import nn

from .. import Constraint, Covariance
from ._kernel import Constrained
from .layers import LAYERS


def constrain(module: nn.Module, rule: str | Constraint = "sum=0", basis: str = "spectral", *, covariance: Covariance | None = None,
              engine: str = "auto", fresh: bool = False, only: str | Iterable[str] | None = None) -> nn.Module:
    """Makes a convolution of torch.nn obey a rule; of a whole model, those of its convolutions that have more than one tap.

    The layer becomes one of tareconv.torch in place. Its weights are taken to the nearest that obey, with a warning that says by how much; with
    `fresh` it starts anew, as one should that is still to be trained. Make the optimizer after this: the parameters are others.

    Args:
        module: a layer or a model.
        rule, basis, covariance, engine: as for the layers.
        fresh: draw new weights, of a response of variance 1.
        only: the name or names of layers of a model (as in named_modules) that are to obey; default: all.

    Returns:
        `module`.

    Raises:
        ValueError: the rule does not fit a layer's kernel, or a name in `only` is none of a convolution.
        TypeError: there is no convolution of torch.nn in `module`.
    """
    layers = _chosen(module, only)
    for layer in layers:
        _constrain(layer, rule, basis, covariance, engine, fresh)
    return module


def _chosen(module: nn.Module, only: str | Iterable[str] | None) -> list[nn.Module]:
    if type(module) in LAYERS:
        return [module]
    found = {name: layer for name, layer in module.named_modules() if type(layer) in LAYERS} if isinstance(module, nn.Module) else {}
    if not found:
        raise TypeError(f"constrain: expected a convolution of torch.nn or a model that has one, found {type(module).__name__}")
    only = [only] if isinstance(only, str) else only
    if only is None:
        return [layer for layer in found.values() if math.prod(layer.kernel_size) > 1]
    missing = [name for name in only if name not in found]
    if missing:
        raise ValueError(f"only: expected names of convolutions ({', '.join(found)}), found {', '.join(missing)}")
    return [found[name] for name in only]


def _constrain(layer: nn.Module, rule, basis, covariance, engine, fresh: bool) -> None:
    plain, weight = type(layer), layer.weight.detach()
    bias = None if layer.bias is None else layer.bias.detach().clone()
    trained = layer.weight.requires_grad
    layer.__class__ = LAYERS[plain]
    try:
        layer._start(rule, basis, covariance, engine)
    except Exception:
        layer.__class__ = plain
        raise
    layer.coefficients.requires_grad_(trained)
    if fresh:
        return
    layer.weight = weight
    if bias is not None:
        with torch.no_grad():
            layer.bias.copy_(bias)


def release(module: nn.Module) -> nn.Module:
    """Makes layers of tareconv.torch plain again, in place, with the weights that they used; of a whole model, all of them. Returns `module`."""
    for layer in [m for m in module.modules() if isinstance(m, Constrained)]:
        weight, trained = layer.weight.detach().clone(memory_format=torch.contiguous_format), layer.coefficients.requires_grad
        bias = layer._parameters.pop("bias")
        for name in ("coefficients", "scale"):
            delattr(layer, name)
        for name in ("engine", "adapted", "_rest", "_basis", "_shape", "_absorbs", "_crossed", "_composer", "_exact", "_constants"):
            del layer.__dict__[name]
        layer.__class__ = layer.plain
        layer.weight = nn.Parameter(weight, requires_grad=trained)
        layer.register_parameter("bias", bias)
    return module
