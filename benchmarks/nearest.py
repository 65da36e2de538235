"""Does a part of a painting find its painting? And what of that a sketch of Gram matrices keeps.

    python benchmarks/nearest.py --paintings=DIR [--weights=VGG19.h5]

Of each painting a part is cut, half as high and half as wide, somewhere (by --seed); both are
measured at 256 pixels. How many parts have their own painting nearest, and among the nearest five:
by whole Gram matrices divided by their norms (`Corpus`' distance), by those as Gatys, Ecker and
Bethge compare them (E_l, equation 4 of arXiv:1508.06576, summed over layers), and by sketches of
so many numbers a layer; of these also how many of the exact five they keep.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf
from absl import app, flags

from nst_tf.data.corpus import sketch
from nst_tf.losses.gram import gram_matrix
from nst_tf.network import weights as weights_module
from nst_tf.network.feature_model import feature_model
from nst_tf.pictures import folders, images
from nst_tf.recipe import presets

_PAINTINGS = flags.DEFINE_string("paintings", None, "A folder of paintings.", required=True)
_WEIGHTS = flags.DEFINE_string("weights", "mini", "The network.")
_SIZE = flags.DEFINE_integer("size", 256, "Longer side in pixels of both.")
_SEED = flags.DEFINE_integer("seed", 0, "Of where the parts are cut.")
_NUMBERS = flags.DEFINE_list("numbers", ["64", "128", "256", "512", "1024"], "Of sketches.")

#: Gram matrices of a picture, by layer.
Grams = list[np.ndarray]


def told(distances: np.ndarray) -> str:
    """How many parts, of which each is a row, find their own."""
    own = np.diagonal(distances)[:, np.newaxis]
    rank = np.sum(distances < own, axis=1)
    return f"{np.sum(rank == 0)} first, {np.sum(rank < 5)} among five, of {len(rank)}"


def main(_argv: list[str]) -> None:
    settings = presets.settings(presets.PUBLISHED)
    layers = list(settings.style_layers)
    model = feature_model(weights_module.load(_WEIGHTS.value), settings, "float32", layers)

    @tf.function(input_signature=[tf.TensorSpec([1, None, None, 3])])
    def measured(picture: tf.Tensor) -> list[tf.Tensor]:
        maps = model(picture)
        return [gram_matrix(maps[layer])[0] for layer in layers]

    def grams(picture: np.ndarray) -> Grams:
        seen = images.load(picture, _SIZE.value)
        return [gram.numpy() for gram in measured(tf.constant(seen[np.newaxis]))]

    draw = np.random.default_rng(_SEED.value)
    whole: list[Grams] = []
    parts: list[Grams] = []
    for path in folders.files(_PAINTINGS.value):
        picture = images.load(path)
        height, width = (side // 2 for side in picture.shape[:2])
        top = draw.integers(0, picture.shape[0] - height + 1)
        left = draw.integers(0, picture.shape[1] - width + 1)
        whole.append(grams(picture))
        parts.append(grams(picture[top : top + height, left : left + width]))

    def normed(one: Grams) -> Grams:
        return [gram / np.linalg.norm(gram) for gram in one]

    def apart(one: Grams, other: Grams) -> float:
        pairs = zip(normed(one), normed(other), strict=True)
        return float(np.sqrt(np.mean([np.sum((a - b) ** 2) for a, b in pairs])))

    def as_gatys(one: Grams, other: Grams) -> float:
        pairs = zip(one, other, strict=True)
        return float(sum(np.sum((a - b) ** 2) / (4 * len(a) ** 2) for a, b in pairs))

    exact = np.array([[apart(part, one) for one in whole] for part in parts])
    plain = np.array([[as_gatys(part, one) for one in whole] for part in parts])
    print(f"{_WEIGHTS.value}: divided by norms: {told(exact)}")
    print(f"E_l as published: {told(plain)}")
    nearest = np.argsort(exact, axis=1)[:, :5]
    for numbers in map(int, _NUMBERS.value):

        def short(one: Grams, numbers: int = numbers) -> np.ndarray:
            made = [sketch(tf.constant(gram[np.newaxis]), numbers).numpy()[0] for gram in one]
            return np.stack(made).astype(np.float16).astype(np.float32)

        far, near = (np.stack([short(one) for one in kind]) for kind in (whole, parts))
        found = np.sqrt(((near[:, np.newaxis] - far) ** 2).mean((2, 3)))
        five = np.argsort(found, axis=1)[:, :5]
        kept = np.mean([len({*a} & {*b}) / 5 for a, b in zip(five, nearest, strict=True)])
        size = 2 * numbers * len(layers)
        print(f"{numbers:5} numbers, {size} bytes: {told(found)}; {kept:.2f} of the exact five")


if __name__ == "__main__":
    app.run(main)
