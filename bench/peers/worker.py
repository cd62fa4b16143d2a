# SPDX-License-Identifier: Apache-2.0
"""
One framework in a process of its own (`python -m peers.worker NAME THREADS`), asleep while others are timed. A request
is a line of JSON on standard input, the answer a line on standard output:

    {"problem": PROBLEM, "pass": PASS, "image_too": whether a step has backward data} -> {"digest": [...]}
    {"whole": K, "border": "valid" or "same"} -> {}: makes the demo network, to be run as pass "step"
    {"run": PASS, "seconds": s}  -> {"ms": {WAY: [...]}}: each way still in (layouts, compiled or not) for s seconds
    {"sum": WAY}                 -> {"sum": max |sum w| of the first filters of the network that was trained this way}

or {"error": why}.
"""
from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from .data import digest, draw
from .problem import parse

Call = Callable[[], Any]
QUICK, CHOOSING = 1.0, 0.15  # seconds: after a longer first call one more is enough to know; how long each way is tried
CLOSE = 1.5  # ways up to this much slower than the fastest at first sight stay in


def time_calls(call: Call, seconds: float) -> list[float]:
    """Milliseconds of each of some calls: at least one, and until `seconds` are over."""
    times: list[float] = []
    end = time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        times.append((time.perf_counter() - start) * 1e3)
    return times


def reason(error: BaseException) -> str:
    """One line, short enough for a note: the end of the message, since traces come first."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[-1][:200] if lines else 'no message'}"


def warm(call: Call) -> float:
    """Runs it until it is warm; milliseconds of its fastest call."""
    start = time.perf_counter()
    call()
    if time.perf_counter() - start > QUICK:
        start = time.perf_counter()
        call()
        return (time.perf_counter() - start) * 1e3
    return min(time_calls(call, CHOOSING))


class Worker:
    """Keeps the fastest ways of each pass of one problem ready to be run."""

    def __init__(self, name: str, threads: int) -> None:
        self.engine = importlib.import_module(f"peers.engine_{name}").Engine(threads)
        self.problem = ""
        self.calls: dict[str, dict[str, Call]] = {}
        self.networks: dict[str, Any] = {}

    def choose(self, name: str, ways: dict[str, Call], close: float = CLOSE) -> None:
        """Tries every way of a pass and keeps those near the fastest, that one first; if none works, the last failure is raised."""
        times: dict[str, float] = {}
        failure: Exception = RuntimeError("nothing to try")
        for way, call in ways.items():
            try:
                times[way] = warm(call)
            except Exception as error:  # a framework may raise anything for a shape that it cannot do
                failure = error
        if not times:
            raise failure
        self.calls[name] = {way: ways[way] for way in sorted(times, key=times.__getitem__) if times[way] <= close * min(times.values())}

    def prepare(self, text: str, name: str, image_too: bool) -> dict[str, Any]:
        """Makes a pass of a problem; what it computes, in a digest."""
        if text != self.problem:
            self.problem = text
            self.calls.clear()
        problem = parse(text)
        self.choose(name, self.engine.passes(problem, draw(problem), [name], image_too)[name])
        way, call = next(iter(self.calls[name].items()))
        return {} if name == "step" else {"digest": digest(self.engine.plain(name, way, call()))}

    def whole(self, kernel: int, border: str) -> dict[str, Any]:
        """Makes the demo network in every way; all stay in."""
        self.problem = ""
        self.networks = {way: make() for way, make in self.engine.networks(kernel, border).items()}
        self.choose("step", {way: network.step for way, network in self.networks.items()}, float("inf"))
        return {}

    def run(self, name: str, seconds: float) -> dict[str, Any]:
        return {"ms": {way: time_calls(call, seconds) for way, call in self.calls[name].items()}}

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """One request; a failure is an answer too."""
        try:
            if "problem" in request:
                return self.prepare(request["problem"], request["pass"], request["image_too"])
            if "whole" in request:
                return self.whole(request["whole"], request["border"])
            if "run" in request:
                return self.run(request["run"], request["seconds"])
            return {"sum": self.networks[request["sum"]].largest_sum()}
        except Exception as error:
            return {"error": reason(error)}


def main() -> None:
    """Serves requests until the input ends. Whatever a framework prints goes to standard error."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    try:
        worker = Worker(sys.argv[1], int(sys.argv[2]))
        first = {"versions": worker.engine.versions()}
    except Exception as error:  # not installed, or broken: the peer is left out
        print(json.dumps({"error": reason(error)}), file=out, flush=True)
        return
    print(json.dumps(first), file=out, flush=True)
    for line in sys.stdin:
        print(json.dumps(worker.answer(json.loads(line))), file=out, flush=True)


if __name__ == "__main__":
    main()
