# SPDX-License-Identifier: Apache-2.0
"""curves.py RACE.json OUT.svg [METHOD,METHOD,...]: the loss curves of a race (`tare race --json`), averaged over its seeds and its window of steps.

The filled band is from the lowest to the highest seed. Needs nothing but Python.
"""
import json
import sys

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 380, 52, 176, 14, 40
COLOURS = ["#d62728", "#1f77b4", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf", "#8c564b", "#e377c2", "#7f7f7f", "#222222"]


def smoothed(losses, window):
    """Means over trailing windows, from the first full one on."""
    total, out = sum(losses[:window]), []
    for i in range(window, len(losses) + 1):
        out.append(total / window)
        if i < len(losses):
            total += losses[i] - losses[i - window]
    return out


def curves(race, chosen):
    """(method, first step, mean, lowest, highest) in the order of the table."""
    for row in race["summary"]:
        runs = [run["loss"] for run in race["runs"] if run["method"] == row["method"] and run["loss"]]
        if runs and (not chosen or row["method"] in chosen):
            seeds = list(zip(*(smoothed(losses, race["window"]) for losses in runs)))
            yield row["method"], [sum(v) / len(v) for v in seeds], [min(v) for v in seeds], [max(v) for v in seeds]


def draw(race, chosen):
    steps = race["options"]["steps"]
    race["window"] = window = min(race["window"], steps)  # a race shorter than its window has one value
    lines = list(curves(race, chosen))
    top = max(race["chance"], max(max(mean) for _, mean, _, _ in lines)) * 1.05

    def x(step):
        return LEFT + (WIDTH - LEFT - RIGHT) * step / steps

    def y(loss):
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - min(loss, top) / top)

    def path(values, reverse=False):
        points = [f"{x(window + i):.1f},{y(v):.1f}" for i, v in enumerate(values) if i % 2 == 0 or i == len(values) - 1]
        return " ".join(reversed(points) if reverse else points)

    yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">'
    yield f'<title>Training loss by step: {race["data"]}, {race["kernel"]}x{race["kernel"]} filters under {race["constraint"]}</title>'
    yield f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>'
    for tick in range(0, int(top * 4) + 1):
        yield f'<path d="M{LEFT} {y(tick / 4):.1f}H{WIDTH - RIGHT}" stroke="#e4e4e4"/>'
        yield f'<text x="{LEFT - 6}" y="{y(tick / 4) + 4:.1f}" text-anchor="end" fill="#444444">{tick / 4:g}</text>'
    for i in range(5):
        yield f'<text x="{x(steps * i / 4):.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle" fill="#444444">{steps * i // 4}</text>'
    yield f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 6}" text-anchor="middle" fill="#444444">training steps</text>'
    yield f'<path d="M{LEFT} {y(race["chance"]):.1f}H{WIDTH - RIGHT}" stroke="#888888" stroke-dasharray="4 4"/>'
    yield f'<text x="{LEFT + 2}" y="{y(race["chance"]) - 4:.1f}" fill="#666666" font-size="11">guess</text>'
    label = y(0) + 20
    for (name, mean, low, high), colour in sorted(zip(lines, COLOURS), key=lambda line: line[0][1][-1]):
        yield f'<polygon points="{path(low)} {path(high, True)}" fill="{colour}" opacity="0.12"/>'
        yield f'<polyline points="{path(mean)}" fill="none" stroke="{colour}" stroke-width="2"/>'
        label = min(label - 15, y(mean[-1]) + 4)
        yield f'<text x="{WIDTH - RIGHT + 8}" y="{label:.1f}" fill="{colour}">{name} {mean[-1]:.2f}</text>'
    yield "</svg>"


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    with open(sys.argv[1]) as file:
        race = json.load(file)
    picture = "\n".join(draw(race, sys.argv[3].split(",") if len(sys.argv) > 3 else None)) + "\n"
    with open(sys.argv[2], "w") as file:
        file.write(picture)
