"""Non-parametric sampling: a texture grown pixel by pixel from what surrounds each of them.

Efros and Leung, "Texture Synthesis by Non-parametric Sampling", ICCV 1999.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy import ndimage

from nst_tf.classical import checks
from nst_tf.classical.checks import Report, silent
from nst_tf.errors import SettingsError

#: Side of the patch of the texture that the growth begins with.
SEED = 3

#: What the greatest error allowed is multiplied by when no pixel of a layer has a good match.
GROWTH = 1.1

#: Errors that differ by less are equal: the rounding of a matrix product.
ROUNDING = 1e-10


def synthesize(
    texture: np.ndarray,
    height: int,
    width: int,
    *,
    window: int = 11,
    epsilon: float = 0.1,
    max_error: float = 0.3,
    seed: int = 0,
    report: Report | None = None,
) -> np.ndarray:
    """More of a texture, grown outwards from a patch of 3×3 pixels of it in the middle.

    Of the unfilled pixels next to filled ones, those with the most filled neighbours come first.
    The filled part of a pixel's window is compared with all of the texture's windows, near pixels
    counting more than far ones (a Gaussian of σ = window / 6.4), by the mean squared difference;
    the pixel becomes the middle of one of the windows that are within 1 + ε of the best. Time goes
    with the result's pixels times the texture's times the window's.

    Args:
      texture: [height, width, 3] in [0, 1], at least a window large.
      height, width: of the result.
      window: side of a pixel's neighbourhood, odd; the one thing to choose: large enough for the
        texture's largest regular element.
      epsilon: ε.
      max_error: the greatest mean squared difference that fills a pixel; where it leaves a whole
        layer unfilled, it grows by a tenth.
      seed: of the draws.
      report: told the share that is done.

    Returns:
      float32 [height, width, 3]: every pixel is one of the texture's.

    Raises:
      SettingsError: an argument of another kind or out of its range.
    """
    texture = checks.picture(texture, "texture")
    checks.at_least("height", height, 1)
    checks.at_least("width", width, 1)
    checks.at_least("window", window, 3)
    checks.at_least("epsilon", epsilon, 0)
    if not max_error > 0:
        raise SettingsError(f"max_error is {max_error:g}: use a number above 0")
    if window % 2 == 0:
        raise SettingsError(f"window is {window}: use an odd number, so that it has a middle")
    if window > min(texture.shape[:2]):
        raise SettingsError(
            f"window {window} is larger than texture, which is {texture.shape[1]}×"
            f"{texture.shape[0]}: use at most {min(texture.shape[:2])}"
        )
    report = report or silent
    draw = np.random.default_rng(seed)
    windows = _Windows(texture, window)
    reach = window // 2
    # A border that is never filled saves every window from being cut off.
    canvas = np.zeros((height + 2 * reach, width + 2 * reach, 3))
    filled = np.zeros(canvas.shape[:2], bool)
    inside = np.s_[reach : reach + height, reach : reach + width]
    _plant(canvas[inside], filled[inside], texture, draw)
    while not filled[inside].all():
        grown = False
        for y, x in _layer(filled[inside], window, draw):
            here = np.s_[y : y + window, x : x + window]
            errors = windows.distances(canvas[here], filled[here])
            good = np.flatnonzero(errors <= (1 + epsilon) * errors.min() + ROUNDING)
            chosen = draw.choice(good)
            if errors[chosen] < max_error:
                canvas[y + reach, x + reach] = windows.middles[chosen]
                filled[y + reach, x + reach] = grown = True
        if not grown:
            max_error *= GROWTH
        report(float(filled[inside].mean()))
    return canvas[inside].astype(np.float32)


class _Windows:
    """The windows of a texture that lie inside it.

    Attributes:
      middles: [windows, 3], their middle pixels.
    """

    def __init__(self, texture: np.ndarray, window: int) -> None:
        views = sliding_window_view(texture, (window, window), (0, 1))  # [y, x, channel, row, col]
        self.middles = views[..., window // 2, window // 2].reshape(-1, 3)
        self._values = np.moveaxis(views, 2, -1).reshape(len(self.middles), -1)
        squares = np.square(self._values).reshape(len(self.middles), window**2, 3)
        self._squares = squares.sum(-1)
        distance = np.arange(window) - window // 2
        bell = np.exp(-0.5 * (distance / (window / 6.4)) ** 2)
        self._gaussian = np.outer(bell, bell)

    def distances(self, patch: np.ndarray, known: np.ndarray) -> np.ndarray:
        """Weighted mean over a patch's known pixels of the squared difference, [windows].

        Args:
          patch: [window, window, 3].
          known: bool [window, window], at least one of them.
        """
        weights = np.where(known, self._gaussian, 0)
        weights /= 3 * weights.sum()
        weighted = weights[..., np.newaxis] * patch
        # Σ w (s − t)² = Σ w s² − 2 Σ w t s + Σ w t²: two products of a matrix and a vector.
        errors = self._squares @ weights.ravel() - 2 * (self._values @ weighted.ravel())
        return np.maximum(errors + np.vdot(weighted, patch), 0)


def _plant(
    canvas: np.ndarray, filled: np.ndarray, texture: np.ndarray, draw: np.random.Generator
) -> None:
    """Puts a patch of the texture into the middle, in place."""
    rows, columns = (min(SEED, side) for side in filled.shape)
    y, x = (
        draw.integers(side - part + 1)
        for side, part in zip(texture.shape[:2], (rows, columns), strict=True)
    )
    top, left = (filled.shape[0] - rows) // 2, (filled.shape[1] - columns) // 2
    here = np.s_[top : top + rows, left : left + columns]
    canvas[here] = texture[y : y + rows, x : x + columns]
    filled[here] = True


def _layer(filled: np.ndarray, window: int, draw: np.random.Generator) -> np.ndarray:
    """The unfilled pixels next to filled ones, those with the most filled neighbours first."""
    edge = ndimage.binary_dilation(filled, np.ones((3, 3))) & ~filled
    share = ndimage.uniform_filter(filled.astype(np.float64), window, mode="constant")
    pixels = draw.permutation(np.argwhere(edge))
    # Counts, not shares, which rounding would order where they are equal.
    counts = np.rint(share[tuple(pixels.T)] * window**2)
    return pixels[np.argsort(-counts, kind="stable")]
