r"""The forms of the content loss and of total variation: pure functions, each with its formula.

F^l and P^l are the feature maps of the generated and of the content image in layer l, N_l its
number of channels, M_l its number of positions (height × width), as Gatys, Ecker and Bethge write
them. Every function returns one value per picture of the batch, float32 [batch].
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from nst_tf.recipe import choices


def content_loss(features: tf.Tensor, target: tf.Tensor, form: str = "half-sum") -> tf.Tensor:
    r"""How far the feature maps are from the content image's.

    - `half-sum`: ½ Σ_ij (F_ij − P_ij)², equation 1 of arXiv:1508.06576.
    - `mean`: (1 / (N M)) Σ_ij (F_ij − P_ij)², as in the code released with the CVPR 2016 paper.
    - `l2`: (Σ_ij (F_ij − P_ij)²)^½, the Euclidean distance.
    - `relative`: Σ_ij (F_ij − P_ij)² / Σ_ij P_ij², 1 for a picture without any feature: the same
      for every layer, network and size.

    Args:
      features: F, [batch, height, width, channels], any float type.
      target: P, of the same shape.
      form: one of `choices.CONTENT_LOSSES`.

    Raises:
      SettingsError: an unknown form.
    """
    choices.check("content loss", form, choices.CONTENT_LOSSES)
    difference = tf.cast(features, tf.float32) - tf.cast(target, tf.float32)
    total = _sum_of_squares(difference)
    if form == "half-sum":
        return 0.5 * total
    if form == "mean":
        return total / tf.cast(tf.reduce_prod(tf.shape(difference)[1:]), tf.float32)
    if form == "relative":
        squares = tf.square(tf.cast(target, tf.float32))
        return tf.math.divide_no_nan(total, tf.reduce_sum(squares, axis=(1, 2, 3)))
    return root(total)


@tf.custom_gradient
def _sum_of_squares(maps: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
    """Σ F² of each picture, whose gradient 2 F takes one product: maps can be large."""

    def gradient(upstream: tf.Tensor) -> tf.Tensor:
        return tf.reshape(2 * upstream, [-1, 1, 1, 1]) * maps

    return tf.reduce_sum(tf.square(maps), axis=(1, 2, 3)), gradient


def total_variation(image: tf.Tensor, form: str = "squared") -> tf.Tensor:
    r"""How rough a picture is: the sum over neighbouring pixels of their difference.

    - `squared`: Σ (x_{i+1,j} − x_{i,j})² + (x_{i,j+1} − x_{i,j})². Mahendran and Vedaldi,
      arXiv:1412.0035, equation 6 with β = 2.
    - `absolute`: the same with |·|: anisotropic total variation. Rudin, Osher and Fatemi, 1992.

    Args:
      image: [batch, height, width, channels], RGB in [0, 1].
      form: one of `choices.TV_LOSSES`.

    Raises:
      SettingsError: an unknown form.
    """
    choices.check("total variation", form, choices.TV_LOSSES)
    image = tf.cast(image, tf.float32)
    down = image[:, 1:] - image[:, :-1]
    right = image[:, :, 1:] - image[:, :, :-1]
    size = tf.square if form == "squared" else tf.abs
    return tf.reduce_sum(size(down), axis=(1, 2, 3)) + tf.reduce_sum(size(right), axis=(1, 2, 3))


def content_width_factor(form: str, ratio: float) -> float:
    """What the content loss of a network with fewer channels is multiplied by.

    A distilled network h stands for VGG19's features t ≈ E h with a scaled isometry E, E Eᵀ = r I,
    r being VGG19's channels by its own: |Δt|² = r |Δh|². The factor makes every form as large as
    VGG19's, so that a preset means the same with both.

    Args:
      form: one of `choices.CONTENT_LOSSES`.
      ratio: r, 1 for VGG19 itself.
    """
    return {"half-sum": ratio, "mean": 1.0, "l2": ratio**0.5, "relative": 1.0}[form]


def root(square: tf.Tensor) -> tf.Tensor:
    """√x whose gradient at 0 is 0, not infinite: started from the content, |C(x) − C(p)| is 0."""
    positive = square > 0
    return tf.where(positive, tf.sqrt(tf.where(positive, square, 1.0)), 0.0)
