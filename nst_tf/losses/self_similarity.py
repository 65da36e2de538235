"""What hangs together in a picture, whatever it is painted with: self-similarity.

A photo and its pastiche share no pixel and few features; but places that looked alike still should,
and those that differed still differ. So what is kept is each place's distance to every other one:
Kolkin, Salavon and Shakhnarovich, "Style Transfer by Relaxed Optimal Transport and
Self-Similarity", CVPR 2019, equation 8.
"""

from __future__ import annotations

import tensorflow as tf

#: Places a side at most: their distances are as many as the square of all places, and a picture's
#: parts are told apart with these.
_PLACES = 32
#: Cosine distances are taken of lengths that are at least this, as those of black maps are not.
_LEAST = 1e-8
#: In units of the mean share.
_NEAR = 0.1


def self_similarity(maps: tf.Tensor) -> tf.Tensor:
    r"""How each place's unlikeness is shared out among all others: D_ij / Σ_i D_ij.

    D_ij is the cosine distance of the feature vectors of places i and j. Places are the maps' own
    positions where there are at most 32 a side; else a grid of 32, of the mean features of each
    cell.

    Args:
      maps: [batch, height, width, channels], any float type.

    Returns:
      float32 [batch, n, n] for n places; columns sum to 1, or to 0 where all places are alike.
    """
    maps = tf.cast(maps, tf.float32)
    rows, columns = _cells(tf.shape(maps)[1]), _cells(tf.shape(maps)[2])
    # As products of matrices: area resizing has no gradient in TensorFlow.
    places = tf.einsum("ry,byxc->brxc", rows, maps)
    places = tf.einsum("sx,brxc->brsc", columns, places)
    places = tf.reshape(places, [tf.shape(maps)[0], -1, maps.shape[-1]])
    length = tf.sqrt(tf.maximum(tf.reduce_sum(places**2, axis=-1, keepdims=True), _LEAST**2))
    unit = places / length
    distances = tf.nn.relu(1.0 - tf.matmul(unit, unit, transpose_b=True))
    return tf.math.divide_no_nan(distances, tf.reduce_sum(distances, axis=1, keepdims=True))


def structure_loss(similarity: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    r"""(1 / n) Σ_ij |S_ij − T_ij| of two self-similarities: 0 to 2, the paper's times n.

    |d| is (d² + δ²)^½ − δ here, with a tenth of a distance's usual share as δ: a run begins at 0,
    where |d| has a kink, and there L-BFGS finds no way down.

    Args:
      similarity: S, of `self_similarity`, [batch, n, n].
      target: T, likewise.

    Returns:
      float32 [batch].
    """
    near = _NEAR / tf.cast(tf.shape(target)[-1], tf.float32)
    size = tf.sqrt(tf.square(similarity - target) + near**2) - near
    return tf.reduce_mean(tf.reduce_sum(size, axis=1), axis=1)


def _cells(length: tf.Tensor) -> tf.Tensor:
    """The share that each position has in each cell's mean, float32 [cells, length]."""
    count = tf.minimum(length, _PLACES)
    edges = tf.linspace(0.0, tf.cast(length, tf.float32), count + 1)
    at = tf.range(tf.cast(length, tf.float32))
    upper = tf.minimum(edges[1:, tf.newaxis], at + 1)
    lower = tf.maximum(edges[:-1, tf.newaxis], at)
    return tf.nn.relu(upper - lower) / (edges[1:] - edges[:-1])[:, tf.newaxis]
