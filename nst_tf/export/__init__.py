"""The feature model as a SavedModel, and what TF Serving wants beside it.

`saved_model.export` writes one, `verify.verify` checks it.
"""

from __future__ import annotations

import importlib
from typing import Any


def __getattr__(name: str) -> Any:
    if name in ("saved_model", "verify"):
        return importlib.import_module(f"nst_tf.export.{name}")
    raise AttributeError(f"module 'nst_tf.export' has no attribute {name!r}")
