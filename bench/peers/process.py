# SPDX-License-Identifier: Apache-2.0
"""Child processes that answer a line with a line, and the peers among them."""
from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

PEERS = {"torch": "PyTorch", "jax": "JAX", "tensorflow": "TensorFlow"}
STARTING = 180.0  # seconds for a framework to be imported


class TooLong(Exception):
    """No answer in the time given."""


class LineProcess:
    """A child process; `ask` writes a line and waits for one."""

    def __init__(self, command: list[str], environment: dict[str, str], folder: Path, errors: int | None = subprocess.DEVNULL) -> None:
        self.process = subprocess.Popen(command, env=environment, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors)
        self.rest = b""

    def read(self, seconds: float) -> str:
        """The next line. EOFError when the process has ended, TooLong when it is late."""
        assert self.process.stdout is not None
        end = time.monotonic() + seconds
        while b"\n" not in self.rest:
            ready, _, _ = select.select([self.process.stdout], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                raise TooLong(f"over {seconds:g} s")
            piece = os.read(self.process.stdout.fileno(), 1 << 16)
            if not piece:
                raise EOFError(f"its process ended ({self.process.wait()})")
            self.rest += piece
        line, self.rest = self.rest.split(b"\n", 1)
        return line.decode()

    def ask(self, line: str, seconds: float) -> str:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(line.encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise EOFError("its process ended") from None
        return self.read(seconds)

    def finish(self) -> None:
        """Ends the input."""
        assert self.process.stdin is not None
        self.process.stdin.close()

    def close(self) -> None:
        """Ends the process whatever it does."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    pass


def environment(threads: int) -> dict[str, str]:
    """CPU only, `threads` threads, and quiet."""
    fixed = {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads), "CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu",
             "TF_CPP_MIN_LOG_LEVEL": "3"}
    return {**os.environ, **fixed}


class Peer:
    """One framework in its worker process, which is started again after it took too long or died."""

    def __init__(self, name: str, threads: int, patience: float) -> None:
        self.name, self.title, self.threads, self.patience = name, PEERS[name], threads, patience
        self.worker: LineProcess | None = None
        self.ready: set[str] = set()
        self.failures: dict[tuple[str, str], str] = {}
        self.digests: dict[tuple[str, str], list[float]] = {}
        self.versions = self.start().get("versions", "")

    def start(self) -> dict[str, Any]:
        command = [sys.executable, "-m", "peers.worker", self.name, str(self.threads)]
        self.worker = LineProcess(command, environment(self.threads), Path(__file__).resolve().parent.parent)
        self.ready.clear()
        try:
            hello = json.loads(self.worker.read(STARTING))
        except (TooLong, EOFError) as error:
            hello = {"error": str(error)}
        self.why_not = hello.get("error", "")
        return hello

    def close(self) -> None:
        if self.worker is not None:
            self.worker.close()
            self.worker = None

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """An answer, which may be {"error": why}."""
        if self.worker is None:
            self.start()
        assert self.worker is not None
        try:
            return json.loads(self.worker.ask(json.dumps(request), self.patience))
        except (TooLong, EOFError) as error:
            self.close()
            return {"error": str(error)}

    def prepare(self, task: dict[str, Any]) -> str:
        """Makes a task ready unless it is; why it cannot be, or nothing."""
        key = json.dumps(task)
        if self.worker is not None and key in self.ready:
            return ""
        self.ready = {k for k in self.ready if task.get("problem") and json.loads(k).get("problem") == task["problem"]}
        answer = self.ask(task)
        if "error" in answer:
            return answer["error"]
        self.ready.add(key)
        if "digest" in answer:
            self.digests[task["problem"], task["pass"]] = answer["digest"]
        return ""

    def run(self, task: dict[str, Any], seconds: float) -> dict[str, list[float]]:
        """Milliseconds of each way after `seconds` of each; nothing where it fails now or has failed before."""
        key = str(task.get("problem", task.get("whole"))), task.get("pass", "step")
        if key in self.failures:
            return {}
        why = self.prepare(task)
        answer: dict[str, Any] = {"error": why} if why else self.ask({"run": key[1], "seconds": seconds})
        if "error" in answer:
            self.failures[key] = answer["error"]
        return answer.get("ms", {})
