"""Whether there is a GPU, told without TensorFlow, which alone knows whether it computes there."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

#: Which of NVIDIA's GPUs TensorFlow may use; it uses none where this is empty or -1.
_VISIBLE = "CUDA_VISIBLE_DEVICES"
_DEVICES = Path("/dev")


def maker() -> str | None:
    """Whose GPU TensorFlow may find on this machine; None where there is none, or none to be used.

    Returns:
      `NVIDIA`; `AMD` or `Apple`, for which TensorFlow needs parts of theirs.
    """
    if os.environ.get(_VISIBLE) in ("", "-1"):
        return None
    if any(_DEVICES.glob("nvidia[0-9]*")):
        return "NVIDIA"
    if (_DEVICES / "kfd").exists():
        return "AMD"
    return "Apple" if sys.platform == "darwin" else None


def missing(seen: Callable[[], bool]) -> str | None:
    """A line for people where a GPU is asked for, or there is NVIDIA's, and TensorFlow sees none.

    Args:
      seen: whether TensorFlow sees one; it is asked only where one should be there.
    """
    asked = os.environ.get(_VISIBLE)
    if asked in ("", "-1") or not (asked or maker() == "NVIDIA") or seen():
        return None
    why = f"{_VISIBLE}={asked} asks for one" if asked else "there is one"
    return (
        f"no GPU: {why}, but TensorFlow sees none (pip install 'tensorflow[and-cuda]' brings "
        "NVIDIA's libraries); it all runs on the processor"
    )
