# SPDX-License-Identifier: Apache-2.0
"""PyTorch: convolutions in both memory formats; the demo network eager and compiled."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from .data import Arrays
from .demo import CLASSES, LAYERS, RATE, batch, largest_sum
from .problem import Problem

FORMATS = {"nchw": torch.contiguous_format, "channels_last": torch.channels_last}
PAD_MODES = {"reflect": "reflect", "edge": "replicate"}


def convolve(problem: Problem, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    """The convolution; a border that conv2d does not know is padded first."""
    pad = problem.pad
    if problem.border in PAD_MODES:
        x = F.pad(x, (pad[1], pad[1], pad[0], pad[0]), mode=PAD_MODES[problem.border])
        pad = (0, 0)
    return F.conv2d(x, w, None, problem.stride, pad, problem.dilation, problem.groups)


class Passes:
    """One problem in one memory format."""

    def __init__(self, problem: Problem, arrays: Arrays, form: torch.memory_format, image_too: bool) -> None:
        self.problem = problem
        self.x, self.w, self.dy = (torch.from_numpy(a).contiguous(memory_format=form) for a in (arrays.x, arrays.w, arrays.dy))
        self.x.requires_grad_(image_too)
        self.w.requires_grad_(True)
        self.wanted = [self.x, self.w] if image_too else [self.w]
        self.y: torch.Tensor | None = None

    def forward(self) -> torch.Tensor:
        with torch.no_grad():
            return convolve(self.problem, self.x, self.w)

    def gradient(self, wanted: list[torch.Tensor]) -> Any:
        """Backward alone, for what is wanted; the graph is made by the first call."""
        if self.y is None:
            self.y = convolve(self.problem, self.x, self.w)
        return torch.autograd.grad(self.y, wanted, self.dy, retain_graph=True)

    def backward_data(self) -> torch.Tensor:
        return self.gradient([self.x])[0]

    def backward_weights(self) -> torch.Tensor:
        return self.gradient([self.w])[0]

    def step(self) -> Any:
        return torch.autograd.grad(convolve(self.problem, self.x, self.w), self.wanted, self.dy)


class Network:
    """The demo network, its optimiser and one batch, kept in memory."""

    def __init__(self, kernel: int, border: str, form: torch.memory_format, compiled: bool) -> None:
        torch.manual_seed(1)
        self.model = build(kernel, border).to(memory_format=form)
        images, labels = batch()
        self.x = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(memory_format=form)
        self.labels = torch.from_numpy(labels.astype(np.int64))
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=RATE, fused=True)
        self.loss = torch.compile(self.plain_loss) if compiled else self.plain_loss

    def plain_loss(self, x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(self.model(x), labels)

    def step(self) -> float:
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss(self.x, self.labels)
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def largest_sum(self) -> float:
        return largest_sum(self.model[0].weight.detach().numpy())


def build(kernel: int, border: str) -> nn.Sequential:
    """The demo network; border, valid or same, is the first layer's."""
    parts: list[nn.Module] = []
    channels = 1
    for filters, size, stride in LAYERS:
        parts += [nn.Conv2d(channels, filters, size or kernel, stride, "valid" if size else border), nn.BatchNorm2d(filters), nn.ReLU(inplace=True)]
        channels = filters
    return nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, CLASSES))


class Engine:
    """What the worker asks of a framework."""

    def __init__(self, threads: int) -> None:
        torch.set_num_threads(threads)
        torch.set_num_interop_threads(1)

    def versions(self) -> str:
        return f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads"

    def passes(self, problem: Problem, arrays: Arrays, names: list[str],
               image_too: bool) -> dict[str, dict[str, Callable[[], Any]]]:
        ways = {variant: Passes(problem, arrays, form, image_too) for variant, form in FORMATS.items()}
        return {name: {variant: getattr(way, name) for variant, way in ways.items()} for name in names}

    def plain(self, name: str, variant: str, result: torch.Tensor) -> np.ndarray:
        return result.detach().contiguous().numpy()

    def networks(self, kernel: int, border: str) -> dict[str, Callable[[], Network]]:
        return {f"{'compiled' if compiled else 'eager'}, {name}": lambda f=form, c=compiled: Network(kernel, border, f, c)
                for compiled in (False, True) for name, form in FORMATS.items()}
