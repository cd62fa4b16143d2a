# SPDX-License-Identifier: Apache-2.0
"""An initialiser that obeys, for plain Keras layers."""

from __future__ import annotations

import keras

from ._projection import layout_of, projected


@keras.saving.register_keras_serializable("tareconv")
class Projected(keras.initializers.Initializer):
    """The kernel nearest to what the initialiser `of` gives that obeys `rule`; `kind` as in `tareconv.keras.constraints.Linear`."""

    def __init__(self, rule: str, of="glorot_uniform", kind: str = "conv"):
        self.rule, self.of, self.kind = rule, keras.initializers.get(of), kind
        self._layout = layout_of(kind)

    def __call__(self, shape, dtype=None):
        return projected(self.rule, self.of(shape, dtype=dtype), self._layout)

    def get_config(self):
        return {"rule": self.rule, "of": keras.initializers.serialize(self.of), "kind": self.kind}
