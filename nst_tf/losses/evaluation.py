"""One loss and gradient of an image."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from nst_tf.losses.terms import Terms

#: The loss a pixel whose gradient float16 carries: with it, the largest derivatives of every
#: preset's first gradient are near 100 to 1000, and float16 ends at 65504.
_LOSS_A_PIXEL = 2.0


class Evaluation(NamedTuple):
    """One loss and gradient of an image.

    Attributes:
      loss: L_total, float32 [].
      gradient: ∂L_total/∂image, float32 [1, height, width, 3].
      terms: float32 [] by name: `total`; the kinds, such as `content`, `style` and `tv`, before α,
        β and γ; and their parts, `content/LAYER`, `style/LAYER`, before the layer's own weight.
    """

    loss: tf.Tensor
    gradient: tf.Tensor
    terms: dict[str, tf.Tensor]


def value_and_gradient(
    terms_of: Callable[[tf.Tensor], Terms],
    image: tf.Tensor,
    carried: Callable[[Terms], tf.Tensor] | None = None,
) -> Evaluation:
    """The value and gradient of an image's `total`.

    Args:
      terms_of: an image to its terms, float32 [], `total` among them.
      image: float32 [1, height, width, 3].
      carried: of the terms, the loss, at least 0, whose gradient float16 carries, which then needs
        a loss scale; None where it carries none.
    """
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(image)
        terms = terms_of(image)
        loss = terms["total"]
        scale = tf.ones([]) if carried is None else loss_scale(image, carried(terms))
        scaled_loss = scale * loss
    return Evaluation(loss, tape.gradient(scaled_loss, image) / scale, terms)


def loss_scale(image: tf.Tensor, loss: tf.Tensor) -> tf.Tensor:
    """What a loss is multiplied by while float16 carries its gradient, float32 [].

    Losses differ by nine orders of magnitude between presets, and fall by three in a run: no
    constant factor would do for all. So the factor makes a constant of the loss.

    Args:
      image: float32 [1, height, width, 3].
      loss: of the image, float32 [].
    """
    pixels = tf.cast(tf.reduce_prod(tf.shape(image)[1:3]), tf.float32)
    scale = tf.stop_gradient(_LOSS_A_PIXEL * pixels / loss)
    return tf.where(loss > 0, scale, 1.0)  # at 0 there is nothing to scale
