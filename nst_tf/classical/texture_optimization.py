"""Pictures all of whose patches look like the style's: texture as an energy to be minimised.

Kwatra, Essa, Bobick and Kwatra, "Texture Optimization for Example-based Synthesis", SIGGRAPH 2005;
Elad and Milanfar, "Style Transfer Via Texture Synthesis", IEEE Transactions on Image Processing
26(5), 2017, arXiv:1609.03057.

    E(X) = Σ_p ‖X_p − Z_p‖^r,   Z_p the patch of the example that is nearest to X_p,

over patches p on a grid. Two steps take turns, and neither lets E grow: every Z_p becomes the
nearest one, and X the weighted mean of all Z_p that lie over each other, whose weights
‖X_p − Z_p‖^(r − 2) make the squares of which it is the minimum a bound of E (iteratively
reweighted least squares).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from nst_tf.classical import checks, colour
from nst_tf.errors import SettingsError

#: r, of both papers: below 2, so that a few patches that do not fit have little to say.
EXPONENT = 0.8

#: Added to squared distances: a patch that fits exactly has no infinite weight.
SMOOTH = 1e-4

#: How much of the patches' variance the nearest neighbours are searched in, as Elad and Milanfar
#: have it, and the most directions for it, which is ours.
VARIANCE = 0.95
DIRECTIONS = 32

#: Patches projected, and numbers compared, at a time: some tens of megabytes.
CHUNK, SCORES = 2**12, 2**23

#: The sides of Kwatra et al.'s patches; from one to the next is a quarter of that.
WINDOWS = (32, 16, 8)

#: The sides of Elad and Milanfar's patches and the gaps from one to the next. Half of the paper's
#: gaps for the large ones, whose outlines show otherwise.
SIZES = {33: 14, 21: 9, 13: 6, 9: 4, 5: 3}

#: The deviation of the noise that the transfer starts with: 50 of 255.
NOISE = 50 / 255

#: Reweightings for one search in the transfer: its robust aggregation.
REWEIGHTINGS = 5

#: What flat parts of the content count for, where edges count for 1.
FLAT = 0.3


def synthesize(
    texture: np.ndarray,
    height: int,
    width: int,
    *,
    levels: int = 3,
    iterations: int = 8,
    seed: int = 0,
    report: checks.Report | None = None,
) -> np.ndarray:
    """A picture of any size whose patches are all like the texture's (Kwatra et al.).

    Coarse to fine; at each level patches of 32, 16 and 8 pixels, as far as the texture is at least
    one and a half times as large. Unlike the paper's, it starts from patches side by side, not from
    their mean, and after each size it gets the texture's mean and covariance of colour: a mean of
    many is flat, and the flattest patch would be the nearest to all of it.

    Args:
      texture: [height, width, 3], RGB in [0, 1], at least 12 pixels high and wide.
      height: of the result, in pixels.
      width: likewise.
      levels: of resolution, each half of the next, as far as the texture has room for patches.
      iterations: at most so many for every size of patches; fewer where no patch changes any more.
      seed: of the patches that it starts from.
      report: told the share that is done.

    Returns:
      float32 [height, width, 3] in [0, 1].

    Raises:
      SettingsError: the texture is no picture or too small, or a parameter is out of its range.
    """
    example = checks.picture(texture, "texture")
    checks.at_least("the texture's smaller side", min(example.shape[:2]), 1.5 * WINDOWS[-1])
    for name, value in (
        ("height", height),
        ("width", width),
        ("levels", levels),
        ("iterations", iterations),
    ):
        checks.at_least(name, value, 1)
    random = np.random.default_rng(seed)
    # A patch needs room; what is too much is cut off in the end.
    size = max(height, example.shape[0]), max(width, example.shape[1])
    stages = [
        (level, window)
        for level in reversed(range(levels))
        for window in WINDOWS
        if 1.5 * window <= min(_halved(example.shape, level))
    ]
    report = checks.silent if report is None else report
    result: np.ndarray
    for done, (level, window) in enumerate(stages):
        shape = _halved(size, level)
        patches = Example(resized(example, *_halved(example.shape, level)), window)
        places = grid(*shape, window, window // 4)
        if not done:
            result = _mosaic(patches, places, random)
        fit = Fit(resized(result, *shape), patches, places)
        for i in range(iterations):
            report((done + i / iterations) / len(stages))
            if not fit.search():
                break
            fit.average()
        result = colour.monge_kantorovich(np.clip(fit.picture, 0, 1), example).astype(np.float64)
    report(1.0)
    return np.clip(result[:height, :width], 0, 1).astype(np.float32)


def transfer(
    content: np.ndarray,
    style: np.ndarray,
    *,
    content_weight: float = 0.6,
    mask: np.ndarray | None = None,
    levels: int = 3,
    iterations: int = 3,
    seed: int = 0,
    report: checks.Report | None = None,
) -> np.ndarray:
    """Content painted with patches of the style (Elad and Milanfar).

    Coarse to fine, from the content in the style's colours (`colour.monge_kantorovich`) and noise.
    For each level and size of patches, the nearest patches of the style are searched and averaged
    (`Fit`), the result is mixed with the content, X ← (X + W C) / (1 + W), and gets the style's
    mean and covariance of colour. The paper's last step, a filter against noise, is left out.

    Args:
      content: [height, width, 3], RGB in [0, 1].
      style: likewise, of any size; both at least 5 pixels high and wide. Strokes keep their size in
        pixels.
      content_weight: W where the mask is 1: 0 leaves the content to the start alone, and at 4 it
        shows everywhere.
      mask: [height, width] in [0, 1], where content has to stay; by default its edges, and 0.3
        in the flattest parts. The paper takes a segmentation.
      levels: of resolution, each half of the next.
      iterations: for each size of patches.
      seed: of the noise.
      report: told the share that is done.

    Returns:
      float32, of content's shape, in [0, 1].

    Raises:
      SettingsError: content or style are no pictures or too small, or a parameter is out of its
        range.
    """
    picture, example = checks.picture(content, "content"), checks.picture(style, "style")
    smallest = min(SIZES)
    for name, value, minimum in (
        ("content's smaller side", min(picture.shape[:2]), smallest),
        ("style's smaller side", min(example.shape[:2]), smallest),
        ("content_weight", content_weight, 0),
        ("levels", levels, 1),
        ("iterations", iterations, 1),
    ):
        checks.at_least(name, value, minimum)
    weight = content_weight * _checked(mask, picture)
    picture = colour.monge_kantorovich(picture, example).astype(np.float64)
    stages = [
        (level, size)
        for level in reversed(range(levels))
        for size in SIZES
        if (3 if size > smallest else 1) * size
        <= min(*_halved(picture.shape, level), *_halved(example.shape, level))
    ]
    report = checks.silent if report is None else report
    random = np.random.default_rng(seed)
    noise = NOISE * random.standard_normal(picture.shape)
    result: np.ndarray
    for done, (level, size) in enumerate(stages):
        shape = _halved(picture.shape, level)
        wanted, styled = resized(picture, *shape), resized(example, *_halved(example.shape, level))
        keep = resized(weight, *shape)
        if not done:
            result = wanted + noise[: shape[0], : shape[1]]
        patches = Example(styled, size, max(size // 8, 1))
        result = resized(result, *shape)
        for i in range(iterations):
            report((done + i / iterations) / len(stages))
            # Where the content is flat all take the same patch, and a regular grid would show.
            fit = Fit(result, patches, grid(*shape, size, SIZES[size], random))
            fit.search()
            fit.average(REWEIGHTINGS)
            mixed = (fit.picture + keep * wanted) / (1 + keep)
            result = colour.monge_kantorovich(np.clip(mixed, 0, 1), styled).astype(np.float64)
    report(1.0)
    return result.astype(np.float32)


class Grid(NamedTuple):
    """Where the patches of a picture are.

    Attributes:
      pixels: int [patches, size²], the flat numbers of each patch's pixels.
      shape: height and width of the picture.
    """

    pixels: np.ndarray
    shape: tuple[int, int]

    def patches(self, picture: np.ndarray) -> np.ndarray:
        """The patches of a picture [height, width, 3], [patches, 3 size²]."""
        return picture.reshape(-1, 3)[self.pixels].reshape(len(self.pixels), -1)

    def mean(self, patches: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """argmin_X Σ_p w_p ‖X_p − Z_p‖², the weighted mean at every pixel, [height, width, 3]."""
        pixels = self.pixels.ravel()
        weights = np.repeat(weights, self.pixels.shape[1])
        values = patches.reshape(-1, 3)
        count = self.shape[0] * self.shape[1]
        total = np.bincount(pixels, weights, count)
        sums = [np.bincount(pixels, weights * values[:, i], count) for i in range(3)]
        return np.stack([part / total for part in sums], -1).reshape(*self.shape, 3)


class Example:
    """All patches of a picture, and the nearest of them."""

    def __init__(self, picture: np.ndarray, size: int, gap: int = 1) -> None:
        """
        Args:
          picture: [height, width, 3], at least `size` high and wide.
          size: the patches' side.
          gap: from one patch to the next.
        """
        self._picture = np.asarray(picture, np.float32)
        self._size = size
        self._rows = _starts(picture.shape[0], size, gap)
        self._columns = _starts(picture.shape[1], size, gap)
        windows = np.lib.stride_tricks.sliding_window_view(self._picture, (size, size), (0, 1))
        self._windows = np.moveaxis(windows, 2, -1)
        count = len(self)
        some = self[np.linspace(0, count - 1, min(count, 300)).astype(int)]
        self._center = some.mean(0)
        _, deviations, directions = np.linalg.svd(some - self._center, full_matrices=False)
        shares = np.cumsum(deviations**2) / max(float((deviations**2).sum()), 1e-12)
        keep = min(int((shares < VARIANCE).sum()) + 1, DIRECTIONS)
        self._directions = directions[:keep].T
        chunks = np.array_split(np.arange(count), count // CHUNK + 1)
        points = np.concatenate([self._project(self[chunk]) for chunk in chunks])
        # ½‖z − x‖² = ½‖z‖² − z·x + ½‖x‖², whose last part is the same for all z: one product.
        self._points = np.column_stack([-points, 0.5 * np.square(points).sum(-1)]).T

    def __len__(self) -> int:
        return len(self._rows) * len(self._columns)

    def __getitem__(self, numbers: np.ndarray) -> np.ndarray:
        """The patches of these numbers, float32 [patches, 3 size²]."""
        rows, columns = np.divmod(numbers, len(self._columns))
        windows = self._windows[self._rows[rows], self._columns[columns]]
        return windows.reshape(len(windows), -1)

    def nearest(self, patches: np.ndarray) -> np.ndarray:
        """The number of the nearest patch for each, int [patches], in the main directions."""
        found = []
        for some in np.array_split(patches, len(patches) * len(self) // SCORES + 1):
            x = np.column_stack([self._project(some), np.ones(len(some), np.float32)])
            found.append((x @ self._points).argmin(-1))
        return np.concatenate(found)

    def _project(self, patches: np.ndarray) -> np.ndarray:
        return (patches.astype(np.float32) - self._center) @ self._directions


class Fit:
    """The patches Z of the example for those of a picture, and the energy that is left.

    Attributes:
      picture: X, float64 [height, width, 3].
      energies: E after every search of the nearest patches: it never grows, unless the picture is
        changed from outside.
    """

    def __init__(self, picture: np.ndarray, example: Example, grid: Grid) -> None:
        self.picture = picture
        self.energies: list[float] = []
        self._example = example
        self._grid = grid
        self._patches: np.ndarray | None = None

    def search(self) -> bool:
        """Z_p becomes the patch nearest to X_p. Says whether any did that was not there."""
        wanted = self._grid.patches(self.picture)
        found = self._example[self._example.nearest(wanted)]
        changed = True
        if self._patches is not None:
            # The search sees the main directions only; what it finds has to be better in all.
            closer = _squares(wanted, found) < _squares(wanted, self._patches)
            found[~closer] = self._patches[~closer]
            changed = bool(closer.any())
        self._patches = found
        self.energies.append(float(((_squares(wanted, found) + SMOOTH) ** (EXPONENT / 2)).sum()))
        return changed

    def average(self, rounds: int = 1) -> None:
        """X becomes the robust mean of the patches Z, after so many rounds of reweighting."""
        if self._patches is None:
            raise SettingsError("no patches to average yet: search first")
        for _ in range(rounds):
            squares = _squares(self._grid.patches(self.picture), self._patches)
            weights = (squares + SMOOTH) ** (EXPONENT / 2 - 1)
            self.picture = self._grid.mean(self._patches, weights)


def grid(
    height: int, width: int, size: int, gap: int, random: np.random.Generator | None = None
) -> Grid:
    """Patches of a size, from one to the next a gap, the outer ones at the borders.

    Args:
      height: of the picture, at least the patches' size.
      width: likewise.
      size: the patches' side.
      gap: from one patch to the next, at most their size.
      random: moves every patch away from its place, as far as no pixel is left without one.
    """
    tops, lefts = np.meshgrid(_starts(height, size, gap), _starts(width, size, gap), indexing="ij")
    if random is not None:
        far = (size - gap) // 2
        tops, lefts = (
            np.where(
                (at > 0) & (at < side - size),
                np.clip(at + random.integers(-far, far + 1, at.shape), 0, side - size),
                at,
            )
            for at, side in ((tops, height), (lefts, width))
        )
    first = (tops * width + lefts).reshape(-1, 1)
    inside = (np.arange(size)[:, None] * width + np.arange(size)).reshape(1, -1)
    return Grid(first + inside, (height, width))


def resized(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """Bilinear, [height, width, channels], after a blur where it gets smaller."""
    if picture.shape[:2] == (height, width):
        return picture
    ratios = [a / b for a, b in zip(picture.shape[:2], (height, width), strict=True)]
    sigmas = [max(ratio - 1, 0) / 2 for ratio in ratios]
    smooth = ndimage.gaussian_filter(picture, (*sigmas, 0), mode="nearest")
    zooms = (height / picture.shape[0], width / picture.shape[1], 1)
    return ndimage.zoom(smooth, zooms, order=1, mode="nearest", grid_mode=True)


def _mosaic(patches: Example, places: Grid, random: np.random.Generator) -> np.ndarray:
    """Random patches over each other, [height, width, 3]: no average, which would be all gray."""
    picture = np.zeros((places.shape[0] * places.shape[1], 3))
    for number, pixels in zip(
        random.integers(len(patches), size=len(places.pixels)), places.pixels, strict=True
    ):
        picture[pixels] = patches[number[None]].reshape(-1, 3)
    return picture.reshape(*places.shape, 3)


def _halved(shape: tuple[int, ...], times: int) -> tuple[int, int]:
    return max(round(shape[0] / 2**times), 1), max(round(shape[1] / 2**times), 1)


def _checked(mask: np.ndarray | None, picture: np.ndarray) -> np.ndarray:
    """The mask, [height, width, 1]."""
    if mask is None:
        slope = ndimage.gaussian_gradient_magnitude(picture.mean(-1), 1.0, mode="nearest")
        slope = ndimage.gaussian_filter(slope, max(picture.shape[:2]) / 128, mode="nearest")
        edges = np.clip(slope / max(np.percentile(slope, 95), 1e-6), 0, 1)
        return (FLAT + (1 - FLAT) * edges)[..., None]
    mask = np.asarray(mask, np.float64)
    if mask.shape != picture.shape[:2]:
        raise SettingsError(
            f"the mask has the shape {list(mask.shape)}: content is {list(picture.shape[:2])}"
        )
    if not (mask.min() >= 0 and mask.max() <= 1):
        raise SettingsError(
            f"the mask has values from {mask.min():g} to {mask.max():g}: give [0, 1]"
        )
    return mask[..., None]


def _squares(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The mean squared difference of each patch, [patches]."""
    return np.square(a - b).mean(-1)


def _starts(side: int, size: int, gap: int) -> np.ndarray:
    """Where patches begin: every gap, and at the far border."""
    return np.unique(np.r_[np.arange(0, side - size, gap), side - size])
