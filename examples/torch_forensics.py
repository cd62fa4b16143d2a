# SPDX-License-Identifier: Apache-2.0
"""PyTorch: was a patch blurred, was noise added, or is it untouched? Fine detail decides, brightness is noise.

The same network twice: a plain first layer, and one whose filters sum to 0. One import changes. Some 20 seconds.

    python examples/torch_forensics.py [STEPS]
"""

import sys
import time

import numpy as np
import torch
from torch import nn

import tareconv
from tareconv.torch import Conv2d, release

SIZE, BATCH, CLASSES = 48, 32, ("untouched", "blurred", "noisy")


def leaves(draw: np.random.Generator, size: int) -> np.ndarray:
    """A dead-leaves image (Lee, Mumford & Huang 2001): discs of all sizes cover each other, each with a shade and a fine pattern of its own."""
    y, x = np.mgrid[:size, :size]
    image = np.zeros((size, size), np.float32)
    for _ in range(120):
        row, column, radius = *draw.uniform(0, size, 2), 2 / np.sqrt(draw.uniform(0.004, 1))
        inside = (y - row) ** 2 + (x - column) ** 2 < radius**2
        image[inside] = draw.uniform(0.2, 0.8) + draw.normal(0, 0.02, inside.sum())
    return image


def manipulated(image: np.ndarray, kind: int, draw: np.random.Generator) -> np.ndarray:
    """A patch of an image, in 256 grey levels, after what was done to it."""
    if kind == 1:
        taps = np.exp(-0.5 * (np.arange(-2, 3) / 0.8) ** 2)
        for axis in (0, 1):
            image = np.apply_along_axis(np.convolve, axis, image, taps / taps.sum(), "same")
    if kind == 2:
        image = image + draw.normal(0, 2 / 256, image.shape)
    row, column = draw.integers(4, image.shape[0] - SIZE - 4, 2)
    return np.round(image[row:row + SIZE, column:column + SIZE] * 256) / 256


def patches(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Patches of as many images, under a random brightness that says nothing."""
    draw = np.random.default_rng(seed)
    kinds = draw.integers(0, len(CLASSES), count)
    images = np.stack([manipulated(leaves(draw, 96), kind, draw) + draw.uniform(-0.5, 0.5) for kind in kinds])
    return torch.from_numpy(images[:, None].astype(np.float32)), torch.from_numpy(kinds)


def network(first: nn.Module) -> nn.Module:
    return nn.Sequential(first, nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 16, 3, 2), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 32, 3, 2),
                         nn.BatchNorm2d(32), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, len(CLASSES)))


def train(net: nn.Module, images: torch.Tensor, kinds: torch.Tensor, steps: int) -> list[float]:
    optimizer, losses, draw = torch.optim.Adam(net.parameters(), 3e-3), [], np.random.default_rng(1)
    for _ in range(steps):
        batch = draw.integers(0, len(images), BATCH)
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(images[batch]), kinds[batch])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def main() -> None:
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    images, kinds = patches(600, 0)
    for name, first in (("nn.Conv2d", lambda: nn.Conv2d(1, 8, 7)), ("tareconv, sum=0", lambda: Conv2d(1, 8, 7, rule="sum=0"))):
        torch.manual_seed(0)
        net, begin = network(first()), time.perf_counter()
        losses = train(net, images, kinds, steps)
        print(f"{name:16} mean loss {np.mean(losses):.3f}, of the last 50 steps {np.mean(losses[-50:]):.3f}, {time.perf_counter() - begin:.1f} s")
    missed = tareconv.residual(net[0].weight.detach().numpy(), net[0].constraint)
    print(f"sums of the filters after training: {missed} in {missed.exact_units} of {missed.units}")
    print("to ship it:", release(net)[0])


if __name__ == "__main__":
    main()
