# SPDX-License-Identifier: Apache-2.0
"""Problem strings (doc/conv.md has the grammar) and the named sets of them."""
from __future__ import annotations

import re
from dataclasses import dataclass

BORDERS = ("zero", "reflect", "edge", "valid")
PASSES = ("forward", "backward_data", "backward_weights", "step")
NUMBER = re.compile(r"([gnchwokspd])(\d+)(?:x(\d+))?")
PAIRS = "hkspd"


@dataclass(frozen=True)
class Problem:
    """One convolution; pairs are rows, columns."""

    text: str
    groups: int
    batch: int
    channels: int
    outputs: int
    size: tuple[int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    pad: tuple[int, int]
    dilation: tuple[int, int]
    border: str

    @property
    def output(self) -> tuple[int, int]:
        """Output rows and columns."""
        reach = [(k - 1) * d + 1 for k, d in zip(self.kernel, self.dilation)]
        rows, columns = ((n + 2 * p - r) // s + 1 for n, p, r, s in zip(self.size, self.pad, reach, self.stride))
        return rows, columns

    @property
    def first_layer(self) -> bool:
        """Up to 4 input channels, an image's: nobody asks for their gradient, so a step is two passes (as `tare bench` has it)."""
        return self.channels <= 4

    @property
    def passes(self) -> tuple[str, ...]:
        return tuple(p for p in PASSES if not (self.first_layer and p == "backward_data"))

    @property
    def depthwise(self) -> bool:
        return self.groups == self.channels and self.groups > 1


def _numbers(text: str, letters: str) -> dict[str, tuple[int, int]]:
    """The pair behind every letter: `k3x5` is (3, 5), `k3` (3, 3)."""
    found: dict[str, tuple[int, int]] = {}
    at = 0
    for match in NUMBER.finditer(letters):
        letter, one, two = match.groups()
        if match.start() != at or letter in found or (two and letter not in PAIRS):
            break
        found[letter] = int(one), int(two or one)
        at = match.end()
    if at != len(letters):
        raise ValueError(f"problem '{text}', column {at + 1}: expected one of g n c h w o k s p d with a number, each once")
    return found


def parse(text: str) -> Problem:
    """A problem string; ValueError says what is wrong with it."""
    letters, _, border = text.partition("_")
    found = _numbers(text, letters)
    missing = [letter for letter in "chok" if letter not in found]
    if missing or (border or "zero") not in BORDERS:
        raise ValueError(f"problem '{text}': " + (f"'{missing[0]}' is missing" if missing else f"no border is called '{border}'"))
    single = {letter: found.get(letter, (1, 1))[0] for letter in "gnco"}
    rows, columns = found["h"]
    problem = Problem(text, single["g"], single["n"], single["c"], single["o"], (rows, found.get("w", (columns,))[0]),
                      found["k"], found.get("s", (1, 1)), found.get("p", (0, 0)), found.get("d", (1, 1)), border or "zero")
    if problem.channels % problem.groups or problem.outputs % problem.groups or min(problem.output) < 1:
        raise ValueError(f"problem '{text}': its groups do not divide the channels, or the filter does not fit")
    return problem


def _same(stem: str, kernels: tuple[int, ...]) -> list[str]:
    """The stem with each filter size and the padding that keeps the image's size."""
    return [f"{stem}k{k}p{k // 2}" for k in kernels]


FIRST, DENSE, DEPTHWISE = "n8c1h128o32", "n8c32h64o32", "g32n8c32h64o32"
NAMES = {FIRST: "first layer", DENSE: "dense", DEPTHWISE: "depthwise"}
SIZES, GROWTH = (3, 5, 7, 9, 11, 15, 21, 31), (3, 5, 7, 11, 15, 21, 31, 45, 63)
# as `tare bench --list` has them; replknet: the depthwise layers of RepLKNet-31B's four stages (Ding et al. 2022)
SETS: dict[str, list[str]] = {
    "quick": [f"{stem}k15p7" for stem in (FIRST, DENSE, DEPTHWISE)],
    "first": _same(FIRST, SIZES),
    "dense": _same(DENSE, SIZES),
    "depthwise": _same(DEPTHWISE, SIZES),
    "replknet": [f"g{c}n4c{c}h{h}o{c}k{k}p{k // 2}" for c, h, k in ((128, 56, 31), (256, 28, 29), (512, 14, 27), (1024, 7, 13))],
    "growth": _same(FIRST, GROWTH) + _same(DENSE, GROWTH) + _same(DEPTHWISE, GROWTH),
}
