"""A served model that takes files against the way through Python: pictures a second.

    python benchmarks/serving.py --size=256 --weights=mini --json=FILE

- `served`: the signature `image_bytes_grams` of an exported SavedModel, loaded: files go in, Gram
  matrices come out, and all between, decoding too, is in the graph.
- `python`: Pillow decodes, orients, crops and resizes (`images.load`, `images.cover`), as in
  `nst_tf.data`; a tf.function of FeatureExtractor and `gram_matrix` has the rest.

Both have the same files, JPEG photos of 512 x 384, and give the same numbers. They take turns; the
table shows medians for each batch size, and the median ratio served / python of two in turn.
"""

from __future__ import annotations

import io
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf
from absl import app, flags, logging
from PIL import Image

import nst_tf
from nst_tf import assets
from nst_tf.export import saved_model
from nst_tf.losses.gram import gram_matrix
from nst_tf.network import weights as weights_module
from nst_tf.pictures import images
from nst_tf.recipe import presets

_SIZE = flags.DEFINE_integer("size", 256, "Height and width in pixels of what the network sees.")
_WEIGHTS = flags.DEFINE_string("weights", "mini", "The network.")
_BATCHES = flags.DEFINE_list("batches", ["1", "8", "32"], "Files in one request.")
_REPEATS = flags.DEFINE_integer("repeats", 5, "Requests of each, which take turns.")
_JSON = flags.DEFINE_string("json", None, "Also write the table here.")

Ask = Callable[[list[bytes]], dict[str, tf.Tensor]]


def served(weights: weights_module.Weights, folder: str) -> Ask:
    size = _SIZE.value
    version = saved_model.export(f"{folder}/m", what="style", weights=weights, size=size)
    signature = tf.saved_model.load(str(version)).signatures["image_bytes_grams"]
    return lambda batch: signature(image_bytes=tf.constant(batch))


def through_python(weights: weights_module.Weights) -> Ask:
    layers = list(presets.settings(presets.PUBLISHED).style_layers)
    extractor = nst_tf.FeatureExtractor(layers, weights)

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3])])
    def grams(pictures: tf.Tensor) -> dict[str, tf.Tensor]:
        maps = extractor(pictures)
        means = {f"{name}_mean": tf.reduce_mean(maps[name], (1, 2)) for name in layers}
        return {**means, **{f"{name}_gram": gram_matrix(maps[name]) for name in layers}}

    def ask(batch: list[bytes]) -> dict[str, tf.Tensor]:
        whole = (images.load(Image.open(io.BytesIO(file))) for file in batch)
        pictures = [images.cover(picture, _SIZE.value, _SIZE.value) for picture in whole]
        return grams(tf.constant(np.stack(pictures)))

    return ask


def files(count: int) -> list[bytes]:
    """Photos of 512 x 384, no two the same."""
    photo = Image.open(assets.SCENE).convert("RGB").resize((512, 384))
    encoded = []
    for number in range(count):
        stream = io.BytesIO()
        photo.rotate(number).save(stream, "JPEG", quality=90)
        encoded.append(stream.getvalue())
    return encoded


def seconds(ask: Ask, batch: list[bytes]) -> float:
    start = time.perf_counter()
    for value in ask(batch).values():
        value.numpy()
    return time.perf_counter() - start


def main(_: list[str]) -> None:
    logging.set_verbosity(logging.ERROR)  # TensorFlow's notes of what it saves
    weights = weights_module.load(_WEIGHTS.value)
    table = []
    with tempfile.TemporaryDirectory() as folder:
        ways = {"served": served(weights, folder), "python": through_python(weights)}
        for size in map(int, _BATCHES.value):
            batch = files(size)
            one, other = (ask(batch) for ask in ways.values())  # and their graphs are made
            for name, value in one.items():
                scale = float(tf.reduce_max(tf.abs(value)))
                np.testing.assert_allclose(other[name], value, atol=1e-3 * scale)
            times: dict[str, list[float]] = {name: [] for name in ways}
            for _repeat in range(_REPEATS.value):
                for name, ask in ways.items():
                    times[name].append(seconds(ask, batch))
            rates = {name: size / float(np.median(taken)) for name, taken in times.items()}
            pairs = zip(times["python"], times["served"], strict=True)
            ratio = float(np.median([slow / fast for slow, fast in pairs]))
            table.append({"batch": size, **rates, "ratio": ratio, "seconds": times})
    print(f"{'batch':>5} {'served/s':>9} {'python/s':>9} {'ratio':>6}")
    for row in table:
        print(f"{row['batch']:5} {row['served']:9.2f} {row['python']:9.2f} {row['ratio']:6.2f}")
    if _JSON.value:
        machine = {"processor": platform.processor(), "tensorflow": tf.__version__}
        with open(_JSON.value, "w") as file:
            json.dump(
                {"size": _SIZE.value, "weights": weights.source, **machine, "table": table}, file
            )


if __name__ == "__main__":
    app.run(main)
