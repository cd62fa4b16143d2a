# SPDX-License-Identifier: Apache-2.0
"""What makes a Keras convolution one whose filters obey: its variable holds coefficients t, its `kernel` is w0 + B t.

Beside t lie the input's scale, and `_rest`: what t in float32 leaves out of a kernel that was loaded (some last bits), so that the same kernel comes back.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

from .._basis import Basis
from .._compose import Composer
from .._constraint import Constraint
from .._engine import choice
from .._engine.keras_conv import leaves_xla
from .._layout import Layout
from .._operations import NumPy, for_keras
from .._round import round_fp32
from .._solve import left_out, nearest
from .._start import deviation, measured_from_config, measured_to_config, scale_of
from . import _input

_OPS, _NUMPY = for_keras(), NumPy()


@dataclass(frozen=True)
class Kind:
    """One row of the table of layers (_layers.py).

    Attributes:
        weight: the name of the variable and attribute that the rule is for.
        prefix: of Keras's arguments: ``kernel`` or ``depthwise``.
        layout: how the kernel becomes units.
        respond: a plain convolution of that kind, ``respond(layer, inputs, kernel, padding)``, which the start measures.
        by_engine: the convolution by tare's engine where that is chosen (_engine/keras_conv.py); None: always the framework's.
    """

    weight: str
    prefix: str
    layout: Layout
    respond: Callable
    by_engine: Callable | None = None


class Obeying:
    """Comes before a Keras convolution among the bases of a class; `_kind` says which."""

    _kind: Kind

    def __init__(self, *args, kernel_constraint="none", basis="spectral", covariance=None, input_scale=None, engine="auto", **kwargs):
        if kwargs.get("lora_rank"):
            self.enable_lora(kwargs["lora_rank"])
        if self._kind.prefix == "depthwise":
            own = kwargs.pop("depthwise_constraint", None)
            kernel_constraint = kernel_constraint if own is None else own
        kwargs.setdefault(f"{self._kind.prefix}_initializer", None)
        super().__init__(*args, **kwargs)
        self.rule = _rule(kernel_constraint, self.kernel_size)
        self.basis_name = basis
        self.covariance = measured_from_config(covariance)
        self._given_scale = None if input_scale is None else float(input_scale)
        self._scale_known = False  # once true, no step looks at its batch any more
        self.engine = engine
        self._check()
        if self._kind.by_engine and leaves_xla(self.kernel_size, engine):
            self.supports_jit = False

    def _check(self):
        """Says at once what does not fit, and not when the layer is built."""
        if not isinstance(self.basis_name, str):
            raise ValueError(f"basis: expected a name such as 'spectral', found {self.basis_name!r}")
        choice.check(self.engine)
        constraint = Constraint(self.rule, self.kernel_size)
        if not self._lacks_covariance():
            Basis(constraint, self.basis_name, self.covariance)

    def _lacks_covariance(self):
        return self.covariance is None and self.basis_name in ("whitened", "whitened-full")

    # Variables

    def build(self, input_shape):
        if self._lacks_covariance():
            raise ValueError(f"{self.name}: the basis {self.basis_name!r} needs the covariance of the layer's input: call layer.adapt(images) before the "
                             "layer is first used, or pass covariance=tareconv.measure(images, kernel_size)")
        super().build(input_shape)

    def add_weight(self, shape=None, initializer=None, dtype=None, *args, name=None, regularizer=None, constraint=None, **kwargs):
        """As in Keras; in place of the kernel come coefficients and the scale of the input."""
        if name != self._kind.weight:
            return super().add_weight(shape, initializer, dtype, *args, name=name, regularizer=regularizer, constraint=constraint, **kwargs)
        self._compose_for(tuple(shape))
        wide = "float64" if self.variable_dtype == "float64" else "float32"
        sees = regularizer and (lambda t: regularizer(self._composed(t, wide)))
        units = self._kind.layout.unit_shape(shape, self.constraint)
        self._t = super().add_weight((self.basis.coefficients, *units), self._start(initializer), wide, name=name, regularizer=sees, autocast=False, **kwargs)
        self._scale = super().add_weight((), lambda shape, dtype=None: ops.full(shape, self._given_scale or 0.0, dtype), "float32", name="input_scale",
                                         trainable=False, autocast=False, aggregation="mean")
        self._scale_known = bool(self._given_scale or initializer or not self.basis.absorbs)
        self._rest = None if wide == "float64" else super().add_weight((self.basis.taps, math.prod(units)), "zeros", wide, name="rest", trainable=False,
                                                                       autocast=False, aggregation="mean")
        return self._t

    def _compose_for(self, shape):
        layout = self._kind.layout
        self.kernel_shape = shape
        self.constraint = Constraint(self.rule, layout.size(shape), layout.channels(shape))
        self.basis = Basis(self.constraint, self.basis_name, self.covariance)
        self._composer = Composer.of(self.basis)
        self._constants = _input.Constants(self._composer)

    def _start(self, initializer):
        """The initialiser of t: a response of variance 1 (None), or the coefficients of the kernel that Keras's initialiser gives."""
        if initializer is None:
            return keras.initializers.RandomNormal(stddev=deviation(self.basis))

        def start(shape, dtype=None):
            kernel = ops.convert_to_numpy(keras.initializers.get(initializer)(self.kernel_shape, dtype="float32"))
            t = self._solved(kernel)
            if self.basis.absorbs and self._given_scale is None:
                self._given_scale = scale_of(self.basis, t)
            return ops.convert_to_tensor((t / (self._given_scale or 1.0)).reshape(shape), dtype)

        return start

    # The kernel

    @property
    def kernel(self):
        """The kernel as it is used: it obeys exactly in the compute dtype (rules that need a lattice: to rounding; doc/python.md)."""
        if not hasattr(self, "_t"):
            raise AttributeError("You must build the layer before accessing `kernel`.")
        return self._composed(self._t, self.compute_dtype)

    @kernel.setter
    def kernel(self, variable):
        """Keras puts here what add_weight gave; it is kept as `_t`."""

    depthwise_kernel = kernel

    def _composed(self, t, dtype):
        t = ops.convert_to_tensor(t)
        constants = self._constants.of(t)
        columns = _OPS.reshape(t, (self._composer.coefficients, -1))
        rest = None if self._rest is None else ops.convert_to_tensor(self._rest)
        w = self._composer.compose(_OPS, constants, columns, self._factor(), rest)
        return self._kind.layout.kernel(_OPS, self._composer.obey(constants, w, dtype), self.kernel_shape, self.constraint)

    def _factor(self):
        """The input's scale, which B takes; 1 as long as it is not known."""
        if not self.basis.absorbs:
            return None
        scale = ops.convert_to_tensor(self._scale)
        return _OPS.cast(_OPS.where(scale > 0, scale, 1.0), self._t.dtype)

    def set_kernel(self, kernel):
        """Takes the weights nearest `kernel` (an array of the kernel's shape) that obey; warns if that is not `kernel` itself.

        Raises:
            ValueError: another shape.
        """
        kernel = np.asarray(kernel, np.float64)
        if kernel.shape != self.kernel_shape:
            raise ValueError(f"{self.name}: expected a kernel of shape {self.kernel_shape}, found {kernel.shape}")
        t = self._solved(kernel)
        if self.basis.absorbs:
            scale = float(ops.convert_to_numpy(self._scale)) or scale_of(self.basis, t)
            self._scale.assign(scale)
            t = t / float(ops.convert_to_numpy(self._scale))
        self._scale_known = True
        self._t.assign(t.reshape(self._t.shape))
        if self._rest is not None:
            columns = ops.convert_to_numpy(self._t).reshape(t.shape)
            scale = ops.convert_to_numpy(self._scale) if self.basis.absorbs else None
            self._rest.assign(left_out(self._composer, self.basis, self._units(kernel), columns, scale))

    def _units(self, kernel):
        """A kernel as (units, taps), float64."""
        return self._kind.layout.columns(_NUMPY, np.asarray(kernel, np.float64), self.constraint).T

    def _solved(self, kernel):
        """The coefficients, (coefficients, units), of the weights nearest `kernel`, for an input of scale 1."""
        return nearest(self.basis, self._units(kernel), self.name, 4).T

    # The scale of the input

    def call(self, inputs, training=None):
        if training and not self._scale_known:
            _input.see(self, inputs)
        if self._kind.by_engine is None or choice.check(self.engine) == "framework":
            return super().call(inputs)
        return self._convolved(inputs)

    def _convolved(self, inputs):
        """What Keras's call does, with the engine's convolution."""
        padding = self.padding
        if padding == "causal":
            inputs, padding = ops.pad(inputs, self._compute_causal_padding()), "valid"
        bias = self.bias if self.use_bias else None
        y = self._kind.by_engine(inputs, self.kernel, self.strides, padding, self.data_format, self.dilation_rate, self.engine, bias)
        return y if self.activation is None else self.activation(y)

    def adapt(self, data):
        """Sets the scale of the input from `data`, so that the layer's response starts with variance 1; for ``whitened`` measures the covariance too.

        Args:
            data: what the layer gets: an array, or an iterable of batches (of tuples the first entry counts). The first 256 images are looked at.

        Without it the first training batch sets the scale. Bases that keep their matrix (pivot, orthonormal, centred) have their coefficients scaled.
        """
        images = _input.first_images(data)
        if self._lacks_covariance():
            self.covariance = _input.covariance(self, images)
        if not self.built:
            self.build(images.shape)
        factor = float(ops.convert_to_numpy(_input.unit_factor(self, ops.convert_to_tensor(images)))) or 1.0
        if self.basis.absorbs:
            self._scale.assign(factor)
        else:
            self._t.assign(self._t * factor)
        if self._rest is not None:
            self._rest.assign(ops.zeros(self._rest.shape))
        self._scale_known = True

    # Files

    def _others(self):
        """The plain layer's other variables."""
        own = {id(self._t), id(self._scale), id(self._rest)}
        return [v for v in self._trainable_variables + self._non_trainable_variables if id(v) not in own]

    def save_own_variables(self, store):
        """The variables of the plain layer: the composed kernel, exact in float32 (or in the compute dtype, for release())."""
        if self.built:
            for number, value in enumerate([self._stored_kernel(), *self._others()]):
                store[str(number)] = value

    def _stored_kernel(self):
        dtype = self.compute_dtype if _input.RELEASING.get() else "float32"
        kernel = ops.convert_to_numpy(ops.cast(self._composed(self._t, dtype), "float32"))
        if self._composer.grid is not None:
            return kernel
        columns = self._kind.layout.columns(_NUMPY, kernel, self.constraint)
        try:
            columns = round_fp32(columns.T, self.constraint).T
        except (ValueError, NotImplementedError):  # no binary weights obey: as they are
            return kernel
        return self._kind.layout.kernel(_NUMPY, columns, self.kernel_shape, self.constraint)

    def load_own_variables(self, store):
        """From a file of this or of the plain layer."""
        if not self.built:
            return
        others = self._others()
        if len(store.keys()) != 1 + len(others):
            raise ValueError(f"Layer '{self.name}' expected {1 + len(others)} variables (those of the plain layer), but received {len(store.keys())}: "
                             "was the file saved with the same use_bias?")
        self.set_kernel(store["0"])
        for number, variable in enumerate(others, 1):
            variable.assign(store[str(number)])

    def enable_lora(self, *args, **kwargs):
        raise ValueError("LoRA: a low-rank update of the kernel would break its rule. Train the coefficients themselves (there are no more of them than weights), "
                         "or make the layer a plain one with tareconv.keras.release(model)")

    def get_config(self):
        config = super().get_config()
        config.pop("depthwise_constraint", None)
        scale = float(ops.convert_to_numpy(self._scale)) if self.built else self._given_scale
        config.update(kernel_constraint=self.rule, basis=self.basis_name, input_scale=scale or None, engine=self.engine,
                      covariance=measured_to_config(self.basis_name, self.covariance))
        return config


def _rule(value, kernel_size) -> str:
    if isinstance(value, Constraint):
        if value.kernel_size != tuple(kernel_size):
            raise ValueError(f"kernel_constraint: expected a rule for a kernel of {tuple(kernel_size)}, found {value!r}")
        return value.text
    if value is None or isinstance(value, str):
        return value or "none"
    raise ValueError(f"kernel_constraint: expected a rule such as 'sum=0' or a tareconv.Constraint, found {type(value).__name__}. Keras's own constraints are for "
                     "keras.layers; there tareconv.keras.constraints.Linear projects onto a rule")
