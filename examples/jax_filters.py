# SPDX-License-Identifier: Apache-2.0
"""JAX: filters that obey, as a layer in the style of Flax (init gives parameters, apply uses them), without Flax.

Learns the second derivative of noisy signals under an unknown brightness: a rule of moments makes the filter blind to brightness and ramps,
and right on parabolas, whatever it learns of the noise. A few seconds.

    python examples/jax_filters.py [STEPS]
"""

import dataclasses
import sys

import jax
import jax.numpy as jnp
import numpy as np

import tareconv
import tareconv.jax as tj

TAPS, LENGTH, NOISE = 15, 128, 0.05


@dataclasses.dataclass
class Conv:
    """A layer: `filters` are constant, its parameters are a dictionary, as everything that jax.grad and optimizers take."""

    filters: tj.Filters
    engine: str = "auto"

    def init(self, key, x):
        """Parameters: the scale is that of the images `x`, and the start the smallest filter that obeys (a layer between others would keep t)."""
        self.filters, t = tj.adapt(self.filters, tj.init(key, self.filters), x)
        return {"t": jnp.zeros_like(t), "bias": jnp.zeros(self.filters.shape[-1])}

    def apply(self, parameters, x):
        return tj.conv(x, tj.compose(self.filters, parameters["t"]), padding="VALID", engine=self.engine) + parameters["bias"]


def signals(draw: np.random.Generator, count: int):
    """Sums of waves with their second derivatives; what is seen has noise and an offset of its own."""
    x, waves = np.arange(LENGTH), draw.uniform(0.05, 0.3, (count, 4, 1))
    phases, sizes = draw.uniform(0, 6.3, (count, 4, 1)), draw.normal(0, 1, (count, 4, 1))
    clean, second = (sizes * np.sin(waves * x + phases)).sum(1), (-sizes * waves**2 * np.sin(waves * x + phases)).sum(1)
    seen = clean + draw.normal(0, NOISE, clean.shape) + draw.uniform(-100, 100, (count, 1))
    border = TAPS // 2
    return jnp.asarray(seen[..., None], jnp.float32), jnp.asarray(second[:, border:-border, None], jnp.float32)


def adam(loss, parameters, batches, rate=0.003):
    """A few lines of Adam (Kingma & Ba 2015), so that the example needs nothing else."""

    @jax.jit
    def step(state, number, batch):
        parameters, first, second = state
        value, gradient = jax.value_and_grad(loss)(parameters, *batch)
        first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, first, gradient)
        second = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, second, gradient)
        moved = jax.tree.map(lambda p, m, v: p - rate * m / (1 - 0.9**number) / (jnp.sqrt(v / (1 - 0.999**number)) + 1e-8), parameters, first, second)
        return (moved, first, second), value

    zero = jax.tree.map(jnp.zeros_like, parameters)
    state, losses = (parameters, zero, zero), []
    for number, batch in enumerate(batches, 1):
        state, value = step(state, number, batch)
        losses.append(float(value))
    return state[0], losses


def main() -> None:
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    draw = np.random.default_rng(0)
    layer = Conv(tj.Filters((TAPS, 1, 1), "derivative(2) accuracy=1"))
    parameters = layer.init(jax.random.key(0), signals(draw, 32)[0])
    loss = lambda parameters, x, y: ((layer.apply(parameters, x) - y) ** 2).mean() / (y**2).mean()  # noqa: E731
    parameters, losses = adam(loss, parameters, (signals(draw, 32) for _ in range(steps)))
    print(f"error relative to the signal: {np.mean(losses[:10]):.3f} at first, {np.mean(losses[-10:]):.4f} in the end")
    kernel = tj.exact(layer.filters, parameters["t"])
    x = np.arange(TAPS) - TAPS // 2
    print("of 1, x and x^2/2 it makes", *(float(f @ kernel[:, 0, 0].astype(float)) for f in (x**0, x, x**2 / 2)))
    print("residual of the rule:", tareconv.residual(kernel[:, 0, 0], layer.filters.constraint))


if __name__ == "__main__":
    main()
