"""Instance normalisation with a scale and an offset of each style.

Ulyanov, Vedaldi and Lempitsky, "Instance Normalization", arXiv:1607.08022: every channel of every
picture to mean 0 and variance 1, so that the photo's contrast does not decide the strokes'.
Dumoulin, Shlens and Kudlur, "A Learned Representation for Artistic Style", arXiv:1610.07629,
equation 5: all that tells one style from another are the scale γ and the offset β behind it, and
mixtures of styles are those of their numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

#: What is added to variances: of a picture of one colour, they are 0.
_LEAST = 1e-5

#: Mean and variance, each float32 [batch or 1, 1, 1, channels].
Moments = tuple[tf.Tensor, tf.Tensor]


def own_moments(maps: tf.Tensor) -> Moments:
    """Of every channel of every picture of float32 [batch, height, width, channels]."""
    mean, variance = tf.nn.moments(maps, (1, 2), keepdims=True)
    return mean, variance


def moments_of_all(maps: tf.Tensor) -> Moments:
    """Of every channel, over all pictures together."""
    mean, variance = tf.nn.moments(maps, (0, 1, 2), keepdims=True)
    return mean, variance


@tf.keras.utils.register_keras_serializable("nst_tf")
class ConditionalInstanceNormalization(tf.keras.layers.Layer):
    """γ (F − mean) / std + β, with γ and β of a mixture of styles.

    Mean and variance are float32 whatever the policy: sums over positions overflow float16.
    (Keras' `GroupNormalization(groups=-1)` has float16's in Keras 2, and γ and β of one style.)

    Args:
      styles: how many there are.
    """

    def __init__(self, styles: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.styles = styles

    def build(self, input_shape: Any) -> None:
        shape = (self.styles, int(input_shape[-1]))
        self.gamma = self.add_weight(name="gamma", shape=shape, initializer="ones")
        self.beta = self.add_weight(name="beta", shape=shape, initializer="zeros")
        self.built = True

    def call(
        self,
        maps: tf.Tensor,
        shares: tf.Tensor,
        moments: Callable[[tf.Tensor], Moments] = own_moments,
    ) -> tf.Tensor:
        """Feature maps [batch, height, width, channels] by the styles' shares [batch, styles] and
        by the maps' own moments, or those that take their place."""
        whole = tf.cast(maps, tf.float32)
        shares = tf.cast(shares, tf.float32)
        mean, variance = moments(whole)
        gamma, beta = (
            tf.matmul(shares, tf.cast(numbers, tf.float32))[:, tf.newaxis, tf.newaxis]
            for numbers in (self.gamma, self.beta)
        )
        scale = gamma * tf.math.rsqrt(variance + _LEAST)
        return tf.cast(whole * scale + (beta - mean * scale), self.compute_dtype)

    def compute_output_shape(self, input_shape: Any, *_: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "styles": self.styles}
