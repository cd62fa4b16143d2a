# SPDX-License-Identifier: Apache-2.0
"""The demo network that `--whole` trains, the same in every framework, and its one batch of random images."""
from __future__ import annotations

import numpy as np

BATCH, SIZE, CLASSES = 32, 48, 6
LAYERS = ((8, 0, 1), (16, 3, 2), (32, 3, 2))  # filters, rows and columns (0: the K that is raced), stride; bn and relu behind each
RATE = 1e-4


def batch() -> tuple[np.ndarray, np.ndarray]:
    """Images [n][h][w][1] and labels."""
    rng = np.random.default_rng(3)
    return rng.random((BATCH, SIZE, SIZE, 1), dtype=np.float32), rng.integers(0, CLASSES, BATCH).astype(np.int32)


def largest_sum(filters: np.ndarray) -> float:
    """max |sum w| over filters [o][...], added in double."""
    return float(np.abs(filters.astype(np.float64).reshape(len(filters), -1).sum(axis=1)).max())
