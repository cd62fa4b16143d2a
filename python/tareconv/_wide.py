# SPDX-License-Identifier: Apache-2.0
"""Numbers of more digits than float32 holds, in a framework's own operations: sums of products come out right to a few hundredths of float32's last place, and so the same
in every framework.

`Double` is float64. `Pair`, where there is none (JAX as it comes, Apple's GPUs), is a sum of two float32 that is not carried out. `widen` picks. Both have the same methods;
constants they are multiplied by come from `prepare`. Numbers keep the type that they were widened from in mind, and gradients flow through all of this as through the plain
operations.
"""

from __future__ import annotations

import math

import numpy as np

from ._bits import power

_DIGITS = 24  # of float32


class Double:
    """float64."""

    def __init__(self, ops, x, name: str):
        self.ops, self._x, self._name = ops, x, name

    @classmethod
    def of(cls, ops, t):
        """float32 or float64, widened."""
        return cls(ops, ops.cast(t, "float64"), ops.name(t))

    @staticmethod
    def prepare(matrices: dict[str, np.ndarray], columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Constants, float64, as `product` takes the matrices, `times` and `plus` the columns."""
        return matrices | columns

    def each(self, move):
        """Rows taken, axes permuted: what moves numbers and changes none, by a function of an array."""
        return Double(self.ops, move(self._x), self._name)

    def product(self, constants, name: str):
        """The matrix `name` times this."""
        return self.each(lambda x: self.ops.matmul(constants[name], x))

    def times(self, constants, name: str):
        """Each row times a number of the column `name`."""
        return self.each(lambda x: x * constants[name])

    def scaled(self, factor):
        """All times one number of the type that was widened."""
        return self.each(lambda x: x * self.ops.cast(factor, "float64"))

    def plus(self, constants, name: str):
        """The column `name` added."""
        return self.each(lambda x: x + constants[name])

    def with_rest(self, rest):
        """An array of the type that was widened added."""
        return self.each(lambda x: x + self.ops.cast(rest, "float64"))

    def narrow(self):
        """Rounded to the type that was widened."""
        return self.ops.cast(self._x, self._name)

    def in_steps(self, step, word: str, left: bool = True):
        """The nearest whole numbers of steps (a power of two a column), in the integers `word`; and what is left over, in steps, or None."""
        x = self._x / self.ops.cast(step, "float64")
        whole = self.ops.round(x)
        return self.ops.cast(whole, word), x - whole if left else None


class Pair:
    """head + tail, two float32: of the products of a sum those of the leading digits are exact, in whatever order a device adds them, and land in the head; the others
    and the gradient are the tail's. (As Ozaki, Ogita, Oishi & Rump 2012 split matrices for exact products; two terms do here.)"""

    def __init__(self, ops, head, tail):
        self.ops, self._head, self._tail = ops, head, tail

    @classmethod
    def of(cls, ops, t):
        """float32, widened."""
        head = ops.stop(t)
        return cls(ops, head, t - head)

    @staticmethod
    def prepare(matrices: dict[str, np.ndarray], columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """As Double's: ``"name.head"`` and ``"name.tail"`` of each."""
        heads = {name: _leading(matrix) for name, matrix in matrices.items()} | {name: _first_half(column) for name, column in columns.items()}
        tails = {name: array - heads[name] for name, array in (matrices | columns).items()}
        return {f"{name}.{part}": arrays[name].astype(np.float32) for name in heads for part, arrays in (("head", heads), ("tail", tails))}

    def each(self, move):
        """As Double's."""
        return Pair(self.ops, move(self._head), move(self._tail))

    def product(self, constants, name: str):
        """As Double's."""
        head, tail, ops = constants[f"{name}.head"], constants[f"{name}.tail"], self.ops
        step = ops.clip(power(ops, ops.largest(ops.abs(self._head))) * 2.0 ** (1 - _bits(head.shape[1])), 2.0**-100, 2.0**127)
        leading = ops.round(self._head / step) * step
        rest = (self._head - leading) + self._tail
        return Pair(ops, ops.matmul(head, leading), ops.matmul(head, rest) + ops.matmul(tail, self._head + self._tail))

    def times(self, constants, name: str):
        """As Double's."""
        return self._multiplied(constants[f"{name}.head"], constants[f"{name}.tail"])

    def scaled(self, factor):
        """As Double's."""
        head = _half(self.ops, factor)
        return self._multiplied(head, factor - head)

    def _multiplied(self, head, tail):
        leading = _half(self.ops, self._head)
        rest = (self._head - leading) + self._tail
        return Pair(self.ops, leading * head, leading * tail + rest * (head + tail))

    def plus(self, constants, name: str):
        """As Double's. The error of the sum of heads is exact (Knuth 1997, 4.2.2)."""
        more, tail = constants[f"{name}.head"], constants[f"{name}.tail"]
        total = self._head + more
        added = total - self._head
        return Pair(self.ops, total, self._tail + ((self._head - (total - added)) + (more - added) + tail))

    def with_rest(self, rest):
        """As Double's."""
        return Pair(self.ops, self._head, self._tail + rest)

    def narrow(self):
        """As Double's."""
        return self._head + self._tail

    def in_steps(self, step, word: str, left: bool = True):  # noqa: ARG002
        """As Double's."""
        ops, x = self.ops, self._head / step
        whole = ops.round(x)
        rest = (x - whole) + self._tail / step
        more = ops.round(rest)
        return ops.cast(whole, word) + ops.cast(more, word), rest - more


def kind_of(ops, t) -> type[Double] | type[Pair]:
    """What `widen` makes of t; its `prepare` makes the constants."""
    return Double if ops.name(t) == "float64" or ops.has_double(t) else Pair


def widen(ops, t) -> Double | Pair:
    """t (float32 or float64) with more digits."""
    return kind_of(ops, t).of(ops, t)


def _bits(terms: int) -> int:
    """How many leading bits of both factors leave a sum of so many products exact."""
    return (_DIGITS - math.ceil(math.log2(max(terms, 1)))) // 2


def _leading(matrix: np.ndarray) -> np.ndarray:
    """The leading bits of a matrix' numbers, in one unit for all."""
    largest = np.abs(matrix).max(initial=0)
    unit = 2.0 ** (np.floor(np.log2(largest)) + 1 - _bits(matrix.shape[1])) if largest else 1.0
    return np.round(matrix / unit) * unit


def _first_half(column: np.ndarray) -> np.ndarray:
    """The first 12 bits of each number."""
    return (column.astype(np.float32).view(np.int32) & -4096).view(np.float32).astype(np.float64)


def _half(ops, x):
    """The first 12 of each number's 24 bits; no gradient."""
    return ops.view(ops.view(ops.stop(x), "int32") & -4096, "float32")
