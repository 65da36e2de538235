"""The distance between the histograms of two pictures' features, channel by channel.

Risser, Wilmot and Barnes, "Stable and Controllable Neural Texture Synthesis and Style Transfer
Using Histogram Losses", arXiv:1701.08893, section 4.3: Gram matrices leave it open whether features
are strong in few places or weak in many. Their loss is |f − R(f)|², where R matches the histogram
of f to the style image's in 256 bins, and stands beside Gram matrices. Matching histograms is
optimal transport in one dimension, so it is this distance but for the bins: here the values are
sorted, and it is a style loss of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf

from nst_tf.losses import quantiles
from nst_tf.losses.quantiles import Quantiles, Sorted


@dataclass(frozen=True)
class Histograms(Sorted):
    r"""Σ_i W²(f_i, a_i) / E |a|² over channels i, with a the features of the style image.

    So divided, 1 is as far away as features that are all 0. A `statistics.Statistic`.
    """

    def measure(self, maps: tf.Tensor, mask: tf.Tensor | None = None) -> Quantiles:
        """The sorted values of feature maps [batch, height, width, channels]."""
        return quantiles.measure(maps, None, mask)
