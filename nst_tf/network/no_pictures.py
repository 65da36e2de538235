"""A batch of no pictures, which a network is asked for where a filter has left none."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import tensorflow as tf


def allowed(
    model: Callable[[tf.Tensor], Mapping[str, tf.Tensor]], least: int
) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    """`model`, which of no pictures [0, height, width, 3] gives maps [0, height, width, channels].

    With oneDNN, TensorFlow's convolutions give an empty batch as many channels as it came with, and
    the next one stops there. So a black picture goes in its place, and is taken out again.

    Args:
      model: pictures [batch, height, width, 3] to feature maps by layer.
      least: the smallest height and width that it takes.
    """

    def maps_of(pictures: tf.Tensor) -> dict[str, tf.Tensor]:
        if pictures.shape[0]:
            return dict(model(pictures))
        count, sides = tf.shape(pictures)[0], tf.shape(pictures)[1:3]
        lacking = tf.cast(tf.equal(count, 0), tf.int32)
        if pictures.shape[1:].is_fully_defined():
            filled = _with_black(pictures, lacking)
            return {key: maps[:count] for key, maps in model(filled).items()}
        # Whoever asks says how large they are, and it costs him nothing: a small one will do.
        few = sides - lacking * tf.maximum(sides - least, 0)
        found = model(_with_black(pictures[:, : few[0], : few[1]], lacking))
        return {key: _of_sides(maps[:count], sides, few) for key, maps in found.items()}

    return maps_of


def _with_black(pictures: tf.Tensor, lacking: tf.Tensor) -> tf.Tensor:
    """The pictures and behind them so many black ones."""
    filled = tf.pad(pictures, [[0, lacking], [0, 0], [0, 0], [0, 0]])
    filled.set_shape([None, *pictures.shape[1:]])  # which a graph has forgotten
    return filled


def _of_sides(maps: tf.Tensor, sides: tf.Tensor, few: tf.Tensor) -> tf.Tensor:
    """Maps of pictures whose height and width are `few`, in the shape that those of `sides` have:
    where the two differ, there are none."""
    smaller = few // tf.shape(maps)[1:3]  # or a little more, of sides that are no multiple
    shape = [tf.shape(maps)[:1], sides // smaller, tf.shape(maps)[3:]]
    shaped = tf.reshape(maps, tf.concat(shape, 0))
    shaped.set_shape(maps.shape)
    return shaped
