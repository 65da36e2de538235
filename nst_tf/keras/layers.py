"""Statistics of feature maps as layers."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from nst_tf.losses.gram import gram_matrix


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
