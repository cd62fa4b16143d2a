# SPDX-License-Identifier: Apache-2.0
"""What makes a PyTorch layer obey: its weights are composed of coefficients, and its state is that of the plain layer.

`weight` is no parameter but w0 + scale B t, rounded so that the rule holds exactly; t, the parameter `coefficients`, is what is trained.
State dicts hold `weight` and `bias`, as the plain layer's; the scale goes along as metadata, so that an optimizer's state keeps its meaning.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from .. import Basis, Constraint, Covariance
from .._compose import Composer
from .._engine.choice import check as check_engine
from .._operations import Torch
from .._solve import left_out, nearest
from .._start import deviation, scale_of
from ._exact import exact_of

_ops = Torch()
_MOST_IMAGES = 256
_RELEASE = ("torch.onnx.export and torch.jit.trace: expected plain layers, whose weights a file can hold, found one of tareconv.torch, which composes them; "
            "export tareconv.torch.release(copy.deepcopy(model))")


def _composed_type(dtype: torch.dtype) -> torch.dtype:
    """Weights are composed in float32 at least: half precision holds too few digits for sums."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def _autocast(device: torch.device) -> bool:
    """Whether operations on a device are cast; "meta", which computes nothing, does not know the question."""
    return device.type != "meta" and torch.is_autocast_enabled(device.type)


@torch.compiler.assume_constant_result  # dynamo would take the questions for constants, but ONNX's exporter asks it too
def _refuse_tracing() -> None:
    if torch.onnx.is_in_onnx_export() or torch.jit.is_tracing():
        raise RuntimeError(_RELEASE)


