# SPDX-License-Identifier: Apache-2.0
"""Powers of two, by their bits: a logarithm or a reciprocal of a framework may be off by one in the last place (TensorFlow's 1 / x in graphs is)."""

from __future__ import annotations

from fractions import Fraction

WORDS = {"float32": "int32", "float64": "int64"}
"""An integer of a float's size."""
_EXPONENT = {"float32": 0x7F800000, "float64": 0x7FF0000000000000}
_TWICE_ONE = {"float32": 0x7F000000, "float64": 0x7FE0000000000000}


def power(ops, x):
    """The largest power of two that is at most x >= 0, elementwise; 0 below the normal numbers."""
    name = ops.name(x)
    return ops.view(ops.view(x, WORDS[name]) & _EXPONENT[name], name)


def in_steps(ops, right: float, step):
    """A right-hand side in steps (powers of two, elementwise), as integers of the step's size, modulo which sums of integers are: many small weights add up to more steps
    than 32 bits hold."""
    name = ops.name(step)
    word = WORDS[name]
    steps = ops.round(right * ops.view(_TWICE_ONE[name] - ops.view(step, word), name))  # twice the bits of 1, less those of a power of two, are those of its inverse
    if word == "int32":
        steps = steps - 2.0**32 * ops.round(steps * 2.0**-32)
        steps = ops.where(steps < 2.0**31, steps, -(2.0**31))
    return ops.cast(steps, word)


def exponent(value: Fraction) -> int:
    """The exponent of the largest power of two of which a binary number other than 0 is a whole multiple."""
    numerator = abs(value.numerator)
    return (numerator & -numerator).bit_length() - value.denominator.bit_length()
