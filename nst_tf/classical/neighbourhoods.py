"""Neighbourhoods of pixels: which ones, how they are fetched, and in what order they are filled.

The causal neighbourhood is half a window: the rows above, and what is to the left in the same row.
In scan-line order all of it is there before the pixel that it decides.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nst_tf.errors import SettingsError


def check_window(window: int) -> None:
    """Raises SettingsError unless the side of a window is an odd number from 3 on."""
    if window < 3 or window % 2 == 0:
        raise SettingsError(f"window is {window:g}: use an odd number of pixels, at least 3")


def full(window: int) -> np.ndarray:
    """Offsets (down, across) of a window's pixels, int [window², 2], in scan-line order."""
    reach = np.arange(window) - window // 2
    return np.stack(np.meshgrid(reach, reach, indexing="ij"), -1).reshape(-1, 2)


def causal(window: int) -> np.ndarray:
    """Offsets of those before the middle, the L-shape, int [(window² − 1) / 2, 2]."""
    return full(window)[: window * window // 2]


def weights(offsets: np.ndarray, window: int) -> np.ndarray:
    """A Gaussian around the middle, whose deviation is a quarter of the window, float64 [offsets].

    They sum to 1.
    """
    gaussian = np.exp(-np.square(offsets).sum(1) / (2 * (window / 4) ** 2))
    return gaussian / gaussian.sum()


def coarser(window: int) -> int:
    """Side of the window that goes with it one level coarser: about half of it, odd."""
    return window // 4 * 2 + 1


def indices(
    rows: np.ndarray, columns: np.ndarray, offsets: np.ndarray, height: int, width: int
) -> np.ndarray:
    """Where in a flat picture the neighbours of pixels are.

    Args:
      rows: int [pixels], and `columns` likewise.
      offsets: int [neighbours, 2].
      height: of the picture, a torus; `width` likewise.

    Returns:
      int [pixels, neighbours].
    """
    down = (rows[:, np.newaxis] + offsets[:, 0]) % height
    return down * width + (columns[:, np.newaxis] + offsets[:, 1]) % width


def principal_axes(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The axes along which neighbourhoods vary, the strongest first.

    Neighbouring pixels say nearly the same, so that a few axes tell nearly everything: a k-d tree
    over vectors @ axes, whose distances are those of the vectors, is many times faster to search.

    Args:
      vectors: float64 [count, dimensions].

    Returns:
      float64 [dimensions, dimensions], an axis a column, and the variances along them, float64
      [dimensions].
    """
    centred = vectors - vectors.mean(0)
    variances, axes = np.linalg.eigh(centred.T @ centred / len(vectors))
    return axes[:, ::-1], np.maximum(variances[::-1], 0)


def fronts(height: int, width: int, reach: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Scan-line order, with all that can be done at once done at once.

    Pixel (y, x) needs its row up to x − 1 and the rows above up to x + reach. So those with the
    same (reach + 1) y + x need nothing of each other, and what they need has a smaller sum.

    Args:
      height: of the picture, whose edges do not wrap around; `width` likewise.
      reach: to the right, half a window.

    Yields:
      The rows and the columns of one front's pixels, int [pixels] each.
    """
    slope = reach + 1
    for front in range(slope * (height - 1) + width):
        # Rows whose column, front − slope · row, is in the picture; there may be none.
        first = max(0, -((width - 1 - front) // slope))
        rows = np.arange(first, min(height - 1, front // slope) + 1)
        yield rows, front - slope * rows
