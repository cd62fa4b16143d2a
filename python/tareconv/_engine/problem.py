# SPDX-License-Identifier: Apache-2.0
"""Convolutions as the engine names them: problem strings, and the strings of calls (engine.h)."""

from __future__ import annotations

import dataclasses
import functools

FORWARD, DATA, WEIGHTS = 1, 2, 4
"""Passes, as tare_pass."""
BORDERS = ("zero", "reflect", "edge")
_AXES = {1: "w", 2: "hw", 3: "zhw"}


@dataclasses.dataclass(frozen=True)
class Geometry:
    """One convolution: sizes in elements, each tuple has a number for each axis (planes, rows, columns).

    channels and outputs count those of all groups. Weights are [outputs][channels / groups][kernel...].
    """

    batch: int
    channels: int
    size: tuple[int, ...]
    outputs: int
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int = 1
    border: str = "zero"

    @property
    def result(self) -> tuple[int, ...]:
        """Pixels of the output along each axis."""
        return result_size(self.size, self.kernel, self.stride, self.padding, self.dilation)

    @functools.cached_property
    def problem(self) -> str:
        """The problem string of tare/conv.h."""
        sizes = "".join(f"{letter}{n}" for letter, n in zip(_AXES[len(self.size)], self.size))
        many = {"k": self.kernel, "s": self.stride, "p": self.padding, "d": self.dilation}
        lists = "".join(letter + "x".join(map(str, numbers)) for letter, numbers in many.items())
        border = "" if self.border == "zero" else "_" + self.border
        return f"g{self.groups}n{self.batch}c{self.channels}{sizes}o{self.outputs}{lists}{border}"

    def call(self, layout: str, passes: int, precision: str = "f32", flags: int = 0) -> str:
        """The string of a call: layout nchw or nhwc, a sum of passes, f32 or f64."""
        return f"{self.problem} {layout} {precision} {passes} {flags}"


def result_size(size, kernel, stride, padding, dilation) -> tuple:
    """Pixels of an output along each axis; also of symbolic numbers."""
    return tuple((n + 2 * p - (k - 1) * d - 1) // s + 1 for n, k, s, p, d in zip(size, kernel, stride, padding, dilation))
