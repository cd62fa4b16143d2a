# SPDX-License-Identifier: Apache-2.0
"""Filters that sum to 0 in Keras: a layer of its own, and the four ways that people try (doc/answer.md). Needs keras and numpy, any backend.

    python answer.py [STEPS]      trains all of them on the same made-up pictures and prints what they reach
"""
# the layer
import keras
import numpy as np


class SumZeroConv2D(keras.layers.Layer):
    """A convolution whose filters sum to 0: they are sums of cosines without the constant one, each scaled by its frequency."""

    def __init__(self, filters, kernel_size, padding="valid", **kwargs):
        super().__init__(**kwargs)
        self.filters, self.kernel_size, self.padding = filters, kernel_size, padding

    def build(self, shape):
        k, i = np.ogrid[: self.kernel_size, : self.kernel_size]
        cosines = np.cos(np.pi * k * (i + 0.5) / self.kernel_size) * np.sqrt(np.where(k > 0, 2, 1) / self.kernel_size)
        basis = np.einsum("uv,ui,vj->uvij", np.hypot(k, i), cosines, cosines).reshape(-1, *np.shape(k * i))[1:]
        self.basis = basis.astype("float32")
        start = keras.initializers.RandomNormal(stddev=(len(basis) * shape[-1]) ** -0.5)
        self.t = self.add_weight(name="t", shape=(len(basis), shape[-1], self.filters), initializer=start)
        self.bias = self.add_weight(name="bias", shape=(self.filters,), initializer="zeros")

    def kernel(self):
        return keras.ops.einsum("kij,kcf->ijcf", self.basis, self.t)

    def call(self, x):
        return keras.ops.conv(x, self.kernel(), padding=self.padding) + self.bias
# end


# the regularizer
class FixSum(keras.regularizers.Regularizer):
    def __init__(self, strength=0.01):
        self.strength = strength

    def __call__(self, w):  # not `call`, which Keras never calls
        return self.strength * keras.ops.sum(keras.ops.abs(keras.ops.sum(w, axis=(0, 1))))
# end


# the constraint
class FixedSum(keras.constraints.Constraint):
    def __init__(self, target=0.0):
        self.target = target

    def __call__(self, w):
        return w - (keras.ops.sum(w, axis=(0, 1), keepdims=True) - self.target) / (w.shape[0] * w.shape[1])
# end


# the differences
def differences(filters, kernel_size):
    """The fixed differences from the centre, then 1x1: two layers for one image channel."""
    taps = kernel_size**2
    kernel = np.delete(np.eye(taps), taps // 2, axis=1).reshape(kernel_size, kernel_size, 1, taps - 1)
    kernel[kernel_size // 2, kernel_size // 2] = -1
    return [keras.layers.Conv2D(taps - 1, kernel_size, use_bias=False, trainable=False, kernel_initializer=lambda shape, dtype=None: kernel),
            keras.layers.Conv2D(filters, 1)]
# end


METHODS = {
    "no rule": lambda n, k: [keras.layers.Conv2D(n, k)],
    "regularizer": lambda n, k: [keras.layers.Conv2D(n, k, kernel_regularizer=FixSum())],
    "constraint": lambda n, k: [keras.layers.Conv2D(n, k, kernel_constraint=FixedSum())],
    "differences": differences,
    "SumZeroConv2D": lambda n, k: [SumZeroConv2D(n, k)],
}


def network(head):
    layers = [*head, keras.layers.BatchNormalization(), keras.layers.ReLU()]
    for filters in (16, 32):
        layers += [keras.layers.Conv2D(filters, 3, strides=2), keras.layers.BatchNormalization(), keras.layers.ReLU()]
    return keras.Sequential([keras.Input((48, 48, 1)), *layers, keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(4)])


def picture(rng, size=128):
    """Dead leaves: discs that hide each other, radii with density r^-3, so that detail falls off with frequency as in photos."""
    y, x = np.ogrid[:size, :size]
    out = np.zeros((size, size))
    for _ in range(1500):
        radius = 2 * (1 - rng.random() * (1 - (2 / 40) ** 2)) ** -0.5
        cy, cx = rng.uniform(-radius, size + radius, 2)
        out[(y - cy) ** 2 + (x - cx) ** 2 < radius**2] = rng.uniform(0.2, 0.8)
    return 0.5 + (blurred(out, 1) - 0.5) * 2 ** -rng.uniform(0, 4)


def blurred(image, times):
    for _ in range(times):
        for axis in (0, 1):
            image = (np.roll(image, 1, axis) + 2 * image + np.roll(image, -1, axis)) / 4
    return image


def patches(steps, seed=1, batch=32):
    """What was done to a patch: nothing, blurred, noise added, sharpened; then a random brightness."""
    rng = np.random.default_rng(seed)
    images = [picture(rng) + rng.normal(0, 0.5 / 256, (128, 128)) for _ in range(64)]
    versions = [(p, blurred(p, 1), p + rng.normal(0, 2 / 256, p.shape), 1.5 * p - 0.5 * blurred(p, 1)) for p in images]
    labels = rng.integers(4, size=steps * batch)
    x = np.empty((steps * batch, 48, 48, 1), "float32")
    for i, label in enumerate(labels):
        top, left = rng.integers(80, size=2)
        x[i, ..., 0] = versions[rng.integers(64)][label][top : top + 48, left : left + 48] + rng.uniform(-0.5, 0.5)
    return x, labels


class Losses(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        self.sums = [0.0]

    def on_train_batch_end(self, batch, logs=None):
        self.sums.append(logs["sparse_categorical_crossentropy"] * (batch + 1))


def main(steps):
    x, labels = patches(steps)
    for name, head in METHODS.items():
        best = None
        for rate in (0.003, 0.01, 0.03):
            keras.utils.set_random_seed(1)
            model, losses = network(head(8, 7)), Losses()
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            model.compile(keras.optimizers.Adam(rate), loss, metrics=[keras.metrics.SparseCategoricalCrossentropy(from_logits=True)])
            model.fit(x, labels, batch_size=32, shuffle=False, verbose=0, callbacks=[losses])
            each = np.diff(losses.sums)
            best = min(best or (9, 0, 0), (each.mean(), each[-25:].mean(), rate))
        print(f"{name:14} mean loss {best[0]:.3f}, last loss {best[1]:.3f} (learning rate {best[2]})", flush=True)


if __name__ == "__main__":
    import sys

    main(int(sys.argv[1]) if len(sys.argv) > 1 else 400)
