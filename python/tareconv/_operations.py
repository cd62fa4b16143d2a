# SPDX-License-Identifier: Apache-2.0
"""The operations that _compose.py and _grid.py are written in, for each framework. `dtype` is always a name such as "int32"."""

from __future__ import annotations

import functools

import numpy as np


class NumPy:
    """NumPy; and, with its module as `xp`, whatever has NumPy's names (jax.numpy)."""

    def __init__(self, xp=np, stop=lambda x: x, view=lambda x, dtype: x.view(dtype), double=True):
        self.xp, self.stop, self.view, self._double = xp, stop, view, double
        self.matmul, self.round, self.abs, self.where = xp.matmul, xp.round, xp.abs, xp.where
        self.clip, self.reshape, self.permute = xp.clip, xp.reshape, xp.transpose

    def has_double(self, x) -> bool:  # noqa: ARG002
        """Whether float64 is to be had where x, a float32, is."""
        return self._double

    def name(self, x) -> str:
        """The name of x's type."""
        return str(x.dtype)

    def cast(self, x, dtype: str):
        """x as `dtype`."""
        return x.astype(dtype)

    def take(self, x, index):
        """Rows of x."""
        return self.xp.take(x, index, axis=0)

    def join(self, parts):
        """Rows of several."""
        return self.xp.concatenate(parts, axis=0)

    def largest(self, x):
        """The largest of each column, as one row."""
        return self.xp.max(x, axis=0, keepdims=True)

    def total(self, x):
        """The sum of each column of integers, as one row, in their own type (modulo its size)."""
        return self.xp.sum(x, axis=0, keepdims=True, dtype=x.dtype)

    def order(self, x):
        """The row numbers that sort each column."""
        return self.xp.argsort(x, axis=0)


def jax():
    """JAX: jax.numpy under NumPy's names; products of float32 in float32, where a GPU would take ten bits of them."""
    import jax as framework

    ops = NumPy(framework.numpy, framework.lax.stop_gradient, lambda x, dtype: framework.lax.bitcast_convert_type(x, dtype), double=False)
    ops.matmul = functools.partial(framework.numpy.matmul, precision="highest")
    return ops


class Torch:
    """PyTorch."""

    def __init__(self):
        import torch

        self.torch = torch
        self.matmul, self.round, self.abs, self.where = torch.matmul, torch.round, torch.abs, torch.where
        self.clip, self.reshape, self.permute = torch.clamp, torch.reshape, torch.permute

    def name(self, x) -> str:
        return str(x.dtype).removeprefix("torch.")

    def has_double(self, x) -> bool:
        return x.device.type != "mps"

    def stop(self, x):
        return x.detach()

    def view(self, x, dtype: str):
        return x.contiguous().view(getattr(self.torch, dtype))

    def cast(self, x, dtype: str):
        return x.to(getattr(self.torch, dtype))

    def take(self, x, index):
        return self.torch.index_select(x, 0, index)

    def join(self, parts):
        return self.torch.cat(parts)

    def largest(self, x):
        return self.torch.amax(x, 0, keepdim=True)

    def total(self, x):
        return self.torch.sum(x, 0, keepdim=True, dtype=x.dtype)

    def order(self, x):
        return self.torch.argsort(x, 0)


def for_keras():
    """Keras: on PyTorch, which runs each operation as it comes, its own (what keras.ops does around them takes longer than they do); else keras.ops."""
    from keras import backend

    return Torch() if backend.backend() == "torch" else Keras()


class Keras:
    """keras.ops, on whatever backend."""

    def __init__(self):
        from keras import backend, ops

        self.ops = ops
        self.matmul, self.round, self.abs, self.where, self.cast = ops.matmul, ops.round, ops.abs, ops.where, ops.cast
        self.clip, self.stop, self.reshape, self.permute = ops.clip, ops.stop_gradient, ops.reshape, ops.transpose
        self.has_double = lambda _: backend.backend() != "jax"
        if backend.backend() == "jax":
            self.matmul = jax().matmul

    def name(self, x) -> str:
        from keras import backend

        return backend.standardize_dtype(x.dtype)

    def view(self, x, dtype: str):
        return self.ops.view(x, dtype=dtype)

    def take(self, x, index):
        return self.ops.take(x, index, axis=0)

    def join(self, parts):
        return self.ops.concatenate(parts, axis=0)

    def largest(self, x):
        return self.ops.max(x, axis=0, keepdims=True)

    def total(self, x):
        return self.ops.cast(self.ops.sum(x, axis=0, keepdims=True), self.name(x))

    def order(self, x):
        return self.ops.argsort(x, axis=0)
