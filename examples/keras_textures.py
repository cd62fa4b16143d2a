# SPDX-License-Identifier: Apache-2.0
"""From a plain model to one whose first filters cannot see brightness, to an int8 kernel that still cannot: constrain, fit, release, round, check.

    python examples/keras_textures.py [MODEL.keras]      # under a minute
"""

import os
import sys

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import numpy as np
from keras import layers
from leaves import CLASSES, patches

import tareconv
import tareconv.keras as tk

out = sys.argv[1] if len(sys.argv) > 1 else "textures.keras"
x, y = patches(4800)
bright, expected = patches(600, seed=1, brightness=4.0)  # darker and brighter than anything in training

keras.utils.set_random_seed(0)
plain = keras.Sequential([keras.Input((32, 32, 1)), layers.Conv2D(8, 7, name="first"), layers.BatchNormalization(), layers.ReLU(),
                          layers.Conv2D(16, 3, strides=2, activation="relu"), layers.Conv2D(32, 3, strides=2, activation="relu"),
                          layers.GlobalAveragePooling2D(), layers.Dense(len(CLASSES))])
plain.compile(keras.optimizers.Adam(3e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
config = keras.models.clone_model(plain)

ours = keras.Sequential([keras.Input((32, 32, 1)), tk.Conv2D(8, 7, name="first", kernel_constraint="sum=0"), *config.layers[1:]])
ours.compile(keras.optimizers.Adam(3e-3), plain.loss, metrics=["accuracy"])
for name, net in {"plain": plain, "sum=0": ours}.items():
    net.fit(x, y, batch_size=32, epochs=4, verbose=0)
    seen, unseen = (net.evaluate(*data, verbose=0)[1] for data in (patches(600, seed=2), (bright, expected)))
    print(f"{name:6} accuracy {seen:.3f}; on images up to 8 times as far from the mean brightness {unseen:.3f}")

released = tk.release(ours)
released.save(out)
kernel = keras.ops.convert_to_numpy(released.get_layer("first").kernel)
rule = tareconv.Constraint("sum=0", (7, 7))
q = tareconv.round(np.moveaxis(kernel, (-1, -2), (0, 1)), rule, "int8")
print(f"{out}: plain Keras layers; the kernel's residual is {tareconv.residual(np.moveaxis(kernel, (-1, -2), (0, 1)), rule)}")
print(f"as int8 it is {tareconv.residual(q.weights, rule)} too, {q.cost_mean:.3f} times the error of plain rounding")
print(f"check it: python -m tareconv check {out} --constraint sum=0")
