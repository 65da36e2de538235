"""What suits the machine: how the network is computed, in what type, how much of it at a time."""

from __future__ import annotations

import os
from pathlib import Path

import tensorflow as tf

from nst_tf.recipe import choices, layers
from nst_tf.recipe.choices import check_tile as check_tile  # told before TensorFlow is there

#: The tiles that `auto` chooses from.
TILES = (1024, 512, 384, 256)
#: Bytes that an evaluation takes for every value of the feature maps after the ReLU, with VGG19
#: (benchmarks/memory.py): 8.6 as a whole at 2048 pixels, 9.9 at 1024.
_BYTES_A_VALUE = 9
#: Strip by strip, for every value of the picture, and of a tile as large as that.
_BYTES_OF_ALL, _BYTES_OF_A_TILE = 1.25, 27
#: What a GPU is taken to have: TensorFlow cannot tell.
_GPU_BYTES = 8 << 30


def choose_engine(engine: str) -> str:
    """The engine that `auto` stands for on this machine; another one is itself.

    Raises:
      SettingsError: an unknown one.
    """
    choices.check("engine", engine, choices.ENGINES)
    if engine != "auto":
        return engine
    # A GPU's own library knows what the other engines know.
    return "keras" if tf.config.list_physical_devices("GPU") else "winograd"


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


def processor() -> set[str]:
    """What the processor can do, in Linux' words; empty where that is not told."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return set()
    return next((set(line.split()) for line in lines if line.startswith("flags")), set())


def tile_for(tile: int | str, model: tf.keras.Model, height: int, width: int) -> int | None:
    """The tile for `strips.Strips`; None where such a picture is measured as a whole.

    Args:
      tile: `auto`: strips where one evaluation would take more than half of the memory, as large
        as fit; `off`: never; a number: this tile.
      model: from `vgg.build_model`.
      height: of the picture in pixels.
      width: likewise.
    """
    if isinstance(tile, int):
        return tile
    values_a_pixel = sum(
        layer.output.shape[-1] / 4 ** (layers.parse(layer.name).block - 1)
        for layer in model.layers
        if isinstance(layer, tf.keras.layers.ReLU)
    )
    values = values_a_pixel * height * width
    room = memory() / 2
    if tile == "off" or values * _BYTES_A_VALUE <= room:
        return None
    left = room - values * _BYTES_OF_ALL
    fitting = (size for size in TILES if values_a_pixel * size**2 * _BYTES_OF_A_TILE <= left)
    return next(fitting, TILES[-1])


def memory() -> int:
    """Bytes of memory that this process may use."""
    if tf.config.list_physical_devices("GPU"):
        return _GPU_BYTES
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:  # a container may be given less
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
    except OSError:
        return physical
    return min(physical, int(limit)) if limit.isdigit() else physical
