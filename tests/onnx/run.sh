#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh TARE FORWARD FOLDER [memory]: check.py with a Python that has onnxruntime: the system's, or with packages from PyPI in FOLDER/onnx-python.
# Without either it says so and is skipped (exit 77).
set -u
here=$(dirname "$0") tare=$1 forward=$2 packages=$3/onnx-python
has() { python3 -c 'import numpy, onnx, onnxruntime' 2>/dev/null; }
if ! has; then
  PYTHONPATH=$packages
  export PYTHONPATH
  has || python3 -m pip -q install --target "$packages" numpy onnx onnxruntime >"$3/onnx-python.log" 2>&1
fi
if ! has; then
  echo "skipped: no onnxruntime here, and PyPI has none for this machine or cannot be reached (see $3/onnx-python.log)"
  exit 77
fi
shift 3
exec python3 "$here/check.py" "$tare" "$forward" "$@"
