r"""What is measured: pure functions of tensors, each with its formula.

Notation of Gatys, Ecker and Bethge: F^l and P^l are the feature maps of the generated and of the
content image in layer l, N_l its number of channels, M_l its number of positions (height × width);
G^l and A^l are the Gram matrices of the generated and of the style image.

Every function returns one value per picture of the batch, float32 [batch].
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from nst_tf import choices


def gram_matrix(features: tf.Tensor) -> tf.Tensor:
    r"""The mean Gram matrix of feature maps, G_ij = (1 / M) Σ_k F_ik F_jk.

    Equation 3 of arXiv:1508.06576 divided by the number of positions M, so that pictures of
    different sizes can be compared. Accumulated in float32 whatever the type of the features:
    sums over positions overflow float16.

    Args:
      features: [batch, height, width, channels], any float type.

    Returns:
      float32 [batch, channels, channels].
    """
    shape = tf.shape(features)
    flat = tf.reshape(features, [shape[0], shape[1] * shape[2], features.shape[-1]])
    return _mean_product(tf.cast(flat, tf.float32))


@tf.custom_gradient
def _mean_product(flat: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
    """FᵀF / M for F [batch, M, N], whose gradient F (D + Dᵀ) / M is one product in place of two."""
    share = 1 / tf.cast(tf.shape(flat)[1], tf.float32)

    def gradient(upstream: tf.Tensor) -> tf.Tensor:
        return tf.matmul(flat, share * (upstream + tf.linalg.matrix_transpose(upstream)))

    return share * tf.matmul(flat, flat, transpose_a=True), gradient


def content_loss(features: tf.Tensor, target: tf.Tensor, form: str = "half-sum") -> tf.Tensor:
    r"""How far the feature maps are from the content image's.

    - `half-sum`: ½ Σ_ij (F_ij − P_ij)², equation 1 of arXiv:1508.06576.
    - `mean`: (1 / (N M)) Σ_ij (F_ij − P_ij)², as in the code released with the CVPR 2016 paper.
    - `l2`: (Σ_ij (F_ij − P_ij)²)^½, the Euclidean distance.

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
    return _root(total)


@tf.custom_gradient
def _sum_of_squares(maps: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
    """Σ F² of each picture, whose gradient 2 F takes one product: maps can be large."""

    def gradient(upstream: tf.Tensor) -> tf.Tensor:
        return tf.reshape(2 * upstream, [-1, 1, 1, 1]) * maps

    return tf.reduce_sum(tf.square(maps), axis=(1, 2, 3)), gradient


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
      form: one of `choices.STYLE_LOSSES`.

    Raises:
      SettingsError: an unknown form.
    """
    choices.check("style loss", form, choices.STYLE_LOSSES)
    square = tf.square(gram - target)
    if form == "gatys2015":
        return 0.25 * tf.reduce_mean(square, axis=(1, 2))
    if form == "gram-mean":
        return tf.reduce_mean(square, axis=(1, 2))
    if form == "gram-mean-channels":
        channels = tf.cast(tf.shape(gram)[-1], tf.float32)
        return tf.reduce_mean(square, axis=(1, 2)) / tf.square(channels)
    return _root(tf.reduce_sum(square, axis=(1, 2)))


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
    return {"half-sum": ratio, "mean": 1.0, "l2": ratio**0.5}[form]


def style_width_factor(form: str, ratio: float) -> float:
    """What the style loss of a network with fewer channels is multiplied by.

    As `content_width_factor`; for Gram matrices |ΔG(t)| = r |ΔG(h)|.

    Args:
      form: one of `choices.STYLE_LOSSES`.
      ratio: r, 1 for VGG19 itself.
    """
    factors = {"gatys2015": 1.0, "gram-mean": 1.0, "gram-mean-channels": ratio**-2, "l2": ratio}
    return factors[form]


def _root(square: tf.Tensor) -> tf.Tensor:
    """√x whose gradient at 0 is 0, not infinite: started from the content, |C(x) − C(p)| is 0."""
    positive = square > 0
    return tf.where(positive, tf.sqrt(tf.where(positive, square, 1.0)), 0.0)
