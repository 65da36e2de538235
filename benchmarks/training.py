"""Pictures a second of training a stylizer: ours against a plain Keras loop.

    python benchmarks/training.py PAINTING --photos=DIR --sizes=128,256 --json=FILE

- `plain`: what one writes by the books: `keras.applications`' VGG19 as the network of the losses,
  the photo's features of block4_conv2, Gram matrices of the first convolution of each block, Adam,
  `fit`, photos decoded, cropped and mirrored by tf.data. Its numbers may be random, which takes as
  long; give $NST_TF_WEIGHTS for the real ones.
- `gatys2016` and `crisp`: those presets' losses with `mini`, as `nst-tf train` has them.

All train the same stylizer on the same photos. They take turns, each for --steps steps after the
first ones, which compile; the table shows medians.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf
from absl import app, flags

import nst_tf
from nst_tf.keras import PerceptualLoss
from nst_tf.network import machine
from nst_tf.pictures import folders, images
from nst_tf.stylizer import apprentice

_PHOTOS = flags.DEFINE_string("photos", None, "A folder of photos, as JPEG.", required=True)
_SIZES = flags.DEFINE_list("sizes", ["128", "256"], "Sides of the crops in pixels.")
_BATCH = flags.DEFINE_integer("batch", 4, "Crops a step.")
_WIDTH = flags.DEFINE_float("width", 0.25, "Of the stylizer.")
_STEPS = flags.DEFINE_integer("steps", 10, "Of each turn.")
_REPEATS = flags.DEFINE_integer("repeats", 5, "Turns.")
_STYLE_SIZE = 384
_JSON = flags.DEFINE_string("json", None, "Also write the table here.")

_CONTENT = "block4_conv2"
_STYLE = [f"block{block}_conv1" for block in range(1, 6)]


def gram(maps: tf.Tensor) -> tf.Tensor:
    sides = tf.cast(tf.shape(maps)[1] * tf.shape(maps)[2], tf.float32)
    return tf.einsum("bijc,bijd->bcd", maps, maps) / sides


class Plain(tf.keras.Model):
    """A stylizer and VGG19, as tutorials have them."""

    def __init__(self, painting: np.ndarray) -> None:
        super().__init__()
        self.stylizer = nst_tf.Stylizer(["painting"], _WIDTH.value)
        file = os.environ.get("NST_TF_WEIGHTS")
        vgg = tf.keras.applications.VGG19(include_top=False, weights=file)
        outputs = [vgg.get_layer(name).output for name in (_CONTENT, *_STYLE)]
        self.features = tf.keras.Model(vgg.input, outputs)
        self.features.trainable = False
        self.targets = [gram(maps) for maps in self.look(painting[np.newaxis])[1:]]

    def look(self, pictures: tf.Tensor) -> list[tf.Tensor]:
        return self.features(tf.keras.applications.vgg19.preprocess_input(255 * pictures))

    def train_step(self, photos: tf.Tensor) -> dict[str, tf.Tensor]:
        content = self.look(photos)[0]
        with tf.GradientTape() as tape:
            found, *styles = self.look(self.stylizer(photos))
            loss = tf.reduce_mean((found - content) ** 2)
            for maps, target in zip(styles, self.targets, strict=True):
                loss += tf.reduce_mean((gram(maps) - target) ** 2)
        variables = self.stylizer.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return {"loss": loss}


def plain(painting: str, files: list[str], size: int) -> Callable[[int], None]:
    def crop(path: tf.Tensor) -> tf.Tensor:
        photo = tf.io.decode_jpeg(tf.io.read_file(path), channels=3)
        photo = tf.image.random_crop(photo, [size, size, 3])
        return tf.image.random_flip_left_right(tf.cast(photo, tf.float32) / 255)

    photos = tf.data.Dataset.from_tensor_slices(files).shuffle(len(files)).repeat()
    photos = photos.map(crop, num_parallel_calls=tf.data.AUTOTUNE)
    photos = photos.batch(_BATCH.value).prefetch(tf.data.AUTOTUNE)
    model = Plain(images.load(painting, _STYLE_SIZE))
    model.compile(tf.keras.optimizers.Adam(1e-3))
    return lambda steps: model.fit(photos, steps_per_epoch=steps, verbose=0)


def ours(painting: str, files: list[str], size: int, preset: str) -> Callable[[int], None]:
    stylizer = nst_tf.Stylizer(["painting"], _WIDTH.value)
    loss = PerceptualLoss(
        "mini",
        preset,
        style=painting,
        apart=True,
        dtype=machine.choose_loss_dtype("auto"),
        style_size=_STYLE_SIZE,
    )
    model = apprentice.Apprentice(stylizer, loss)
    model.compile(apprentice.optimizer(1000, 1e-3), jit_compile=False)
    crops = nst_tf.data.crops(files, size, _BATCH.value)
    styles = tf.ones([_BATCH.value, 1])
    batches = crops.map(lambda photos: ({"content": photos, "styles": styles}, photos))
    return lambda steps: model.fit(batches, steps_per_epoch=steps, verbose=0)


def measure(painting: str, files: list[str], size: int) -> dict[str, float]:
    ways = {
        "plain": plain(painting, files, size),
        "gatys2016": ours(painting, files, size, "gatys2016"),
        "crisp": ours(painting, files, size, "crisp"),
    }
    for learn in ways.values():
        learn(2)
    speeds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(_REPEATS.value):
        for name, learn in ways.items():
            began = time.perf_counter()
            learn(_STEPS.value)
            seconds = time.perf_counter() - began
            speeds[name].append(_STEPS.value * _BATCH.value / seconds)
    return {name: float(np.median(of)) for name, of in speeds.items()}


def main(argv: list[str]) -> None:
    if len(argv) != 2:
        raise app.UsageError("name a painting")
    files = folders.files([_PHOTOS.value])
    table = {}
    for size in map(int, _SIZES.value):
        large = [path for path in files if min(images.load(path).shape[:2]) >= size]
        table[size] = found = measure(argv[1], large, size)
        told = ", ".join(f"{name} {speed:.1f}" for name, speed in found.items())
        ratios = [found[name] / found["plain"] for name in ("gatys2016", "crisp")]
        print(
            f"{size} px: {told} pictures/s; {ratios[0]:.1f} and {ratios[1]:.1f} times", flush=True
        )
    if _JSON.value:
        Path(_JSON.value).write_text(json.dumps(table, indent=1))


if __name__ == "__main__":
    app.run(main)
