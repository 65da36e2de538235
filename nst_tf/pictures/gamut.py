"""Which colours a painting has: at every lightness, an ellipse of chroma."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

#: Steps of lightness from black to white, between which an ellipse goes over into the next: few
#: enough for each to be of many pixels, and more than the tones that an eye tells apart at once.
STEPS = 16

#: The share of the painting's pixels that the ellipses hold. All of them would be for the stray
#: ones to say; a colour patch of a fiftieth of the painting is none of those.
HELD = 0.98

#: Variance of chroma in OKLab that rounding to 8 bits makes: the least that an ellipse has.
ROUNDING = (1 / 255) ** 2


class Gamut:
    """A painting's range of chroma, lightness by lightness.

    Of the shadows' colours few are those of the lights, so that one range for all would let most
    foreign colours pass. At each lightness the range is an ellipse, that of the chroma's mean and
    covariance there: convex, so that colours between two of the painting's belong to it, and what
    was smooth stays smooth under clamping; a hull of single pixels would follow its outliers. All
    ellipses are scaled by one number, so that together they just hold `HELD` of the painting:
    where its colours are two or three this is less than for a bell-shaped cloud, and where it has
    accents far off the rest, more.

    Attributes:
      moments: mean a, mean b, and means of aa, ab, bb at STEPS + 1 lightnesses, [STEPS + 1, 5].
      radius: of the ellipses, in standard deviations.
    """

    def __init__(self, paintings: Sequence[np.ndarray], weights: np.ndarray) -> None:
        """Measures paintings.

        Args:
          paintings: OKLab [height, width, 3].
          weights: the share of each in all, which sum to 1.
        """
        pixels = np.concatenate([one.reshape(-1, 3) for one in paintings])
        counts = [one.size // 3 for one in paintings]
        weight = np.repeat(weights / counts, counts)
        self.moments = _moments(pixels, weight)
        distances, _, _ = self._distances(pixels[:, 0], pixels[:, 1:])
        order = np.argsort(distances)
        held = int(np.searchsorted(np.cumsum(weight[order]), HELD))
        self.radius = float(distances[order[min(held, len(order) - 1)]])

    def clamp(self, lightness: np.ndarray, chroma: np.ndarray) -> np.ndarray:
        """Chroma outside the ellipse of its lightness is moved to it, straight to its centre.

        Args:
          lightness: [...].
          chroma: [..., 2].

        Returns:
          [..., 2].
        """
        distances, centre, from_centre = self._distances(lightness, chroma)
        share = self.radius / np.maximum(distances, max(self.radius, 1e-12))
        return centre + share[..., np.newaxis] * from_centre

    def _distances(
        self, lightness: np.ndarray, chroma: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """From the ellipse's centre, in standard deviations; the centre, and the way from it."""
        steps = np.linspace(0, 1, STEPS + 1)
        a, b, aa, ab, bb = (np.interp(lightness, steps, moment) for moment in self.moments.T)
        aa, ab, bb = aa - a * a + ROUNDING, ab - a * b, bb - b * b + ROUNDING
        centre = np.stack([a, b], axis=-1)
        way = chroma - centre
        x, y = way[..., 0], way[..., 1]
        # The inverse of a 2 x 2 matrix, written out.
        squares = (bb * x * x - 2 * ab * x * y + aa * y * y) / (aa * bb - ab * ab)
        return np.sqrt(np.maximum(squares, 0)), centre, way


def _moments(pixels: np.ndarray, weight: np.ndarray) -> np.ndarray:
    a, b = pixels[:, 1], pixels[:, 2]
    at = np.clip(pixels[:, 0], 0, 1) * STEPS
    below = np.minimum(at.astype(int), STEPS - 1)
    sums = np.zeros((STEPS + 1, 6))
    for column, value in enumerate((np.ones_like(a), a, b, a * a, a * b, b * b)):
        for step, share in ((below, below + 1 - at), (below + 1, at - below)):
            sums[:, column] += np.bincount(step, share * weight * value, STEPS + 1)
    # A bell of one step's width over neighbours, and next to nothing of all: a lightness that the
    # painting has not takes after the nearest that it has.
    apart = np.subtract.outer(np.arange(STEPS + 1), np.arange(STEPS + 1))
    sums = np.exp(-0.5 * apart**2) @ sums + 1e-9 * sums.sum(0)
    return sums[:, 1:] / sums[:, :1]
