"""keras.applications' own VGG19, as the independent word on what a layer's features are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf

from nst_tf.network.weights import Weights
from nst_tf.recipe import layers


def network(weights: Weights | Path | None) -> tf.keras.Model:
    file = str(weights) if isinstance(weights, Path) else None
    model = tf.keras.applications.VGG19(include_top=False, weights=file)
    if isinstance(weights, Weights):
        for name in layers.NAMES:
            pair = [weights.kernels[name], weights.biases[name]]
            model.get_layer(keras_name(name)).set_weights(pair)
    return model


def keras_name(name: str) -> str:
    return f"block{name[4]}_conv{name[6]}"


def features(picture: np.ndarray, weights: Weights | Path) -> dict[str, np.ndarray]:
    """Features of every layer of `picture`, float [batch, height, width, 3] RGB in [0, 1]."""
    model = network(weights)
    outputs = [model.get_layer(keras_name(name)).output for name in layers.NAMES]
    prepared = tf.keras.applications.vgg19.preprocess_input(picture * 255.0)
    found = tf.keras.Model(model.input, outputs)(prepared)
    return {name: maps.numpy() for name, maps in zip(layers.NAMES, found, strict=True)}
