# SPDX-License-Identifier: Apache-2.0
"""The question: filters of a 7x7 Conv2D must sum to 0, so that absolute brightness, which is noise here, is not seen. Four things people try, and the layer.

    pip install . keras jax        # or tensorflow, or torch: KERAS_BACKEND chooses
    python examples/keras_answer.py

One learning rate and one seed: an illustration. `tare race` compares with the best rate of each method and over seeds (doc/race.md).
"""

import os
import time

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import numpy as np
from keras import layers, ops
from leaves import CLASSES, patches

import tareconv
import tareconv.keras as tk

SIZE, FILTERS, STEPS = 7, 8, 400


def differences(shape, dtype=None):
    """The fixed kernel of x[i] - x[centre], one output for each other tap."""
    taps = SIZE * SIZE
    others = [tap for tap in range(taps) if tap != taps // 2]
    kernel = np.zeros((taps, len(others)), np.float32)
    kernel[others, range(len(others))], kernel[taps // 2] = 1, -1
    return ops.convert_to_tensor(kernel.reshape(shape), dtype)


FIRST = {  # the first layers of each attempt
    "nothing": lambda: [layers.Conv2D(FILTERS, SIZE, name="first")],
    "a penalty 0.01 |sum w|": lambda: [layers.Conv2D(FILTERS, SIZE, name="first", kernel_regularizer=tk.regularizers.Linear("sum=0", 0.01))],
    "projection after each step": lambda: [layers.Conv2D(FILTERS, SIZE, name="first", kernel_constraint=tk.constraints.Linear("sum=0"),
                                                         kernel_initializer=tk.constraints.Linear("sum=0").initializer())],
    "differences, then 1x1": lambda: [layers.Conv2D(SIZE * SIZE - 1, SIZE, use_bias=False, trainable=False, kernel_initializer=differences),
                                      layers.Conv2D(FILTERS, 1)],
    "tareconv.keras.Conv2D": lambda: [tk.Conv2D(FILTERS, SIZE, name="first", kernel_constraint="sum=0")],
}


def model(first):
    keras.utils.set_random_seed(0)
    rest = [layer for filters in (16, 32) for layer in (layers.BatchNormalization(), layers.ReLU(), layers.Conv2D(filters, 3, strides=2))]
    net = keras.Sequential([keras.Input((32, 32, 1)), *first, *rest, layers.BatchNormalization(), layers.ReLU(), layers.GlobalAveragePooling2D(),
                            layers.Dense(len(CLASSES))])
    net.compile(keras.optimizers.Adam(3e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return net


def residual(net):
    """The largest sum of a filter, exactly."""
    if not any(layer.name == "first" for layer in net.layers):
        return "-"
    kernel = ops.convert_to_numpy(net.get_layer("first").kernel)
    return tareconv.residual(np.moveaxis(kernel, (-1, -2), (0, 1)), tareconv.Constraint("sum=0", (SIZE, SIZE)))


x, y = patches(3200)
print(f"{'':28} loss, first and second half    ms a step   largest sum of a filter")
for name, first in FIRST.items():
    net = model(first())
    net.train_on_batch(x[:32], y[:32])  # compiles
    losses, start = [], time.perf_counter()
    for step in range(STEPS):
        at = step * 32 % len(x)
        net.reset_metrics()
        losses.append(net.train_on_batch(x[at:at + 32], y[at:at + 32]))
    ms = (time.perf_counter() - start) / STEPS * 1e3
    print(f"{name:28} {np.mean(losses[:STEPS // 2]):10.3f} {np.mean(losses[STEPS // 2:]):10.3f} {ms:18.1f}   {residual(net)}", flush=True)
