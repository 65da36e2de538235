"""Pictures scaled inside a graph, of shapes that are known only when it runs.

To the rounding of float32 they are what `images.load` and `images.resize` make of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf


def resize(picture: tf.Tensor, shape: tf.Tensor) -> tf.Tensor:
    """As `images.resize`: Lanczos resampling, area-weighted, clipped to [0, 1].

    Args:
      picture: float32 [h, w, 3].
      shape: height and width of the result, int32 [2].
    """
    resized = tf.image.resize(picture, shape, "lanczos3", antialias=True)
    return tf.clip_by_value(resized, 0.0, 1.0)


def to_size(picture: tf.Tensor, size: int) -> tf.Tensor:
    """A picture, float32 [h, w, 3], with `size` pixels on the longer side; the aspect is kept."""
    shape = tf.shape(picture)[:2]
    return resize(picture, shape_at(shape, size / tf.cast(tf.reduce_max(shape), tf.float64)))


def shape_at(shape: tf.Tensor, factor: float | tf.Tensor) -> tf.Tensor:
    """Height and width times a factor, rounded, at least 1 pixel.

    Args:
      shape: int32 [..., 2].
      factor: a number, or float64 [..., 1].

    Returns:
      int32 [..., 2].
    """
    # In float64, as Python's numbers: of a product that ends in a half, both make the even number.
    scaled = tf.round(tf.cast(shape, tf.float64) * tf.cast(factor, tf.float64))
    return tf.maximum(tf.cast(scaled, tf.int32), 1)


def at_sizes(picture: tf.Tensor, factors: Sequence[float]) -> list[tf.Tensor]:
    """A picture, and the same scaled by each of several factors, as `views.views` has them."""
    shapes = (shape_at(tf.shape(picture)[:2], factor) for factor in factors)
    return [picture, *(resize(picture, shape) for shape in shapes)]
