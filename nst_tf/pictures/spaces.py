"""Colour spaces in which lightness stands apart: CIE Lab and OKLab, and where sRGB ends in them.

CIE Lab (CIE 15:2004) under D65 is what differences are measured in. OKLab (Ottosson, "A perceptual
color space for image processing", 2020) keeps its hue where chroma is scaled, which Lab's blue does
not: it is what colours are moved in.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

#: Linear sRGB to XYZ, Y of white being 1: IEC 61966-2-1, from the primaries and D65.
XYZ = np.array(
    [
        [0.412453, 0.357580, 0.180423],
        [0.212671, 0.715160, 0.072169],
        [0.019334, 0.119193, 0.950227],
    ]
)

#: XYZ to L*, a*, b* once they are relative to white and compressed.
LAB = np.array([[0, 116, 0], [500, -500, 0], [0, 200, -200]], np.float64)

#: What black gives there, 116 * 4 / 29, so that its L is 0.
BLACK = np.array([16.0, 0.0, 0.0])

#: Linear sRGB to cone responses, and those, compressed, to OKLab: Ottosson 2020. His XYZ matrix
#: with sRGB's primaries multiplied in.
LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
OKLAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)

#: Where the CIE's cube root ends and a line towards black begins.
_DARK = 6 / 29

#: How far beyond [0, 1] a linear value may lie and count as rounding: less than 8 bits can show.
ROUNDING = 1e-5

#: Halvings on the way to the border: the last step is a 4000th of it, less than anyone sees.
_HALVINGS = 12

#: From a space, [..., 3], to linear sRGB.
ToLinear = Callable[[np.ndarray], np.ndarray]


def to_lab(rgb: np.ndarray) -> np.ndarray:
    """sRGB [..., 3] in [0, 1] to CIE Lab under D65, float64: L in [0, 100]."""
    # White is the sum of a row: what is gray in RGB has a and b of exactly 0.
    xyz = decode(rgb) @ (XYZ / XYZ.sum(1, keepdims=True)).T
    bent = np.where(xyz > _DARK**3, np.cbrt(xyz), xyz / (3 * _DARK**2) + 4 / 29)
    return bent @ LAB.T - BLACK


def lab_to_linear(lab: np.ndarray) -> np.ndarray:
    """CIE Lab [..., 3] to linear sRGB, which lies outside [0, 1] where no screen has the colour."""
    bent = (lab + BLACK) @ np.linalg.inv(LAB).T
    xyz = np.where(bent > _DARK, bent**3, 3 * _DARK**2 * (bent - 4 / 29))
    return xyz @ np.linalg.inv(XYZ / XYZ.sum(1, keepdims=True)).T


def to_oklab(rgb: np.ndarray) -> np.ndarray:
    """sRGB [..., 3] in [0, 1] to OKLab, float64: L in [0, 1], a and b within about 0.33 of 0."""
    return np.cbrt(decode(rgb) @ LMS.T) @ OKLAB.T


def oklab_to_linear(oklab: np.ndarray) -> np.ndarray:
    """OKLab [..., 3] to linear sRGB, which lies outside [0, 1] where no screen has the colour."""
    return (oklab @ np.linalg.inv(OKLAB).T) ** 3 @ np.linalg.inv(LMS).T


def from_lab(lab: np.ndarray) -> np.ndarray:
    """CIE Lab [..., 3] to sRGB, float32, clipped to [0, 1]."""
    return encode(lab_to_linear(lab))


def from_oklab(oklab: np.ndarray) -> np.ndarray:
    """OKLab [..., 3] to sRGB, float32, clipped to [0, 1]."""
    return encode(oklab_to_linear(oklab))


def decode(rgb: np.ndarray) -> np.ndarray:
    """sRGB to linear light, float64: IEC 61966-2-1."""
    rgb = np.asarray(rgb, np.float64)
    return np.where(rgb <= 0.04045, rgb / 12.92, ((np.maximum(rgb, 0) + 0.055) / 1.055) ** 2.4)


def encode(linear: np.ndarray) -> np.ndarray:
    """Linear light to sRGB, float32, clipped to [0, 1]."""
    linear = np.clip(linear, 0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.clip(encoded, 0, 1).astype(np.float32)


def towards(inside: np.ndarray, wanted: np.ndarray, to_linear: ToLinear) -> np.ndarray:
    """The colours nearest to the wanted ones, on straight ways there, that sRGB can show.

    Clipping RGB would change hue, chroma and lightness at once; which of them is given up is here
    said by where the way begins.

    Args:
      inside: [..., 3], in the space of `to_linear`: colours within sRGB, where the ways begin.
      wanted: likewise; where it is within sRGB it stays as it is.
      to_linear: `lab_to_linear` or `oklab_to_linear`.

    Returns:
      [..., 3], in the same space.
    """
    beyond = ~_fits(to_linear(wanted))
    start, way = inside[beyond], (wanted - inside)[beyond]
    share = np.zeros((len(start), 1))
    for halving in range(1, _HALVINGS + 1):
        further = share + 0.5**halving
        share = np.where(_fits(to_linear(start + further * way))[:, np.newaxis], further, share)
    nearest = wanted.copy()
    nearest[beyond] = start + share * way
    return nearest


def _fits(linear: np.ndarray) -> np.ndarray:
    return np.all((linear >= -ROUNDING) & (linear <= 1 + ROUNDING), axis=-1)
