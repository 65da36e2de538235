"""The border of a picture, which a network that pads with zeros sees as no other place: under the
padding `mirror`, losses see pictures with their own mirror image around.

What zeros do to the features then happens out there. A pixel at the border counts as any other
does, and no rim of a colour of its own is left.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from nst_tf.recipe.settings import Settings

#: Pixels of the mirror image on every side: with fewer, borders begin to show.
WIDTH = 8

#: Pictures [batch, height, width, 3] to feature maps by layer.
Model = Callable[[tf.Tensor], dict[str, tf.Tensor]]


def mirrored(pictures: tf.Tensor) -> tf.Tensor:
    """[batch, height, width, channels] to the same with `WIDTH` pixels more on every side; with as
    many as a picture has, where that is less."""
    sides = pictures.shape[1:3]
    if all(sides):
        around = [min(WIDTH, *sides)] * 2
    else:
        around = [tf.minimum(WIDTH, tf.reduce_min(tf.shape(pictures)[1:3]))] * 2
    return tf.pad(pictures, [[0, 0], around, around, [0, 0]], "SYMMETRIC")


def seen_by(model: Model, settings: Settings) -> Model:
    """The model as losses ask it: of pictures with what the recipe has around them."""
    if settings.padding != "mirror":
        return model
    return lambda pictures: model(mirrored(pictures))
