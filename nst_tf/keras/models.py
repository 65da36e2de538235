"""The feature model as a Keras model that is saved, nested and trained like any other."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf
from PIL import Image
from typing_extensions import Self, Unpack

from nst_tf.errors import PictureError, SettingsError
from nst_tf.network import no_pictures, vgg
from nst_tf.network import weights as weights_module
from nst_tf.network.feature_model import feature_model
from nst_tf.network.weights import Weights
from nst_tf.pictures import checks
from nst_tf.recipe import layers as layers_module
from nst_tf.recipe import overrides as kinds
from nst_tf.recipe import presets


@tf.keras.utils.register_keras_serializable("nst_tf")
class FeatureExtractor(tf.keras.Model):
    """Pictures, RGB in [0, 1] [batch, height, width, 3], to `{layer: feature map}`.

    It nests in another model like any layer, is saved and loaded with it, and lets gradients
    through to what comes before; its own numbers are fixed (`trainable = True` frees them).

        features = nst_tf.FeatureExtractor(["conv2_1", "conv4_2"], weights="imagenet")
        maps = features(pictures)["conv4_2"]    # [batch, height / 8, width / 8, 512]

    uint8 and uint16 pictures are converted from full scale. Float pictures that a network or an
    optimiser made may overshoot [0, 1] a little, and are taken as they are. Where a value is not
    finite, or further off and so on another scale, that is an error, also in a graph:
    InvalidArgument. XLA (`jit_compile=True`) leaves errors out: there its feature maps are NaN.

    Args:
      wanted: a layer or several, in either notation, `conv4_2` or `block4_conv2`, `conv4_2:pre`
        for the value before the ReLU; None for those of the preset's losses.
      weights: what `weights.load` takes.
      preset: whose pooling, padding and normalisation the network has, a name in
        `presets.PRESETS`.
      dtype: a Keras dtype policy: what the network is computed in. None for the global one, as
        Keras' own layers take it. Features of float16 end at 65504: Gram matrices and losses of
        them are for float32, as `GramMatrix` and `losses` have it.
      overshoot: how far float pictures may be beyond [0, 1]. More than the default is for a layer
        behind a network that has yet to learn, and whose last layer does not keep it there.
      name: of the model.
      **overrides: fields of `Settings` that are about the network (`kinds.LayerOverrides`), such
        as `pooling="avg"` or `normalise=False`.

    Raises:
      SettingsError, WeightsError: a layer, setting or network that cannot be had; SettingsError
        also when called with pictures that are too small for the deepest layer.
      PictureError: called with what is no batch of pictures.
    """

    if TYPE_CHECKING:  # Keras' own says that it makes something else, of any arguments

        def __new__(cls, *args: Any, **kwargs: Any) -> Self: ...

    def __init__(
        self,
        wanted: str | Sequence[str] | None = None,
        weights: str | os.PathLike[str] | Weights | None = None,
        *,
        preset: str = presets.PUBLISHED,
        dtype: str | None = "float32",
        overshoot: float = checks.OVERSHOOT,
        name: str = "feature_extractor",
        **overrides: Unpack[kinds.LayerOverrides],
    ) -> None:
        kinds.check("a feature extractor", overrides, kinds.LayerOverrides)
        settings = presets.settings(preset, **overrides)
        if not isinstance(overshoot, (int, float)) or not 0 <= overshoot < float("inf"):
            raise SettingsError(f"overshoot is {overshoot!r}: use a number such as 0.25")
        if isinstance(wanted, str):
            wanted = [wanted]
        wanted = list(settings.layers if wanted is None else wanted)
        dtype = vgg.policy_name(dtype)  # by name, for a program of another policy that loads it
        source = presets.network(preset, weights)
        network = feature_model(
            weights_module.load(source, seed=settings.seed), settings, dtype, wanted
        )
        outputs = {key: network.get_layer(vgg.layer_name(key)).output for key in wanted}
        super().__init__(network.input, outputs, name=name)
        self.trainable = False
        self._config: dict[str, Any] = {
            "wanted": wanted,
            "preset": preset,
            "dtype": dtype,
            "overshoot": overshoot,
            "name": name,
            **overrides,
        }

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(inputs, (tf.Tensor, tf.Variable, np.ndarray)):  # not a model's placeholder
            needs = [layers_module.parse(key) for key in self.get_layer("preprocessing").needs]
            overshoot = self._config["overshoot"]
            inputs, fits = checks.of_scale(inputs, needs, overshoot)
            if not tf.executing_eagerly():  # XLA, which leaves out the error, keeps a NaN
                nan = tf.constant(float("nan"), inputs.dtype)
                inputs = tf.where(fits[:, None, None, None], inputs, nan)
            call, least = super().__call__, layers_module.smallest_size(needs)
            return no_pictures.allowed(lambda some: call(some, *args, **kwargs), least)(inputs)
        if isinstance(inputs, (str, bytes, os.PathLike, Image.Image)):
            raise PictureError(
                f"pictures are an array or tensor [batch, height, width, 3], not of type "
                f"{type(inputs).__name__}: nst_tf.data.pictures reads files"
            )
        return super().__call__(inputs, *args, **kwargs)

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
