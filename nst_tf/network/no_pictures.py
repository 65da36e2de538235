"""A batch of no pictures, which a network is asked for where a filter has left none."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import tensorflow as tf


def allowed(
    model: Callable[[tf.Tensor], Mapping[str, tf.Tensor]],
) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    """`model`, which of no pictures [0, height, width, 3] gives maps [0, height, width, channels].

    With oneDNN, TensorFlow's convolutions give an empty batch as many channels as it came with, and
    the next one stops there. So a black picture goes in its place, and is taken out again.

    Args:
      model: pictures [batch, height, width, 3] to feature maps by layer.
    """

    def maps_of(pictures: tf.Tensor) -> dict[str, tf.Tensor]:
        if pictures.shape[0]:
            return dict(model(pictures))
        count = tf.shape(pictures)[0]
        lacking = tf.cast(tf.equal(count, 0), tf.int32)
        filled = tf.pad(pictures, [[0, lacking], [0, 0], [0, 0], [0, 0]])
        filled.set_shape([None, *pictures.shape[1:]])  # which a graph has forgotten
        return {key: maps[:count] for key, maps in model(filled).items()}

    return maps_of
