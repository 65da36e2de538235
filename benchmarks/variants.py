"""How long one evaluation of loss and gradient takes, done in several ways.

    python benchmarks/variants.py weights=VGG19.h5 weights=mini
    python benchmarks/variants.py --weights=VGG19.h5 engine=keras engine=direct engine=winograd \
        dtype=mixed_bfloat16
    python benchmarks/variants.py --weights=VGG19.h5 --size=2048 tile=off tile=1024 tile=512

Each argument is one way: options of `StyleTransfer`, joined by commas. They take turns in one run
(A B C A B C ...), on the bundled pictures; medians are printed, and loss and gradient against those
of the first.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf
from absl import app, flags

from nst_tf import assets
from nst_tf.pictures import images
from nst_tf.run.transfer import StyleTransfer

_WEIGHTS = flags.DEFINE_string("weights", "mini", "The network, where a way does not name one.")
_PRESET = flags.DEFINE_string("preset", "gatys2016", "The recipe whose loss is evaluated.")
_SIZE = flags.DEFINE_integer("size", 512, "Height and width in pixels.")
_REPEATS = flags.DEFINE_integer("repeats", 9, "Evaluations of each.")
_JSON = flags.DEFINE_string("json", None, "Also write the table here.")


def square(path: Path) -> np.ndarray:
    picture = images.load(path)
    side = min(picture.shape[:2])
    cut = tf.image.resize(picture[:side, :side], (_SIZE.value, _SIZE.value), antialias=True)
    return cut.numpy()


def main(argv: list[str]) -> None:
    if len(argv) < 2:
        raise app.UsageError("name at least one way, such as engine=keras")
    content, style = square(assets.SCENE), square(assets.PAINTING)
    runs = {}
    for way in argv[1:]:
        options: dict[str, Any] = dict(option.split("=", 1) for option in way.split(","))
        if options.get("tile", "").isdecimal():
            options["tile"] = int(options["tile"])
        options = {"weights": _WEIGHTS.value, "preset": _PRESET.value, **options}
        runs[way] = StyleTransfer(content, style, size=_SIZE.value, style_size=512, **options)
    image = tf.constant(content[np.newaxis])
    seconds: dict[str, list[float]] = {way: [] for way in runs}
    outcome = {}
    for repeat in range(_REPEATS.value + 2):
        for way, run in runs.items():
            objective = run.build_objective()
            began = time.perf_counter()
            loss, gradient, _ = objective(image)
            outcome[way] = (float(loss), gradient.numpy().astype(np.float64))
            if repeat > 1:  # the first ones compile
                seconds[way].append(time.perf_counter() - began)
    first = next(iter(runs))
    table = []
    for way, times in seconds.items():
        (loss, gradient), (loss0, gradient0) = outcome[way], outcome[first]
        row = {
            "way": way,
            "seconds": float(np.median(times)),
            "speed": float(np.median(seconds[first]) / np.median(times)),
            "loss error": abs(loss / loss0 - 1),
            "gradient error": norm(gradient - gradient0) / norm(gradient0),
            "cosine": float((gradient * gradient0).sum()) / norm(gradient) / norm(gradient0),
        }
        table.append(row)
        print(
            f"{way:32} {row['seconds']:8.4f} s ({min(times):.4f} to {max(times):.4f})  "
            f"{row['speed']:5.2f} times as fast  loss {row['loss error']:.1e}  "
            f"gradient {row['gradient error']:.1e}  cosine {row['cosine']:.6f}"
        )
    if _JSON.value:
        Path(_JSON.value).write_text(json.dumps(table, indent=1))


def norm(values: np.ndarray) -> float:
    return float(np.linalg.norm(values))


if __name__ == "__main__":
    app.run(main)
