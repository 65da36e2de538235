"""Image quilting: a picture of blocks of a texture, whose overlaps are cut where they differ least.

Efros and Freeman, "Image Quilting for Texture Synthesis and Transfer", SIGGRAPH 2001.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy import ndimage, stats

from nst_tf.classical import checks, seams
from nst_tf.classical.checks import Report, silent
from nst_tf.classical.patches import Patches, Target
from nst_tf.errors import SettingsError

#: Maps of section 3 in which a block of the style is compared with the content under it.
CORRESPONDENCES = ("luminance", "blurred")

#: A block's sides by default, as a share of the mean side of the picture that is made.
BLOCK = 1 / 10

#: Standard deviation of the blur of `blurred`, as a share of the first pass' block.
BLUR = 1 / 6

#: Luma of ITU-R BT.601.
LUMA = np.array([0.299, 0.587, 0.114])

#: Errors that differ by less are equal: far above the rounding of a Fourier transform, and below
#: what one channel of one pixel makes that is one gray level off, 1.5e-5.
ROUNDING = 1e-8


def synthesize(
    texture: np.ndarray,
    height: int,
    width: int,
    *,
    block: int = 24,
    overlap: int | None = None,
    tolerance: float = 0.1,
    seed: int = 0,
    report: Report | None = None,
) -> np.ndarray:
    """More of a texture, by section 2.2.

    Row by row, each block is drawn among those of the texture that differ least from what they
    overlap above and to the left.

    Args:
      texture: [height, width, 3] in [0, 1], at least a block large.
      height, width: of the result.
      block: side of a block in pixels, the one thing to choose: large enough for the texture's
        elements.
      overlap: how many pixels neighbouring blocks share at least, by default a sixth of a block.
        They are spread evenly, so that the last ends where the picture does.
      tolerance: a block may differ by 1 + tolerance times what the best does.
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
    _check_block(block, overlap, tolerance, {"texture": texture})
    made = _quilt(
        Patches(texture),
        (max(height, block), max(width, block)),
        block,
        _overlap(block) if overlap is None else overlap,
        np.ones(3),
        [],
        _chooser(tolerance, seed),
        report or silent,
    )
    return made[:height, :width].astype(np.float32)


def transfer(
    content: np.ndarray,
    style: np.ndarray,
    *,
    block: int | None = None,
    iterations: int = 3,
    correspondence: str = "luminance",
    match_luminance: bool = True,
    alphas: tuple[float, float] = (0.1, 0.9),
    tolerance: float = 0.1,
    seed: int = 0,
    report: Report | None = None,
) -> np.ndarray:
    """A content image made of blocks of a style image, by section 3.

    In every pass a block's error is α times how it differs from what it overlaps, and from what the
    pass before made of its place, plus 1 − α times how its map differs from the content's.

    Args:
      content: [height, width, 3] in [0, 1], at least a block large.
      style: likewise, of any such size.
      block: side of the first pass' blocks in pixels, by default a tenth of the content's mean
        side; large blocks show the style's strokes, small ones the content's details.
      iterations: passes; the paper has 3 to 5.
      correspondence: the maps that are compared: `luminance`, or `blurred`, luminance without the
        fine detail, which leaves the strokes freer.
      match_luminance: gives the content's luminance the style's distribution first, by rank. The
        paper does not; but where a picture is darker than any of the style, all of its blocks would
        be the same darkest one.
      alphas: α of the first and of the last pass, 0 to 1, the others evenly between; the paper's
        by default.
      tolerance: a block may differ by 1 + tolerance times what the best does.
      seed: of the draws.
      report: told the share that is done.

    Returns:
      float32, of content's shape: every pixel is one of the style's.

    Raises:
      SettingsError: an argument of another kind or out of its range.
    """
    content, style = checks.picture(content, "content"), checks.picture(style, "style")
    checks.at_least("iterations", iterations, 1)
    if correspondence not in CORRESPONDENCES:
        raise SettingsError(
            f"no correspondence {correspondence!r}: use {' or '.join(CORRESPONDENCES)}"
        )
    if len(alphas) != 2 or not all(0 <= alpha <= 1 for alpha in alphas):
        raise SettingsError(f"alphas are {alphas}: use two numbers from 0 to 1")
    if block is None:
        sides = (*content.shape[:2], *style.shape[:2])
        block = min(max(round(BLOCK * sum(content.shape[:2]) / 2), 8), *sides)
    _check_block(block, None, tolerance, {"content": content, "style": style})

    wanted, offered = _maps(content, style, correspondence, match_luminance, BLUR * block)
    # The map is one more channel of the style, so that one comparison serves all three errors.
    source = np.concatenate([style, offered], -1)
    wanted = np.concatenate([np.zeros_like(content), wanted], -1)
    colour, mapped = np.array([1.0, 1.0, 1.0, 0.0]), np.array([0.0, 0.0, 0.0, 1.0])
    passes = schedule(block, iterations, alphas)
    choose = _chooser(tolerance, seed)
    # A pass takes as long as it has blocks.
    ends = np.cumsum([1 / side**2 for side, _ in passes])
    made, begun = np.zeros_like(wanted), 0.0
    for (side, alpha), end in zip(passes, ends / ends[-1], strict=True):
        former = alpha * colour if begun else 0 * colour
        made = _quilt(
            Patches(source),
            content.shape[:2],
            side,
            _overlap(side),
            alpha * colour,
            [Target(wanted, (1 - alpha) * mapped), Target(made, former)],
            choose,
            _part(report or silent, begun, end),
        )
        begun = end
    return made[..., :3].astype(np.float32)


