# SPDX-License-Identifier: Apache-2.0
"""From a rule to its grid (_grid.py): short rows first, as in C (doc/rounding.md, 'Before any weights are seen')."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from ._bits import exponent
from ._constraint import Constraint
from ._grid import Grid, Part

_COARSEST = 127  # no right-hand side asks for a finer step
_MOST_SINGLE = 16  # so many taps that count once for each that counts twice, which alone mend sums: by at most 10 steps then (_grid.py has room for 15)


def presolve(constraint: Constraint) -> Grid | None:
    """See `Grid.of`."""
    rows = _rows(constraint)
    if rows is None:
        return None
    fixed, tie, rows = _short(rows, constraint.taps)
    found = [_sum(row, right) for row, right in rows]
    used = [variable for row, _ in rows for variable in row]
    if None in found or len(set(used)) < len(used) or any(len(ones) > _MOST_SINGLE * len(twos) > 0 for ones, twos, _ in found):
        return None
    rights = [right for _, _, right in found] + list(fixed.values())
    if any(right.denominator & (right.denominator - 1) or Fraction(float(np.float32(right))) != right for right in rights):
        return None
    return _grid(constraint.taps, fixed, tie, found)


def _rows(constraint: Constraint):
    """Rows {tap: coefficient}, right-hand side; None if float64 does not hold them exactly enough to be sure."""
    a, b = constraint.matrix()
    if not (np.all(a == np.round(a)) and np.all(np.abs(a) < 2**31)):
        return None
    rights = [Fraction(float(value)) for value in b]
    return [({int(tap): int(row[tap]) for tap in np.flatnonzero(row)}, right) for row, right in zip(a, rights)]


def _short(rows, taps: int):
    """Takes out rows of one tap (it is fixed) and a w_i = +-a w_j (the two are one), until no row is short. tie[tap] = (tap, sign)."""
    fixed: dict[int, Fraction] = {}
    tie = {tap: (tap, 1) for tap in range(taps)}
    while True:
        rows = [_substituted(row, right, fixed, tie) for row, right in rows]
        rows = [(row, right) for row, right in rows if row]
        short = next((entry for entry in rows if _is_short(*entry)), None)
        if short is None:
            return {tap: sign * fixed[to] for tap, (to, sign) in tie.items() if to in fixed}, {t: e for t, e in tie.items() if e[0] not in fixed}, rows
        (first, a), *rest = short[0].items()
        if not rest:
            fixed[first] = short[1] / a
        else:
            (second, c), = rest
            sign = -1 if a == c else 1
            tie = {tap: (first, s * sign) if to == second else (to, s) for tap, (to, s) in tie.items()}


def _is_short(row, right: Fraction) -> bool:
    sizes = [abs(value) for value in row.values()]
    return len(sizes) == 1 or (len(sizes) == 2 and sizes[0] == sizes[1] and right == 0)


def _substituted(row, right: Fraction, fixed, tie):
    new: dict[int, int] = {}
    for tap, value in row.items():
        to, sign = tie[tap]
        if to in fixed:
            right -= value * sign * fixed[to]
        else:
            new[to] = new.get(to, 0) + value * sign
    return {tap: value for tap, value in new.items() if value}, right


def _sum(row, right: Fraction):
    """A row as (variables that count once, those that count twice, right-hand side), or None if it is no such sum."""
    unit = int(np.gcd.reduce(list(row.values())))
    if any(value < 0 for value in row.values()):
        if any(value > 0 for value in row.values()):
            return None
        unit = -unit
    counts = {tap: value // unit for tap, value in row.items()}
    if max(counts.values()) > 2:
        return None
    ones = [tap for tap, value in counts.items() if value == 1]
    return ones, [tap for tap, value in counts.items() if value == 2], right / unit


def _grid(taps: int, fixed, tie, found) -> Grid:
    order, parts = [], []
    for ones, twos, right in found:
        parts.append(Part(len(order), len(ones) + len(twos), len(ones), float(right)))
        order += ones + twos
    order += sorted({to for to, _ in tie.values()} - set(order))
    place = {tap: number for number, tap in enumerate(order)}
    values = list(fixed.values())
    spread = np.array([place[tie[tap][0]] if tap in tie else len(order) + list(fixed).index(tap) for tap in range(taps)], np.int32)
    sign = np.array([tie[tap][1] if tap in tie else 1 for tap in range(taps)], np.float64)[:, None]
    rights = [Fraction(part.total) for part in parts] + values
    coarsest = min([_COARSEST] + [exponent(right) for right in rights if right])
    constants = {"turns": np.arange(max([part.count for part in parts], default=0), dtype=np.int32)[::-1, None].copy()}
    in_order = np.arange(taps)
    moves = {"take": (np.array(order, np.int32), in_order), "spread": (spread, in_order), "sign": (sign, np.ones((taps, 1)))}
    constants |= {name: value for name, (value, idle) in moves.items() if not np.array_equal(value, idle)}
    if fixed:
        constants["fixed"] = np.array([float(v) for v in values])[:, None]
    return Grid(tuple(parts), len(order), constants, coarsest)
