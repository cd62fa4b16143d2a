# SPDX-License-Identifier: Apache-2.0
"""The old way, right: projecting a plain kernel onto a rule, as an ordinary Keras constraint or initialiser, and a penalty."""

from __future__ import annotations

import functools

import keras
import numpy as np
from keras import ops

from .._basis import Basis
from .._compose import Composer
from .._constraint import Constraint
from .._layout import KERAS, KERAS_DEPTHWISE, KERAS_TRANSPOSED
from .._operations import for_keras
from ._input import Constants

_OPS = for_keras()
LAYOUTS = {"conv": KERAS, "depthwise": KERAS_DEPTHWISE, "transposed": KERAS_TRANSPOSED}


def layout_of(kind: str):
    """The layout of a kind of layer.

    Raises:
        ValueError: an unknown one.
    """
    if kind not in LAYOUTS:
        raise ValueError(f"kind: expected one of {', '.join(LAYOUTS)}, found {kind!r}")
    return LAYOUTS[kind]


@functools.cache
def _centred(constraint: Constraint):
    """P = I - A^+ A and w0: the nearest weights that obey are w0 + P w."""
    composer = Composer.of(Basis(constraint, "centred"))
    return composer, Constants(composer)


def constraint_of(rule: str, shape, layout) -> Constraint:
    """The rule for a kernel of `shape`."""
    return Constraint(rule, layout.size(shape), layout.channels(shape))


def projected(rule: str, kernel, layout):
    """The kernel nearest `kernel` that obeys, exactly in its own precision where the rule allows."""
    shape = tuple(kernel.shape)
    constraint = constraint_of(rule, shape, layout)
    composer, constants = _centred(constraint)
    columns = layout.columns(_OPS, ops.cast(kernel, "float32"), constraint)
    constants = constants.of(columns)
    w = composer.obey(constants, composer.compose(_OPS, constants, columns), keras.backend.standardize_dtype(kernel.dtype))
    return layout.kernel(_OPS, w, shape, constraint)


def penalty(rule: str, kernel, layout):
    """The sum over units and rows of \\|A w - b\\|."""
    constraint = constraint_of(rule, tuple(kernel.shape), layout)
    a, b = (value.astype(np.float32) for value in constraint.matrix())
    if not len(a):
        return ops.zeros(())
    columns = layout.columns(_OPS, ops.cast(kernel, "float32"), constraint)
    return ops.sum(ops.abs(ops.matmul(ops.convert_to_tensor(a), columns) - ops.convert_to_tensor(b[:, None])))
