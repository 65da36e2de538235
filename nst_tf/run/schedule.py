"""What a run consists of: one stage, or several from small to large."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nst_tf.pictures import images
from nst_tf.recipe.settings import Settings
from nst_tf.run.descent import Limits


@dataclass(frozen=True)
class Stage:
    """A part of a run at one size. It goes on from what the stage before it ended with.

    Attributes:
      limits: what ends it, counted from its own beginning.
      size: longer side of the image in pixels; None for that of the run's result. The style images
        are scaled by the same factor.
      learning_rate: of the optimizer; None for the optimizer's own.
    """

    limits: Limits
    size: int | None = None
    learning_rate: float | None = None

    def shape(self, content: np.ndarray) -> tuple[int, int]:
        """Height and width of the image at this stage, of a run to the size of `content`."""
        height, width = content.shape[:2]
        factor = 1 if self.size is None else self.size / max(height, width)
        return max(1, round(height * factor)), max(1, round(width * factor))

    def pictures(
        self, content: np.ndarray, styles: Sequence[np.ndarray]
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        """The content image and the style images, float32 [height, width, 3], at this stage."""
        shape = self.shape(content)
        factor = max(shape) / max(content.shape[:2])
        scaled = [
            images.resize(style, *(max(1, round(side * factor)) for side in style.shape[:2]))
            for style in styles
        ]
        return images.resize(content, *shape), scaled


#: The stages in their order; the last has the size of the result.
Schedule = Sequence[Stage]


def of_settings(settings: Settings) -> Schedule:
    """The schedule of a recipe: a single stage."""
    limits = Limits(settings.iterations, settings.evaluations)
    return (Stage(limits, learning_rate=settings.learning_rate),)
