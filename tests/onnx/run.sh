#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh TARE FORWARD FOLDER: check.py with a Python that has onnxruntime: the system's, or one in FOLDER/onnx-python made from PyPI.
# Without either it says so and is skipped (exit 77).
set -u
here=$(dirname "$0") tare=$1 forward=$2 python=python3 venv=$3/onnx-python
has() { "$1" -c 'import numpy, onnx, onnxruntime' 2>/dev/null; }
if ! has "$python"; then
  python=$venv/bin/python
  if ! has "$python"; then
    python3 -m venv "$venv" >/dev/null 2>&1 && "$python" -m pip -q install numpy onnx onnxruntime >"$3/onnx-python.log" 2>&1
  fi
fi
if ! has "$python"; then
  echo "skipped: no onnxruntime here, and PyPI has none for this machine or cannot be reached (see $3/onnx-python.log)"
  exit 77
fi
exec "$python" "$here/check.py" "$tare" "$forward"
