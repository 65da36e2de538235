"""Colours taken over: the distance between palettes, and the share of colours that are foreign.

Distances between colours are Euclidean in CIE Lab (ΔE*ab of 1976, D65): 2.3 is just noticeable.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nst_tf.errors import SettingsError
from nst_tf.judge.structure import needs
from nst_tf.pictures import images

#: Side in ΔE of the cells that a palette gathers colours in.
CELL = 10.0

#: How far in ΔE a pixel may be from every colour of the painting and still count as one of them:
#: about twice what is just noticeable.
REACH = 5.0

#: Pivots that the solver may take: more than any two palettes need, since it must reach the end.
_ITERATIONS = 10_000_000


class Palette(NamedTuple):
    """The colours of a picture.

    Attributes:
      colours: CIE Lab, float64 [count, 3].
      shares: of the picture's pixels, float64 [count]; they sum to 1.
    """

    colours: np.ndarray
    shares: np.ndarray


def palette(picture: images.Picture, cell: float = CELL) -> Palette:
    """A picture's colours, gathered in cubes of the Lab space.

    Every cube that holds pixels is one colour: their mean. Unlike clusters, which depend on where
    one begins to look for them, cubes are the same in all pictures.

    Args:
      picture: float32 [height, width, 3], RGB in [0, 1], or what else `images.load` reads; it is
        rounded to 8 bits.
      cell: side of a cube in ΔE. At 10, all of sRGB fills about 1300.

    Raises:
      PictureError: it is no picture.
      SettingsError: a cell that is not above 0.
      NSTError: scikit-image is not installed.
    """
    if not cell > 0:
        raise SettingsError(f"cell is {cell:g}: use a size in ΔE above 0")
    colours, shares = _colours(picture)
    # Rounded, so that grays lie within a cube and not on the border of four.
    _, cube = np.unique(np.round(colours / cell), axis=0, return_inverse=True)
    cube = np.ravel(cube)
    gathered = np.bincount(cube, shares)
    sums = np.stack([np.bincount(cube, shares * axis) for axis in colours.T], axis=1)
    return Palette(sums / gathered[:, np.newaxis], gathered)


def palette_distance(result: images.Picture, painting: images.Picture) -> float:
    """How far colours have to be moved on the average to make one palette the other, in ΔE.

    The earth mover's distance, solved exactly: Rubner, Tomasi and Guibas, "The Earth Mover's
    Distance as a Metric for Image Retrieval", IJCV 2000. Gathering colours in cubes (`palette`)
    makes it smaller, by what lies within a cube, never larger.

    Args:
      result: float32 [height, width, 3], RGB in [0, 1], or what else `images.load` reads.
      painting: likewise, of any size.

    Returns:
      0 for the same palette; black to white is 100.

    Raises:
      PictureError: one is no picture.
      NSTError: scikit-image or POT is not installed.
    """
    try:
        import ot
    except ImportError as error:
        raise needs("POT") from error
    from scipy.spatial.distance import cdist  # there where POT is

    ours, theirs = palette(result), palette(painting)
    costs = cdist(ours.colours, theirs.colours)
    return float(ot.emd2(ours.shares, theirs.shares, costs, numItermax=_ITERATIONS))


def share_outside(result: images.Picture, painting: images.Picture, reach: float = REACH) -> float:
    """The share of a result's pixels whose colour the painting has not.

    Those are pixels that are farther than `reach` from every single colour of the painting, however
    rare, both in 8 bits.

    Args:
      result: float32 [height, width, 3], RGB in [0, 1], or what else `images.load` reads.
      painting: likewise, of any size.
      reach: in ΔE.

    Returns:
      In [0, 1]; 0 for the painting itself and for any part of it.

    Raises:
      PictureError: one is no picture.
      NSTError: scikit-image is not installed.
    """
    colours, shares = _colours(result)
    known, _ = _colours(painting)
    from scipy.spatial import KDTree  # there where scikit-image is

    distances, _ = KDTree(known).query(colours, distance_upper_bound=reach)
    # What is farther than the bound is at infinity.
    return float(shares[np.isinf(distances)].sum())


def _colours(picture: images.Picture) -> tuple[np.ndarray, np.ndarray]:
    """Every 8-bit colour of a picture once: CIE Lab [count, 3], and its share of the pixels."""
    try:
        from skimage.color import rgb2lab
    except ImportError as error:
        raise needs("scikit-image") from error
    levels = images.to_uint8(images.load(picture)).reshape(-1, 3).astype(np.int32)
    codes, counts = np.unique(levels @ (1 << 16, 1 << 8, 1), return_counts=True)
    rgb = np.stack([codes >> 16, codes >> 8 & 255, codes & 255], axis=-1) / 255
    return np.asarray(rgb2lab(rgb)), counts / len(levels)
