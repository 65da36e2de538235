"""The weight normalisation of Gatys et al.: every filter's mean activation becomes 1.

Gatys, Ecker and Bethge, "Image Style Transfer Using Convolutional Neural Networks", CVPR 2016,
section 2: "we normalized the network by scaling the weights such that the mean activation of each
convolutional filter over images and positions is equal to one. Such re-scaling can be done for the
VGG network without changing its output, because it contains only rectifying linear activation
functions and no normalization or pooling over feature maps."
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from nst_tf import assets
from nst_tf.network import vgg
from nst_tf.network import weights as weights_module
from nst_tf.network.weights import Weights
from nst_tf.pictures import images

#: A filter that is almost silent over the pictures (below this share of its layer's mean) would be
#: blown up by the quotient; it is taken to be this loud instead.
_FLOOR = 1e-3
#: Two pictures say less: a filter that hardly saw what it looks for may be loud in the next one.
_FLOOR_OF_TWO = 0.1


def normalise(weights: Weights, means: Mapping[str, np.ndarray] | None = None) -> Weights:
    """Scales every filter so that its mean activation over pictures and positions is 1.

    With m the means, layer by layer: kernel[..., i, o] ← kernel[..., i, o] · m_previous[i] / m[o]
    and bias[o] ← bias[o] / m[o]. Rectifier and pooling commute with positive factors, so every
    feature map becomes the old one divided by its filter's mean.

    Args:
      weights: the network's.
      means: mean activation by layer and filter, as `vgg.mean_activations` measures it. None
        takes the bundled measurement for ImageNet's VGG19 and for `mini`, and measures any other
        network on the two bundled pictures.

    Returns:
      The weights of the normalised network.
    """
    if means is None:
        means = _known_means(weights)
    kernels, biases = {}, {}
    before = np.ones(3)
    for name in weights.kernels:
        mean = np.maximum(means[name], _FLOOR * np.mean(means[name])).astype(np.float64)
        factors = before[:, np.newaxis] / mean
        kernels[name] = (weights.kernels[name] * factors).astype(np.float32)
        biases[name] = (weights.biases[name] / mean).astype(np.float32)
        before = mean
    return replace(weights, kernels=kernels, biases=biases, source=f"{weights.source}, normalised")


def _known_means(weights: Weights) -> Mapping[str, np.ndarray]:
    known = weights_module.known_means(weights)
    if known is not None:
        return known
    bundled = [images.load(path) for path in (assets.SCENE, assets.PAINTING)]
    return {
        name: np.maximum(means, _FLOOR_OF_TWO * np.mean(means))
        for name, means in vgg.mean_activations(weights, bundled).items()
    }
