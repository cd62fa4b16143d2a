#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh TARE FOLDER: check.py with a Python that has TensorBoard's reader: the system's, or with packages from PyPI in FOLDER/tensorboard-python
# (only what the reader needs: its server and what that brings stay away). Without either it is skipped.
set -u
here=$(dirname "$0") tare=$1 packages=$2/tensorboard-python
has() { python3 -c 'import tensorboard.backend.event_processing.event_accumulator' 2>/dev/null; }
if ! has; then
  PYTHONPATH=$packages
  export PYTHONPATH
  has || python3 -m pip -q install --no-deps --target "$packages" tensorboard==2.21.0 protobuf==7.36.2 numpy==2.4.6 absl-py==2.5.1 packaging==26.3 \
    >"$2/tensorboard-python.log" 2>&1
fi
if ! has; then
  echo "1..0 # SKIP no tensorboard here, and PyPI has none for this machine or cannot be reached (see $2/tensorboard-python.log)"
  exit 0
fi
exec python3 "$here/check.py" "$tare"
