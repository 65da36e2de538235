"""Texture synthesis pixel by pixel, with a tree over the texture's neighbourhoods.

Wei and Levoy, "Fast Texture Synthesis using Tree-structured Vector Quantization", SIGGRAPH 2000.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from nst_tf.classical import checks, neighbourhoods, pyramids
from nst_tf.classical.checks import Report
from nst_tf.classical.tsvq import TSVQ
from nst_tf.errors import SettingsError

SEARCHES = ("tsvq", "exact")


class Level(NamedTuple):
    """What is known of the texture at one level of the pyramid.

    Attributes:
      nearest: of a neighbourhood, float64 [dimensions], which pixel of `colours` has the nearest.
      colours: float64 [pixels, 3], of the pixels whose neighbourhoods lie within the texture.
    """

    nearest: Callable[[np.ndarray], int]
    colours: np.ndarray


def synthesize(
    texture: np.ndarray,
    height: int,
    width: int,
    *,
    levels: int = 3,
    window: int = 9,
    search: str = "tsvq",
    codewords: int | None = None,
    seed: int = 0,
    report: Report | None = None,
) -> np.ndarray:
    """More of a texture, tileable: the multiresolution algorithm, table 2.

    White noise with the texture's histogram is turned into texture, from the coarsest level of a
    Gaussian pyramid to the finest, in scan-line order: every pixel becomes that of the texture with
    the nearest neighbourhood.

    Args:
      texture: float [height, width, 3], RGB in [0, 1].
      height: of the result in pixels; `width` likewise.
      levels: of the pyramids, the pictures themselves included. Features of the texture should fit
        into the window at the coarsest.
      window: side of the causal neighbourhood in pixels; odd.
      search: `tsvq`, by tree-structured vector quantization (section 4); or `exact`, the nearest of
        all neighbourhoods, by a k-d tree.
      codewords: the most leaves of the tree for `tsvq`; by default as many as neighbourhoods.
        Fewer are built faster and blur nothing: a leaf gives the pixel nearest to its centroid.
      seed: of the noise.
      report: is told the share of the work that is done.

    Returns:
      float32 [height, width, 3]: pixels of the texture.

    Raises:
      SettingsError: an argument that cannot be used, or a texture that is, at the coarsest level,
        smaller than a window.
    """
    texture = checks.picture(texture, "texture")
    checks.at_least("height", height, 1)
    checks.at_least("width", width, 1)
    learned = learn(texture, levels=levels, window=window, search=search, codewords=codewords)
    pixels = texture.reshape(-1, 3)
    # Every pixel of the texture equally often: noise with its very histogram.
    chosen = np.random.default_rng(seed).permutation(np.arange(height * width) % len(pixels))
    return fill(pixels[chosen].reshape(height, width, 3), learned, window=window, report=report)


def fill(
    start: np.ndarray, learned: list[Level], *, window: int = 9, report: Report | None = None
) -> np.ndarray:
    """Turns a picture, as a rule noise, into the texture that was learned: `synthesize`'s work.

    Args:
      start: float [height, width, 3], RGB in [0, 1]. Its lowest rows and last columns are what the
        first pixels see around the edges.
      learned: of `learn`.
      window: the one that was learned with.
      report: is told the share of the work that is done.

    Returns:
      float32 [height, width, 3]: pixels of the texture.

    Raises:
      SettingsError: start is no such picture.
    """
    report = report or checks.silent
    pyramid = pyramids.gaussian(checks.picture(start, "start"), len(learned), wrap=True)
    work, done = sum(picture.size for picture in pyramid), 0
    for index in reversed(range(len(pyramid))):
        coarser = pyramid[index + 1] if index + 1 < len(pyramid) else None
        for row in range(len(pyramid[index])):
            _fill_row(pyramid[index], coarser, row, window, learned[index])
            done += pyramid[index][row].size
            report(done / work)
    return pyramid[0].astype(np.float32)


def learn(
    texture: np.ndarray,
    *,
    levels: int = 3,
    window: int = 9,
    search: str = "tsvq",
    codewords: int | None = None,
) -> list[Level]:
    """The training of `synthesize`, whose arguments it takes: a tree a level, the finest first.

    Raises:
      SettingsError: as `synthesize`.
    """
    neighbourhoods.check_window(window)
    checks.at_least("levels", levels, 1)
    if search not in SEARCHES:
        raise SettingsError(f"no search {search!r}: use one of {', '.join(SEARCHES)}")
    pyramid = pyramids.gaussian(checks.picture(texture, "texture"), levels)
    return [
        _learn_level(picture, coarser, window, search, codewords)
        for picture, coarser in zip(pyramid, [*pyramid[1:], None], strict=True)
    ]


def _learn_level(
    picture: np.ndarray, coarser: np.ndarray | None, window: int, search: str, codewords: int | None
) -> Level:
    height, width = picture.shape[:2]
    rows, columns = np.indices((height, width)).reshape(2, -1)
    inside = _inside(picture, rows, columns, neighbourhoods.causal(window))
    if coarser is not None:
        wider = neighbourhoods.full(neighbourhoods.coarser(window))
        inside &= _inside(coarser, rows // 2, columns // 2, wider)
    if not inside.any():
        raise SettingsError(
            f"at one of the levels the texture is {height} x {width}, too small for window"
            f" {window}: use fewer levels, a smaller window or a larger texture"
        )
    rows, columns = rows[inside], columns[inside]
    vectors = _around(picture, rows, columns, neighbourhoods.causal(window))
    if coarser is not None:
        vectors = np.hstack([vectors, _around(coarser, rows // 2, columns // 2, wider)])
    if search == "exact":
        axes, _ = neighbourhoods.principal_axes(vectors)
        tree = cKDTree(vectors @ axes)
        return Level(lambda vector: tree.query(vector @ axes)[1], picture[rows, columns])
    return Level(TSVQ(vectors, codewords).query, picture[rows, columns])


def _fill_row(
    picture: np.ndarray, coarser: np.ndarray | None, row: int, window: int, level: Level
) -> None:
    """Replaces a row of the picture, pixel by pixel from the left. Table 1."""
    height, width = picture.shape[:2]
    flat = picture.reshape(-1, 3)
    columns = np.arange(width)
    rows = np.full_like(columns, row)
    near = neighbourhoods.indices(rows, columns, neighbourhoods.causal(window), height, width)
    vectors = _around(picture, rows, columns, neighbourhoods.causal(window))
    if coarser is not None:
        wider = neighbourhoods.full(neighbourhoods.coarser(window))
        vectors = np.hstack([vectors, _around(coarser, rows // 2, columns // 2, wider)])
    values = 3 * near.shape[1]
    for column, vector in enumerate(vectors):
        # What is to the left has changed since the whole row was fetched.
        vector[:values] = flat[near[column]].ravel()
        flat[row * width + column] = level.colours[level.nearest(vector)]


def _inside(
    picture: np.ndarray, rows: np.ndarray, columns: np.ndarray, offsets: np.ndarray
) -> np.ndarray:
    """Which pixels have their whole neighbourhood within the picture, bool [pixels]."""
    (up, left), (down, right) = offsets.min(0), offsets.max(0)
    height, width = picture.shape[:2]
    return (rows >= -up) & (rows < height - down) & (columns >= -left) & (columns < width - right)


def _around(
    picture: np.ndarray, rows: np.ndarray, columns: np.ndarray, offsets: np.ndarray
) -> np.ndarray:
    """The neighbourhoods of pixels, float64 [pixels, neighbours × 3], on a torus."""
    where = neighbourhoods.indices(rows, columns, offsets, *picture.shape[:2])
    return picture.reshape(-1, 3)[where].reshape(len(rows), -1)
