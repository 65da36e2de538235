"""Style transfer by analogy: the painting is to its smoothed self as the result is to the content.

Hertzmann, Jacobs, Oliver, Curless and Salesin, "Image Analogies", SIGGRAPH 2001. Their names: A is
the unfiltered and A′ the filtered example, B the target and B′ the result. The source of a pixel of
B′ is the pixel of A′ that it was copied from.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from nst_tf.classical import checks, neighbourhoods, pyramids
from nst_tf.classical.checks import Report
from nst_tf.errors import SettingsError

#: RGB to YIQ, NTSC: luminance and two of chrominance.
YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])

COLOURS = ("style", "content")

#: Share of the features' variance that is searched (section 3.3, principal components).
VARIANCE = 0.99

#: The approximate match is at most 1 + this times as far as the nearest.
SLACK = 1.0


class Pair(NamedTuple):
    """An unfiltered and a filtered picture at one level, luminance, float64 [height, width]."""

    plain: np.ndarray
    filtered: np.ndarray


def transfer(
    content: np.ndarray,
    style: np.ndarray,
    *,
    kappa: float = 3.0,
    levels: int = 5,
    window: int = 5,
    smoothing: int = 7,
    colour: str = "style",
    seed: int = 0,
    report: Report | None = None,
) -> np.ndarray:
    """The content as an artistic filter paints it that is learned from one painting, section 4.

    Args:
      content: float [height, width, 3], RGB in [0, 1]: B.
      style: float [height, width, 3], RGB in [0, 1], of any size: A′.
      kappa: κ, how much worse a match may be for going on with the piece of the painting that is
        being copied (equation in section 3.2); 0 takes the better match, more gives larger pieces.
      levels: of the Gaussian pyramids; fewer where the smaller picture would be less than a window.
      window: side of a neighbourhood in pixels; odd. One level coarser it is about half of that.
      smoothing: A is the luminance of the painting under a median filter of this side in pixels,
        which takes the strokes away and leaves edges; 1 leaves all as it is.
      colour: `style`, pixels of the painting; `content`, their luminance with B's chrominance.
      seed: of nothing: the method does not draw. It is taken as every method here takes it.
      report: is told the share of the work that is done.

    Returns:
      float32 [height, width, 3] in [0, 1], of the content's size.

    Raises:
      SettingsError: an argument that cannot be used.
    """
    del seed
    content, style = checks.picture(content, "content"), checks.picture(style, "style")
    checks.at_least("kappa", kappa, 0)
    checks.at_least("levels", levels, 1)
    checks.at_least("smoothing", smoothing, 1)
    neighbourhoods.check_window(window)
    if colour not in COLOURS:
        raise SettingsError(f"no colour {colour!r}: use one of {', '.join(COLOURS)}")
    target = content @ YIQ.T
    painted = style @ YIQ[0]
    example = remapped(Pair(ndimage.median_filter(painted, smoothing), painted), target[..., 0])
    sources = match(
        example, target[..., 0], kappa=kappa, levels=levels, window=window, report=report
    )
    if colour == "content":
        target[..., 0] = example.filtered.ravel()[sources]
        result = target @ np.linalg.inv(YIQ).T
    else:
        result = style.reshape(-1, 3)[sources]
    return np.clip(result, 0, 1).astype(np.float32)


def remapped(example: Pair, target: np.ndarray) -> Pair:
    """An example whose unfiltered luminance has a target's mean and deviation, section 3.4.

    Both pictures of the example go through the same linear map. One that is all of one luminance
    is moved to the mean.
    """
    mean, deviation = example.plain.mean(), example.plain.std()
    gain = target.std() / deviation if deviation > 1e-6 else 0.0
    return Pair(*(gain * (picture - mean) + target.mean() for picture in example))


def match(
    example: Pair,
    target: np.ndarray,
    *,
    kappa: float,
    levels: int,
    window: int,
    report: Report | None = None,
) -> np.ndarray:
    """Which pixel of the example each pixel of the result comes from: CreateImageAnalogy.

    Args:
      example: A and A′.
      target: B, float64 [height, width].
      kappa, levels, window, report: as for `transfer`.

    Returns:
      int [height, width], indices into the example's flat pictures.
    """
    report = report or checks.silent
    smallest = min(*example.plain.shape, *target.shape)
    levels = max(1, min(levels, (smallest // window).bit_length()))
    plain, filtered, targets = (
        pyramids.gaussian(picture, levels) for picture in (*example, target)
    )
    work, done = sum(picture.size for picture in targets), 0
    coarser: tuple[Pair, Pair] | None = None
    for index in reversed(range(levels)):
        pair = Pair(plain[index], filtered[index])
        tolerance = 1 + 2.0**-index * kappa
        level = Level(pair, targets[index], coarser, window, tolerance)
        height, width = targets[index].shape
        for rows, columns in neighbourhoods.fronts(height, width, window // 2):
            level.fill(rows, columns)
            done += len(rows)
            report(done / work)
        sources = level.sources()
        coarser = (pair, Pair(targets[index], pair.filtered.ravel()[sources]))
    return sources


class Level:
    """The synthesis of one level: BestMatch for pixels that do not need each other."""

    def __init__(
        self,
        example: Pair,
        target: np.ndarray,
        coarser: tuple[Pair, Pair] | None,
        window: int,
        tolerance: float,
    ) -> None:
        """Learns the example.

        Args:
          example: A and A′ at this level.
          target: B at this level.
          coarser: example and (target, result) one level coarser; None at the coarsest.
          window: side of a neighbourhood.
          tolerance: 1 + 2^(l − L) κ.
        """
        self._filtered, self._tolerance = example.filtered, tolerance
        self._reach = window // 2
        self._offsets = neighbourhoods.causal(window)
        self._roots = np.sqrt(neighbourhoods.weights(self._offsets, window))
        theirs, ours = coarser or (None, None)
        still = _still(example.plain, theirs, window)
        rows, columns = np.indices(example.filtered.shape).reshape(2, -1)
        causal = _around(example.filtered, rows, columns, self._offsets, window)
        known = np.hstack([still, causal])
        axes, variances = neighbourhoods.principal_axes(known)
        kept = int(np.argmax(np.cumsum(variances) >= VARIANCE * variances.sum())) + 1
        self._points = known @ axes[:, :kept]
        self._tree = cKDTree(self._points, balanced_tree=False, compact_nodes=False)
        self._still = _still(target, ours, window) @ axes[: still.shape[1], :kept]
        self._axes = axes[still.shape[1] :, :kept]
        # Beyond the edges, where nothing is ever filled in, the result looks like the target
        self._result = np.pad(target, self._reach, mode="edge")
        # and comes from nowhere: from so far out that the example holds none of its neighbours.
        self._sources = np.full((2, *self._result.shape), -self._result.size)
        self._width = target.shape[1]

    def fill(self, rows: np.ndarray, columns: np.ndarray) -> None:
        """Gives pixels their source: the approximate or the coherent match, section 3.2."""
        height, width = self._filtered.shape
        down, across = rows + self._reach, columns + self._reach
        near = neighbourhoods.indices(down, across, self._offsets, *self._result.shape)
        queries = self._still[rows * self._width + columns]
        queries = queries + (self._result.ravel()[near] * self._roots) @ self._axes
        distances, found = self._tree.query(queries, eps=SLACK)
        # The neighbours' sources, each moved by as much as the neighbour is away.
        source_rows, source_columns = (
            self._sources.reshape(2, -1)[:, near] - self._offsets.T[:, np.newaxis]
        )
        inside = (source_rows >= 0) & (source_rows < height)
        inside &= (source_columns >= 0) & (source_columns < width)
        candidates = np.where(inside, source_rows * width + source_columns, 0)
        away = np.square(self._points[candidates] - queries[:, np.newaxis]).sum(-1)
        away[~inside] = np.inf
        best = np.arange(len(rows)), away.argmin(1)
        coherent = away[best] <= self._tolerance * np.square(distances)
        found = np.where(coherent, candidates[best], found)
        self._result[down, across] = self._filtered.ravel()[found]
        self._sources[:, down, across] = found // width, found % width

    def sources(self) -> np.ndarray:
        """Of all pixels, int [height, width], indices into the flat example."""
        inner = slice(self._reach, -self._reach)
        rows, columns = self._sources[:, inner, inner]
        return rows * self._filtered.shape[1] + columns


def _still(plain: np.ndarray, coarser: Pair | None, window: int) -> np.ndarray:
    """The features that are known before a level is filled, float64 [pixels, features].

    The window in the unfiltered picture, and the windows in both pictures one level coarser. Each
    window counts as much as the others.
    """
    rows, columns = np.indices(plain.shape).reshape(2, -1)
    parts = [_around(plain, rows, columns, neighbourhoods.full(window), window)]
    for picture in coarser or ():
        wide = neighbourhoods.coarser(window)
        offsets = neighbourhoods.full(wide)
        parts.append(_around(picture, rows // 2, columns // 2, offsets, wide))
    return np.hstack(parts)


def _around(
    picture: np.ndarray, rows: np.ndarray, columns: np.ndarray, offsets: np.ndarray, window: int
) -> np.ndarray:
    """Pixels' neighbours, times the roots of their weights, float64 [pixels, neighbours].

    Beyond the edge the picture goes on as at the edge.
    """
    reach = window // 2
    padded = np.pad(picture, reach, mode="edge")
    near = neighbourhoods.indices(rows + reach, columns + reach, offsets, *padded.shape)
    return padded.ravel()[near] * np.sqrt(neighbourhoods.weights(offsets, window))
