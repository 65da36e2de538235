"""What a network's layers together say of a place: its hypercolumn.

Hariharan, Arbeláez, Girshick and Malik, "Hypercolumns for Object Segmentation and Fine-grained
Localization", arXiv:1411.5752; at a quarter of the picture's size and with every layer divided by
its number of channels as in Kolkin et al., arXiv:2203.13215, section 3.1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import tensorflow as tf

from nst_tf.recipe import layers

#: The layer whose positions those of a hypercolumn are: maps of block 3 have a quarter of the
#: picture's size.
GRID = "conv3_1"


@dataclass(frozen=True)
class Maps:
    """The feature maps themselves, as a `statistics.Statistic`: all positions, nothing summed."""

    additive = False

    def measure(self, maps: tf.Tensor, mask: tf.Tensor | None = None) -> tf.Tensor:
        return maps

    def finish(self, measured: tf.Tensor) -> tf.Tensor:
        return measured

    def distance(self, finished: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
        raise NotImplementedError("maps are compared by neighbours.distances")

    def width_factor(self, ratio: float) -> float:
        return 1.0


def columns(
    maps: Mapping[str, tf.Tensor], height: tf.Tensor | int, width: tf.Tensor | int
) -> dict[str, tf.Tensor]:
    """Every layer's part of the hypercolumns.

    Finer maps are averaged, so that every position and every pixel has its part in them; coarser
    ones are interpolated. A layer of c channels for VGG19's C is divided by √(c C): by C where it
    is VGG19's, and in a network that stands for it by what makes its part as long as VGG19's
    (`forms.content_width_factor`).

    Args:
      maps: feature maps [1, height, width, channels] by layer, of a picture of at least 4 x 4.
      height: of the picture in pixels.
      width: likewise.

    Returns:
      float32 [⌊height / 4⌋ ⌊width / 4⌋, channels] by layer, rows first.
    """
    parts = {}
    for key, value in maps.items():
        channels = int(value.shape[-1])
        block = layers.parse(key).block
        if block < 3:
            step = 1 << (3 - block)
            value = tf.nn.avg_pool2d(value, step, step, "VALID")
        value = tf.cast(value, tf.float32)
        if block > 3:
            value = tf.image.resize(value, [height // 4, width // 4], "bilinear")
        scale = 1 / (channels * math.sqrt(layers.width_ratio(key, channels)))
        parts[key] = scale * tf.reshape(value, [-1, channels])
    return parts
