# SPDX-License-Identifier: Apache-2.0
"""An ordinary Keras constraint: a plain layer's kernel is projected onto a rule after each step. It works with every layer, but trains slower than the
layers of tareconv.keras (README: the race)."""

from __future__ import annotations

import keras

from .._constraint import Constraint
from ._projection import layout_of, projected


@keras.saving.register_keras_serializable("tareconv")
class Linear(keras.constraints.Constraint):
    """``keras.layers.Conv2D(32, 7, kernel_constraint=Linear("sum=0"), kernel_initializer=Linear("sum=0").initializer())``.

    Args:
        rule: a rule such as ``"sum=0"``.
        kind: whose kernel it is: ``"conv"``, ``"depthwise"`` or ``"transposed"``; only rules with ``@filter`` depend on it.

    Keras applies constraints after steps, not to the first weights: `initializer` gives those.
    """

    def __init__(self, rule: str, kind: str = "conv"):
        self.rule = rule.text if isinstance(rule, Constraint) else rule
        self.kind = kind
        self._layout = layout_of(kind)

    def __call__(self, w):
        return projected(self.rule, w, self._layout)

    def initializer(self, of="glorot_uniform"):
        """An initialiser that projects what another gives."""
        from .initializers import Projected

        return Projected(self.rule, of, self.kind)

    def get_config(self):
        return {"rule": self.rule, "kind": self.kind}
