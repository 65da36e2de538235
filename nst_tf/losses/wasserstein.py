r"""The Wasserstein distance between Gaussians with the means and covariances of feature maps.

    W²(N(m, C), N(n, D)) = |m − n|² + tr C + tr D − 2 tr (D^½ C D^½)^½

Dowson and Landau, "The Fréchet distance between multivariate normal distributions", 1982, equation
4; Olkin and Pukelsheim, "The distance between two random vectors with given dispersion matrices",
1982. As a style loss: Mroueh, "Wasserstein Style Transfer", arXiv:1905.12828.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import tensorflow as tf

from nst_tf.losses import gram
from nst_tf.losses.gram import Gram

#: What share of the style image's variance may lie in the directions that are left out. The more
#: of them, the smaller the matrix of every evaluation: of a style image with fewer positions than
#: channels, as in the deep layers of small pictures, most. It costs at most 3e-5 of the distance.
_LEFT_OUT = 1e-6

#: Eigenvalues of D^½ C D^½ below this share of the largest have the gradient of those at it: there
#: the gradient of the root grows without end. Of features of pictures it turns gradients by
#: 1 − cos = 5e-4 at most; a hundred times as much, by 3e-3.
_FLOOR = 1e-9


class Sums(NamedTuple):
    """What the moments are made of.

    Attributes:
      total: Σ_k m_k F_ik, float32 [batch, channels].
      gram: Σ_k m_k F_ik F_jk and Σ_k m_k.
    """

    total: tf.Tensor
    gram: gram.Sums


class Moments(NamedTuple):
    """Raw moments, which blend as pictures do: those of several are the moments of all of them.

    Attributes:
      mean: E f, float32 [batch, channels].
      second: E f fᵀ, float32 [batch, channels, channels].
    """

    mean: tf.Tensor
    second: tf.Tensor


class Target(NamedTuple):
    """What of a style image every evaluation needs.

    Attributes:
      mean: n, float32 [batch, channels].
      root: L with L Lᵀ = D, float32 [batch, channels, channels]. Its columns are D's axes, each as
        long as the standard deviation along it: the longest first, and 0 where they are left out.
    """

    mean: tf.Tensor
    root: tf.Tensor


@dataclass(frozen=True)
class Wasserstein:
    r"""W²(N(m, C), N(n, D)) / E |a|², with a the features of the style image.

    So divided it is of order 1 in every layer of every network: 1 is as far away as features that
    are all 0. Several style images make one distribution, of the features of all of them. Not for
    XLA (`jit_compile=True`), which knows no matrices of a rank that only the style image tells. A
    `statistics.Statistic`.
    """

    additive = True

    def measure(self, maps: tf.Tensor, mask: tf.Tensor | None = None) -> Sums:
        """Σ m F, Σ m F Fᵀ and Σ m of feature maps [batch, height, width, channels]."""
        weighted = tf.cast(maps, tf.float32)
        if mask is not None:
            weighted *= tf.cast(mask, tf.float32)
        return Sums(tf.reduce_sum(weighted, axis=(1, 2)), Gram().measure(maps, mask))

    def finish(self, measured: Sums) -> Moments:
        """The raw moments; 0 of no position."""
        mean = tf.math.divide_no_nan(measured.total, measured.gram.count[:, tf.newaxis])
        return Moments(mean, Gram().finish(measured.gram))

    def prepare(self, blended: Moments) -> Target:
        """The style image's mean and the root of its covariance. Without a gradient."""
        mean, second = map(tf.stop_gradient, blended)
        values, axes = tf.linalg.eigh(_covariance(mean, second))
        values, axes = tf.maximum(tf.reverse(values, [1]), 0.0), tf.reverse(axes, [2])
        rest = tf.cumsum(values, axis=1, reverse=True)
        values = tf.where(rest > _LEFT_OUT * rest[:, :1], values, 0.0)
        return Target(mean, axes * tf.sqrt(values)[:, tf.newaxis])

    def distance(self, finished: Moments, target: Target) -> tf.Tensor:
        """W² / E |a|², float32 [batch]: at least 0 but for rounding, which is about 1e-6."""
        values = tf.reduce_sum(tf.square(target.root), axis=1)
        apart = tf.reduce_sum(tf.square(finished.mean - target.mean), axis=1)
        covariance = _covariance(finished.mean, finished.second)
        spread = tf.linalg.trace(covariance) + tf.reduce_sum(values, axis=1)
        rank = tf.reduce_max(tf.math.count_nonzero(values, axis=1, dtype=tf.int32))
        root = target.root[:, :, : tf.maximum(rank, 1)]
        squared = apart + spread - 2.0 * fidelity(covariance, root)
        power = tf.reduce_sum(tf.square(target.mean), axis=1) + tf.reduce_sum(values, axis=1)
        return tf.math.divide_no_nan(squared, power)

    def width_factor(self, ratio: float) -> float:
        """1: a distance is measured in the style image's own features."""
        return 1.0


@tf.custom_gradient
def fidelity(
    covariance: tf.Tensor, root: tf.Tensor
) -> tuple[tf.Tensor, Callable[[tf.Tensor], tuple[tf.Tensor, None]]]:
    r"""tr (Lᵀ C L)^½, which is tr (D^½ C D^½)^½ for any L with L Lᵀ = D.

    By eigenvalues, not by Newton's and Schulz's iterations (Higham, "Functions of Matrices", 2008,
    chapter 6), whose gradient would be by the Lyapunov equation. One eigendecomposition of 508 x
    508 takes the time of 33 products of such matrices on one core, and has the gradient with it.
    Nine of the iterations, with the best factors (Chen and Chow, 2014), are 24 products and leave
    7 % of a distance of 0.08: in half of their directions, features vary a thousand times less than
    in the first, and the iterations come to those last.

    L in D's own axes, the longest first, is what float32 needs: so the entries of Lᵀ C L are as
    small as the directions they belong to, and so is their rounding. Of the symmetric root, which
    mixes all directions, the same arithmetic leaves errors of up to 1.4e-3 of the distance; of this
    one 1e-5.

    Args:
      covariance: C, float32 [batch, n, n].
      root: L, float32 [batch, n, r]. It has no gradient.

    Returns:
      float32 [batch]. The gradient by C is ½ L (Lᵀ C L)^-½ Lᵀ, half the map that transports N(0, C)
      to N(0, D); by an eigenvalue below `_FLOOR` it ends to grow.
    """
    values, axes = tf.linalg.eigh(tf.matmul(root, tf.matmul(covariance, root), transpose_a=True))

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, None]:
        # D² is what the matrix is of C = D. It has a share in the floor because where C is 0, as in
        # a picture of one colour, there is no largest eigenvalue to compare with.
        longest = tf.square(tf.reduce_sum(tf.square(root[:, :, :1]), axis=1))
        least = _FLOOR * tf.maximum(values[:, -1:], longest)
        scaled = tf.math.divide_no_nan(1.0, tf.sqrt(tf.sqrt(tf.maximum(values, least))))
        half = tf.matmul(root, axes) * scaled[:, tf.newaxis]
        weight = tf.reshape(0.5 * upstream, [-1, 1, 1])
        return weight * tf.matmul(half, half, transpose_b=True), None

    return tf.reduce_sum(tf.sqrt(tf.maximum(values, 0.0)), axis=1), gradient


def _covariance(mean: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    """E f fᵀ − E f E fᵀ, [batch, n, n]. What float32 loses here is below the rounding of E f fᵀ."""
    return second - mean[:, :, tf.newaxis] * mean[:, tf.newaxis]
