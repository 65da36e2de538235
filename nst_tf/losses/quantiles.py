r"""Optimal transport in one dimension: sorted values against sorted values.

The squared Wasserstein distance between two distributions of numbers is ∫ (q(t) − q'(t))² dt, with
q(t) the quantile that a share t of the values lies below; of as many values on both sides, the mean
squared difference of the sorted ones. Villani, "Topics in Optimal Transportation", 2003, theorem
2.18. Two statistics take it of projections of the features, `sliced` and `histogram`.

TensorFlow sorts slowly on a processor, 20 ns a value: at 256 pixels, with `mini`, an evaluation
takes 3 to 5 times as long as with Gram matrices, which the other statistics do not.
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

#: Shares that sorted values are averaged over. Pictures of all sizes then have as many numbers, and
#: targets of another style image fit into the place of the last one's. Every value has its part in
#: the averages, and so its gradient; at quantiles that are picked out of the sorted values, most
#: would have none. What values differ by within a share, a thousandth of them, is not compared.
COUNT = 1024


class Quantiles(NamedTuple):
    """What is taken of feature maps.

    Attributes:
      values: mean values of the shares, ascending, float32 [batch, rows, `COUNT`].
      power: E |f|² of the features, float32 [batch].
    """

    values: tf.Tensor
    power: tf.Tensor


class Sorted:
    """What statistics of quantiles have in common; they differ in what is sorted."""

    additive = False

    def finish(self, measured: Quantiles) -> Quantiles:
        """Itself: all positions were there."""
        return measured

    def distance(self, finished: Quantiles, target: Quantiles) -> tf.Tensor:
        """Σ over rows of the squared Wasserstein distance, by the style image's E |a|²; float32
        [batch]."""
        squares = tf.reduce_mean(tf.square(finished.values - target.values), axis=2)
        return tf.math.divide_no_nan(tf.reduce_sum(squares, axis=1), target.power)

    def width_factor(self, ratio: float) -> float:
        """1: a distance is measured in the style image's own features."""
        return 1.0


def measure(maps: tf.Tensor, directions: tf.Tensor | None, mask: tf.Tensor | None) -> Quantiles:
    """The quantiles of feature maps along directions.

    Args:
      maps: [batch, height, width, channels], any float type.
      directions: float32 [rows, channels]; None for the channels themselves.
      mask: the weight of each position, [batch, height, width, 1]; None for 1 everywhere.
    """
    batch, channels = tf.shape(maps)[0], maps.shape[-1]
    flat = tf.cast(tf.reshape(maps, [batch, -1, channels]), tf.float32)
    weights = None if mask is None else tf.cast(tf.reshape(mask, [batch, -1]), tf.float32)
    length = tf.reduce_sum(tf.square(flat), axis=2)
    if weights is None:
        power = tf.reduce_mean(length, axis=1)
    else:
        power = tf.math.divide_no_nan(
            tf.reduce_sum(weights * length, axis=1), tf.reduce_sum(weights, axis=1)
        )
    if directions is None:
        rows = tf.linalg.matrix_transpose(flat)
    else:
        rows = tf.matmul(tf.tile(directions[tf.newaxis], [batch, 1, 1]), flat, transpose_b=True)
    return Quantiles(means(rows, weights), power)


def means(rows: tf.Tensor, weights: tf.Tensor | None = None) -> tf.Tensor:
    """The means of the sorted values' `COUNT` equal shares: COUNT ∫ q(t) dt over each.

    A value that lies on the border of two shares is divided among them; of fewer values than
    shares, each is repeated. Exact for every number of values, and differentiable.

    Args:
      rows: float32 [batch, rows, positions], each row sorted for itself.
      weights: of the positions, float32 [batch, positions]; None for equal ones.

    Returns:
      float32 [batch, rows, `COUNT`]; 0 where the weights are.
    """
    positions = tf.shape(rows)[2]
    # In float64: what is wanted of sums over all values is the difference of two that are near.
    borders = tf.range(COUNT + 1, dtype=tf.float64) / COUNT
    if weights is None:
        ordered = tf.cast(tf.sort(rows, axis=2), tf.float64)
        share = 1 / tf.cast(positions, tf.float64)
        # In whole numbers: a border that is a value's own must not fall before it.
        steps = tf.range(COUNT + 1, dtype=tf.int64) * tf.cast(positions, tf.int64) // COUNT
        cell = tf.minimum(tf.cast(steps, tf.int32), positions - 1)
        start, batched = tf.cast(cell, tf.float64) * share, 0
    else:
        order = tf.argsort(rows, axis=2, stable=True)
        ordered = tf.cast(tf.gather(rows, order, axis=2, batch_dims=2), tf.float64)
        weights = tf.cast(weights, tf.float64)
        weights = tf.math.divide_no_nan(weights, tf.reduce_sum(weights, axis=1, keepdims=True))
        share = tf.gather(weights, order, axis=1, batch_dims=1)
        ends = tf.cumsum(share, axis=2)
        shape = tf.concat([tf.shape(ends)[:2], [COUNT + 1]], axis=0)
        cell = tf.searchsorted(ends, tf.broadcast_to(borders, shape), side="right")
        cell = tf.minimum(cell, positions - 1)
        start, batched = tf.gather(ends - share, cell, axis=2, batch_dims=2), 2
        ordered *= tf.cast(ends[:, :, -1:] > 0, tf.float64)
    below = tf.cumsum(ordered * share, axis=2, exclusive=True)
    integral = tf.gather(below, cell, axis=2, batch_dims=batched)
    integral += tf.gather(ordered, cell, axis=2, batch_dims=batched) * (borders - start)
    return tf.cast(COUNT * (integral[:, :, 1:] - integral[:, :, :-1]), tf.float32)
