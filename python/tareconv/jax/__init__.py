# SPDX-License-Identifier: Apache-2.0
"""Kernels that obey linear rules, as pure functions of JAX: usable under jit, grad and vmap.

    >>> import jax, tareconv.jax as tj
    >>> filters = tj.Filters((7, 7, 1, 32), rule="sum=0")       # constant
    >>> t = tj.init(jax.random.key(0), filters)                  # the coefficients, which are trained
    >>> y = tj.conv(x, tj.compose(filters, t))                   # by tare's engine on the CPU where it is faster
"""

from ._conv import conv
from ._filters import Filters, adapt, compose, exact, init, left_out, solve

__all__ = ["Filters", "adapt", "compose", "conv", "exact", "init", "left_out", "solve"]
