"""The multi-output Keras feature model: a picture in, `{layer: feature map}` out.

Simonyan and Zisserman, arXiv:1409.1556, table 1, column E; Gatys, Ecker and Bethge,
arXiv:1508.06576, section Methods, for the average pooling.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from nst_tf.errors import SettingsError
from nst_tf.network.compiled import compiled
from nst_tf.network.weights import Weights
from nst_tf.recipe import choices, layers

#: ImageNet's mean colour in 0-255, RGB, as VGG19 was trained with it.
MEAN_RGB = (123.68, 116.779, 103.939)

#: By how much a pooling's results are smaller than max pooling's: the median over VGG19's four
#: poolings of mean(max) / mean(pooled), ImageNet weights, the pictures of `assets/vgg19_means.txt`.
RESCALE = {"max": 1.0, "avg": 1.64, "l2": 1.42}


@tf.keras.utils.register_keras_serializable("nst_tf")
class CaffePreprocessing(tf.keras.layers.Layer):
    """RGB in [0, 1] to what VGG19 was trained on: BGR in 0-255, ImageNet's mean subtracted.

    Args:
      needs: the layers that the picture must be large enough for, in either notation.
    """

    def __init__(self, needs: Sequence[str] = ("conv1_1",), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.needs = list(needs)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        height, width = inputs.shape[1:3]
        if height is not None and width is not None:
            layers.check_size(height, width, map(layers.parse, self.needs))
        mean = tf.constant(MEAN_RGB[::-1], inputs.dtype)
        return inputs[..., ::-1] * 255 - mean

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "needs": self.needs}


@tf.keras.utils.register_keras_serializable("nst_tf")
class ReplicatePadding(tf.keras.layers.Layer):
    """One pixel of padding on every side that repeats the edge: no dark frame at the border."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        # "SYMMETRIC" by one pixel mirrors the edge pixel itself, which is to repeat it.
        return tf.pad(inputs, [[0, 0], [1, 1], [1, 1], [0, 0]], "SYMMETRIC")

    def compute_output_shape(self, input_shape: Any) -> Any:
        batch, height, width, channels = input_shape
        return (batch, height and height + 2, width and width + 2, channels)


