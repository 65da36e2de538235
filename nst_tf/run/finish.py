"""What becomes of the image that descends: the photo laid over it, and its final colours."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from nst_tf.pictures import colours, images, masks
from nst_tf.recipe.settings import Settings
from nst_tf.run import schedule
from nst_tf.run.descent import Progress
from nst_tf.run.inputs import Inputs


class Overlay:
    """The photo laid over the image of a run where it is protected.

    Call it with an image, [..., height, width, 3], an array or a tensor, at the size of any stage:
    for the picture that it stands for.

    Args:
      inputs: of the run.

    Attributes:
      inputs: the same.
    """

    def __init__(self, inputs: Inputs) -> None:
        self.inputs = inputs
        self._scaled: dict[tuple[int, int], tuple[np.ndarray, np.ndarray]] = {}

    def __call__(self, image: Any) -> Any:
        if self.inputs.protect is None:
            return image
        height, width = image.shape[-3:-1]
        return masks.laid_over(image, *self.at((height, width)))

    def at(self, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """The photo and how much of it stays, of a run that protects, at a height and width: scaled
        once, not at every step."""
        if shape not in self._scaled:
            assert self.inputs.protect is not None
            photo = images.resize(self.inputs.content, *shape)
            self._scaled[shape] = photo, masks.resize(self.inputs.protect, *shape)
        return self._scaled[shape]


def outcome(progress: Progress, settings: Settings) -> tf.Tensor:
    """The image that a descent comes to: the average of the iterates where the settings ask for
    it, else that with the smallest loss; float32 [1, height, width, 3]."""
    return progress.average.image if settings.average else progress.best.image


def result(image: tf.Tensor, overlay: Overlay, settings: Settings) -> np.ndarray:
    """The picture that a run makes, float32 [height, width, 3] in [0, 1].

    Final colours, too, leave alone what is protected, and what no style image is for.

    Args:
      image: that the run ended with, float32 [1, height, width, 3], at the size of any stage.
      overlay: of the run.
      settings: likewise.
    """
    inputs = overlay.inputs
    shape = inputs.content.shape[:2]
    if image.shape[1:3] != shape:  # of a run that ended at a small size
        before = images.resize(inputs.content, *image.shape[1:3])
        image = schedule.enlarge(image, before, inputs.content)
    image = np.clip(overlay(image[0].numpy()), 0, 1)
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
