"""From the last feature maps to a picture: what is painted over the photo, kept in [0, 1].

A sigmoid or a tanh behind the last layer keeps its values in bounds and its gradient small near
them: what has once become dark stays dark. So values are clipped, and their gradient is that of a
projection: it is passed on wherever a step along it leads inside or along the bound.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf


@tf.keras.utils.register_keras_serializable("nst_tf")
class Palette(tf.keras.layers.Layer):
    """keep · photo + change + offset, in [0, 1], by the styles' own `keep` and `offset`.

    At first `keep` is 1 and `offset` 0: a network begins with the photo, and learns what to change
    of it, also how much of the photo's colours to leave.

    Args:
      styles: how many there are.
    """

    def __init__(self, styles: int = 1, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", "autocast": False, **kwargs})
        self.styles = styles

    def build(self, _: Any) -> None:
        shape = (self.styles, 3)
        self.keep = self.add_weight(name="keep", shape=shape, initializer="ones")
        self.offset = self.add_weight(name="offset", shape=shape, initializer="zeros")
        self.built = True

    def call(self, change: tf.Tensor, photo: tf.Tensor, shares: tf.Tensor) -> tf.Tensor:
        """Float32 [batch, height, width, 3] of a change and a photo of that shape."""
        change, photo, shares = (tf.cast(given, tf.float32) for given in (change, photo, shares))
        keep, offset = (
            tf.matmul(shares, numbers)[:, tf.newaxis, tf.newaxis]
            for numbers in (self.keep, self.offset)
        )
        # Around gray, so that less of the photo is not darker.
        return bounded(keep * (photo - 0.5) + change + (offset + 0.5))

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
