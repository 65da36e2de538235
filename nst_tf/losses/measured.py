"""What the losses need to know of a picture, taken of the picture as a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import tensorflow as tf

from nst_tf.losses.statistics import Nest, Statistic
from nst_tf.network import vgg
from nst_tf.network.engine import Stage


class Measured(NamedTuple):
    """What the losses need to know of a picture.

    Attributes:
      features: [1, height, width, channels] by content layer.
      statistics: what the statistic finishes with, by style layer.
    """

    features: dict[str, tf.Tensor]
    statistics: dict[str, Nest]


class Whole:
    """A feature model that measures a picture as a whole; `strips.Strips` does it in less memory.

    Args:
      stages: of the network, from `engine.stages`.
      content_layers: whose feature maps are wanted, keyed as the model's outputs are.
      style_layers: whose statistics are wanted.
      statistic: of the style layers.
    """

    def __init__(
        self,
        stages: Sequence[Stage],
        content_layers: Sequence[str],
        style_layers: Sequence[str],
        statistic: Statistic,
    ) -> None:
        self._stages, self._statistic = stages, statistic
        self._content_layers, self._style_layers = tuple(content_layers), tuple(style_layers)

    def __call__(self, image: tf.Tensor, masks: Mapping[str, tf.Tensor] | None = None) -> Measured:
        """Measures `image`, float32 [1, height, width, 3].

        Args:
          image: the picture.
          masks: by style layer, as the statistic takes them; None for none.
        """
        maps, by_stage = image, {}
        for stage in self._stages:
            by_stage[stage.name] = maps = stage.apply(maps)
        measure, finish, masks = self._statistic.measure, self._statistic.finish, masks or {}
        return Measured(
            {key: by_stage[vgg.layer_name(key)] for key in self._content_layers},
            {
                key: finish(measure(by_stage[vgg.layer_name(key)], masks.get(key)))
                for key in self._style_layers
            },
        )
