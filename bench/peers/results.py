# SPDX-License-Identifier: Apache-2.0
"""Samples of every engine, pass and way; the tables and the JSON that are made of them."""
from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import Any

ENGINES = ("tare", "oneDNN", "PyTorch", "JAX", "TensorFlow")
Cell = tuple[str, str, str]  # what is computed (a problem, or "demo K=7"), pass, engine


@dataclass
class Results:
    """All that was measured; times in ms."""

    samples: dict[Cell, dict[str, list[float]]] = field(default_factory=dict)  # by way
    failures: dict[Cell, str] = field(default_factory=dict)
    medians: dict[Cell, list[float]] = field(default_factory=dict)  # of engines that tell a minimum and a median a turn
    extra: dict[Cell, dict[str, Any]] = field(default_factory=dict)

    def add(self, cell: Cell, ways: dict[str, list[float]]) -> None:
        for way, times in ways.items():
            self.samples.setdefault(cell, {}).setdefault(way, []).extend(times)

    def best(self, cell: Cell) -> tuple[str, float, float] | None:
        """The fastest way of a cell, its minimum and its median."""
        ways = {way: times for way, times in self.samples.get(cell, {}).items() if times}
        if not ways:
            return None
        way = min(ways, key=lambda w: min(ways[w]))
        return way, min(ways[way]), median(self.medians.get(cell, ways[way]))

    def ratio(self, cell: Cell) -> float | None:
        """How many times tare's time this is."""
        mine, ours = self.best(cell), self.best((cell[0], cell[1], "tare"))
        return mine[1] / ours[1] if mine and ours else None

    def engines(self) -> list[str]:
        """Those that measured or failed at anything, in the table's order."""
        there = {cell[2] for cell in (*self.samples, *self.failures)}
        return [engine for engine in ENGINES if engine in there]

    def rows(self) -> list[tuple[str, str]]:
        """What and pass of every line, in the order of measuring."""
        return list(dict.fromkeys((what, name) for what, name, _ in (*self.samples, *self.failures)))


def _text(results: Results, cell: Cell) -> str:
    best, ratio = results.best(cell), results.ratio(cell)
    if best is None:
        return "cannot" if cell in results.failures else "-"
    times = f"{best[1]:.4g} ({best[2]:.4g})"
    return times if cell[2] == "tare" or ratio is None else f"{times} x{ratio:.3g}"


def table(results: Results) -> str:
    """A block for each problem: a line a pass, a column an engine."""
    engines = results.engines()
    lines = [["ms: minimum (median) xratio to tare", *engines]]
    what = ""
    for problem, name in results.rows():
        if problem != what:
            lines.append([problem])
            what = problem
        lines.append(["  " + name.replace("_", " "), *(_text(results, (problem, name, engine)) for engine in engines)])
    widths = [max(len(line[i]) for line in lines if len(line) > 1) for i in range(len(engines) + 1)]
    return "\n".join("  ".join(text.ljust(width) if i == 0 else text.rjust(width) for i, (text, width) in enumerate(zip(line, widths)))
                     for line in lines)


def notes(results: Results) -> list[str]:
    """What could not be measured and why, a line for each engine and reason."""
    by_reason: dict[tuple[str, str], list[str]] = {}
    for (what, name, engine), why in results.failures.items():
        by_reason.setdefault((engine, why), []).append(f"{what} {name}".replace("_", " "))
    return [f"{engine}: {why} ({', '.join(where[:4])}{', ...' if len(where) > 4 else ''})" for (engine, why), where in by_reason.items()]


def as_json(results: Results) -> list[dict[str, Any]]:
    """A row for each cell."""
    rows: list[dict[str, Any]] = []
    for what, name in results.rows():
        for engine in results.engines():
            cell = what, name, engine
            best = results.best(cell)
            row: dict[str, Any] = {"problem": what, "pass": name, "engine": engine}
            if best:
                row |= {"way": best[0], "ms": best[1], "ms_median": best[2], "samples": len(results.samples[cell][best[0]]),
                        "ratio": results.ratio(cell), "ms_of_ways": {way: min(times) for way, times in results.samples[cell].items()}}
            elif cell in results.failures:
                row["why"] = results.failures[cell]
            else:
                continue
            rows.append(row | results.extra.get(cell, {}))
    return rows
