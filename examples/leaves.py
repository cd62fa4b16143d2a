# SPDX-License-Identifier: Apache-2.0
"""Images to try filters on, made here: dead leaves (discs that cover each other, whose statistics are those of photos; Lee, Mumford & Huang 2001), and the task of
telling how a patch was manipulated, under random brightness. The C trainer's `leaves` are the fuller version (doc/data.md)."""

import numpy as np

CLASSES = ("untouched", "noise of 2 grey levels", "blurred", "median of 3x3")


def image(rng, size=192, discs=900):
    """One image, size x size, 0..255: discs of radius r, as many as r^-3 says, each with a grey of its own and some texture."""
    out = np.full((size, size), 128.0)
    texture = rng.normal(0, 4, (size, size))
    for _ in range(discs):
        radius = 3 / np.sqrt(rng.uniform((3 / (size / 3)) ** 2, 1))
        y, x = rng.uniform(-radius, size + radius, 2)
        top, left = max(int(y - radius), 0), max(int(x - radius), 0)
        rows, columns = np.ogrid[top:min(int(y + radius) + 2, size), left:min(int(x + radius) + 2, size)]
        inside = (rows - y) ** 2 + (columns - x) ** 2 <= radius**2
        part = out[top:top + inside.shape[0], left:left + inside.shape[1]]
        part[inside] = rng.uniform(20, 235) + (texture[top:top + inside.shape[0], left:left + inside.shape[1]] * rng.uniform(0, 1.5))[inside]
    return out


def _windows(x, size):
    pad = size // 2
    return np.lib.stride_tricks.sliding_window_view(np.pad(x, pad, "reflect"), (size, size))


def manipulated(rng, x, kind):
    """An image of 8 bits again."""
    weights = np.exp(-np.arange(-2, 3) ** 2 / (2 * 0.7**2))
    if kind == 1:
        x = x + rng.normal(0, 2, x.shape)
    elif kind == 2:
        x = np.einsum("ijkl,k,l->ij", _windows(x, 5), weights, weights) / weights.sum() ** 2
    elif kind == 3:
        x = np.median(_windows(x, 3), axis=(2, 3))
    return np.clip(np.round(x), 0, 255)


def patches(count, seed=0, size=32, brightness=0.5, images=24):
    """`count` patches (count, size, size, 1) as pixel / 256 with a random constant of up to `brightness` added to each, and their classes."""
    rng = np.random.default_rng(seed)
    made = [[manipulated(rng, clean, kind) for kind in range(len(CLASSES))] for clean in (np.round(image(rng)) for _ in range(images))]
    labels = rng.integers(0, len(CLASSES), count)
    x = np.empty((count, size, size, 1), np.float32)
    for number, kind in enumerate(labels):
        whole = made[rng.integers(images)][kind]
        top, left = rng.integers(0, whole.shape[0] - size, 2)
        x[number, :, :, 0] = whole[top:top + size, left:left + size] / 256 + rng.uniform(-brightness, brightness)
    return x, labels.astype(np.int32)
