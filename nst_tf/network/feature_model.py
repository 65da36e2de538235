"""The feature model of a recipe: its pooling, padding, normalisation and layers."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from nst_tf.network import normalisation, vgg
from nst_tf.network.weights import Weights
from nst_tf.recipe.settings import Settings


def feature_model(
    weights: Weights,
    settings: Settings,
    dtype: str | None = "float32",
    wanted: Sequence[str] | None = None,
) -> tf.keras.Model:
    """The multi-output Keras model that a recipe's losses are taken of (`vgg.build_model`).

    Args:
      weights: of the network, before any normalisation.
      settings: of the recipe.
      dtype: a Keras dtype policy; None for the global one.
      wanted: the layers to take features from; None for those of the recipe's losses.
    """
    return vgg.build_model(
        settings.layers if wanted is None else wanted,
        normalisation.normalise(weights) if settings.normalise else weights,
        pooling=settings.pooling,
        rescale_pooling=settings.rescale_pooling,
        padding=settings.padding,
        dtype=dtype,
    )
