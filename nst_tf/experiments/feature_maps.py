"""What the network sees: the strongest feature maps of a picture, and its Gram matrices.

Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks", arXiv:1311.2901, look at
single filters; Gatys et al., arXiv:1508.06576, at what all of a layer's filters have in common.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image

from nst_tf import page
from nst_tf.experiments import report
from nst_tf.experiments.plan import Inputs, plain
from nst_tf.losses.gram import gram_matrix
from nst_tf.network import weights as weights_module
from nst_tf.network.feature_model import feature_model
from nst_tf.pictures import images
from nst_tf.recipe import layers
from nst_tf.version import __version__

#: A low, a middle and a high layer.
_LAYERS = ("conv1_1", "conv3_1", "conv5_1")
#: How many maps of a layer are shown.
_STRONGEST = 8
#: Orders of magnitude that a Gram matrix's colours span.
_DECADES = 4


def run(inputs: Inputs, folder: Path) -> Path:
    """Writes the maps, the Gram matrices and their page into a folder.

    Args:
      inputs: whose pictures and network; the values are layers.
      folder: for everything.

    Returns:
      The page's path.
    """
    settings = inputs.settings(size=512)
    wanted = [str(layers.parse(name)) for name in inputs.words(*_LAYERS)]
    network = weights_module.load(inputs.weights, seed=settings.seed)
    model = feature_model(network, settings, wanted=wanted)
    pictures = [("content", inputs.content)]
    pictures += [(f"style-{number}", style) for number, style in enumerate(inputs.styles, start=1)]
    shown, rows = [], []
    grams: dict[str, list[page.Picture]] = {}
    table: list[list[Any]] = []
    for role, source in pictures:
        picture = images.load(source, settings.size)
        height, width = picture.shape[:2]
        layers.check_size(height, width, map(layers.parse, wanted))
        images.save(picture, folder / f"{role}.png")
        shown.append(page.Picture(folder / f"{role}.png", f"{role}: {Path(source).name}"))
        for name, maps in model(tf.constant(picture[np.newaxis])).items():
            rows.append(_strongest(maps[0].numpy(), name, role, folder, table))
            heat = _logarithm(gram_matrix(maps)[0].numpy())
            path = folder / f"{role}-{plain(name)}-gram.png"
            _coloured(heat).save(path)
            grams.setdefault(name, []).append(page.Picture(path, role))
    report.write_records(
        folder,
        [["picture", "layer", "filter", "mean", "largest"], *table],
        {
            "nst_tf": __version__,
            "experiment": "feature-maps",
            "pictures": dict(pictures),
            "layers": wanted,
            "settings": settings.asdict(),
            "weights": {"source": network.source, "sha256": network.sha256},
        },
    )
    path = folder / "index.html"
    page.Page(
        "What the network sees",
        [
            f"The {_STRONGEST} feature maps of each layer with the largest mean, all on one scale: "
            "colours and edges in low layers, strokes in the middle, places in high ones.",
            "Gram matrices say which filters are active together, wherever that is. Their colours "
            f"span {_DECADES} orders of magnitude below the largest value.",
        ],
        [
            page.Row("From", shown),
            *rows,
            *(
                page.Row(f"Gram matrices of {name}", heat_maps, True)
                for name, heat_maps in grams.items()
            ),
        ],
        settings=f"network: {network.source}\nsize: {settings.size}\npooling: {settings.pooling}\n"
        f"normalise: {settings.normalise}",
    ).write(path)
    return path


def _strongest(
    maps: np.ndarray, name: str, role: str, folder: Path, table: list[list[Any]]
) -> page.Row:
    """Writes the strongest maps of [height, width, channels], and a line of the table for each."""
    means = maps.mean(axis=(0, 1))
    strongest = np.argsort(means)[::-1][:_STRONGEST]
    scale = np.percentile(maps[..., strongest], 99.5)
    shown = []
    for filter_ in strongest:
        path = folder / f"{role}-{plain(name)}-{filter_}.png"
        _coloured(maps[..., filter_] / max(scale, 1e-12)).save(path)
        shown.append(page.Picture(path, f"filter {filter_}, mean {means[filter_]:.3g}"))
        table.append(
            [role, name, int(filter_), float(means[filter_]), float(maps[..., filter_].max())]
        )
    return page.Row(f"{role}, {name}", shown, sharp=True)


def _logarithm(gram: np.ndarray) -> np.ndarray:
    """log10 of a Gram matrix from 1e-DECADES of its largest value to that, as 0 to 1."""
    share = np.maximum(gram / max(gram.max(), 1e-12), 10.0**-_DECADES)
    return 1 + np.log10(share) / _DECADES


def _coloured(values: np.ndarray) -> Image.Image:
    """Values in [0, 1], [height, width], in the colours of matplotlib's magma."""
    import matplotlib

    colours = matplotlib.colormaps["magma"](np.clip(values, 0, 1), bytes=True)
    return Image.fromarray(colours[..., :3])
