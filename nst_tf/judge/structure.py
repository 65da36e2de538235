"""Structure kept, by pixels alone: SSIM of the luminance, and the Chamfer distance of edges.

No network is asked, so that none of those that made the results is flattered.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nst_tf.errors import NSTError, SettingsError
from nst_tf.pictures import images

#: Of R, G and B in the luminance: ITU-R BT.709.
LUMINANCE = (0.2126, 0.7152, 0.0722)

#: Standard deviation in pixels of the blur before edges are looked for: what is finer than that is
#: texture, which a style may well replace.
EDGE_BLUR = 2.0


class EdgeDistance(NamedTuple):
    """The Chamfer distance of edges, as a share of the picture's diagonal, in [0, 1].

    Attributes:
      lost: the mean distance from an edge of the content image to the nearest of the result's;
        large where the result lost edges.
      added: from an edge of the result to the nearest of the content image's; large where the
        result drew lines that the photo has not.
    """

    lost: float
    added: float


def ssim(result: images.Picture, content: images.Picture) -> float:
    """The mean structural similarity of the luminance, at most 1; 1 for the same luminance.

    Wang, Bovik, Sheikh and Simoncelli, "Image Quality Assessment: From Error Visibility to
    Structural Similarity", IEEE TIP 2004, equation 13, with its window (a Gaussian of 11 x 11
    pixels, σ = 1.5) and constants (K₁ = 0.01, K₂ = 0.03), over windows that lie within the picture.

    Args:
      result: float32 [height, width, 3], RGB in [0, 1], or what else `images.load` reads.
      content: likewise, of the same size.

    Raises:
      PictureError: one is no picture.
      SettingsError: they differ in size, or a side has less than 11 pixels.
      NSTError: scikit-image is not installed.
    """
    try:
        from skimage.metrics import structural_similarity
    except ImportError as error:
        raise needs("scikit-image") from error
    ours, theirs = map(luminance, pair(result, content))
    if min(ours.shape) < 11:
        height, width = ours.shape
        raise SettingsError(f"{width}x{height} pixels are too few for SSIM: give at least 11x11")
    similarity = structural_similarity(
        ours, theirs, data_range=1.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    return float(similarity)


def edge_distance(result: images.Picture, content: images.Picture) -> EdgeDistance:
    """How far edges have moved, from the content image to the result and back.

    Barrow, Tenenbaum, Bolles and Wolf, "Parametric Correspondence and Chamfer Matching", IJCAI
    1977, with exact Euclidean distances; edges are Canny's ("A Computational Approach to Edge
    Detection", IEEE PAMI 1986).

    Args:
      result: float32 [height, width, 3], RGB in [0, 1], or what else `images.load` reads.
      content: likewise, of the same size.

    Returns:
      Both 0 for the same edges. From a picture without edges nothing is far: 0; to one without
      edges everything is as far as can be: 1, the diagonal.

    Raises:
      PictureError: one is no picture.
      SettingsError: they differ in size.
      NSTError: scikit-image is not installed.
    """
    ours, theirs = map(edges, pair(result, content))
    return EdgeDistance(lost=_way(theirs, ours), added=_way(ours, theirs))


def edges(picture: np.ndarray) -> np.ndarray:
    """Where a picture [height, width, 3] has edges: bool [height, width].

    Canny's on the luminance, blurred by `EDGE_BLUR`; scikit-image's thresholds (0.1 and 0.2).

    Raises:
      NSTError: scikit-image is not installed.
    """
    try:
        from skimage.feature import canny
    except ImportError as error:
        raise needs("scikit-image") from error
    # "nearest": the default blurs with black from beyond the border, and bends edges there.
    return np.asarray(canny(luminance(picture), sigma=EDGE_BLUR, mode="nearest"))


def luminance(picture: np.ndarray) -> np.ndarray:
    """Y of a picture [height, width, 3] as it is encoded: float64 [height, width] in [0, 1]."""
    return np.clip(picture.astype(np.float64) @ LUMINANCE, 0, 1)


def pair(result: images.Picture, content: images.Picture) -> tuple[np.ndarray, np.ndarray]:
    """A result and its content image, float32 [height, width, 3] both.

    Raises:
      PictureError: one is no picture.
      SettingsError: they differ in size.
    """
    ours, theirs = images.load(result), images.load(content)
    if ours.shape != theirs.shape:
        (height, width), (rows, columns) = ours.shape[:2], theirs.shape[:2]
        raise SettingsError(
            f"the result has {width}x{height} pixels, the content image {columns}x{rows}: "
            "scale one to the other's size"
        )
    return ours, theirs


def _way(start: np.ndarray, end: np.ndarray) -> float:
    """The mean distance from an edge of one to the nearest of the other, by the diagonal."""
    from scipy.ndimage import distance_transform_edt

    if not start.any():
        return 0.0
    if not end.any():
        return 1.0
    return float(distance_transform_edt(~end)[start].mean() / np.hypot(*start.shape))


def needs(library: str) -> NSTError:
    """The error where a library of the extra `judge` is not installed."""
    return NSTError(f"the judge needs {library}: pip install 'nst_tf[judge]'")
