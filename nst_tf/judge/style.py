"""Style gained: how much nearer than the photo a result has come to the painting, by a network.

Nearness is taken twice, of the same feature maps: by Gram matrices, which is what optimisation by
`gatys2016` makes small and thus favours it; and by the Wasserstein distance between Gaussians,
which tells means from covariances, and which `crisp` makes small. Each is fair to the other.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from nst_tf.errors import SettingsError
from nst_tf.losses import statistics, terms
from nst_tf.losses.gram import gram_matrix
from nst_tf.network.compiled import compiled
from nst_tf.network.feature_model import feature_model
from nst_tf.network.weights import Weights
from nst_tf.pictures import images
from nst_tf.recipe import layers, presets

#: The recipe whose layers, layer weights and style loss are taken: conv1_1 to conv5_1.
PRESET = "gatys2016"

#: A distance that is this small a share of what it is measured in is rounding, and taken for 0;
#: where a logarithm is taken of it, it is taken for this.
ROUNDING = 1e-12

#: Positions that are held in float64 at a time.
_BLOCK = 1 << 15


@dataclass(frozen=True)
class Moments:
    """What is taken of one layer's feature maps, N channels at M positions.

    Attributes:
      gram: the mean Gram matrix, float32 [1, N, N] (`losses.gram_matrix`).
      mean: float64 [N].
      covariance: (1 / M) Σ (f − mean)(f − mean)ᵀ, float64 [N, N].
    """

    gram: tf.Tensor
    mean: np.ndarray
    covariance: np.ndarray

    @functools.cached_property
    def root(self) -> np.ndarray:
        """The symmetric square root of the covariance, float64 [N, N]; calculated once."""
        values, vectors = np.linalg.eigh(self.covariance)
        return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T

    @property
    def power(self) -> float:
        """The mean squared length of a feature, |mean|² + tr covariance."""
        return float(self.mean @ self.mean + np.sum(np.square(self.root)))


#: `Moments` by layer: all that is kept of a picture.
Measured = dict[str, Moments]


class Gained(NamedTuple):
    """What share of the way to the painting was gone, in two scales.

    Attributes:
      share: 1 − d(result) / d(content): 0 for the photo as it was, 1 for the painting's own
        statistics; below 0 where the result is farther from the painting than the photo.
      nepers: ln d(content) − ln d(result). Where `share` crowds below 1 it goes on telling good
        from better; the painting itself has −ln `ROUNDING` = 27.6. Of two results,
        `ratio_of_logarithms` makes one number.
    """

    share: float
    nepers: float


class StyleGained(NamedTuple):
    """Style gained by both distances.

    Attributes:
      gram: by `gram_distance`.
      wasserstein: by `wasserstein_distance`.
    """

    gram: Gained
    wasserstein: Gained


class StyleJudge:
    """Measures the style of pictures under one network.

    A picture that is compared with many, such as the painting, is measured once:

        judge = StyleJudge(weights)
        content, style = judge.measure(photo), judge.measure(painting)
        for result in results:
            print(judge.gained(judge.measure(result), content, style))

    Args:
      weights: of the network, down to conv5_1. One of which a result was made flatters it.
    """

    def __init__(self, weights: Weights) -> None:
        self._settings = presets.settings(PRESET)
        self._layers = tuple(self._settings.style_layers)
        model = feature_model(weights, self._settings, wanted=self._layers)
        self._features = compiled(model, [tf.TensorSpec([1, None, None, 3], tf.float32)])

    def measure(self, picture: images.Picture) -> Measured:
        """The moments of every style layer.

        Args:
          picture: float32 [height, width, 3], RGB in [0, 1], or what else `images.load` reads.

        Raises:
          PictureError: it is no picture.
          SettingsError: it is smaller than 16x16 pixels.
        """
        array = images.load(picture)
        height, width, _ = array.shape
        layers.check_size(height, width, map(layers.parse, self._layers))
        maps = self._features(tf.constant(array[np.newaxis]))
        return {layer: moments(maps[layer]) for layer in self._layers}

    def gram_distance(self, measured: Measured, style: Measured) -> float:
        """Gatys2016's style loss, Σ_l w_l E_l: equation 5 of Gatys et al., CVPR 2016.

        Of a narrower network than VGG19 it is scaled to mean the same (`Gram.width_factor`).

        Args:
          measured: the picture's moments.
          style: the painting's.
        """
        losses = terms.style_terms(
            {layer: measured[layer].gram for layer in self._layers},
            {layer: style[layer].gram for layer in self._layers},
            statistics.named(self._settings.style_loss),
            {layer: len(style[layer].mean) for layer in self._layers},
        )
        return float(terms.total(losses, terms.weights_of(self._settings), [1])["style"][0])

    def gained(self, result: Measured, content: Measured, style: Measured) -> StyleGained:
        """Style gained from the content image to the result.

        Args:
          result: its moments, from `measure`.
          content: the photo's, of which the result was made.
          style: the painting's.

        Returns:
          Both are nan where the photo has the painting's statistics to begin with: there is no
          way to go, and no share of it.
        """
        return StyleGained(
            gained(self.gram_distance(result, style), self.gram_distance(content, style)),
            gained(wasserstein_distance(result, style), wasserstein_distance(content, style)),
        )


def moments(maps: tf.Tensor) -> Moments:
    """The moments of one picture's feature maps, [1, height, width, channels]."""
    flat = np.reshape(maps, [-1, maps.shape[-1]])
    mean = flat.mean(0, dtype=np.float64)
    # In float64: of a covariance that is nearly singular, as those of deep layers are, float32
    # leaves no square root.
    blocks = (block - mean for block in np.array_split(flat, math.ceil(len(flat) / _BLOCK)))
    covariance = sum(block.T @ block for block in blocks) / len(flat)
    return Moments(gram_matrix(maps), mean, np.asarray(covariance))


