"""What becomes of the image that descends: the photo laid over it, its grain and final colours."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from nst_tf.pictures import colours, images, masks, views
from nst_tf.recipe.settings import Settings
from nst_tf.run import grain, schedule
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

    Grain and final colours, too, leave alone what is protected, and what no style image is for.

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
    picture = image[0].numpy()
    if settings.grain == "painting":
        shaped = functools.partial(_shaped, inputs.content, settings.stroke_sizes)
        try:
            picture = _by_painting(np.clip(picture, 0, 1), inputs, settings, shaped)
        except (MemoryError, tf.errors.ResourceExhaustedError):
            warnings.warn(
                "no memory for grain=painting: the picture's fine detail is as the losses left it",
                stacklevel=2,
            )
    picture = np.clip(overlay(picture), 0, 1)
    if settings.colours == "content":
        shares = None if inputs.protect is None else 1 - inputs.protect
        return _laid(picture, [colours.keep(picture, inputs.content)], shares)
    if settings.colours == "palette":
        return _by_painting(picture, inputs, settings, colours.palette)
    return picture


def _by_painting(
    picture: np.ndarray, inputs: Inputs, settings: Settings, finish: Callable[..., np.ndarray]
) -> np.ndarray:
    """The picture finished after all style images, or where one has a region after that one.

    `finish` takes the picture, style images, their shares or None, and where, [height, width], or
    None for everywhere.
    """
    styles, regions = inputs.styles, inputs.regions
    if regions is None or regions.shape[-1] == 1:
        where = None if regions is None else regions[..., 0]
        finished = [finish(picture, styles, settings.style_blend or None, where)]
    else:
        parts = zip(styles, np.moveaxis(regions, -1, 0), strict=True)
        finished = [finish(picture, [style], None, where) for style, where in parts]
    return _laid(picture, finished, regions)


def _shaped(
    content: np.ndarray,
    sizes: Sequence[float],
    picture: np.ndarray,
    styles: Sequence[np.ndarray],
    shares: Sequence[float] | None,
    where: np.ndarray | None,
) -> np.ndarray:
    """The picture with the paintings' grain, which are also seen at smaller sizes."""
    seen = [view for style in styles for view in views.views(style, sizes=sizes)]
    shares = None if shares is None else np.repeat(shares, len(seen) // len(styles)).tolist()
    return grain.shaped(picture, content, seen, shares, where).numpy()


def _laid(image: np.ndarray, over: list[np.ndarray], shares: np.ndarray | None) -> np.ndarray:
    """Pictures laid over an image, each with its share of every place, [height, width, pictures];
    None for the first one alone."""
    if shares is None:
        return over[0]
    mixed = image * (1 - shares.sum(-1, keepdims=True))
    for number, picture in enumerate(over):
        mixed += shares[..., number, np.newaxis] * picture
    return np.clip(mixed, 0, 1)
