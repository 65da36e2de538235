"""What a run consists of: one stage, or several from small to large."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import tensorflow as tf

from nst_tf.errors import SettingsError
from nst_tf.pictures import images, views
from nst_tf.recipe import choices, layers
from nst_tf.recipe.settings import Settings
from nst_tf.recipe.sizes import steps_factor
from nst_tf.run.descent import Limits


@dataclass(frozen=True)
class Stage:
    """A part of a run at one size. It goes on from what the stage before it ended with.

    Attributes:
      limits: what ends it, counted from its own beginning.
      size: longer side of the image in pixels; None for that of the run's result. The style images
        are scaled by the same factor.
      learning_rate: of the optimizer; None for the optimizer's own.
      layerwise: whether neighbours are looked for in each layer by itself, where the style loss
        looks for such.
    """

    limits: Limits
    size: int | None = None
    learning_rate: float | None = None
    layerwise: bool = False

    def shape(self, content: np.ndarray) -> tuple[int, int]:
        """Height and width of the image at this stage, of a run to the size of `content`."""
        return self.shapes(content)[0]

    def shapes(self, content: np.ndarray, *styles: np.ndarray) -> list[tuple[int, int]]:
        """Likewise of the content image and the style images."""
        factor = 1 if self.size is None else self.size / max(content.shape[:2])
        return [
            (max(1, round(picture.shape[0] * factor)), max(1, round(picture.shape[1] * factor)))
            for picture in (content, *styles)
        ]

    def work(self, content: np.ndarray) -> int:
        """Its steps times its pixels."""
        height, width = self.shape(content)
        return max(self.limits.steps, 1) * height * width

    def pictures(
        self, content: np.ndarray, styles: Sequence[np.ndarray]
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        """The content image and the style images, float32 [height, width, 3], at this stage."""
        shape, *shapes = self.shapes(content, *styles)
        scaled = [images.resize(style, *its) for style, its in zip(styles, shapes, strict=True)]
        return images.resize(content, *shape), scaled


#: The stages in their order; the last has the size of the result, or as much of it as is optimised.
Schedule = Sequence[Stage]

#: Between two scales: a coarse stroke is settled before the next finer one is looked at.
_FACTOR = math.sqrt(2)
#: How often a recipe of neighbours looks for them layer by layer at the end.
_LAST_LOOKS = 4


def enlarge(
    image: tf.Tensor,
    before: np.ndarray | tf.Tensor,
    after: np.ndarray | tf.Tensor,
    bounded: bool = False,
) -> tf.Tensor:
    """What a scale begins with: what the one before it ended with, and the initial image's detail.

    An enlarged picture has none of the detail that its new size could show. What the initial image
    has of it, the finest level of its Laplacian pyramid, is there from the first step on, as in
    STROTSS (Kolkin et al., CVPR 2019, section 2.4): so a run begins with its initial image at every
    scale.

    Args:
      image: of the scale before, float32 [1, height, width, 3].
      before: the initial image at that scale, float32 [height, width, 3].
      after: the same at the new scale.
      bounded: whether what is beyond [0, 1] is cut off.

    Returns:
      float32 [1, height, width, 3], at the new scale.
    """
    shape = tf.shape(after)[:2]
    detail = after - tf.image.resize(before, shape, "bicubic")
    image = tf.image.resize(image, shape, "bicubic") + detail
    return tf.clip_by_value(image, 0.0, 1.0) if bounded else image


def share(stages: Schedule, content: np.ndarray, stage: Stage, here: float) -> float:
    """How much of all stages is done, from 0 to 1, where so much of one is, and those before it."""
    work = [one.work(content) for one in stages]
    at = [one is stage for one in stages].index(True)
    return (sum(work[:at]) + work[at] * here) / sum(work)


def of_settings(settings: Settings, content: np.ndarray, styles: Sequence[np.ndarray]) -> Schedule:
    """The schedule of a recipe: a single stage, or scales from coarse to fine.

    Steps are n · 512 / size at a scale: where a pixel is cheap, most is done; the work at each
    scale is proportional to its size, and that of all of them to the last one's. A scale gets the
    same whatever comes after it, so a larger result is the smaller one gone on with. It begins with
    the first scale at which every picture has pixels enough for the network.

    Args:
      settings: of the recipe.
      content: the content image, float32 [height, width, 3], at the size of the result.
      styles: the style images, likewise.
    """
    limits = (settings.iterations, settings.evaluations)
    size = max(content.shape[:2])
    sizes = [min(size, settings.max_scale or size)]
    if settings.min_scale is not None:
        # A scale that would be a tenth off is the smallest one still.
        while sizes[0] > 1.1 * settings.min_scale:
            sizes.insert(0, max(1, round(sizes[0] / _FACTOR)))
    stages = tuple(
        Stage(
            Limits(*(n and max(1, round(n * steps_factor(settings, scale))) for n in limits)),
            None if scale == size else scale,
            settings.learning_rate,
        )
        for scale in sizes
    )
    least = layers.smallest_size([layers.parse(key) for key in settings.layers])
    furthest = views.smallest(settings.stroke_sizes)

    def least_side(stage: Stage) -> float:
        shape, *seen = stage.shapes(content, *styles)
        return min(min(shape), *(furthest * min(its) for its in seen))

    if settings.max_scale and sizes[-1] < size and least_side(stages[-1]) < least:
        raise SettingsError(
            f"max_scale is {settings.max_scale}: a picture then has fewer pixels a side than the "
            f"{least} that the layers take"
        )
    large_enough = tuple(stage for stage in stages if least_side(stage) >= least)
    return with_last_looks(settings, large_enough or stages[-1:])


def with_last_looks(settings: Settings, stages: Schedule) -> Schedule:
    """The last pass of Kolkin et al., arXiv:2203.13215, section 3.4, behind the others where the
    style loss looks for neighbours: as many steps again as the last scale has, neighbours looked
    for layer by layer and several times anew."""
    if settings.style_loss != choices.NEIGHBOURS:
        return stages
    limits = stages[-1].limits
    parts = (limits.iterations, limits.evaluations)
    part = Limits(*(n and max(1, round(n / _LAST_LOOKS)) for n in parts))
    return (
        *stages,
        *(replace(stages[-1], limits=part, layerwise=True) for _ in range(_LAST_LOOKS)),
    )
