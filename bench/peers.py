#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Times convolutions by tare, oneDNN, PyTorch, JAX and TensorFlow in turns: the passes of problems, or with --whole a training
step of the demo network. bench/README.md says what is measured and how. Frameworks that are not installed are left out.
"""
from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from peers import machine, plot, tare
from peers.problem import PASSES, SETS, Problem, parse
from peers.process import PEERS, Peer
from peers.results import Results, as_json, notes, table

SETTLE = 0.02  # seconds between turns, in which the last engine's threads stop spinning
LISTEN = 0.2   # seconds before each round, in which the load that others make is measured
BUSY = 0.1     # a larger load makes figures provisional


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@dataclass
class Race:
    """Who runs, how, and what came of it."""

    options: argparse.Namespace
    cores: list[int]
    peers: list[Peer]
    results: Results = field(default_factory=Results)
    loads: list[float] = field(default_factory=list)

    def rounds(self, what: str) -> Iterator[None]:
        """One by one, each after listening to what else the machine does."""
        for number in range(self.options.rounds):
            say(f"{what}: round {number + 1} of {self.options.rounds}")
            load = machine.load(self.cores, LISTEN)
            self.loads += [] if load is None else [load]
            yield

    def turn(self, peer: Peer, what: str, task: dict[str, Any], spent: dict[Any, float]) -> None:
        """One peer's turn at one pass, unless it has used up its time."""
        name = task.get("pass", "step")
        if spent.get((peer.name, name), 0.0) > self.options.budget:
            return
        time.sleep(SETTLE)
        ways = peer.run(task, self.options.seconds)
        self.results.add((what, name, peer.title), ways)
        spent[peer.name, name] = spent.get((peer.name, name), 0.0) + sum(map(sum, ways.values())) * 1e-3
        failure = peer.failures.get((str(task.get("problem", task.get("whole"))), name))
        if failure:
            self.results.failures[what, name, peer.title] = failure

    def tare_turn(self, problem: Problem, passes: list[str], spent: dict[Any, float]) -> None:
        """One call of `tare bench`, unless one has failed; without oneDNN when both have used up their time."""
        if any((problem.text, name, "tare") in self.results.failures for name in passes):
            return
        time.sleep(SETTLE)
        start = time.monotonic()
        rows, why = self.ours(problem, passes, spent.get("tare", 0.0) > self.options.budget)
        spent["tare"] = spent.get("tare", 0.0) + time.monotonic() - start
        for row in rows:
            cell = problem.text, row["pass"], row["engine"]
            self.results.add(cell, {row.get("algorithm", ""): [row["ms"]]})
            self.results.medians.setdefault(cell, []).append(row.get("ms_median", row["ms"]))
            self.results.extra[cell] = {key: row[key] for key in ("error_rms", "error_max") if key in row}
        for name in passes if why else ():
            self.results.failures[problem.text, name, "tare"] = why

    def ours(self, problem: Problem, passes: list[str], alone: bool) -> tuple[list[dict[str, Any]], str]:
        """What `tare bench` says; alone, if oneDNN beside it takes longer than the patience for a peer."""
        o, limit = self.options, tare.LIMIT if alone else self.options.patience * len(passes)
        try:
            return tare.bench(o.tare, problem.text, passes, o.threads, o.seconds, alone, limit)
        except tare.TooLong as late:
            if alone:
                return [], str(late)
        for name in passes:
            cell = problem.text, name, tare.TITLES["onednn"]
            if not self.results.best(cell):
                self.results.failures[cell] = f"over {limit:g} s"
        return self.ours(problem, passes, True)

    def problem(self, problem: Problem) -> None:
        """All rounds of one problem."""
        passes = [name for name in problem.passes if name in self.options.passes]
        spent: dict[Any, float] = {}
        for _ in self.rounds(problem.text):
            self.tare_turn(problem, passes, spent)
            for peer in self.peers:
                for name in passes:
                    task = {"problem": problem.text, "pass": name, "image_too": not problem.first_layer}
                    self.turn(peer, problem.text, task, spent)
        self.compare(problem, passes)

    def compare(self, problem: Problem, passes: list[str]) -> None:
        """A peer that computed something else than the first has not earned its time."""
        for name in passes:
            mine = [(peer.title, peer.digests[problem.text, name]) for peer in self.peers if (problem.text, name) in peer.digests]
            for title, values in mine[1:]:
                if max(abs(a - b) for a, b in zip(values, mine[0][1])) > 1e-3 * mine[0][1][0]:
                    self.results.failures[problem.text, name, title] = f"its result is not {mine[0][0]}'s"
                    self.results.samples.pop((problem.text, name, title), None)

    def whole(self, kernel: int) -> None:
        """All rounds of the demo network with K x K filters in its first layer."""
        what = f"demo {self.options.border} K={kernel}"
        spent: dict[Any, float] = {}
        steps = tare.Steps(self.options.tare, kernel, self.options.border, self.options.threads)
        for _ in self.rounds(what):
            self.results.add((what, "step", "tare"), {"spectral": steps.run(self.options.seconds)})
            for peer in self.peers:
                self.turn(peer, what, {"whole": kernel, "border": self.options.border}, spent)
        self.sums(what, steps)

    def sums(self, what: str, steps: tare.Steps) -> None:
        """max |sum w| of each engine's first filters after its steps."""
        sums = steps.sums()
        steps.close()
        if steps.why:
            self.results.failures[what, "step", "tare"] = steps.why
        self.results.extra[what, "step", "tare"] = {"sum": sums.get("written"), "sum_trained": sums.get("trained")}
        for peer in self.peers:
            best = self.results.best((what, "step", peer.title))
            if best:
                self.results.extra[what, "step", peer.title] = {"sum": peer.ask({"sum": best[0]}).get("sum")}


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Convolutions by tare and its peers, timed in turns. More: bench/README.md.")
    add = parser.add_argument
    add("problems", nargs="*", metavar="PROBLEM", help="as n8c32h64o32k15p7 (doc/conv.md)")
    add("--set", action="append", default=[], choices=list(SETS), help="also the problems of this set")
    add("--whole", action="store_true", help="a whole training step of the demo network instead")
    add("--kernel", default="7,15,31", metavar="K,...", help="--whole: filter sizes of the first layer (default: 7,15,31)")
    add("--border", default="valid", choices=["valid", "same"], help="--whole: the first layer's (default: valid)")
    add("--tare", default="build/cli/tare", metavar="PATH", help="the command (default: build/cli/tare)")
    add("--peers", default=",".join(PEERS), metavar="NAME,...", help="who else races (default: all that can be imported)")
    add("--passes", default=",".join(PASSES), metavar="NAME,...", help="which passes (default: all)")
    add("--threads", type=int, default=2, metavar="N", help="threads of every engine, and cores (default: 2)")
    add("--rounds", type=int, default=5, metavar="N", help="turns of every engine (default: 5)")
    add("--seconds", type=float, default=0.2, metavar="S", help="of one turn at one pass; one run at least (default: 0.2)")
    add("--budget", type=float, default=8.0, metavar="S", help="an engine that has run a pass this long gets no more turns (default: 8)")
    add("--patience", type=float, default=120.0, metavar="S", help="a peer that is silent this long is stopped; for oneDNN, so long a pass (default: 120)")
    add("--json", metavar="FILE", help="write all results ('-': standard output)")
    add("--plot", metavar="FILE", help="draw step times over K (SVG)")
    return check_options(parser)


