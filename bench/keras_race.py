# SPDX-License-Identifier: Apache-2.0
"""The race of `tare race`, in Keras with its own `fit`: no rule, projection after each step, differences by hand, and tareconv's layer.

    pip install . keras jax                                       # or tensorflow, or torch
    ninja -C build bench/bench-patches && build/bench/bench-patches leaves 600 1 images.npy labels.npy
    KERAS_BACKEND=jax python bench/keras_race.py images.npy labels.npy --kernel 7 --seeds 3

Network, borders and patches of `tare race`; a seed gives the order of the patches and the start. Every method at the best of one grid of learning rates (by mean loss, on a seed of its own), curves as doc/race.md says: the mean over
seeds, then over the last 25 steps. Step times: steps of `fit` of all methods in turns, 12 a turn, the first two (what each call of `fit` begins with) not counted; the least,
and the median of the ratios to the first method's of the same turn. --layer-only times the first layer's step: nothing but a mean over the image and a dense layer follows it.
"""

import argparse
import json
import os
import pathlib
import time

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import keras
import numpy as np
from keras import layers, ops

import tareconv.keras as tk

GRID = (1e-3, 3e-3, 1e-2, 3e-2)
BATCH, FILTERS, WINDOW, TUNING_SEED = 32, 8, 25, 1000
SKIPPED_STEPS, TIMED_STEPS, TURNS = 2, 10, 15


def differences(size):
    """Of the fixed kernel of x[i] - x[centre], one output for each other tap: an initializer."""
    taps = size * size
    others = [tap for tap in range(taps) if tap != taps // 2]
    kernel = np.zeros((taps, len(others)), np.float32)
    kernel[others, range(len(others))], kernel[taps // 2] = 1, -1
    return lambda shape, dtype=None: ops.convert_to_tensor(kernel.reshape(shape), dtype)


def first(method, size):
    """The first layers of a method, inputs of one channel to FILTERS channels."""
    if method == "none":
        return [layers.Conv2D(FILTERS, size)]
    if method == "projection":
        return [layers.Conv2D(FILTERS, size, kernel_constraint=tk.constraints.Linear("sum=0"),
                              kernel_initializer=tk.constraints.Linear("sum=0").initializer())]
    if method == "difference":
        return [layers.Conv2D(size * size - 1, size, use_bias=False, trainable=False, kernel_initializer=differences(size)),
                layers.Conv2D(FILTERS, 1)]
    return [tk.Conv2D(FILTERS, size, kernel_constraint="sum=0", basis=method)]


def model(method, options, rate, seed, shape, classes):
    keras.utils.set_random_seed(seed)
    rest = [layer for filters in (16, 32) for layer in (layers.BatchNormalization(), layers.ReLU(), layers.Conv2D(filters, 3, strides=2))]
    rest = [] if options.layer_only else [*rest, layers.BatchNormalization(), layers.ReLU()]
    net = keras.Sequential([keras.Input(shape), *first(method, options.kernel), *rest, layers.GlobalAveragePooling2D(), layers.Dense(classes)])
    net.compile(keras.optimizers.Adam(rate), keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=options.jit)
    return net


class Losses(keras.callbacks.Callback):
    """Each batch's own loss, from the running mean that Keras reports."""

    def on_epoch_begin(self, epoch, logs=None):
        self.sums, self.curve = [0.0], getattr(self, "curve", [])

    def on_train_batch_end(self, batch, logs=None):
        self.sums.append(float(logs["loss"]) * (batch + 1))
        self.curve.append(self.sums[-1] - self.sums[-2])


class Clock(keras.callbacks.Callback):
    """When each step of `fit` ended."""

    def on_train_begin(self, logs=None):
        self.ends = []

    def on_train_batch_end(self, batch, logs=None):
        self.ends.append(time.perf_counter())

    def step_ms(self):
        return (self.ends[-1] - self.ends[SKIPPED_STEPS - 1]) / (len(self.ends) - SKIPPED_STEPS) * 1e3


def run(method, options, rate, seed, x, y):
    """The losses of one run."""
    losses, net = Losses(), model(method, options, rate, seed, x.shape[1:], int(y.max()) + 1)
    order = np.random.default_rng(seed).permutation(len(x))[:options.steps * BATCH]
    net.fit(x[order], y[order], BATCH, verbose=0, shuffle=False, callbacks=[losses])
    return np.array(losses.curve)


def step_times(methods, options, x, y):
    """Each method's least ms a step, and how many times the first method's it is."""
    images = (SKIPPED_STEPS + TIMED_STEPS) * BATCH
    x, y, clock = x[:images], y[:images], Clock()
    nets = {method: model(method, options, 1e-3, 0, x.shape[1:], int(y.max()) + 1) for method in methods}
    times = {method: [] for method in methods}
    for _ in range(1 + TURNS):  # the first turn compiles
        for method, net in nets.items():
            net.fit(x, y, BATCH, verbose=0, callbacks=[clock])
            times[method].append(clock.step_ms())
    own = np.array([times[method][1:] for method in methods])
    return {method: (float(t.min()), float(np.median(t / own[0]))) for method, t in zip(methods, own)}


def smoothed(curves):
    mean = np.mean(curves, axis=0)
    sums = np.concatenate([[0], np.cumsum(mean)])
    return np.array([(sums[i + 1] - sums[max(0, i + 1 - WINDOW)]) / min(i + 1, WINDOW) for i in range(len(mean))])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images")
    parser.add_argument("labels")
    parser.add_argument("--kernel", type=int, default=7)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--methods", default="none,projection,difference,spectral")
    parser.add_argument("--rates", help="learning rates to choose from, joined by commas")
    parser.add_argument("--time-only", action="store_true", help="step times alone")
    parser.add_argument("--layer-only", action="store_true", help="time a network of the first layer alone")
    parser.add_argument("--jit", default="auto", help="jit_compile: auto, true or false")
    parser.add_argument("--json", help="write the result to this file")
    options = parser.parse_args()
    if options.layer_only and not options.time_only:
        parser.error("--layer-only is for times: give --time-only too")
    options.jit = {"true": True, "false": False}.get(options.jit, "auto")
    methods = options.methods.split(",")
    rates = [float(rate) for rate in options.rates.split(",")] if options.rates else GRID
    x, y = np.load(options.images), np.load(options.labels).astype(np.int32)
    result, curves, timed = {}, {}, step_times(methods, options, x, y)
    for method in methods:
        tuning = {} if options.time_only else {rate: np.mean(run(method, options, rate, TUNING_SEED, x, y)) for rate in rates}
        best = min(tuning, key=tuning.get) if tuning else None
        if best:
            curves[method] = smoothed([run(method, options, best, seed, x, y) for seed in range(1, options.seeds + 1)])
        result[method] = {"rate": best, "mean_loss": float(np.mean(curves[method])) if best else None,
                          "last_loss": float(curves[method][-1]) if best else None, "step_ms": timed[method][0], "step_ratio": timed[method][1]}
        print(f"{keras.backend.backend()} K={options.kernel} {method:11}", result[method], flush=True)
    if "difference" in curves:
        last = curves["difference"][-1]
        for method in methods:
            reached = np.flatnonzero(curves[method] <= last)
            result[method]["steps_to_reference"] = int(reached[0]) + 1 if len(reached) else None
            print(f"{method:11} reaches the difference layer's last loss at step", result[method]["steps_to_reference"])
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps({"backend": keras.backend.backend(), "kernel": options.kernel, "steps": options.steps, "result": result}))


if __name__ == "__main__":
    main()
