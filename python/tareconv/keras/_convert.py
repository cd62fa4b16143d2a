# SPDX-License-Identifier: Apache-2.0
"""Whole models from layers that obey to plain ones and back: through their configuration and what a file would hold of each layer, which both kinds
share."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras
from keras import ops

from .._constraint import Constraint
from . import _layers
from ._input import RELEASING
from ._mixin import Obeying

OURS = ("kernel_constraint", "basis", "covariance", "input_scale", "engine")
"""Arguments that the plain layer has not, or has with another meaning."""


def release(model: keras.Model) -> keras.Model:
    """The same model of plain Keras layers, which needs no tareconv: the kernels are the composed ones and obey exactly (under mixed precision in the narrow
    type in which they are used).

    Raises:
        ValueError: no layer of tareconv.keras in the model, or a model without a configuration (give a subclass a ``get_config``).
    """
    made = _rebuilt(model, lambda entry: _plain(entry) if str(entry.get("registered_name", "")).startswith("tareconv>") else entry)
    if not any(isinstance(layer, Obeying) for layer in _all_layers(model)):
        raise ValueError("release: expected a model with a layer of tareconv.keras, found none")
    token = RELEASING.set(True)
    try:
        return _with_weights(made, model)
    finally:
        RELEASING.reset(token)


def constrain(model: keras.Model, rule: str | Constraint, layers: str | Sequence[str], basis: str = "spectral") -> keras.Model:
    """The same model, in which the named convolutions obey `rule`: their kernels become the nearest that do, and a warning says by how much they changed.

    Args:
        layers: the name of one layer, or several.

    Raises:
        ValueError: a name that no convolution has (the message lists those there are), a rule that does not fit.
    """
    names = {layers} if isinstance(layers, str) else set(layers)
    there = [layer.name for layer in _all_layers(model) if type(layer) in _layers.PLAIN.values()]
    if not names or names - set(there):
        raise ValueError(f"constrain: expected names of plain convolutions (here: {', '.join(there) or 'none'}), found {', '.join(sorted(names)) or 'none'}")
    text = rule.text if isinstance(rule, Constraint) else rule

    def change(entry):
        ours = getattr(_layers, entry["class_name"], None)
        if entry["class_name"] not in _layers.PLAIN or entry.get("registered_name") or entry["config"].get("name") not in names:
            return entry
        return _obeying(entry, ours, text, basis)

    return _with_weights(_rebuilt(model, change), model)


def _plain(entry: dict) -> dict:
    config = {name: value for name, value in entry["config"].items() if name not in OURS}
    return {**entry, "module": "keras.layers", "registered_name": None, "config": config}


def _obeying(entry: dict, ours: type, rule: str, basis: str) -> dict:
    config = {name: value for name, value in entry["config"].items() if not name.endswith("_constraint") or name in ("bias_constraint", "pointwise_constraint")}
    prefix = ours._kind.prefix
    config.update({"kernel_constraint": rule, "basis": basis, f"{prefix}_initializer": None})
    return {**entry, "module": "tareconv.keras", "registered_name": f"tareconv>{entry['class_name']}", "config": config}


def _rebuilt(model: keras.Model, change: Callable[[dict], dict]) -> keras.Model:
    """The model of a configuration in which every layer's entry went through `change`."""

    def walk(value):
        if isinstance(value, dict):
            value = {name: walk(inner) for name, inner in value.items()}
            return change(value) if isinstance(value.get("config"), dict) and isinstance(value.get("class_name"), str) else value
        return type(value)(walk(inner) for inner in value) if isinstance(value, (list, tuple)) else value

    return keras.saving.deserialize_keras_object(walk(keras.saving.serialize_keras_object(model)))


def _with_weights(made: keras.Model, model: keras.Model) -> keras.Model:
    """Each layer's variables, as its file would hold them; an optimiser's state is of other shapes and stays behind."""
    for new, old in zip(_all_layers(made), _all_layers(model), strict=True):
        store: dict = {}
        old.save_own_variables(store)
        if store:
            new.load_own_variables({name: ops.convert_to_numpy(value) for name, value in store.items()})
    return made


def _all_layers(model: keras.Model):
    return [layer for layer in model._flatten_layers(include_self=False, recursive=True)]
