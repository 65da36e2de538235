"""For Keras programs: the feature model, a Gram layer, and losses for `model.compile`.

Johnson, Alahi and Fei-Fei, arXiv:1603.08155, section 3.2: a network that makes pictures is trained
on how different they look, not on how different their pixels are. Pictures are float RGB in [0, 1],
[batch, height, width, 3]; the gradient flows through the fixed feature model.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from nst_tf.errors import SettingsError
from nst_tf.losses import statistics
from nst_tf.losses.gram import gram_matrix
from nst_tf.losses.laplacian import laplacian
from nst_tf.losses.terms import Terms, laplacian_terms, of_maps, total, weights_of
from nst_tf.network import vgg
from nst_tf.network import weights as weights_module
from nst_tf.network.feature_model import feature_model
from nst_tf.network.weights import Weights
from nst_tf.recipe import presets


@tf.keras.utils.register_keras_serializable("nst_tf")
class FeatureExtractor(tf.keras.Model):
    """Pictures, RGB in [0, 1] [batch, height, width, 3], to `{layer: feature map}`.

    It nests in another model like any layer, is saved and loaded with it, and lets gradients
    through to what comes before; its own numbers are fixed (`trainable = True` frees them).

        features = nst_tf.FeatureExtractor(["conv2_1", "conv4_2"], weights="imagenet")
        maps = features(pictures)["conv4_2"]    # [batch, height / 8, width / 8, 512]

    Args:
      wanted: a layer or several, in either notation, `conv4_2` or `block4_conv2`, `conv4_2:pre`
        for the value before the ReLU; None for those of the preset's losses.
      weights: what `weights.load` takes.
      preset: whose pooling, padding and normalisation the network has, a name in
        `presets.PRESETS`.
      dtype: a Keras dtype policy: what the network is computed in.
      name: of the model.
      **overrides: fields of `Settings`, such as `pooling="avg"` or `normalise=False`.

    Raises:
      SettingsError, WeightsError: a layer, setting or network that cannot be had; SettingsError
        also when called with pictures that are too small for the deepest layer.
    """

    def __init__(
        self,
        wanted: str | Sequence[str] | None = None,
        weights: str | os.PathLike[str] | Weights | None = None,
        *,
        preset: str = presets.PUBLISHED,
        dtype: str = "float32",
        name: str = "feature_extractor",
        **overrides: Any,
    ) -> None:
        settings = presets.settings(preset, **overrides)
        if isinstance(wanted, str):
            wanted = [wanted]
        wanted = list(settings.layers if wanted is None else wanted)
        dtype = getattr(dtype, "name", dtype)  # a policy may come as itself
        network = feature_model(
            weights_module.load(presets.network(preset, weights)), settings, dtype, wanted
        )
        outputs = {key: network.get_layer(vgg.layer_name(key)).output for key in wanted}
        super().__init__(network.input, outputs, name=name)
        self.trainable = False
        self._config = {"wanted": wanted, "preset": preset, "dtype": dtype, "name": name}
        self._config.update(overrides)

    def get_config(self) -> dict[str, Any]:
        channels = {
            layer.name.removesuffix("_pre"): layer.filters
            for layer in self.layers
            if isinstance(layer, tf.keras.layers.Conv2D)
        }
        return {**self._config, "channels": channels, "trainable": self.trainable}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> FeatureExtractor:
        """A model of the same layers, whose numbers are then loaded from where it was saved."""
        config = dict(config)
        channels, trainable = config.pop("channels"), config.pop("trainable")
        kernels, biases, before = {}, {}, 3
        for layer, count in channels.items():
            kernels[layer] = np.zeros((3, 3, before, count), np.float32)
            biases[layer] = np.zeros(count, np.float32)
            before = count
        config["normalise"] = False  # what is loaded is so already
        model = cls(weights=Weights(kernels, biases, "a saved model"), **config)
        model.trainable = trainable
        return model


@tf.keras.utils.register_keras_serializable("nst_tf")
class GramMatrix(tf.keras.layers.Layer):
    """Feature maps [batch, height, width, channels] to their mean Gram matrix (`gram_matrix`).

    Its output is float32 [batch, channels, channels] whatever the input's type and the global
    policy: sums over positions overflow float16.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", "autocast": False, **kwargs})

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return gram_matrix(inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (input_shape[0], input_shape[-1], input_shape[-1])


class _Loss(tf.keras.losses.Loss):
    """A loss between the pictures that a model makes and those that it should.

    Args:
      weights: of the network, by name or as a path (`weights.load`).
      preset: whose layers, forms and weights are used, a name in `presets.PRESETS`. Wasserstein
        distances, those of `crisp`, are not for XLA: compile the model with `jit_compile=False`.
      **overrides: fields of `Settings`.
    """

    def __init__(
        self,
        weights: str = "mini",
        preset: str = presets.PUBLISHED,
        *,
        name: str | None = None,
        reduction: str = "sum_over_batch_size",
        **overrides: Any,
    ) -> None:
        super().__init__(name=name, reduction=reduction)
        if not isinstance(weights, (str, os.PathLike)):
            raise SettingsError(f"weights is {type(weights).__name__}: name a network or a file")
        self._config = {"weights": os.fspath(weights), "preset": preset, **overrides}
        self._settings = presets.settings(preset, **overrides)
        statistics.named(self._settings.style_loss)  # is it one of pictures alone?
        self._model = feature_model(weights_module.load(weights), self._settings)

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), **self._config}
        config.pop("fn", None)
        return config

    def _terms(self, y_true: tf.Tensor, y_pred: tf.Tensor, *kinds: str) -> Terms:
        """The terms of these kinds, of each picture against its target, and their total."""
        maps, targets = (
            self._model(tf.cast(pictures, tf.float32))
            for pictures in (y_pred, tf.stop_gradient(y_true))
        )
        terms = of_maps(kinds, maps, targets, self._settings)
        if "laplacian" in kinds and self._settings.laplacian_weight:
            terms |= laplacian_terms(y_pred, laplacian(tf.stop_gradient(y_true)))
        return total(terms, weights_of(self._settings), tf.shape(y_pred)[:1])


@tf.keras.utils.register_keras_serializable("nst_tf")
class ContentLoss(_Loss):
    """L_content of each picture against its target."""

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        return self._terms(y_true, y_pred, "content")["content"]


@tf.keras.utils.register_keras_serializable("nst_tf")
class StyleLoss(_Loss):
    """L_style of each picture against its target, which may have another size."""

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        return self._terms(y_true, y_pred, "style")["style"]


@tf.keras.utils.register_keras_serializable("nst_tf")
class PerceptualLoss(_Loss):
    """α L_content + β L_style of each picture against its target; and what else of the content
    image's the settings keep, its self-similarity and its Laplacian."""

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        return self._terms(y_true, y_pred, "content", "structure", "laplacian", "style")["total"]
