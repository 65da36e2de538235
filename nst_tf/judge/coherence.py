r"""Content kept, by a network: which places of a picture are like which others (CFSD).

Chung, Hyun and Heo, "Style Injection in Diffusion: A Training-free Approach for Adapting
Large-scale Diffusion Models for Style Transfer", CVPR 2024: the content feature structural
distance. F [M, N] being the features at M positions, every row of F Fᵀ says how like one position
is to all; as a softmax it is a distribution, and the distance is the Kullback-Leibler divergence
from the content image's to the result's. Colours and strokes may change; what hangs together in the
photo should hang together in the result.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from nst_tf.errors import SettingsError
from nst_tf.judge import structure
from nst_tf.network import vgg
from nst_tf.network.compiled import compiled
from nst_tf.network.weights import Weights
from nst_tf.pictures import images
from nst_tf.recipe import layers

#: The paper's "conv3", as the code released with it has it: after the ReLU.
LAYER = "conv3_1"

#: F Fᵀ is divided by N² there: once for the mean over channels, once for this temperature, which
#: is VGG19's N and stays for networks of fewer channels.
TEMPERATURE = layers.CHANNELS[LAYER]

#: Rows of a picture of 512 x 512 pixels, over which the published numbers are sums.
ROWS = 128 * 128

#: Entries of F Fᵀ that are held at a time: 4 MiB, of which a handful are needed.
_ENTRIES = 1 << 20


class CoherenceJudge:
    """Measures the content feature structural distance under one network.

    Args:
      weights: of the network, down to conv3_1.
    """

    def __init__(self, weights: Weights) -> None:
        model = vgg.build_model([LAYER], weights)
        self._features = compiled(
            lambda picture: model(picture)[LAYER][0],
            [tf.TensorSpec([1, None, None, 3], tf.float32)],
        )

    def distance(self, result: images.Picture, content: images.Picture) -> float:
        """`structural_distance` of two pictures' features in conv3_1.

        The time it takes grows with the square of the number of pixels. A small picture is compared
        more coarsely, and as a rule has a smaller distance: compare results of one size.

        Args:
          result: float32 [height, width, 3], RGB in [0, 1], or what else `images.load` reads.
          content: likewise, of the same size.

        Raises:
          PictureError: one is no picture.
          SettingsError: they differ in size, or are smaller than 4x4 pixels.
        """
        ours, theirs = structure.pair(result, content)
        height, width, _ = ours.shape
        layers.check_size(height, width, [layers.parse(LAYER)])
        maps = [self._features(tf.constant(array[np.newaxis])) for array in (ours, theirs)]
        return structural_distance(*maps)


def structural_distance(result: tf.Tensor, content: tf.Tensor) -> float:
    r"""The content feature structural distance of feature maps.

        A_ij = (1 / N) Σ_n F_in F_jn / 256,   p_i = softmax(A_i)
        CFSD = 16384 / M Σ_i KL(p_i(content) ‖ p_i(result))

    This is what the code released with the paper calculates of 512 x 512 pixels (there 1 / N² with
    N = 256, and a sum over M = 16384 rows), in nats, and the same for other sizes and widths. One
    thing differs: softmax depends on the features' scale, and a network that takes 0-255 has far
    larger ones than that code's, which takes about -2 to 2; with them a row is nearly all in its
    largest entry. Both pictures' features are divided by the content image's mean activation.

    Args:
      result: float32 [height, width, N].
      content: likewise, of the same shape.

    Returns:
      At least 0; 0 for the same features.

    Raises:
      SettingsError: they differ in shape.
    """
    if result.shape != content.shape:
        raise SettingsError(
            f"feature maps have the shapes {list(result.shape)} and {list(content.shape)}: "
            "give two of one shape"
        )
    positions, channels = int(np.prod(content.shape[:2])), content.shape[-1]
    scale = float(tf.reduce_mean(content)) * (channels * TEMPERATURE) ** 0.5
    ours, theirs = (
        tf.reshape(tf.math.divide_no_nan(maps, scale), [positions, channels])
        for maps in (result, content)
    )
    # A softmax does not see what is added to a whole row. Centred, rows keep their last digits.
    our_columns, their_columns = (
        tf.transpose(features - tf.reduce_mean(features, 0)) for features in (ours, theirs)
    )
    total, rows = 0.0, max(1, _ENTRIES // positions)
    for at in range(0, positions, rows):
        block = slice(at, at + rows)
        logits = tf.matmul(theirs[block], their_columns)
        change = tf.matmul(ours[block], our_columns) - logits
        total += float(tf.reduce_sum(_divergence(logits, change)))
    return ROWS / positions * max(total, 0.0)  # in this order, nan stays


def _divergence(logits: tf.Tensor, change: tf.Tensor) -> tf.Tensor:
    """KL(softmax(logits) ‖ softmax(logits + change)) of every row: ln Σ p exp(c) − Σ p c."""
    # Rows are nearly uniform and change little: of Σ p (ln p − ln q), which cancels over a row,
    # float32 would leave nothing. exp(c) = 1 + c + bend, and bends are all positive.
    p = tf.nn.softmax(logits)
    mean = tf.einsum("ij,ij->i", p, change)
    bend = tf.einsum("ij,ij->i", p, tf.math.expm1(change) - change)
    return tf.math.log1p(mean + bend) - mean
