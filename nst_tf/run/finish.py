"""What becomes of the image that descends: the photo laid over it, and its final colours."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from nst_tf.pictures import colours, images, masks
from nst_tf.recipe.settings import Settings
from nst_tf.run import schedule
from nst_tf.run.inputs import Inputs


def shown(image: Any, inputs: Inputs) -> Any:
    """The picture that an image of a run stands for: where the photo is protected, the photo.

    Args:
      image: [..., height, width, 3], an array or a tensor, at the size of any stage.
      inputs: of the run.
    """
    if inputs.protect is None:
        return image
    size = image.shape[-3:-1]
    photo, protect = images.resize(inputs.content, *size), masks.resize(inputs.protect, *size)
    return masks.laid_over(image, photo, protect)


def result(image: tf.Tensor, inputs: Inputs, settings: Settings) -> np.ndarray:
    """The picture that a run makes, float32 [height, width, 3] in [0, 1].

    Final colours, too, leave alone what is protected, and what no style image is for.

    Args:
      image: that the run ended with, float32 [1, height, width, 3], at the size of any stage.
      inputs: of the run.
      settings: likewise.
    """
    shape = inputs.content.shape[:2]
    if image.shape[1:3] != shape:  # of a run that ended at a small size
        image = schedule.enlarge(image, inputs.start, shape)
    image = np.clip(shown(image[0].numpy(), inputs), 0, 1)
    if settings.colours == "content":
        shares = None if inputs.protect is None else 1 - inputs.protect
        return _laid(image, [colours.keep(image, inputs.content)], shares)
    if settings.colours == "palette":
        return _laid(image, _palettes(image, inputs, settings), inputs.regions)
    return image


def _palettes(image: np.ndarray, inputs: Inputs, settings: Settings) -> list[np.ndarray]:
    """The image in the palette of all style images, or of each that has a region of its own."""
    styles, regions = inputs.styles, inputs.regions
    if regions is None or regions.shape[-1] == 1:
        where = None if regions is None else regions[..., 0]
        return [colours.palette(image, styles, settings.style_blend or None, where)]
    parts = zip(styles, np.moveaxis(regions, -1, 0), strict=True)
    return [colours.palette(image, style, where=where) for style, where in parts]


def _laid(image: np.ndarray, over: list[np.ndarray], shares: np.ndarray | None) -> np.ndarray:
    """Pictures laid over an image, each with its share of every place, [height, width, pictures];
    None for the first one alone."""
    if shares is None:
        return over[0]
    mixed = image * (1 - shares.sum(-1, keepdims=True))
    for number, picture in enumerate(over):
        mixed += shares[..., number, np.newaxis] * picture
    return np.clip(mixed, 0, 1)
