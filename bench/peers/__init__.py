# SPDX-License-Identifier: Apache-2.0
"""Timing tare beside PyTorch, JAX and TensorFlow; the command is ../peers.py."""
