"""Encoded pictures inside a graph: JPEG, PNG, GIF (its first frame) and BMP to RGB in [0, 1]."""

from __future__ import annotations

import tensorflow as tf


def squares(encoded: tf.Tensor, size: int) -> tf.Tensor:
    """Files [batch] to pictures [batch, size, size, 3], whatever their aspect was."""

    def square(file: tf.Tensor) -> tf.Tensor:
        return tf.image.resize(decoded(file), (size, size), antialias=True)

    spec = tf.TensorSpec([size, size, 3], tf.float32)
    return tf.clip_by_value(tf.map_fn(square, encoded, fn_output_signature=spec), 0.0, 1.0)


def unit(pixels: tf.Tensor) -> tf.Tensor:
    """uint8 to float32 in [0, 1]."""
    return tf.cast(pixels, tf.float32) / 255


def decoded(encoded: tf.Tensor) -> tf.Tensor:
    """A file [] to a picture [height, width, 3] of its own size."""
    picture = tf.io.decode_image(encoded, channels=3, expand_animations=False)
    picture.set_shape([None, None, 3])
    return unit(picture)
