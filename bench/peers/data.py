# SPDX-License-Identifier: Apache-2.0
"""What every peer gets and gives: the same random arrays in, and a digest of its result to compare with the others'."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .problem import Problem


@dataclass(frozen=True)
class Arrays:
    """Float images and gradient [n][c][h][w], weights [o][c/g][kh][kw]."""

    x: np.ndarray
    w: np.ndarray
    dy: np.ndarray


def draw(problem: Problem) -> Arrays:
    """Normal numbers from a fixed seed; weights such that outputs are about 1."""
    rng = np.random.default_rng(1)
    inside = problem.channels // problem.groups
    shapes = ((problem.batch, problem.channels, *problem.size), (problem.outputs, inside, *problem.kernel),
              (problem.batch, problem.outputs, *problem.output))
    x, w, dy = (rng.standard_normal(shape, dtype=np.float32) for shape in shapes)
    return Arrays(x, w / np.sqrt(np.float32(w[0].size)), dy)


def digest(values: np.ndarray) -> list[float]:
    """Root mean square, and the correlation with a fixed pattern, of an array in plain order."""
    flat = np.asarray(values, dtype=np.float64).ravel()
    pattern = np.random.default_rng(2).standard_normal(flat.size)
    return [float(np.sqrt(np.mean(flat * flat))), float(flat @ pattern / np.sqrt(flat.size))]
