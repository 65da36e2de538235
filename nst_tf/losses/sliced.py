r"""The sliced Wasserstein distance between the features of two pictures.

Heitz, Vanhoey, Chambon and Belcour, "A Sliced Wasserstein Loss for Neural Texture Synthesis",
arXiv:2006.07229, equation 3: features are projected onto directions, and what is compared is the
sorted projections. With all directions it is 0 for the same distribution alone, of which Gram
matrices see the second moments only. Sorting is slow in TensorFlow: see `quantiles`.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from nst_tf.losses import quantiles
from nst_tf.losses.quantiles import Quantiles, Sorted


@dataclass(frozen=True)
class SlicedWasserstein(Sorted):
    r"""N · mean over directions v of W²(v·f, v·a), by E |a|²; a the style image's features.

    N, the number of channels, makes as much of it as of the Wasserstein distance between the
    features themselves: the mean of |v·a|² over all directions is |a|² / N. The paper draws other
    directions at every step; here they stay, so that there is one loss to descend, and every basis
    of them is orthonormal, which covers space more evenly than single draws do (Rowland et al.,
    "Orthogonal Estimation of Wasserstein Distances", arXiv:1903.03784). A `statistics.Statistic`.

    Attributes:
      directions: how many; of fewer channels they are several bases, of more a part of one.
      seed: of their draw.
    """

    directions: int = 64
    seed: int = 0

    def measure(self, maps: tf.Tensor, mask: tf.Tensor | None = None) -> Quantiles:
        """The sorted projections of feature maps [batch, height, width, channels]."""
        channels = maps.shape[-1]
        scale = (channels / self.directions) ** 0.5
        directions = scale * directions_of(channels, self.directions, self.seed)
        return quantiles.measure(maps, tf.constant(directions, tf.float32), mask)


@functools.cache
def directions_of(channels: int, count: int, seed: int) -> np.ndarray:
    """Unit vectors, drawn evenly from the sphere: float64 [count, channels].

    Args:
      channels: of the features. As many vectors as that, from the first on, are at right angles.
      count: how many.
      seed: of the draw.
    """
    draw = np.random.default_rng(seed)
    bases = [
        np.linalg.qr(draw.standard_normal((channels, min(count, channels))))[0].T
        for _ in range(-(-count // channels))
    ]
    return np.concatenate(bases)[:count]
