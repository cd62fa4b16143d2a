# SPDX-License-Identifier: Apache-2.0
"""A penalty on breaking a rule, for plain Keras layers: the rule holds the worse the less it costs, and training suffers the more it costs (README: the
race)."""

from __future__ import annotations

import keras

from .._constraint import Constraint
from ._projection import layout_of, penalty


@keras.saving.register_keras_serializable("tareconv")
class Linear(keras.regularizers.Regularizer):
    """Adds strength times the sum of \\|A w - b\\| over all units; `kind` as in `tareconv.keras.constraints.Linear`."""

    def __init__(self, rule: str, strength: float = 0.01, kind: str = "conv"):
        self.rule = rule.text if isinstance(rule, Constraint) else rule
        self.strength, self.kind = float(strength), kind
        self._layout = layout_of(kind)

    def __call__(self, w):
        return self.strength * penalty(self.rule, w, self._layout)

    def get_config(self):
        return {"rule": self.rule, "strength": self.strength, "kind": self.kind}
