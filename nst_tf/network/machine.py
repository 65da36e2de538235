"""What suits the machine: how the network is computed, in what type."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf

from nst_tf.recipe import choices
from nst_tf.recipe.choices import check_tile as check_tile  # told before TensorFlow is there


def choose_engine(engine: str) -> str:
    """The engine that `auto` stands for on this machine; another one is itself.

    Raises:
      SettingsError: an unknown one.
    """
    choices.check("engine", engine, choices.ENGINES)
    if engine != "auto":
        return engine
    # A GPU's own library knows what the other engines know.
    return "keras" if has_gpu() else "winograd"


def choose_dtype(dtype: str) -> str:
    """The dtype policy that `auto` stands for on this machine; another one is itself.

    Raises:
      SettingsError: an unknown one.
    """
    choices.check("dtype", dtype, choices.DTYPES)
    if dtype != "auto":
        return dtype
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        # From 7 on (Volta) a GPU multiplies float16 several times as fast as float32.
        details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
        fast = all(gpu.get("compute_capability", (0,))[0] >= 7 for gpu in details)
        return "mixed_float16" if fast else "float32"
    return "mixed_bfloat16" if "amx_bf16" in processor() else "float32"


def choose_loss_dtype(dtype: str) -> str:
    """What the network of losses for training is computed in: of `choices.LOSS_DTYPES` what `auto`
    stands for on this machine; another one is itself.

    Where steps are many, and each is of other pictures, rounding matters less than in a run.

    Raises:
      SettingsError: an unknown one.
    """
    choices.check("dtype of a loss", dtype, ("auto", *choices.LOSS_DTYPES))
    if dtype != "auto":
        return dtype
    fast = has_gpu() or processor() & {"avx512_bf16", "amx_bf16"}
    return "mixed_bfloat16" if fast else "float32"


def processor() -> set[str]:
    """What the processor can do, in Linux' words; empty where that is not told."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return set()
    return next((set(line.split()) for line in lines if line.startswith("flags")), set())


def has_gpu() -> bool:
    """Whether feature maps are in a GPU's memory."""
    return bool(tf.config.list_physical_devices("GPU"))
