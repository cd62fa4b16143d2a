# SPDX-License-Identifier: Apache-2.0
"""How a step's time grows with the filter: SVG, logarithmic axes, a panel for each family of problems, a curve for each engine."""
from __future__ import annotations

import math
import re
import textwrap
from dataclasses import dataclass
from html import escape

from .problem import NAMES, parse
from .results import ENGINES, Results

# Okabe & Ito's colours, which the colour-blind can tell apart; ours is drawn thickest
COLOURS = dict(zip(ENGINES, ("#d55e00", "#0072b2", "#cc79a7", "#009e73", "#e69f00")))
PANEL, HEIGHT, GAP, LEFT, TOP, BOTTOM = 300, 320, 62, 64, 88, 34
LETTER, LINE = 6.6, 16  # a letter's width at most, from line to line
LEGEND = 110  # from name to name
K_TICKS = (3, 5, 7, 11, 15, 21, 31, 45, 63)
Curve = list[tuple[int, float]]


@dataclass(frozen=True)
class Axis:
    """A logarithmic scale from values to pixels."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return self.start + share * (self.end - self.start)


def families(results: Results) -> dict[str, dict[str, Curve]]:
    """Step times over K, by the problem without its filter and padding, and by engine."""
    found: dict[str, dict[str, Curve]] = {}
    for what, name in results.rows():
        stem = re.sub(r"[kp]\d+(x\d+)?", "", what)
        for engine in ENGINES if name == "step" else ():
            best = results.best((what, name, engine))
            if best:
                found.setdefault(stem, {}).setdefault(engine, []).append((parse(what).kernel[0], best[1]))
    return {stem: {engine: sorted(curve) for engine, curve in curves.items()} for stem, curves in found.items()}


def _line(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    return f'<path d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" stroke="{colour}" fill="none"/>'


def _text(x: float, y: float, text: str, anchor: str = "middle", extra: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {extra}>{escape(text)}</text>'


def _decades(axis: Axis, left: float, right: float) -> list[str]:
    """Horizontal lines at powers of ten with their labels; fainter ones at 2 and 5 times them."""
    parts = []
    for power in range(math.floor(math.log10(axis.low)), math.ceil(math.log10(axis.high)) + 1):
        for times in (1, 2, 5):
            value = times * 10.0 ** power
            if axis.low <= value <= axis.high:
                parts.append(_line(left, axis.at(value), right, axis.at(value), "#bbb" if times == 1 else "#eee"))
                parts += [_text(left - 6, axis.at(value) + 4, f"{value:g}", "end")] if times == 1 else []
    return parts


def _curve(curve: Curve, across: Axis, up: Axis, engine: str) -> list[str]:
    points = [(across.at(k), up.at(ms)) for k, ms in curve]
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    width = 3 if engine == "tare" else 1.6
    colour = COLOURS[engine]
    return [f'<path d="M{path}" stroke="{colour}" stroke-width="{width}" stroke-linejoin="round" fill="none"/>',
            *(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{width + 0.8:.1f}" fill="{colour}"/>' for x, y in points)]


def _panel(left: float, stem: str, curves: dict[str, Curve], up: Axis) -> list[str]:
    ks = sorted({k for curve in curves.values() for k, _ in curve})
    across = Axis(ks[0] / 1.1, ks[-1] * 1.1, left, left + PANEL)
    parts = _decades(up, left, left + PANEL)
    for k in (k for k in K_TICKS if ks[0] <= k <= ks[-1]):
        parts += [_line(across.at(k), TOP, across.at(k), TOP + HEIGHT, "#eee"), _text(across.at(k), TOP + HEIGHT + 17, str(k))]
    for engine in reversed([e for e in ENGINES if e in curves]):  # ours last, on top
        parts += _curve(curves[engine], across, up, engine)
    title = f"{NAMES[stem]}: {stem}" if stem in NAMES else stem
    parts.append(_text(left + PANEL / 2, TOP - 10, title, extra='font-weight="bold"'))
    return parts


def _legend(engines: list[str]) -> list[str]:
    parts = []
    for i, engine in enumerate(engines):
        x = LEFT + i * LEGEND
        parts.append(f'<path d="M{x} 46h24" stroke="{COLOURS[engine]}" stroke-width="{3 if engine == "tare" else 1.6}"/>')
        parts.append(_text(x + 30, 50, engine, "start"))
    return parts


def svg(results: Results, caption: str) -> str | None:
    """The picture; None when there is nothing to draw yet."""
    found = {stem: curves for stem, curves in families(results).items() if any(len(c) > 1 for c in curves.values())}
    if not found:
        return None
    times = [ms for curves in found.values() for curve in curves.values() for _, ms in curve]
    up = Axis(min(times) / 1.3, max(times) * 1.3, TOP + HEIGHT, TOP)
    engines = [e for e in ENGINES if any(e in curves for curves in found.values())]
    width = max(LEFT + len(found) * (PANEL + GAP), LEFT + LEGEND * len(engines))
    parts = _legend(engines)
    parts.append(_text(LEFT, 24, "A training step of one convolution: ms over the filter's size K", "start", 'font-size="16"'))
    for i, (stem, curves) in enumerate(found.items()):
        parts += _panel(LEFT + i * (PANEL + GAP), stem, curves, up)
    lines = textwrap.wrap(caption, int((width - LEFT - 10) / LETTER))
    bottom = TOP + HEIGHT + BOTTOM
    parts += [_text(LEFT, bottom + LINE * (i + 0.5), line, "start", 'fill="#666"') for i, line in enumerate(lines)]
    body = "\n".join(parts)
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{bottom + LINE * (len(lines) + 0.5):.0f}" '
            f'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="#fff"/>\n{body}\n</svg>\n')
