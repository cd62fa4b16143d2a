# SPDX-License-Identifier: Apache-2.0
"""tare itself: `tare bench` of a problem, and training steps of the demo network by bench-step (peers_step.c)."""
from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from .process import LineProcess, TooLong

TITLES = {"tare": "tare", "onednn": "oneDNN"}  # engines that `tare bench` times, in the order of the table
NETWORK = "conv 8x{kernel} sum=0 spectral pad={border}; bn; relu; conv 16x3 /2; bn; relu; conv 32x3 /2; bn; relu; gap; dense 6"
SIZE, BATCH = 48, 32
LIMIT = 600.0  # seconds for one answer


def version(binary: str) -> str:
    """What `tare --version` says, or why there is none."""
    try:
        done = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=LIMIT, check=False)
    except OSError as error:
        return f"no tare: {error}"
    return (done.stdout or done.stderr).strip().splitlines()[0]


def bench(binary: str, problem: str, passes: list[str], threads: int, seconds: float, alone: bool,
          patience: float) -> tuple[list[dict[str, Any]], str]:
    """The rows of one call of `tare bench`, or why there are none. alone: without oneDNN. TooLong: they did not come within `patience` seconds."""
    command = [binary, "bench", problem, "--passes", ",".join(passes), "--threads", str(threads), "--seconds", str(seconds), "--json", "-"]
    try:
        done = subprocess.run(command + ["--alone"] * alone, capture_output=True, text=True, timeout=patience, check=False)
        if done.returncode == 0:
            return [row | {"engine": TITLES[row["engine"]]} for row in json.loads(done.stdout) if row["engine"] in TITLES], ""
    except subprocess.TimeoutExpired:
        raise TooLong(f"over {patience:g} s") from None
    except (OSError, json.JSONDecodeError) as error:
        return [], f"tare bench: {error}"
    return [], f"tare bench: {' '.join(done.stderr.split())[:200]}"


class Steps:
    """bench-step: the demo network in tare's own trainer, one process for one K."""

    def __init__(self, binary: str, kernel: int, border: str, threads: int) -> None:
        program = Path(binary).resolve().parent.parent / "bench" / "bench-step"
        self.process: LineProcess | None = None
        self.why = f"{program} is missing: ninja -C BUILD bench/bench-step makes it"
        if program.exists():
            command = [str(program), NETWORK.format(kernel=kernel, border=border), str(SIZE), str(BATCH), str(threads)]
            self.process, self.why = LineProcess(command, dict(os.environ), program.parent), ""
        self.ms = self.turn(5)[-1:]  # warm

    def turn(self, steps: int) -> list[float]:
        if self.process is None:
            return []
        try:
            return json.loads(self.process.ask(str(steps), LIMIT))
        except (TooLong, EOFError, json.JSONDecodeError) as error:
            self.why = f"bench-step: {error}"
            self.close()
            return []

    def run(self, seconds: float) -> list[float]:
        """About `seconds` of steps, in ms."""
        return self.turn(max(1, int(seconds * 1e3 / self.ms[0]))) if self.ms else []

    def sums(self) -> dict[str, float]:
        """max |sum w| of the first filters: as trained, and as written to a model file. The process ends with it."""
        if self.process is None:
            return {}
        self.process.finish()
        try:
            return json.loads(self.process.read(LIMIT))
        except (TooLong, EOFError) as error:
            self.why = f"bench-step: {error}"
            return {}

    def close(self) -> None:
        if self.process is not None:
            self.process.close()
            self.process = None
