# SPDX-License-Identifier: Apache-2.0
"""Which is faster for a convolution, the engine or the framework: measured once a process, when it is first met.

Both run the passes that are asked for on random images of the convolution's sizes, in turns, and the shortest run of each counts. A
framework that takes longer for one image than the engine for the whole batch is not timed further, so that a slow one costs little.
Two that are about equal may be chosen differently on another run, with other last bits: engine="tare" or "framework" fixes it.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import math
import os
import sys
import threading
import time
from typing import Callable, Iterable, Sequence

import numpy as np

from . import calls
from .problem import DATA, FORWARD, WEIGHTS, Geometry

ENGINES = ("auto", "tare", "framework")
_SECONDS, _MOST_RUNS = 0.1, 20
_SIZES = 6
"""Sizes of the images that are measured for one layer; images of further sizes go as those of the nearest size did."""

Step = Callable[[np.ndarray, np.ndarray, np.ndarray], None]
"""A framework's passes on x, weights and dy (x nchw or nhwc as the choice says, weights [o][c/g][k...]); returns when they are done."""
Threads = Callable[[], tuple[int, int]]
"""How many threads the engine may use in the calling thread, and whose (calls.py)."""


def check(engine: str) -> str:
    """`engine` if it is a known one; TARECONV_ENGINE in the environment takes the place of "auto"."""
    if engine not in ENGINES:
        raise ValueError(f"engine: expected 'auto', 'tare' or 'framework', found {engine!r}")
    instead = os.environ.get("TARECONV_ENGINE", "auto") if engine == "auto" else engine
    if instead not in ENGINES:
        raise ValueError(f"TARECONV_ENGINE: expected auto, tare or framework, found {instead!r}")
    return instead


def _images(g: Geometry, layout: str) -> tuple[np.ndarray, ...]:
    draw = np.random.default_rng(0)
    shape = {"nchw": lambda c, size: (g.batch, c, *size), "nhwc": lambda c, size: (g.batch, *size, c)}[layout]
    shapes = shape(g.channels, g.size), (g.outputs, g.channels // g.groups, *g.kernel), shape(g.outputs, g.result)
    return tuple(draw.standard_normal(s, dtype=np.float32) for s in shapes)


def _engine_step(call: str, passes: int, threads: tuple[int, int]) -> Step:
    saved = np.empty(calls.sizes(call).saved if passes != FORWARD else 0, np.float32)

    def step(x: np.ndarray, weights: np.ndarray, dy: np.ndarray) -> None:
        y, dx, dweights = np.empty_like(dy), np.empty_like(x), np.empty_like(weights)
        pointers = {"x": x, "weights": weights, "saved": saved}
        calls.forward(call, *threads, **{name: a.ctypes.data for name, a in {**pointers, "y": y}.items() if a.size})
        if passes != FORWARD:
            wanted = {"dx": dx} if passes & DATA else {}
            wanted |= {"dweights": dweights} if passes & WEIGHTS else {}
            calls.backward(call, *threads, **{name: a.ctypes.data for name, a in {**pointers, "dy": dy, **wanted}.items() if a.size})

    return step


def _seconds(step: Step, arrays: tuple[np.ndarray, ...]) -> float:
    begin = time.perf_counter()
    step(*arrays)
    return time.perf_counter() - begin


def _turns(steps: Sequence[Step], arrays: tuple[np.ndarray, ...]) -> list[float]:
    """The shortest run of each, in turns, after one that does not count: 3 runs, and more within a tenth of a second."""
    best, spent = [math.inf] * len(steps), 0.0
    for step in steps:
        step(*arrays)
    for run in range(_MOST_RUNS):
        took = [_seconds(step, arrays) for step in steps]
        best, spent = [min(pair) for pair in zip(best, took)], spent + sum(took)
        if spent > _SECONDS and run >= min(2, len(steps) - 1):
            break
    return best


def _measure(g: Geometry, layout: str, passes: int, framework: Callable[[Geometry], Step], threads: Threads) -> tuple[float, float]:
    """Seconds of the engine and of the framework (of one image, where that takes longer already)."""
    ours, arrays = _engine_step(g.call(layout, passes), passes, threads()), _images(g, layout)
    one = dataclasses.replace(g, batch=1)
    best, single = _turns([ours], arrays)[0], _turns([framework(one)], _images(one, layout))[0]
    if single > best:
        return best, single
    best, other = _turns([ours, framework(g)], arrays)
    return best, other


def _nearest(images: tuple[int, ...], known: Iterable[tuple[int, ...]]) -> tuple[int, ...]:
    """The sizes among `known` whose images have most nearly as many pixels together."""
    return min(known, key=lambda other: abs(math.log(math.prod(other) / math.prod(images))))


class Choices:
    """What was measured for one framework; `framework` makes its step for a geometry, a layout and a sum of passes, `threads` says whose the engine takes."""

    def __init__(self, name: str, framework: Callable[[Geometry, str, int], Step], threads: Threads = lambda: (0, 0)):
        self._name, self._framework, self._threads = name, framework, threads
        self._lock = threading.Lock()
        self._known: dict[tuple, dict[tuple, bool]] = {}  # by all but the images' sizes, then by these

    def engine_is_faster(self, g: Geometry, layout: str, passes: int) -> bool:
        """Measured when first asked; volumes are the framework's, since the engine has only its reference for them."""
        if len(g.size) == 3:
            return False
        images = g.batch, *g.size
        with self._lock:
            known = self._known.setdefault((dataclasses.replace(g, batch=1, size=g.kernel), layout, passes), {})
            if images not in known:
                known[images] = self._ask(g, layout, passes) if len(known) < _SIZES else known[_nearest(images, known)]
            return known[images]

    def _ask(self, g: Geometry, layout: str, passes: int) -> bool:
        # In a thread of its own nothing that the framework is doing here (tracing, recording gradients) sees the measurement.
        with concurrent.futures.ThreadPoolExecutor(1) as thread:
            ours, theirs = thread.submit(_measure, g, layout, passes, lambda h: self._framework(h, layout, passes), self._threads).result()
        if os.environ.get("TARE_VERBOSE"):
            print(f"tareconv: {g.call(layout, passes)}: tare {ours * 1e3:.3g} ms, {self._name} {theirs * 1e3:.3g} ms", file=sys.stderr)
        return ours < theirs
