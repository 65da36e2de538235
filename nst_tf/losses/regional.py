r"""Styles side by side: a statistic of every region of a picture, each with a target of its own.

E_l = Σ_r s_r E(G_r, A_r): G_r is the statistic of the positions of region r, weighted by its mask;
A_r that of its style image as a whole; s_r the region's share of the picture, so that a loss means
the same however the picture is divided. What Gatys et al., "Controlling Perceptual Factors in
Neural Style Transfer", arXiv:1611.07865, call spatial control, for every statistic.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import tensorflow as tf

from nst_tf.losses.statistics import Nest, Statistic
from nst_tf.recipe import layers


class Sums(NamedTuple):
    """What is taken of the positions.

    Attributes:
      regions: what the statistic measures of each.
      weights: Σ_k m_k of each, float32 [batch, regions].
      positions: how many there are, float32 [batch, 1].
    """

    regions: tuple[Nest, ...]
    weights: tf.Tensor
    positions: tf.Tensor


class Regions(NamedTuple):
    """What is compared.

    Attributes:
      regions: what the statistic finishes with, of each.
      shares: s_r, float32 [batch, regions].
    """

    regions: tuple[Nest, ...]
    shares: tf.Tensor


@dataclass(frozen=True)
class Regional:
    """A statistic of every region. A `statistics.Statistic`, whose target is a tuple: what the
    statistic's own `prepare` gives, of each region's style image.

    Attributes:
      statistic: of a region.
    """

    statistic: Statistic

    @property
    def additive(self) -> bool:
        """As the statistic."""
        return self.statistic.additive

    def measure(self, maps: tf.Tensor, mask: tf.Tensor | None = None) -> Sums:
        """What the statistic measures of each region.

        Args:
          maps: [batch, height, width, channels], any float type.
          mask: the regions', float32 [batch, height, width, regions]; None for a single one, the
            whole picture.
        """
        shape = tf.shape(maps)
        positions = tf.fill([shape[0], 1], tf.cast(shape[1] * shape[2], tf.float32))
        if mask is None:
            return Sums((self.statistic.measure(maps),), positions, positions)
        regions = tuple(
            self.statistic.measure(maps, mask[..., region : region + 1])
            for region in range(mask.shape[-1])
        )
        return Sums(regions, tf.reduce_sum(mask, axis=(1, 2)), positions)

    def finish(self, measured: Sums) -> Regions:
        """What is compared of each region, and its share of the picture."""
        return Regions(
            tuple(self.statistic.finish(region) for region in measured.regions),
            tf.math.divide_no_nan(measured.weights, measured.positions),
        )

    def distance(self, finished: Regions, target: tuple[Nest, ...]) -> tf.Tensor:
        """Σ_r s_r E(G_r, A_r), float32 [batch]."""
        pairs = zip(finished.regions, target, strict=True)
        distances = [self.statistic.distance(region, its) for region, its in pairs]
        return tf.reduce_sum(finished.shares * tf.stack(distances, axis=1), axis=1)

    def width_factor(self, ratio: float) -> float:
        """As the statistic."""
        return self.statistic.width_factor(ratio)


def at_layer(masks: tf.Tensor, key: str) -> tf.Tensor:
    """Masks at the size of a layer, [1, height, width, regions]: at each position the mean over the
    pixels that were pooled into it, whatever else its receptive field reaches.

    Args:
      masks: float32 [1, height, width, regions], at the picture's size.
      key: of the layer.
    """
    for _ in range(layers.parse(key).block - 1):
        masks = tf.nn.avg_pool2d(masks, 2, 2, "VALID")
    return masks