@tf.keras.utils.register_keras_serializable("nst_tf")
class Pooling(tf.keras.layers.Layer):
    """2x2 pooling with stride 2.

    Args:
      kind: `max`; `avg`, the mean, which lets the gradient reach every position; `l2`, the root
        of the mean square, between the two.
      rescale: whether the result is multiplied so that it is on average as large as max pooling's.
    """

    def __init__(self, kind: str = "max", rescale: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kind, self.rescale = kind, rescale

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        if self.kind == "max":
            return tf.nn.max_pool2d(inputs, 2, 2, "VALID")
        if self.kind == "avg":
            pooled = tf.nn.avg_pool2d(inputs, 2, 2, "VALID")
        else:
            # Squares overflow float16. Below the floor the gradient is 0; at 0 the root has none.
            square = tf.nn.avg_pool2d(tf.square(tf.cast(inputs, tf.float32)), 2, 2, "VALID")
            pooled = tf.cast(tf.sqrt(tf.maximum(square, 1e-12)), inputs.dtype)
        return pooled * RESCALE[self.kind] if self.rescale else pooled

    def compute_output_shape(self, input_shape: Any) -> Any:
        batch, height, width, channels = input_shape
        return (batch, height and height // 2, width and width // 2, channels)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "kind": self.kind, "rescale": self.rescale}


def build_model(
    wanted: Sequence[str],
    weights: Weights,
    *,
    pooling: str = "max",
    rescale_pooling: bool = False,
    padding: str = "zero",
    dtype: str | None = "float32",
) -> tf.keras.Model:
    """A Keras functional model from a picture to the feature maps of the wanted layers.

    It is built no deeper than the deepest of them, has no trainable weights, and does not change
    Keras' global dtype policy.

    Args:
      wanted: layers in either notation, `conv4_2` or `block4_conv2` for the value after the ReLU,
        with `:pre` behind it for the value before.
      weights: the network's numbers, of which the channels are taken too.
      pooling: `max` (VGG19 as trained), `avg` (Gatys et al. 2015) or `l2`.
      rescale_pooling: whether `avg` and `l2` are scaled to max pooling's mean.
      padding: of the first convolution: `zero` (as trained) or `replicate`, which repeats the edge;
        `mirror` is as zero, since it is for losses to put a mirror image around (`losses.border`).
      dtype: a Keras dtype policy, `float32`, `mixed_float16`, `mixed_bfloat16`, ...; None for the
        global one, as Keras' own layers take it, which is not asked otherwise. Pixels are not
        rounded to half precision before they are centred, nor, with `mixed_`, at all: conv1_1
        stays in float32, since rounding there costs more than in all other layers together.

    Returns:
      A model with input `[batch, height, width, 3]` (RGB in [0, 1], any size) and output
      `{layer: [batch, height / 2^(b-1), width / 2^(b-1), channels]}`, keyed as `wanted` names them.

    Raises:
      SettingsError: no layer, an unknown layer, pooling or padding; when called with a picture
        that is too small for the deepest layer.
    """
    keras = tf.keras
    if keras.backend.backend() != "tensorflow":
        raise SettingsError(
            f"Keras runs on {keras.backend.backend()!r} here: set KERAS_BACKEND=tensorflow"
        )
    if not wanted:
        raise SettingsError("name at least one layer to take features from")
    choices.check("pooling", pooling, choices.POOLINGS)
    choices.check("padding", padding, choices.PADDINGS)
    dtype = policy_name(dtype)
    try:
        keras.mixed_precision.Policy(dtype)
    except (TypeError, ValueError) as error:
        raise SettingsError(
            f"no dtype policy {dtype!r}: use one such as float32, mixed_float16 or mixed_bfloat16"
        ) from error
    places = {key: layers.parse(key) for key in wanted}
    last = layers.deepest(places.values()).name
    if last not in weights.kernels:
        raise SettingsError(
            f"{last} is not in the network {weights.source}: it ends at {list(weights.kernels)[-1]}"
        )
    by_place: dict[layers.Layer, Any] = {}

    whole = dtype if dtype == "float64" else "float32"
    inputs = keras.Input((None, None, 3), name="picture", dtype=tf.as_dtype("float32"))
    maps = CaffePreprocessing(list(wanted), name="preprocessing", dtype=whole)(inputs)
    if padding == "replicate":
        maps = ReplicatePadding(name="pad1", dtype=whole)(maps)
    block = 1
    for name in layers.NAMES:
        precision = whole if name == "conv1_1" and dtype.startswith("mixed_") else dtype
        if layers.Layer(name).block > block:
            pool = Pooling(pooling, rescale_pooling, name=f"pool{block}", dtype=dtype)
            maps = pool(maps)
            block += 1
        convolution = keras.layers.Conv2D(
            weights.biases[name].shape[0],
            3,
            padding="valid" if padding == "replicate" and name == "conv1_1" else "same",
            kernel_initializer="zeros",  # set right below
            name=f"{name}_pre",
            dtype=precision,
        )
        by_place[layers.Layer(name, before_relu=True)] = maps = convolution(maps)
        convolution.set_weights([weights.kernels[name], weights.biases[name]])
        by_place[layers.Layer(name)] = maps = keras.layers.ReLU(name=name, dtype=precision)(maps)
        if name == last:
            break
    model = keras.Model(
        inputs, {key: by_place[place] for key, place in places.items()}, name="vgg19"
    )
    model.trainable = False
    return model


def policy_name(dtype: Any) -> str:
    """The name of a Keras dtype policy, which may come as itself; None is the global one."""
    policy = tf.keras.mixed_precision.global_policy() if dtype is None else dtype
    name: str = getattr(policy, "name", policy)
    return name


def layer_name(key: str) -> str:
    """What the Keras layer of `build_model`'s output `key` is called."""
    place = layers.parse(key)
    return f"{place.name}_pre" if place.before_relu else place.name


def mean_activations(
    weights: Weights, pictures: Sequence[np.ndarray], **options: Any
) -> dict[str, np.ndarray]:
    """The mean of every filter over pictures and positions, after the ReLU.

    Args:
      weights: of the network.
      pictures: float32 [height, width, 3] RGB in [0, 1], of any sizes.
      **options: of `build_model`, such as the pooling.

    Returns:
      float64 [channels] by layer name.
    """
    model = build_model(tuple(weights.kernels), weights, **options)
    statistics = compiled(
        lambda picture: {
            name: (tf.reduce_sum(maps, axis=(0, 1, 2)), tf.reduce_prod(tf.shape(maps)[1:3]))
            for name, maps in model(picture).items()
        },
        [tf.TensorSpec([1, None, None, 3])],
    )
    sums = {name: np.zeros(bias.shape) for name, bias in weights.biases.items()}
    positions = dict.fromkeys(sums, 0)
    for picture in pictures:
        for name, (total, count) in statistics(picture[np.newaxis]).items():
            sums[name] += total.numpy()
            positions[name] += int(count)
    return {name: sums[name] / positions[name] for name in sums}
