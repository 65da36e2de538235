"""What a run was computed by: versions, processor, threads, devices; and what differs of two such.

The same seed gives the same bytes where all of it is the same. Another processor, number of threads
or version rounds otherwise, which many steps make visible.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import __version__ as pillow_version

from nst_tf.errors import one_line

#: By which TensorFlow is told to compute deterministically, also in processes begun after that.
DETERMINISTIC = "TF_DETERMINISTIC_OPS"


def versions() -> dict[str, str]:
    """The versions of Python and of what computes, by name."""
    return {
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        # Keras 2 does not tell it by way of tf.keras.
        "keras": getattr(tf.keras, "__version__", None) or metadata.version("keras"),
        "numpy": np.__version__,
        "pillow": pillow_version,
    }


def machine() -> dict[str, Any]:
    """The machine as far as it has a part in how numbers are rounded, as plain values.

    Returns:
      `system`; `processor`, its name; `threads` of one operation and `operations` at a time;
      `devices`, the GPUs' names or `CPU`; `onednn`, what TF_ENABLE_ONEDNN_OPTS says, if it is set;
      `deterministic`, whether TF_DETERMINISTIC_OPS is, as by `be_deterministic`.
    """
    gpus = tf.config.list_physical_devices("GPU")
    details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
    threading = tf.config.threading
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": processor(),
        "threads": _threads(threading.get_intra_op_parallelism_threads(), "INTRAOP"),
        "operations": _threads(threading.get_inter_op_parallelism_threads(), "INTEROP"),
        "devices": [str(one.get("device_name", "GPU")) for one in details] or ["CPU"],
        "onednn": os.environ.get("TF_ENABLE_ONEDNN_OPTS"),
        "deterministic": os.environ.get(DETERMINISTIC, "").lower() in ("1", "true"),
    }


def processor() -> str:
    """The processor's name, as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except (OSError, ValueError):
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()


def be_deterministic() -> None:
    """Lets TensorFlow take the same way at every run, in this process and those that it begins.

    Where an operation has no such way on a GPU, TensorFlow raises an error when it is to run.
    """
    os.environ[DETERMINISTIC] = "1"
    tf.config.experimental.enable_op_determinism()


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs of two manifests' versions and machines, each in words: `tensorflow 2.20.0, now
    2.21.0`. What one of them does not tell is left out."""
    told = dict(_flat(now))
    return [
        f"{name} {value}, now {told[name]}"
        for name, value in _flat(before)
        if name in told and told[name] != value
    ]


def _flat(manifest: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "nst_tf", one_line(str(manifest.get("nst_tf")))
    for part in ("versions", "machine"):
        told = manifest.get(part)
        for name, value in told.items() if isinstance(told, Mapping) else ():
            text = " + ".join(map(str, value)) if isinstance(value, list) else str(value)
            yield one_line(str(name)), one_line(text)


def _threads(set_here: int, variable: str) -> int:
    """How many TensorFlow takes: as set in the program, else by a variable, else one a core."""
    said = os.environ.get(f"TF_NUM_{variable}_THREADS", "")
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    return int(set_here) or (int(said) if said.isdecimal() else 0) or cores
