"""Winograd's minimal filtering: a 3x3 convolution with a quarter of the multiplications.

Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", arXiv:1509.09308, F(4x4, 3x3):
Y = Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A for an output tile Y of 4x4, a kernel g of 3x3 and the input tile d
of 6x6 that it depends on. Over channels and tiles, ⊙ is one matrix product for each of 36 places.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

#: Where the polynomials behind the algorithm are evaluated, besides infinity. Their values next to
#: one another leave a fifth of the rounding error of the usual 0, ±1, ±2; all are exact in binary.
_POINTS = (0.0, 0.75, -0.75, 1.5, -1.5)


def _evaluate(coefficients: int) -> np.ndarray:
    """The matrix that evaluates a polynomial of so many coefficients at the points."""
    at_infinity = np.eye(coefficients)[-1:]
    return np.concatenate([np.vander(_POINTS, coefficients, increasing=True), at_infinity])


_A, _G, _B = _evaluate(4), _evaluate(3), np.linalg.inv(_evaluate(6))
#: Rows and columns at once, on a tile's places in one axis.
_TO_PLACES = np.kron(_B.T, _B.T).astype(np.float32)
_FROM_PLACES = np.kron(_A.T, _A.T).astype(np.float32)


def transform_kernel(kernel: np.ndarray) -> np.ndarray:
    """G g Gᵀ of a kernel [3, 3, before, after]: float32 [36, before, after]."""
    places = np.einsum("pi,ijbc,qj->pqbc", _G, kernel.astype(np.float64), _G)
    return places.reshape(36, *kernel.shape[2:]).astype(np.float32)


def convolve(maps: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """What tf.nn.conv2d gives with stride 1 and SAME padding, to about 3e-6 of its largest value.

    Args:
      maps: float32 [1, height, width, before].
      kernel: from `transform_kernel`.

    Returns:
      float32 [1, height, width, after].
    """
    before, after = kernel.shape[1:]
    shape = tf.shape(maps)
    height, width = maps.shape[1] or shape[1], maps.shape[2] or shape[2]
    down, across, index, back = _places(height, width)
    edge = [[1, 4 * down - height + 1], [1, 4 * across - width + 1], [0, 0]]
    padded = tf.reshape(tf.pad(maps[0], edge), [-1, before])
    tiles = tf.reshape(tf.gather(padded, index), [36, -1])
    places = tf.reshape(tf.matmul(_TO_PLACES, tiles), [36, down * across, before])
    places = tf.reshape(tf.matmul(places, kernel), [36, -1])
    tiles = tf.reshape(tf.matmul(_FROM_PLACES, places), [-1, after])
    convolved = tf.gather(tiles, back)[tf.newaxis]
    return tf.ensure_shape(convolved, [1, *maps.shape[1:3], after])


@tf.function(input_signature=[tf.TensorSpec([], tf.int32)] * 2, autograph=False)
def _places(height: tf.Tensor, width: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """Where in the padded picture the tiles' places are, and where in the tiles its positions.

    A function of its own, since it is traced once for all convolutions of a process.

    Returns:
      How many tiles down and across, int32 []. Positions by place within the tile, then by tile:
      what the products want, in one copy, int32 [36 * tiles]. And back to rows and columns,
      without what lies beyond the edge, int32 [height, width].
    """
    down, across = (height + 3) // 4, (width + 3) // 4
    rows = tf.range(6)[:, tf.newaxis] + 4 * tf.range(down)
    columns = tf.range(6)[:, tf.newaxis] + 4 * tf.range(across)
    index = rows[:, tf.newaxis, :, tf.newaxis] * (4 * across + 2) + columns[:, tf.newaxis]
    row, column = tf.range(height)[:, tf.newaxis], tf.range(width)
    place, tile = row % 4 * 4 + column % 4, row // 4 * across + column // 4
    return down, across, tf.reshape(index, [-1]), place * (down * across) + tile