def check_options(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Lists split, problems parsed; what is wrong ends the program."""
    options = parser.parse_args()
    options.peers, options.passes = (text.split(",") if text else [] for text in (options.peers, options.passes))
    unknown = [name for name in options.peers if name not in PEERS] + [name for name in options.passes if name not in PASSES]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; peers are {', '.join(PEERS)}, passes {', '.join(PASSES)}")
    texts = options.problems + [text for name in options.set for text in SETS[name]]
    if min(options.threads, options.rounds) < 1 or (options.whole and texts):
        parser.error("threads and rounds are at least 1, and --whole takes no problems")
    try:
        options.kernel = [int(k) for k in options.kernel.split(",")]
        options.problems = [parse(text) for text in texts or ([] if options.whole else SETS["quick"])]
    except ValueError as error:
        parser.error(str(error))
    return options


def open_peers(options: argparse.Namespace) -> list[Peer]:
    """Those that can be imported; the others are named."""
    peers = []
    for name in options.peers:
        peer = Peer(name, options.threads, options.patience)
        if peer.why_not:
            say(f"without {peer.title}: {peer.why_not}")
            peer.close()
        else:
            peers.append(peer)
    return peers


def describe(race: Race) -> dict[str, Any]:
    """Where and with what this was measured."""
    versions = [tare.version(race.options.tare), *(peer.versions for peer in race.peers)]
    return {"cpu": machine.cpu_name(), "cores": race.cores, "threads": race.options.threads, "versions": versions,
            "load_median": median(race.loads) if race.loads else None, "load_max": max(race.loads, default=None)}


def header(about: dict[str, Any]) -> str:
    low, high = about["load_median"], about["load_max"]
    load = "unknown" if low is None else f"{low:.0%} of the cores, at most {high:.0%}"
    warning = " (figures are provisional)" if low is not None and high > BUSY else ""
    return "\n".join([f"{about['cpu']}; {about['threads']} threads on cores {about['cores']}", *about["versions"],
                      f"other work between the rounds: {load}{warning}"])


def sums_text(results: Results) -> str:
    """What is left of the rule in everybody's first filters."""
    lines = []
    for (what, _, engine), extra in results.extra.items():
        if extra.get("sum") is not None:
            trained = f" (in fp32 while training: {extra['sum_trained']:.1e})" if "sum_trained" in extra else ""
            lines.append(f"{what}: max |sum w| of the first filters, {engine}: {extra['sum']:.3g}{trained}")
    return "\n".join(lines)


def report(options: argparse.Namespace, about: dict[str, Any], results: Results) -> None:
    to_stdout = options.json == "-"
    text = [header(about), "", table(results), *notes(results), *filter(None, [sums_text(results)])]
    print("\n".join(text), file=sys.stderr if to_stdout else sys.stdout)
    if to_stdout:
        print(content_of(about, results), end="")
    if not save(options, about, results):
        say(f"{options.plot}: not drawn: a plot needs the steps of one problem with at least two filter sizes")


def content_of(about: dict[str, Any], results: Results) -> str:
    return json.dumps(about | {"rows": as_json(results)}, indent=1) + "\n"


def save(options: argparse.Namespace, about: dict[str, Any], results: Results) -> bool:
    """The files that were asked for, after each problem: a long race may be stopped at any time. False: there is no plot yet."""
    if options.json and options.json != "-":
        write(Path(options.json), content_of(about, results))
    picture = plot.svg(results, f"{about['cpu']}, {about['threads']} threads. {'. '.join(about['versions'])}.") if options.plot else ""
    if picture:
        write(Path(options.plot), picture)
    return picture is not None


def write(path: Path, text: str) -> None:
    """The file with this text, whole or as it was; where it cannot be written that is said, and the race goes on."""
    path = path.resolve()
    try:
        if path.exists() and not path.is_file():  # a device
            path.write_text(text)
            return
        fresh = path.with_name(path.name + ".new")
        fresh.write_text(text)
        fresh.replace(path)
    except OSError as error:
        say(f"{path}: not written: {error.strerror}")


def main() -> int:
    options = read_options()
    cores = machine.pin(options.threads)
    peers = open_peers(options)
    race = Race(options, cores, peers)
    try:
        for problem in options.problems:
            race.problem(problem)
            save(options, describe(race), race.results)
        for kernel in options.kernel if options.whole else ():
            race.whole(kernel)
            save(options, describe(race), race.results)
    except KeyboardInterrupt:
        say("stopped: what was measured until here")
    finally:
        for peer in peers:
            peer.close()
    report(options, describe(race), race.results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
