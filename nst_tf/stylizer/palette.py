"""From the last feature maps to a picture: what is painted over the photo, kept in [0, 1].

A sigmoid or a tanh behind the last layer keeps its values in bounds and its gradient small near
them: what has once become dark stays dark. So values are clipped, and their gradient is that of a
projection: it is passed on wherever a step along it leads inside or along the bound.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

#: How many times as fast as other numbers M and o are learnt: Adam's steps are as long for all of
#: them, and these have to go as far as colours do.
_SPEED = 10.0


@tf.keras.utils.register_keras_serializable("nst_tf")
class Palette(tf.keras.layers.Layer):
    """M (photo − ½) + o + change, in [0, 1], with the styles' own M and o.

    M, which makes the painting's colours of the photo's, is at first the identity and o is gray: a
    network begins with the photo, and learns what to change of it. Where a painting has colours of
    its own everywhere, M fades.

    Args:
      styles: how many there are.
    """

    def __init__(self, styles: int = 1, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", "autocast": False, **kwargs})
        self.styles = styles

    def build(self, _: Any) -> None:
        self.matrix = self.add_weight(name="matrix", shape=(self.styles, 9), initializer="zeros")
        self.offset = self.add_weight(name="offset", shape=(self.styles, 3), initializer="zeros")
        self.built = True

    def call(self, change: tf.Tensor, photo: tf.Tensor, shares: tf.Tensor) -> tf.Tensor:
        """Float32 [batch, height, width, 3] of a change and a photo of that shape."""
        change, photo, shares = (tf.cast(given, tf.float32) for given in (change, photo, shares))
        matrix, offset = (
            _SPEED * tf.matmul(shares, numbers) for numbers in (self.matrix, self.offset)
        )
        matrix = tf.eye(3) + tf.reshape(matrix, [-1, 3, 3])
        shape = tf.shape(photo)
        flat = tf.reshape(photo - 0.5, [shape[0], shape[1] * shape[2], 3])
        colours = tf.matmul(flat, matrix) + (offset + 0.5)[:, tf.newaxis]
        return bounded(change + tf.reshape(colours, shape))

    def compute_output_shape(self, input_shape: Any, *_: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "styles": self.styles}


@tf.custom_gradient
def bounded(values: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
    """Values clipped to [0, 1], with the gradient of those that a descent would not push out."""
    clipped = tf.clip_by_value(values, 0.0, 1.0)

    def gradient(upstream: tf.Tensor) -> tf.Tensor:
        beyond = values - clipped
        return tf.where(beyond * upstream >= 0, upstream, 0.0)

    return clipped, gradient