def wasserstein_distance(measured: Measured, style: Measured) -> float:
    r"""Squared Wasserstein-2 distances between the Gaussians of each layer's moments, summed.

        W² = |m₁ − m₂|² + tr(C₁ + C₂ − 2 (C₁^½ C₂ C₁^½)^½)

    Dowson and Landau, "The Fréchet distance between multivariate normal distributions", 1982,
    equation 4. A layer's is divided by the painting's mean squared feature |m₂|² + tr C₂, which is
    its distance from features that are all 0. That makes the layers comparable, whose features
    differ by a factor of 20 in size, and networks of any width and scale: in each layer 1 is as far
    away as nothing at all.

    Args:
      measured: the picture's moments.
      style: the painting's, with the same layers.

    Returns:
      At least 0; 0 for the painting itself. A layer that does not respond to the painting at all
      adds nothing.
    """
    total = 0.0
    for layer, target in style.items():
        if target.power > 0:
            share = _squared_wasserstein(measured[layer], target) / target.power
            total += share if share > ROUNDING else 0.0
    return total


def _squared_wasserstein(one: Moments, other: Moments) -> float:
    # The trace of (R₁ C₂ R₁)^½ is the sum of the singular values of R₁ R₂; so calculated it is
    # right to rounding, while roots of small eigenvalues are right to the root of it.
    common = np.linalg.svd(one.root @ other.root, compute_uv=False).sum()
    spread = np.sum(np.square(one.root)) + np.sum(np.square(other.root)) - 2 * common
    return float(np.sum(np.square(one.mean - other.mean)) + spread)


def gained(result: float, content: float) -> Gained:
    """Of the distances of a result and of its content image from the painting, at least 0.

    Returns:
      nan and nan where the content image's is 0.

    Raises:
      SettingsError: a distance below 0, or none.
    """
    if not (result >= 0 and content >= 0):
        raise SettingsError(f"distances are {result:g} and {content:g}: give numbers of 0 or more")
    if content == 0:
        return Gained(math.nan, math.nan)
    ratio = result / content
    return Gained(1 - (ratio if ratio > ROUNDING else 0.0), math.log(1 / max(ratio, ROUNDING)))


def ratio_of_logarithms(nepers: float, reference: float) -> float:
    """[ln d(content) − ln d(result)] / [ln d(content) − ln d(reference)].

    1 for a result that comes as near to the painting as the reference, such as a long optimisation
    by VGG19; 0 for the photo as it was. Distances fall by factors, not by steps, the nearer they
    are to 0; so logarithms are what can be compared over pairs of pictures.

    Args:
      nepers: gained by the result (`Gained.nepers`).
      reference: by another result, of the same content image and painting, by the same distance.

    Returns:
      nan where the reference gained nothing at all.
    """
    return nepers / reference if reference else math.nan
