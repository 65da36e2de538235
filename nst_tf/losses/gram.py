r"""The Gram matrix, and the four forms of the distance between two.

Notation of Gatys, Ecker and Bethge: F^l are the feature maps of the generated image in layer l, N_l
its number of channels, M_l its number of positions (height × width); G^l and A^l are the Gram
matrices of the generated and of the style image.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import tensorflow as tf

from nst_tf.losses.forms import root
from nst_tf.recipe import choices


class Sums(NamedTuple):
    """What a Gram matrix is made of.

    Attributes:
      products: Σ_k m_k F_ik F_jk, float32 [batch, channels, channels].
      count: Σ_k m_k, float32 [batch]: without a mask the number of positions.
    """

    products: tf.Tensor
    count: tf.Tensor


@dataclass(frozen=True)
class Gram:
    r"""The mean Gram matrix, G_ij / M = (1 / M) Σ_k F_ik F_jk; equation 3 of arXiv:1508.06576.

    Divided by the number of positions, so that pictures of different sizes can be compared; where
    there is a mask m, by the sum of the mask. Accumulated in float32 whatever the type of the
    features: sums over positions overflow float16. A `statistics.Statistic`.

    Attributes:
      form: of the distance, one of `choices.GRAM_FORMS` (`style_loss`).
    """

    form: str = "gatys2015"
    additive = True

    def measure(self, maps: tf.Tensor, mask: tf.Tensor | None = None) -> Sums:
        """Σ m F Fᵀ and Σ m of feature maps [batch, height, width, channels]."""
        batch, positions = tf.shape(maps)[0], tf.reduce_prod(tf.shape(maps)[1:3])
        flat = tf.cast(tf.reshape(maps, [batch, positions, maps.shape[-1]]), tf.float32)
        if mask is None:
            return Sums(_products(flat), tf.fill([batch], tf.cast(positions, tf.float32)))
        weights = tf.cast(tf.reshape(mask, [batch, positions, 1]), tf.float32)
        return Sums(_weighted_products(flat, weights), tf.reduce_sum(weights, axis=(1, 2)))

    def finish(self, measured: Sums) -> tf.Tensor:
        """The mean Gram matrix, float32 [batch, channels, channels]; 0 of no position."""
        share = tf.math.divide_no_nan(1.0, measured.count)
        return _shared(measured.products, tf.reshape(share, [-1, 1, 1]))

    def distance(self, finished: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
        """`style_loss` in this form."""
        return style_loss(finished, target, self.form)

    def width_factor(self, ratio: float) -> float:
        """As `forms.content_width_factor`; for Gram matrices |ΔG(t)| = r |ΔG(h)|."""
        factors = {"gatys2015": 1.0, "gram-mean": 1.0, "gram-mean-channels": ratio**-2, "l2": ratio}
        return factors[self.form]


def gram_matrix(features: tf.Tensor) -> tf.Tensor:
    """The mean Gram matrix of feature maps, as `Gram` describes it.

    Args:
      features: [batch, height, width, channels], any float type.

    Returns:
      float32 [batch, channels, channels].
    """
    return Gram().finish(Gram().measure(features))


def style_loss(gram: tf.Tensor, target: tf.Tensor, form: str = "gatys2015") -> tf.Tensor:
    r"""How far one layer's Gram matrix is from the style image's: E_l.

    Both Gram matrices are means over positions (`gram_matrix`), G / M and A / M.

    - `gatys2015`: 1 / (4 N² M²) Σ_ij (G_ij − A_ij)², equation 4 of arXiv:1508.06576, where each
      picture's own M stands with its Gram matrix (the paper's two pictures have the same size).
    - `gram-mean`: (1 / N²) Σ_ij (G_ij / M − A_ij / M)², the CVPR 2016 code: four times the above.
    - `gram-mean-channels`: (1 / N²) Σ_ij (G_ij / (N M) − A_ij / (N M))², the PyTorch tutorial's.
    - `l2`: (Σ_ij (G_ij / M − A_ij / M)²)^½, the Euclidean distance.

    Args:
      gram: float32 [batch, channels, channels].
      target: of the same shape, or [channels, channels] for all pictures of the batch.
      form: one of `choices.GRAM_FORMS`.

    Returns:
      float32 [batch].

    Raises:
      SettingsError: an unknown form.
    """
    choices.check("form of Gram matrices", form, choices.GRAM_FORMS)
    square = tf.square(gram - target)
    if form == "gatys2015":
        return 0.25 * tf.reduce_mean(square, axis=(1, 2))
    if form == "gram-mean":
        return tf.reduce_mean(square, axis=(1, 2))
    if form == "gram-mean-channels":
        channels = tf.cast(tf.shape(gram)[-1], tf.float32)
        return tf.reduce_mean(square, axis=(1, 2)) / tf.square(channels)
    return root(tf.reduce_sum(square, axis=(1, 2)))


@tf.custom_gradient
def _products(flat: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
    """FᵀF for F [batch, M, N], whose gradient F (D + Dᵀ) is one product in place of two."""

    def gradient(upstream: tf.Tensor) -> tf.Tensor:
        return tf.matmul(flat, upstream + tf.linalg.matrix_transpose(upstream))

    return tf.matmul(flat, flat, transpose_a=True), gradient


@tf.custom_gradient
def _weighted_products(flat: tf.Tensor, weights: tf.Tensor) -> tuple[tf.Tensor, Callable[..., Any]]:
    """Fᵀ diag(m) F likewise; weights m, [batch, M, 1], have no gradient."""

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, None]:
        return weights * tf.matmul(flat, upstream + tf.linalg.matrix_transpose(upstream)), None

    return tf.matmul(weights * flat, flat, transpose_a=True), gradient


@tf.custom_gradient
def _shared(products: tf.Tensor, share: tf.Tensor) -> tuple[tf.Tensor, Callable[..., Any]]:
    """share · products, whose gradient is made symmetric, as products are.

    That changes nothing but the rounding: where TensorFlow knows the number of positions, it would
    merge the share with the constants of the distance, and a picture of a known size would not give
    the same bits as one of an unknown size, or strip by strip.
    """

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, None]:
        return share * (0.5 * (upstream + tf.linalg.matrix_transpose(upstream))), None

    return share * products, gradient
