"""Gaussian pyramids.

Burt and Adelson, "The Laplacian Pyramid as a Compact Image Code", 1983.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

#: The generating kernel, with a = 3/8: the binomial one.
KERNEL = np.array([1, 4, 6, 4, 1]) / 16


def gaussian(picture: np.ndarray, levels: int, wrap: bool = False) -> list[np.ndarray]:
    """A picture at ever lower resolutions, each half as high and wide as the one before.

    Args:
      picture: float64 [height, width] or [height, width, channels].
      levels: how many, the picture itself included.
      wrap: whether the picture is a torus; else it is mirrored in its border pixels.

    Returns:
      The finest first. Odd sizes are halved upwards: pixel (y, x) lies over (y // 2, x // 2).
    """
    pyramid = [picture]
    for _ in range(levels - 1):
        for axis in (0, 1):
            picture = ndimage.convolve1d(picture, KERNEL, axis, mode="wrap" if wrap else "mirror")
        picture = np.ascontiguousarray(picture[::2, ::2])
        pyramid.append(picture)
    return pyramid
