# SPDX-License-Identifier: Apache-2.0
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from hypothesis import settings  # noqa: E402

settings.register_profile("tare", deadline=None, max_examples=30, derandomize=True, database=None)
settings.load_profile("tare")
