"""Measures the mean activation of a network's filters on folders of pictures, for normalisation.

    python scripts/measure_means.py --weights=VGG19.h5 --out=nst_tf/assets/vgg19_means.npz FOLDER...
    python scripts/measure_means.py --weights=mini --out=nst_tf/assets/mini_means.npz FOLDER...

It prints what the .txt files beside them and vgg.RESCALE report.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
from absl import app, flags
from tqdm import tqdm

from nst_tf.network import vgg
from nst_tf.network import weights as weights_module
from nst_tf.pictures import images

_WEIGHTS = flags.DEFINE_string("weights", "imagenet", "The network.")
_OUT = flags.DEFINE_string("out", None, "Where the means go.", required=True)
_SIZE = flags.DEFINE_integer("size", 256, "Longer side of the pictures, in pixels.")


def _pooling_ratios(
    weights: weights_module.Weights, pictures: list[np.ndarray]
) -> dict[str, float]:
    """Median over the four poolings of mean(max pooled) / mean(otherwise pooled)."""
    ratios: dict[str, list[float]] = {"avg": [], "l2": []}
    names = ("conv1_2", "conv2_2", "conv3_4", "conv4_4")  # before a pooling
    model = vgg.build_model(names, weights)
    for picture in pictures:
        for maps in model(picture[np.newaxis]).values():
            most = float(np.mean(vgg.Pooling("max")(maps)))
            for kind, ratio in ratios.items():
                ratio.append(most / float(np.mean(vgg.Pooling(kind)(maps))))
    return {kind: float(np.median(ratio)) for kind, ratio in ratios.items()}


def main(argv: list[str]) -> None:
    paths = sorted(p for folder in argv[1:] for p in Path(folder).iterdir() if p.is_file())
    if not paths:
        raise app.UsageError("name at least one folder of pictures")
    weights = weights_module.load(_WEIGHTS.value)
    pictures = [images.load(path, _SIZE.value) for path in paths]
    means = vgg.mean_activations(weights, tqdm(pictures, unit="picture"))
    arrays: dict[str, Any] = {name: mean.astype(np.float32) for name, mean in means.items()}
    np.savez_compressed(_OUT.value, fingerprint=weights_module.fingerprint(weights), **arrays)
    print(f"{len(pictures)} pictures, longer side {_SIZE.value}")
    for name, mean in means.items():
        print(f"{name}: mean {mean.mean():.2f}, least {mean.min():.3g}, most {mean.max():.3g}")
    print("pooling", _pooling_ratios(weights, pictures[:: max(1, len(pictures) // 24)]))


if __name__ == "__main__":
    app.run(main)