def schedule(
    block: int, iterations: int, alphas: tuple[float, float] = (0.1, 0.9)
) -> list[tuple[int, float]]:
    """The side of the blocks and α of every pass, by section 3.

    Blocks become smaller by a third each time, and α_i = 0.8 (i − 1) / (N − 1) + 0.1; a single pass
    has the first α.

    Returns:
      One pair a pass; no block is smaller than 3 pixels, or than `block` where that is smaller.
    """
    sides = [max(round(block * (2 / 3) ** index), min(block, 3)) for index in range(iterations)]
    return list(zip(sides, np.linspace(*alphas, iterations).tolist(), strict=True))


def _quilt(
    source: Patches,
    shape: tuple[int, ...],
    block: int,
    overlap: int,
    weights: np.ndarray,
    guides: list[Target],
    choose: Callable[[np.ndarray], tuple[int, int]],
    report: Report,
) -> np.ndarray:
    """One pass in raster order.

    Args:
      source: of a picture whose first three channels are its colours: they decide the cuts.
      shape: height and width, at least a block.
      weights: [channels], what those count for where a block overlaps others.
      guides: whole pictures that the blocks are to be like, with weights [channels].
      choose: a position, of the errors at all of them.

    Returns:
      float64, of the given shape, with the source's channels.
    """
    canvas = np.zeros((*shape[:2], source.picture.shape[-1]))
    tops, lefts = (_starts(side, block, overlap) for side in shape[:2])
    for index, (y, top) in enumerate(tops):
        for x, left in lefts:
            here = np.s_[y : y + block, x : x + block]
            under = canvas[here]
            known = np.zeros((block, block, 1))
            known[:top] = known[:, :left] = 1
            targets = [Target(guide.patch[here], guide.weights) for guide in guides]
            found = choose(source.distances([Target(under, known * weights), *targets]))
            new = source.picture[found[0] : found[0] + block, found[1] : found[1] + block]
            error = np.square(new - under)[..., :3].sum(-1)
            mask = seams.block_mask(error, top, left)
            under[mask] = new[mask]
        report((index + 1) / len(tops))
    return canvas


def _part(report: Report, begun: float, end: float) -> Report:
    """Reports on a part of the work, which takes it from one share to another."""
    return lambda share: report(float(begun + (end - begun) * share))


def _starts(side: int, block: int, overlap: int) -> list[tuple[int, int]]:
    """Where blocks begin along a side, and how many pixels of each the one before has filled."""
    count = 1 + math.ceil((side - block) / (block - overlap))
    starts = np.linspace(0, side - block, count).round().astype(int).tolist()
    filled = [0, *(start + block for start in starts)]
    return [(start, end - start) for start, end in zip(starts, filled, strict=False)]


def _chooser(tolerance: float, seed: int) -> Callable[[np.ndarray], tuple[int, int]]:
    """Draws one of the positions whose error is within the tolerance of the least."""
    draw = np.random.default_rng(seed)

    def choose(errors: np.ndarray) -> tuple[int, int]:
        # The best is often exactly right; then so is every other that differs by rounding alone.
        good = np.flatnonzero(errors <= (1 + tolerance) * errors.min() + ROUNDING)
        y, x = divmod(int(draw.choice(good)), errors.shape[1])
        return y, x

    return choose


def _maps(
    content: np.ndarray, style: np.ndarray, correspondence: str, match: bool, blur: float
) -> tuple[np.ndarray, np.ndarray]:
    """The content's and the style's correspondence maps, [height, width, 1]."""
    wanted, offered = content @ LUMA, style @ LUMA
    if match:
        ranks = (stats.rankdata(wanted) - 0.5) / wanted.size
        wanted = np.quantile(offered, ranks).reshape(wanted.shape)
    if correspondence == "blurred":
        wanted, offered = (ndimage.gaussian_filter(map, blur) for map in (wanted, offered))
    return wanted[..., np.newaxis], offered[..., np.newaxis]


def _overlap(block: int) -> int:
    """A sixth of the block, as in all experiments of the paper."""
    return max(round(block / 6), 1)


def _check_block(
    block: int, overlap: int | None, tolerance: float, pictures: dict[str, np.ndarray]
) -> None:
    checks.at_least("block", block, 2)
    checks.at_least("tolerance", tolerance, 0)
    for name, picture in pictures.items():
        if block > min(picture.shape[:2]):
            raise SettingsError(
                f"block {block} is larger than {name}, which is {picture.shape[1]}×"
                f"{picture.shape[0]}: use at most {min(picture.shape[:2])}"
            )
    if overlap is not None and not 1 <= overlap < block:
        raise SettingsError(f"overlap is {overlap}: use 1 to {block - 1} with blocks of {block}")
