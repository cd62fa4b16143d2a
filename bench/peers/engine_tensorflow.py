# SPDX-License-Identifier: Apache-2.0
"""TensorFlow: convolutions in a tf.function, as a graph and through XLA; the demo network in Keras, its step a tf.function tried both ways."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from .data import Arrays
from .demo import CLASSES, LAYERS, RATE, SIZE, batch, largest_sum
from .problem import Problem

PAD_MODES = {"reflect": "REFLECT"}
XLA = {"graph": False, "xla": True}


def padding(problem: Problem) -> Any:
    """What users write where it means the same, else the explicit form."""
    if problem.pad == (0, 0):
        return "VALID"
    same = all(k % 2 and 2 * p == (k - 1) * d and s == 1
               for k, p, d, s in zip(problem.kernel, problem.pad, problem.dilation, problem.stride))
    return "SAME" if same else [[0, 0], [problem.pad[0]] * 2, [problem.pad[1]] * 2, [0, 0]]


def convolve(problem: Problem, x: Any, w: Any) -> Any:
    """Images [n][h][w][c]; weights [kh][kw][c/g][o], for depthwise [kh][kw][c][o/c]."""
    border = padding(problem)
    if problem.border in ("reflect", "edge") and problem.pad != (0, 0):
        if problem.border not in PAD_MODES:
            raise NotImplementedError("tf.pad cannot repeat the edge")
        x = tf.pad(x, [[0, 0], [problem.pad[0]] * 2, [problem.pad[1]] * 2, [0, 0]], PAD_MODES[problem.border])
        border = "VALID"
    if problem.depthwise:
        return tf.nn.depthwise_conv2d(x, w, (1, *problem.stride, 1), border, dilations=problem.dilation)
    return tf.nn.conv2d(x, w, problem.stride, border, dilations=problem.dilation)


def functions(problem: Problem, image_too: bool) -> dict[str, Callable[[Any, Any, Any], Any]]:
    """Each pass as a function of images, weights and the output's gradient; the graph drops what a pass does not need."""

    def gradient(x: Any, w: Any, dy: Any, wanted: tuple[Any, ...]) -> Any:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(wanted)
            y = convolve(problem, x, w)
        return y, tape.gradient(y, wanted, dy)

    return {"forward": lambda x, w, dy: convolve(problem, x, w),
            "backward_data": lambda x, w, dy: gradient(x, w, dy, (x,))[1][0],
            "backward_weights": lambda x, w, dy: gradient(x, w, dy, (w,))[1][0],
            "step": lambda x, w, dy: gradient(x, w, dy, (x, w) if image_too else (w,))}


def build(kernel: int, border: str) -> tf.keras.Model:
    """The demo network; border, valid or same, is the first layer's."""
    layers: list[Any] = [tf.keras.Input((SIZE, SIZE, 1))]
    for filters, size, stride in LAYERS:
        convolution = tf.keras.layers.Conv2D(filters, size or kernel, stride, "valid" if size else border)
        layers += [convolution, tf.keras.layers.BatchNormalization(), tf.keras.layers.ReLU()]
    return tf.keras.Sequential([*layers, tf.keras.layers.GlobalAveragePooling2D(), tf.keras.layers.Dense(CLASSES)])


class Network:
    """The demo network, its optimiser and one batch, kept in memory."""

    def __init__(self, kernel: int, border: str, xla: bool) -> None:
        tf.keras.utils.set_random_seed(1)
        self.model = build(kernel, border)
        self.optimizer = tf.keras.optimizers.Adam(RATE)
        self.optimizer.build(self.model.trainable_variables)
        self.images, self.labels = (tf.constant(a) for a in batch())
        self.function = tf.function(self.train, jit_compile=xla)

    def train(self, images: Any, labels: Any) -> Any:
        with tf.GradientTape() as tape:
            scores = self.model(images, training=True)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, scores))
        variables = self.model.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
        return loss

    def step(self) -> float:
        return float(self.function(self.images, self.labels).numpy())

    def largest_sum(self) -> float:
        return largest_sum(self.model.layers[0].kernel.numpy().transpose(3, 0, 1, 2))


def wait(result: Any) -> Any:
    """CPU tensors are ready when a function returns, but for those of asynchronous kernels: .numpy() shares memory and waits."""
    for tensor in tf.nest.flatten(result):
        tensor.numpy()
    return result


class Engine:
    """What the worker asks of a framework."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)

    def versions(self) -> str:
        return f"TensorFlow {tf.__version__}, Keras {tf.keras.__version__}, {self.threads} threads"

    def passes(self, problem: Problem, arrays: Arrays, names: list[str], image_too: bool) -> dict[str, dict[str, Callable[[], Any]]]:
        w = arrays.w.transpose(2, 3, 1, 0)
        if problem.depthwise:  # [o][1][kh][kw], and output channel c * (o/c) + j belongs to input channel c
            w = arrays.w.reshape(problem.channels, -1, *problem.kernel).transpose(2, 3, 0, 1)
        self.outputs = problem.outputs
        inputs = [tf.constant(a) for a in (arrays.x.transpose(0, 2, 3, 1), w, arrays.dy.transpose(0, 2, 3, 1))]
        return {name: {way: self.call(functions(problem, image_too)[name], inputs, xla) for way, xla in XLA.items()} for name in names}

    def call(self, function: Callable[..., Any], inputs: list[Any], xla: bool) -> Callable[[], Any]:
        """Traced at the first call."""
        traced = tf.function(function, jit_compile=xla)
        return lambda: wait(traced(*inputs))

    def plain(self, name: str, variant: str, result: Any) -> np.ndarray:
        values = result.numpy()
        if name != "backward_weights":
            return values.transpose(0, 3, 1, 2)
        if values.shape[3] != self.outputs:  # depthwise: [kh][kw][c][o/c]
            return values.transpose(2, 3, 0, 1).reshape(self.outputs, 1, *values.shape[:2])
        return values.transpose(3, 2, 0, 1)

    def networks(self, kernel: int, border: str) -> dict[str, Callable[[], Network]]:
        return {way: lambda x=xla: Network(kernel, border, x) for way, xla in XLA.items()}
