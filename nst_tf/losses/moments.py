"""The mean and the standard deviation of every channel, and how far two pictures' are apart.

Li, Wang, Liu and Hou, "Demystifying Neural Style Transfer", arXiv:1701.01036, section 4.2, "BN
statistics matching": those that batch normalisation knows. They say nothing of which channels
respond together, as Gram matrices do, and are the cheapest statistic of all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import tensorflow as tf

#: A variance of less than this share of E f² is rounding of float32, and taken for 0.
_ROUNDING = 1e-6


class Sums(NamedTuple):
    """What the moments are made of.

    Attributes:
      total: Σ_k m_k F_ik, float32 [batch, channels].
      squares: Σ_k m_k F_ik², float32 [batch, channels].
      count: Σ_k m_k, float32 [batch, 1]: without a mask the number of positions.
    """

    total: tf.Tensor
    squares: tf.Tensor
    count: tf.Tensor


class Moments(NamedTuple):
    """Raw moments, which blend as pictures do.

    Attributes:
      mean: E f, float32 [batch, channels].
      square: E f², float32 [batch, channels].
    """

    mean: tf.Tensor
    square: tf.Tensor


@dataclass(frozen=True)
class MeanVariance:
    r"""Σ_i [(μ_i − μ_i')² + (σ_i − σ_i')²] / E |a|², with a the features of the style image.

    It is the squared Wasserstein distance between Gaussians whose channels are independent: what
    `wasserstein.Wasserstein` is of covariances without anything beside the diagonal. The paper
    divides by the number of channels; divided by E |a|², 1 is as far away as features that are all
    0, in every layer of every network. A `statistics.Statistic`.
    """

    additive = True

    def measure(self, maps: tf.Tensor, mask: tf.Tensor | None = None) -> Sums:
        """Σ m F, Σ m F² and Σ m of feature maps [batch, height, width, channels]."""
        maps = tf.cast(maps, tf.float32)
        if mask is None:
            positions = tf.cast(tf.reduce_prod(tf.shape(maps)[1:3]), tf.float32)
            weighted, count = maps, tf.fill([tf.shape(maps)[0], 1], positions)
        else:
            mask = tf.cast(mask, tf.float32)
            weighted, count = mask * maps, tf.reduce_sum(mask, axis=(1, 2))
        return Sums(
            tf.reduce_sum(weighted, axis=(1, 2)), tf.reduce_sum(weighted * maps, axis=(1, 2)), count
        )

    def finish(self, measured: Sums) -> Moments:
        """The raw moments; 0 of no position."""
        total, squares, count = measured
        return Moments(tf.math.divide_no_nan(total, count), tf.math.divide_no_nan(squares, count))

    def distance(self, finished: Moments, target: Moments) -> tf.Tensor:
        """The sum over channels, relative to the style image's features; float32 [batch]."""
        squares = tf.square(finished.mean - target.mean)
        squares += tf.square(_deviation(finished) - _deviation(target))
        power = tf.reduce_sum(target.square, axis=1)
        return tf.math.divide_no_nan(tf.reduce_sum(squares, axis=1), power)

    def width_factor(self, ratio: float) -> float:
        """1: a distance is measured in the style image's own features."""
        return 1.0


def _deviation(moments: Moments) -> tf.Tensor:
    """The standard deviation of every channel. Where it is 0, so is its gradient."""
    variance = moments.square - tf.square(moments.mean)
    return tf.sqrt(tf.where(variance > _ROUNDING * moments.square, variance, 0.0))
