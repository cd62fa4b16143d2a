# SPDX-License-Identifier: Apache-2.0
"""`python -m tareconv check FILE`: whether the kernels of a file obey, in rationals."""

from __future__ import annotations

import argparse
import json
import sys

import numpy as np

from . import _arrays
from ._constraint import Constraint, Residual, residual
from ._core import ffi, lib
from ._errors import call
from ._files import READERS, BadFile, Kernel, read

_EXIT = """exit status: 0 every kernel obeys, 1 one does not, 2 wrong use, 3 the file cannot be read"""
_STEP = {"float64": 52, "F64": 52, "float16": 10, "F16": 10, "bfloat16": 7, "BF16": 7}  # bits of the fraction; others: float32's


def parser() -> argparse.ArgumentParser:
    """The command line of `check`."""
    made = argparse.ArgumentParser(prog="python -m tareconv check", description=__doc__, epilog=_EXIT)
    made.add_argument("file", help=f"ends in {', '.join(READERS)}")
    made.add_argument("--constraint", metavar="RULE", help="the rule to check, such as 'sum=0' (default: those that the file itself names)")
    made.add_argument("--tensor", metavar="NAME", action="append", help="only the kernel of that name (may be repeated)")
    made.add_argument("--json", action="store_true", help="one JSON object a kernel on a line")
    return made


def main(arguments: list[str]) -> int:
    """Prints a line for each kernel; returns the exit status."""
    options = parser().parse_args(arguments)
    try:
        kernels = _chosen(read(options.file), options)
        reports = [_report(kernel, options.constraint or kernel.rule) for kernel in kernels]
    except (BadFile, OSError) as error:
        print(f"tareconv check: {error}", file=sys.stderr)
        return 3
    except ValueError as error:
        print(f"tareconv check: {error}", file=sys.stderr)
        return 2
    for report in reports:
        print(json.dumps(report) if options.json else _line(report))
    return 0 if all(report["exact"] for report in reports) else 1


def _chosen(kernels: list[Kernel], options) -> list[Kernel]:
    names = ", ".join(kernel.name for kernel in kernels) or "none"
    if options.tensor:
        missing = set(options.tensor) - {kernel.name for kernel in kernels}
        if missing:
            raise ValueError(f"expected names of kernels in {options.file} (there: {names}), found {', '.join(sorted(missing))}")
        return [kernel for kernel in kernels if kernel.name in options.tensor]
    if not kernels:
        raise BadFile(f"{options.file}: holds no kernel of a convolution")
    ruled = kernels if options.constraint else [kernel for kernel in kernels if kernel.rule]
    if not ruled:
        raise ValueError(f"{options.file} names no rule for its kernels ({names}): give one with --constraint, such as --constraint sum=0")
    return ruled


def _report(kernel: Kernel, rule: str | None) -> dict:
    if rule is None:
        raise ValueError(f"the file names no rule for {kernel.name}: give one with --constraint")
    try:
        constraint = Constraint(rule, kernel.values.shape[2:], kernel.values.shape[1])
    except ValueError as error:
        raise ValueError(f"{kernel.name}, kernel of {kernel.values.shape[2:]}: {error}") from None
    found = of_kernel(kernel, constraint)
    filters, channels, *size = kernel.values.shape
    return {"name": kernel.name, "filters": filters, "channels": channels, "size": size, "type": kernel.kind, "rule": constraint.text, "exact": found == 0,
            "units": found.units, "exact_units": found.exact_units, "residual": str(Residual.__str__(found)), "steps": float(abs(found)) / _step(kernel)}


def of_kernel(kernel: Kernel, constraint: Constraint) -> Residual:
    """The residual of a file's numbers: of integers times scales the product is never rounded."""
    if kernel.scale is None:
        return residual(kernel.values.reshape(-1, constraint.taps), constraint, kernel.divisor)
    integers = np.ascontiguousarray(kernel.values, np.int32)
    scale = np.ascontiguousarray(kernel.scale, np.float32)
    out = ffi.new("tare_residual *")
    call(lib.tare_round_residual, constraint._c, len(integers), _arrays.pointer(integers), 1, _arrays.pointer(scale), kernel.divisor, out)
    return Residual(out, integers.size // constraint.taps)


def _step(kernel: Kernel) -> float:
    """The file type's step at the largest weight."""
    if kernel.scale is not None:
        return float(np.max(kernel.scale)) / kernel.divisor
    largest = float(np.abs(np.asarray(kernel.values, np.float64)).max(initial=0)) or 1.0
    return float(2.0 ** (np.floor(np.log2(largest)) - _STEP.get(kernel.kind, 23)) / kernel.divisor)


def _line(report: dict) -> str:
    size = "x".join(str(n) for n in report["size"])
    what = f"{report['name']}: {report['filters']} filters of {report['channels']}x{size}, {report['type']}, {report['rule']}"
    if report["exact"]:
        return f"{what}: exact"
    return f"{what}: off by up to {report['residual']} ({report['steps']:.3g} steps of the type); {report['exact_units']} of {report['units']} units exact"
