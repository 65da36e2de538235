"""The colours of a run: the photo's, the painting's matched to them, or strictly the painting's.

`recipe.choices.COLOURS` names them: `content` is `keep`, `matched` is `match`, `palette` its
namesake; `free` is to leave colours to the loss, which takes the painting's as it takes its
strokes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nst_tf.classical import checks, colour
from nst_tf.errors import SettingsError
from nst_tf.pictures import spaces
from nst_tf.pictures.gamut import Gamut
from nst_tf.pictures.guided import guided_filter

#: Radius of the windows that chroma is smoothed in. In pixels, whatever the picture's size: the
#: speckle comes of the network's first layers, which see 3 to 10 pixels.
RADIUS = 4

#: Edges of OKLab's lightness much higher than this keep their chroma on both sides. Strokes of
#: paintings stand out by 0.1 and more.
EDGE = 0.05

#: How often a matching that was clipped is done at most: after 8, mean and covariance of all pairs
#: tried are within 0.004, after 1 within 0.024.
ROUNDS = 8

#: How much chroma may be stretched. A picture with hardly any holds rounding and noise, and to give
#: those a painting's deviation would make a rainbow of them.
STRETCH = 3.0


def keep(result: np.ndarray, content: np.ndarray) -> np.ndarray:
    """The photo's colours under the result's luminance.

    Luminance-only transfer: Gatys et al., "Controlling Perceptual Factors in Neural Style
    Transfer", CVPR 2017, section 5. They join the channels in YIQ; here it is CIE Lab, where to
    keep a and b is to keep what is seen as colour. Where sRGB has no such colour at the wanted
    lightness, lightness gives way: the nearest to the wanted one that has it, on the way from the
    photo's.

    Args:
      result: [height, width, 3], RGB in [0, 1].
      content: likewise, of the same size.

    Returns:
      float32 [height, width, 3] in [0, 1]; a and b are the photo's.

    Raises:
      SettingsError: one is no such picture, or they differ in size.
    """
    wanted = spaces.to_lab(checks.picture(result, "the result"))
    photo = spaces.to_lab(checks.picture(content, "the content image"))
    if wanted.shape != photo.shape:
        raise SettingsError(
            f"a result of shape {list(wanted.shape)} cannot keep the colours of a content image of "
            f"shape {list(photo.shape)}: use pictures of one size"
        )
    wanted[..., 1:] = photo[..., 1:]
    return spaces.from_lab(spaces.towards(photo, wanted, spaces.lab_to_linear))


def luminance(picture: np.ndarray) -> np.ndarray:
    """The gray picture of the same lightness: what a luminance-only run is given of both pictures.

    Args:
      picture: [height, width, 3], RGB in [0, 1].

    Returns:
      float32, of the same shape; L of CIE Lab is the picture's, a and b are 0.

    Raises:
      SettingsError: it is no such picture.
    """
    return spaces.from_lab(spaces.to_lab(checks.picture(picture, "the picture")) * (1, 0, 0))


def match(picture: np.ndarray, to: np.ndarray) -> np.ndarray:
    """The picture in colours of another's mean and covariance: a painting in the photo's, say.

    Colour histogram matching of Gatys et al. 2017, section 5, after Hertzmann, "Image Analogies",
    2001. Of all linear maps of RGB that do it this is the one that moves colours least
    (`classical.colour.monge_kantorovich`). Clipping to [0, 1] takes some of the spread away again,
    up to a fifth of it on real pairs: so the map is repeated on what was clipped.

    Args:
      picture: [height, width, 3], RGB in [0, 1].
      to: likewise, of any size.

    Returns:
      float32, of the picture's shape, in [0, 1]. Mean and covariance are those of `to` to 0.001
      where little or nothing is clipped, to a few thousandths where much is; what the picture has
      no spread in, as gray has none of colour, keeps none.

    Raises:
      SettingsError: either is no such picture.
    """
    for _ in range(ROUNDS):
        picture = colour.monge_kantorovich(picture, to)
        if picture.min() > 0 and picture.max() < 1:  # nothing was clipped
            break
    return picture


def palette(
    result: np.ndarray,
    styles: np.ndarray | Sequence[np.ndarray],
    shares: Sequence[float] | None = None,
    where: np.ndarray | None = None,
) -> np.ndarray:
    """The result in the painting's colours alone, after the run.

    Style losses say little of single pixels' colours: purple and green speckle costs them next to
    nothing. In OKLab, lightness being left as it is, chroma is

    1. smoothed up to the edges of lightness, which ends the speckle (`guided_filter`);
    2. moved to the painting's mean and covariance by the linear map that moves it least
       (`classical.colour.gaussian_map`). Both are measured after smoothing, the result's and the
       painting's: speckle is not to count as colour;
    3. clamped to what the painting has at that lightness (`gamut.Gamut`), and to sRGB.

    Args:
      result: [height, width, 3], RGB in [0, 1].
      styles: the style image, likewise and of any size, or several. Best at the size that the run
        had them at: smoothing reaches as far in them as in the result.
      shares: of each style image in the palette, as many numbers from 0; None is the same of all.
      where: the part of the result that is to have the palette's mean and covariance, [height,
        width], 1 for inside; None is all of it. What lies outside is coloured, too, for somebody
        else to leave out.

    Returns:
      float32, of the result's shape, in [0, 1].

    Raises:
      SettingsError: one is no such picture, or the shares or the part do not fit.
    """
    several = [styles] if isinstance(styles, np.ndarray) and styles.ndim == 3 else list(styles)
    paintings = [spaces.to_oklab(checks.picture(style, "the style image")) for style in several]
    weights = _weights(shares, len(paintings))
    lab = spaces.to_oklab(checks.picture(result, "the result"))
    if where is not None and not (where.shape == lab.shape[:2] and where.sum() > 0):
        raise SettingsError(
            f"a part of shape {list(where.shape)} of a result of {list(lab.shape[:2])}: give one "
            "of its height and width, and 1 somewhere"
        )
    chroma = _smooth(lab)
    mean, covariance = colour.moments(chroma, where)
    target, target_covariance = _mixed([_smooth(one) for one in paintings], weights)
    moved = (chroma - mean) @ _gentle_map(covariance, target_covariance) + target
    lab[..., 1:] = Gamut(paintings, weights).clamp(lab[..., 0], moved)
    # Any lightness is to be had in gray: from there, towards the colour, as far as sRGB goes.
    return spaces.from_oklab(spaces.towards(lab * (1, 0, 0), lab, spaces.oklab_to_linear))


def _smooth(oklab: np.ndarray) -> np.ndarray:
    return guided_filter(oklab[..., 0], oklab[..., 1:], RADIUS, EDGE)


def _gentle_map(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(colour.gaussian_map(a, b))
    return (vectors * np.minimum(values, STRETCH)) @ vectors.T


def _mixed(maps: Sequence[np.ndarray], weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of all pixels, each picture having its share of them."""
    moments = [colour.moments(one) for one in maps]
    means = np.stack([mean for mean, _ in moments])
    mean = weights @ means
    within = np.tensordot(weights, np.stack([covariance for _, covariance in moments]), 1)
    return mean, within + (means - mean).T @ (weights[:, np.newaxis] * (means - mean))


def _weights(shares: Sequence[float] | None, count: int) -> np.ndarray:
    weights = np.ones(count) if shares is None else np.asarray(shares, np.float64)
    good = weights.shape == (count,) and np.isfinite(weights).all() and (weights >= 0).all()
    if not good or not weights.sum() > 0:
        raise SettingsError(
            f"shares are {shares} for {count} style images: give as many numbers from 0, and one "
            "above 0"
        )
    return weights / weights.sum()