class Constrained(nn.Module):
    """A mixin before a layer of PyTorch whose `weight` it replaces. `_flipped`: that is [inputs, outputs / groups, ...], as transposed layers have it."""

    _flipped = False

    def _start(self, rule: str | Constraint, basis: str, covariance: Covariance | None, engine: str) -> None:
        """Takes the place of the plain weight; the layer is as after reset_parameters()."""
        plain = self._parameters["weight"]
        if not isinstance(basis, str):
            raise TypeError(f"basis: expected a name such as 'spectral', found {type(basis).__name__}")
        constraint = _constraint(rule, tuple(plain.shape[2:]), self.in_channels // self.groups)
        made = Basis(constraint, basis, covariance)  # refuses what does not fit, while the layer is still whole
        self.engine = engine
        check_engine(engine)
        self._basis = made
        self._shape = tuple(plain.shape)
        self._build()
        del self._parameters["weight"]
        units = math.prod(self._shape) // constraint.taps
        self.coefficients = nn.Parameter(torch.empty(made.coefficients, units, device=plain.device, dtype=plain.dtype))
        self.register_buffer("scale", torch.ones((), device=plain.device), persistent=False)
        self._rest = None
        self.adapted = False
        self._place()
        self.reset_parameters()

    def _build(self) -> None:
        """What follows from the basis. In a step nothing looks into C."""
        self._absorbs, self._crossed = self._basis.absorbs, self._flipped and self.constraint.per_filter
        self._composer = Composer.of(self._basis)
        self._exact = exact_of(self._composer, self._basis.constraint)

    def _place(self) -> None:
        """The composer's constants where the coefficients are. Not buffers: those follow a layer to half precision, and travel between ranks."""
        like = torch.empty((), dtype=_composed_type(self.coefficients.dtype), device=self.coefficients.device)
        arrays = self._composer.constants(_ops, like)
        self._constants = {name: torch.from_numpy(np.ascontiguousarray(value)).to(like.device) for name, value in arrays.items()}

    @property
    def rule(self) -> str:
        """The rule in canonical form."""
        return self._basis.constraint.text

    @property
    def constraint(self) -> Constraint:
        """The rule."""
        return self._basis.constraint

    @property
    def basis(self) -> str:
        """The basis' canonical name."""
        return self._basis.name

    @property
    def weight(self) -> Tensor:
        """The weights in use, composed anew: in the layer's precision, obeying exactly. Assigning to it projects and solves for the coefficients."""
        if "coefficients" not in self._parameters:
            raise AttributeError(f"{type(self).__name__} has no weight yet")
        return self._kernel(self.coefficients.dtype)

    @weight.setter
    def weight(self, value: Tensor) -> None:
        if tuple(value.shape) != self._shape:
            raise ValueError(f"weight: expected the shape {self._shape}, found {tuple(value.shape)}")
        with torch.no_grad():
            self.coefficients.copy_(self._solved(value, None))
            self._keep(value)

    def __setattr__(self, name: str, value) -> None:
        if name == "weight" and "coefficients" in self._parameters:  # nn.Module would take a Parameter for a new one of its own
            type(self).weight.fset(self, value)
        else:
            super().__setattr__(name, value)

    def _kernel(self, dtype: torch.dtype, training: bool = False) -> Tensor:
        """The weights as `dtype` holds them, obeying exactly, with gradients for the coefficients. In a step in float32 the few rules that need a
        lattice (rows of one's own) hold to rounding: it would cost more than the convolution."""
        _refuse_tracing()
        exact = self._composer.obey if training and dtype == torch.float32 else self._exact
        if _autocast(self.coefficients.device):
            with torch.autocast(self.coefficients.device.type, enabled=False):
                return self._composed(dtype, exact)
        return self._composed(dtype, exact)

    def _composed(self, dtype: torch.dtype, exact) -> Tensor:
        t = self.coefficients.to(_composed_type(self.coefficients.dtype))
        w = self._composer.compose(_ops, self._constants, t, self.scale.to(t.dtype) if self._absorbs else None, self._rest)
        return self._of_units(exact(self._constants, w, str(dtype).removeprefix("torch.")))

    def _of_units(self, w: Tensor) -> Tensor:
        """(taps, units) as the layer's weight; the order of _layout.py, without its look into C, which torch.compile would stumble over."""
        if not self._crossed:
            return w.t().reshape(self._shape)
        inputs, outputs, *kernel = self._shape
        return w.t().reshape(self.groups, outputs, inputs // self.groups, *kernel).transpose(1, 2).reshape(self._shape)

    def _to_units(self, weight: Tensor) -> Tensor:
        """The layer's weight as (taps, units)."""
        if self._crossed:
            inputs, outputs, *kernel = self._shape
            weight = weight.reshape(self.groups, inputs // self.groups, outputs, *kernel).transpose(1, 2)
        return weight.reshape(-1, self._composer.taps).t()

    def reset_parameters(self) -> None:
        """Draws the coefficients anew, and the bias as the plain layer does; the next training batch sets the scale again."""
        if "coefficients" not in self._parameters:
            super().reset_parameters()
            return
        nn.init.normal_(self.coefficients, 0, deviation(self._basis))
        nn.init.ones_(self.scale)
        self._rest = None
        self.adapted = False
        if self.bias is not None:
            bound = 1 / math.sqrt(math.prod(self._shape[1:]))
            nn.init.uniform_(self.bias, -bound, bound)

    @torch.no_grad()
    def adapt(self, x: Tensor) -> None:
        """Brings the response to the images `x` (the first 256 of them) to variance 1, by the scale of the basis or, where the basis has none, of the
        coefficients. The variance is that over images and places, its mean over filters; a zero border is no part of the image. The first training
        batch does this by itself; of several processes that train together the mean counts.
        """
        if not x.numel():
            return
        t = self.coefficients.to(_composed_type(self.coefficients.dtype))
        w = self._of_units(self._composer.respond(_ops, self._constants, t) * self.scale).to(t.dtype)
        y = self._respond(x[:_MOST_IMAGES].to(t.dtype), w)
        variance = y.var([0, *range(2, y.dim())], correction=0).mean()
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_reduce(variance)
            variance /= torch.distributed.get_world_size()
        fits = torch.isfinite(variance) & (variance > 0)
        factor = torch.where(fits, variance, 1).rsqrt()
        (self.scale if self._absorbs else self.coefficients).mul_(factor)
        self._rest = None
        self.adapted = True

    def _arguments(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """x, weight and bias for the convolution; under autocast all in its precision."""
        if self.training and not self.adapted:
            self.adapt(x)
        if not _autocast(x.device) or x.dtype == torch.float64:
            return x, self._kernel(self.coefficients.dtype, self.training), self.bias
        dtype = torch.get_autocast_dtype(x.device.type)
        return x.to(dtype), self._kernel(dtype), None if self.bias is None else self.bias.to(dtype)

    def _solved(self, weight: Tensor, scale: float | None) -> Tensor:
        """Coefficients of the nearest weights that obey, with a warning if those given do not. `scale`: as it was saved, or None: this layer's, or one that
        makes the coefficients as large as at the start."""
        w = self._columns(weight).T
        if not np.isfinite(w).all():
            raise ValueError(f"weight: expected finite values to solve for under '{self.rule}', found ones that are not")
        t = nearest(self._basis, w, "tareconv", 4)
        if self._absorbs:
            if scale is None and not self.adapted:
                scale = scale_of(self._basis, t)
            if scale is not None:
                self.scale.fill_(scale)
            t = t / float(self.scale)
        self.adapted = True
        return torch.from_numpy(t.T).to(self.coefficients)

    def _columns(self, weight: Tensor) -> np.ndarray:
        """The layer's weight as (taps, units), float64."""
        return self._to_units(weight.detach()).to("cpu", torch.float64).numpy()

    @torch.no_grad()
    def _keep(self, weight: Tensor) -> None:
        """After the coefficients were solved for `weight`: keeps what their own type left out of it, to be added from now on. So the layer's weights are `weight` bit by bit if
        that obeys. (float64 coefficients leave out less than is seen.) No buffer: data-parallel processes would send it to each other in every step."""
        self._rest = None
        if self.coefficients.dtype != torch.float64 and not self.coefficients.is_meta:
            t = self.coefficients.to("cpu", torch.float32).numpy()
            rest = left_out(self._composer, self._basis, self._columns(weight).T, t, float(self.scale) if self._absorbs else None)
            self._rest = torch.from_numpy(rest).to(self.coefficients.device)

    def _save_to_state_dict(self, destination, prefix, keep_vars):
        destination[prefix + "weight"] = self.weight if keep_vars else self.weight.detach()
        if self.bias is not None:
            destination[prefix + "bias"] = self.bias if keep_vars else self.bias.detach()
        if hasattr(destination, "_metadata") and self.adapted:
            destination._metadata[prefix[:-1]]["scale"] = float(self.scale)

    def _load_from_state_dict(self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs):
        plain, own = prefix + "weight", prefix + "coefficients"
        given = {name: value for name, value in state_dict.items() if name.startswith(prefix) and name != plain}
        weight = state_dict.get(plain)
        if weight is not None and tuple(weight.shape) != self._shape:
            error_msgs.append(f"size mismatch for {plain}: copying a param with shape {weight.shape} from checkpoint, the shape in current model is "
                              f"{torch.Size(self._shape)}.")
            weight = self.weight
        if weight is not None:
            given[own] = self._solved(weight, local_metadata.get("scale"))
        missing: list[str] = []
        super()._load_from_state_dict(given, prefix, local_metadata, strict, missing, unexpected_keys, error_msgs)
        if weight is not None:
            self._keep(weight)
        missing_keys += [plain if name == own else name for name in missing]

    def _apply(self, fn, recurse=True):
        scale = self.scale
        super()._apply(fn, recurse)
        if self.scale.dtype != scale.dtype:  # the scale stays in float32
            self.scale = torch.ones((), device=self.scale.device) if scale.is_meta else scale.to(self.scale.device)
        if self._rest is not None:
            self._rest = None if self._rest.is_meta else self._rest.to(self.scale.device)
        self._place()
        return self

    def __getstate__(self):
        return {name: value for name, value in self.__dict__.items() if name not in ("_absorbs", "_crossed", "_composer", "_exact", "_constants")}

    def __setstate__(self, state):
        super().__setstate__({"_rest": None} | state)
        self._build()
        self._place()

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, rule={self.rule!r}, basis={self.basis!r}" + (f", engine={self.engine!r}" if self.engine != "auto" else "")


def _constraint(rule: str | Constraint, kernel: tuple[int, ...], channels: int) -> Constraint:
    if not isinstance(rule, Constraint):
        return Constraint(rule, kernel, channels)
    if rule.kernel_size != kernel or (rule.per_filter and rule.channels != channels):
        raise ValueError(f"rule: expected one for a kernel of {kernel} and {channels} input channels, found {rule!r}")
    return rule
