"""What is around a picture: its mirror image, so that no frame of another colour is left."""

from __future__ import annotations

import tensorflow as tf


def mirrored(maps: tf.Tensor, width: int) -> tf.Tensor:
    """[batch, height, width, channels] with its mirror image around, without the edge itself.

    Args:
      maps: of more than `width` rows and columns.
      width: positions on every side.
    """
    around = [width, width]
    return tf.pad(maps, [[0, 0], around, around, [0, 0]], "REFLECT")


def fitted(pictures: tf.Tensor, multiple: int, least: int) -> tf.Tensor:
    """Pictures that go on as their mirror image, to the right and below, up to a height and width
    that are multiples and no less than the least; where they are it already, themselves.

    Args:
      pictures: [batch, height, width, channels], of any size from 1.
      multiple: of which height and width shall be one.
      least: of either, itself a multiple.
    """
    for axis in (1, 2):
        side = pictures.shape[axis]
        if side and side % multiple == 0 and side >= least:
            continue
        count = tf.shape(pictures)[axis]
        wanted = tf.maximum((count + multiple - 1) // multiple * multiple, least)
        # There and back again, each edge once: 0 1 2 1 0 1 ...
        period = tf.maximum(2 * count - 2, 1)
        place = tf.range(wanted) % period
        pictures = tf.gather(pictures, tf.minimum(place, period - place), axis=axis)
    return pictures
