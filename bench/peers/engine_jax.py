# SPDX-License-Identifier: Apache-2.0
"""JAX: jitted convolutions in both layouts; the demo network as one jitted function with donated state. XLA's threads follow the CPUs the process may use."""
from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jaxlib
import numpy as np
from jax import lax
from jax import numpy as jnp

from .data import Arrays
from .demo import CLASSES, LAYERS, RATE, batch, largest_sum
from .problem import Problem

PAD_MODES = {"reflect": "reflect", "edge": "edge"}
# from plain order [n][c][h][w] and [o][c][kh][kw]; and back
ORDERS = {"NHWC": ((0, 2, 3, 1), (2, 3, 1, 0), (0, 3, 1, 2), (3, 2, 0, 1)), "NCHW": ((0, 1, 2, 3),) * 4}
KERNELS = {"NHWC": "HWIO", "NCHW": "OIHW"}


def convolution(problem: Problem, layout: str) -> Callable[[Any, Any], Any]:
    """A function of images and weights."""
    numbers = (layout, KERNELS[layout], layout)
    pads = [(p, p) for p in problem.pad]
    by_axis = {"H": pads[0], "W": pads[1]}

    def convolve(x: Any, w: Any) -> Any:
        padding = pads
        if problem.border in PAD_MODES:
            x = jnp.pad(x, [by_axis.get(axis, (0, 0)) for axis in layout], mode=PAD_MODES[problem.border])
            padding = [(0, 0), (0, 0)]
        return lax.conv_general_dilated(x, w, problem.stride, padding, rhs_dilation=problem.dilation, dimension_numbers=numbers,
                                        feature_group_count=problem.groups)

    return convolve


def functions(problem: Problem, layout: str, image_too: bool) -> dict[str, Callable[[Any, Any, Any], Any]]:
    """Each pass as a function of images, weights and the output's gradient; XLA drops what a pass does not need."""
    convolve = convolution(problem, layout)

    def step(x: Any, w: Any, dy: Any) -> Any:
        if image_too:
            y, back = jax.vjp(convolve, x, w)
        else:
            y, back = jax.vjp(lambda w: convolve(x, w), w)
        return y, back(dy)

    return {"forward": lambda x, w, dy: convolve(x, w),
            "backward_data": lambda x, w, dy: jax.vjp(lambda x: convolve(x, w), x)[1](dy)[0],
            "backward_weights": lambda x, w, dy: jax.vjp(lambda w: convolve(x, w), w)[1](dy)[0],
            "step": step}


def forward(border: str, parameters: list[Any], x: Any) -> tuple[Any, list[Any]]:
    """The demo network's scores, and the mean and variance of each batch norm."""
    statistics = []
    for (w, b, scale, shift), (_, size, stride) in zip(parameters[:-1], LAYERS):
        x = lax.conv_general_dilated(x, w, (stride, stride), "VALID" if size else border, dimension_numbers=("NHWC", "HWIO", "NHWC")) + b
        mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
        statistics.append((mean, variance))
        x = jax.nn.relu((x - mean) * (scale * lax.rsqrt(variance + 1e-5)) + shift)
    w, b = parameters[-1]
    return x.mean((1, 2)) @ w + b, statistics


def loss_of(parameters: list[Any], border: str, x: Any, labels: Any) -> tuple[Any, list[Any]]:
    scores, statistics = forward(border, parameters, x)
    return -jnp.take_along_axis(jax.nn.log_softmax(scores), labels[:, None], 1).mean(), statistics


def train_step(border: str, state: Any, x: Any, labels: Any) -> tuple[Any, Any]:
    """Forward, backward, Adam (its paper's Algorithm 1), running statistics."""
    parameters, first, second, running, count = state
    (loss, statistics), gradient = jax.value_and_grad(loss_of, has_aux=True)(parameters, border, x, labels)
    count = count + 1
    first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, first, gradient)
    second = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, second, gradient)
    a, b = 1 - 0.9 ** count, 1 - 0.999 ** count
    parameters = jax.tree.map(lambda p, m, v: p - RATE * (m / a) / (jnp.sqrt(v / b) + 1e-8), parameters, first, second)
    running = jax.tree.map(lambda old, new: 0.9 * old + 0.1 * new, running, statistics)
    return (parameters, first, second, running, count), loss


def start(kernel: int) -> Any:
    """Glorot uniform weights, zero biases, Adam's zeros."""
    glorot = jax.nn.initializers.glorot_uniform()
    key, channels, parameters = jax.random.key(1), 1, []
    for filters, size, _ in LAYERS:
        key, mine = jax.random.split(key)
        w = glorot(mine, (size or kernel, size or kernel, channels, filters))
        parameters.append((w, jnp.zeros(filters), jnp.ones(filters), jnp.zeros(filters)))
        channels = filters
    parameters.append((glorot(key, (channels, CLASSES)), jnp.zeros(CLASSES)))
    zeros = jax.tree.map(jnp.zeros_like, parameters)
    running = [(jnp.zeros(filters), jnp.ones(filters)) for filters, _, _ in LAYERS]
    return parameters, zeros, jax.tree.map(jnp.zeros_like, zeros), running, jnp.float32(0)


class Network:
    """The demo network, its optimiser and one batch, kept in memory."""

    def __init__(self, kernel: int, border: str) -> None:
        self.images, self.labels = (jnp.asarray(a) for a in batch())
        self.state = start(kernel)
        self.jitted = jax.jit(partial(train_step, border.upper()), donate_argnums=0)

    def step(self) -> None:
        self.state, loss = self.jitted(self.state, self.images, self.labels)
        jax.block_until_ready((self.state, loss))

    def largest_sum(self) -> float:
        return largest_sum(np.asarray(self.state[0][0][0]).transpose(3, 0, 1, 2))


class Engine:
    """What the worker asks of a framework."""

    def __init__(self, threads: int) -> None:
        self.threads = threads

    def versions(self) -> str:
        return f"JAX {jax.__version__}, jaxlib {jaxlib.__version__}, {self.threads} CPUs"

    def passes(self, problem: Problem, arrays: Arrays, names: list[str], image_too: bool) -> dict[str, dict[str, Callable[[], Any]]]:
        return {name: {layout: self.call(problem, arrays, name, layout, image_too) for layout in ORDERS} for name in names}

    def call(self, problem: Problem, arrays: Arrays, name: str, layout: str, image_too: bool) -> Callable[[], Any]:
        """Compiles at the first call."""
        image, weight = ORDERS[layout][:2]
        inputs = [jnp.asarray(a.transpose(order)) for a, order in ((arrays.x, image), (arrays.w, weight), (arrays.dy, image))]
        jitted = jax.jit(functions(problem, layout, image_too)[name])
        return lambda: jax.block_until_ready(jitted(*inputs))

    def plain(self, name: str, variant: str, result: Any) -> np.ndarray:
        return np.asarray(result).transpose(ORDERS[variant][3 if name == "backward_weights" else 2])

    def networks(self, kernel: int, border: str) -> dict[str, Callable[[], Network]]:
        return {"jit": lambda: Network(kernel, border)}
