"""How long one evaluation of loss and gradient takes with VGG19 and with another network.

    python benchmarks/networks.py --teacher=VGG19.h5 --weights=mini --size=512

Both take turns in one run (A B A B ...), on random pictures, with the preset's losses; the medians
and their ratio are printed.
"""

from __future__ import annotations

import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf
from absl import app, flags

from nst_tf.transfer import StyleTransfer

_TEACHER = flags.DEFINE_string("teacher", None, "VGG19's weights.", required=True)
_WEIGHTS = flags.DEFINE_string("weights", "mini", "The other network.")
_PRESET = flags.DEFINE_string("preset", "gatys2016", "The recipe whose loss is evaluated.")
_SIZE = flags.DEFINE_integer("size", 512, "Height and width in pixels.")
_REPEATS = flags.DEFINE_integer("repeats", 9, "Evaluations of each.")


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"unexpected {argv[1]!r}")
    pictures = np.random.default_rng(0).random((2, _SIZE.value, _SIZE.value, 3), np.float32)
    runs = {
        name: StyleTransfer(
            pictures[0], pictures[1], preset=_PRESET.value, weights=name, size=_SIZE.value
        )
        for name in (_TEACHER.value, _WEIGHTS.value)
    }
    image = tf.constant(pictures[:1])
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for repeat in range(_REPEATS.value + 1):
        for name, run in runs.items():
            began = time.perf_counter()
            run.objective(image).gradient.numpy()
            if repeat:  # the first one compiles
                seconds[name].append(time.perf_counter() - began)
    medians = {name: float(np.median(found)) for name, found in seconds.items()}
    for name, found in seconds.items():
        print(f"{name}: median {medians[name]:.4f} s, {min(found):.4f} to {max(found):.4f}")
    ratio = medians[_TEACHER.value] / medians[_WEIGHTS.value]
    print(f"{_WEIGHTS.value} is {ratio:.2f} times as fast")


if __name__ == "__main__":
    app.run(main)
