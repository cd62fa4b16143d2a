# SPDX-License-Identifier: Apache-2.0
"""The machine: its name, the cores to run on, and how busy others keep them."""
from __future__ import annotations

import os
import platform
import time
from pathlib import Path


def cpu_name() -> str:
    """As the kernel calls it, with its widest vector level."""
    try:
        lines = [line.partition(":") for line in Path("/proc/cpuinfo").read_text().splitlines()]
    except OSError:
        return platform.processor() or platform.machine()
    facts = {key.strip(): value.strip() for key, _, value in lines}
    flags = facts.get("flags", "").split()
    level = next((name for flag, name in (("avx512f", "AVX-512"), ("avx2", "AVX2")) if flag in flags), platform.machine())
    family = f"family {facts['cpu family']}, model {facts['model']}" if "cpu family" in facts else ""
    return ", ".join(part for part in (facts.get("model name", platform.machine()), family, level) if part)


def pin(threads: int) -> list[int]:
    """This process and those that it starts keep to the first `threads` cores that it may use."""
    if not hasattr(os, "sched_setaffinity"):
        return list(range(threads))
    cores = sorted(os.sched_getaffinity(0))[:threads]
    os.sched_setaffinity(0, cores)
    return cores


def _ticks(cores: list[int]) -> tuple[int, int]:
    """Busy and all clock ticks of some cores since the machine started."""
    busy = total = 0
    for line in Path("/proc/stat").read_text().splitlines():
        name, *counts = line.split()
        if name in {f"cpu{core}" for core in cores}:
            values = [int(count) for count in counts[:8]]
            total += sum(values)
            busy += sum(values) - values[3] - values[4]  # idle, waiting for a disk
    return busy, total


def load(cores: list[int], seconds: float = 1.0) -> float | None:
    """The share of the cores' time that others take while this process sleeps; None where the kernel does not tell."""
    try:
        before = _ticks(cores)
        time.sleep(seconds)
        after = _ticks(cores)
    except OSError:
        return None
    return (after[0] - before[0]) / max(1, after[1] - before[1])
