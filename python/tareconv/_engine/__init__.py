# SPDX-License-Identifier: Apache-2.0
"""tare's convolution engine for the frameworks: calls on addresses of arrays.

`calls` runs them, `problem` names them, `choice` says whether they are faster than the framework's own; `torch_op`, `jax_op` and
`tf_op` are the operators of the frameworks. doc/python-engine.md says what they promise.
"""
