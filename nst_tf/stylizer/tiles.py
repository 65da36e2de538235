"""Photos larger than memory, painted tile by tile.

Chen, Wang, Xie, Lu and Luo, "Towards Ultra-Resolution Neural Style Transfer via Thumbnail Instance
Normalization", arXiv:2103.11784: what keeps tiles from being painted each by itself is that
instance normalisation asks for the mean and variance of the whole. Here, too, those are of a small
copy, and every tile is normalised by them. Apart from that a pixel is made of its surroundings
alone (`Stylizer.reach`), which every tile has around it, so that there are no seams.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from nst_tf import memory_at_hand
from nst_tf.errors import PictureError, SettingsError, in_bytes
from nst_tf.pictures import images
from nst_tf.stylizer.normalisation import Moments, own_moments

#: Sides of tiles in pixels: chosen by memory, and those that can be wanted.
_SIDES, LEAST = (2048, 1024, 512, 256), 64
#: Bytes of a pixel of the photo: itself, its copy of a fitting size, the result, and the mixture.
_HELD = 4 * 12


def side(shape: tuple[int, ...], wanted: int | None, bytes_of_pixel: float, reach: int) -> int:
    """Pixels of the side of the tiles that a photo is painted in; 0 for the whole at once.

    Args:
      shape: height and width of the photo in pixels.
      wanted: a side, 0 for the whole, or None for what there is the memory for.
      bytes_of_pixel: that painting takes.
      reach: pixels around each tile, a multiple of 4.

    Raises:
      PictureError: there is not the memory.
      SettingsError: a side that cannot be.
    """
    if wanted and wanted < LEAST:
        raise SettingsError(f"tile is {wanted}: use {LEAST} pixels or more, or 0 for none")
    (height, width), room = shape, memory_at_hand.allowed()
    for one in (0, *_SIDES) if wanted is None else (wanted,):
        needed = bytes_of_pixel * height * width
        if one:
            needed = bytes_of_pixel * (one + 2 * reach) ** 2 + _HELD * height * width
        if needed <= room:
            return one
    raise PictureError(
        f"a photo of {width}x{height} pixels, painted in one pass, is too large: it takes about "
        f"{in_bytes(needed)} of memory, and {in_bytes(room)} are at hand"
    )


def painted(stylizer: Any, photo: np.ndarray, shares: tf.Tensor, side: int) -> np.ndarray:
    """A photo painted in tiles, float32 [height, width, 3] in [0, 1].

    Args:
      stylizer: a `Stylizer`.
      photo: likewise.
      shares: of each of its styles, float32 [1, styles], summing to 1.
      side: of the tiles in pixels, rounded to a multiple of 4.
    """
    reach, multiple = stylizer.reach, stylizer.multiple
    side = -(-side // multiple) * multiple
    moments = moments_of(stylizer, thumbnail(photo, side + 2 * reach), shares)
    paint = _by_moments(stylizer, moments)
    whole = np.asarray(stylizer.fitted(photo[np.newaxis]))
    result = np.empty_like(whole[0])
    for rows, above, below in _cuts(whole.shape[1], side, reach):
        for columns, left, right in _cuts(whole.shape[2], side, reach):
            part = whole[:, above:below, left:right]
            tile = paint(part, shares, moments)[0].numpy()
            result[rows, columns] = tile[
                rows.start - above : rows.stop - above, columns.start - left : columns.stop - left
            ]
    return result[: photo.shape[0], : photo.shape[1]]


def thumbnail(photo: np.ndarray, side: int) -> np.ndarray:
    """A photo of as many pixels as a square of that side at most."""
    height, width = photo.shape[:2]
    factor = min(1.0, side / (height * width) ** 0.5)
    return images.resize(photo, max(1, round(factor * height)), max(1, round(factor * width)))


def moments_of(stylizer: Any, photo: np.ndarray, shares: tf.Tensor) -> list[Moments]:
    """Of every normalisation of a pass, in their order."""
    seen: list[Moments] = []

    def record(maps: tf.Tensor) -> Moments:
        seen.append(own_moments(maps))
        return seen[-1]

    stylizer.painted(stylizer.fitted(photo[np.newaxis]), shares, record)
    return seen


def _by_moments(stylizer: Any, moments: list[Moments]) -> Any:
    """What paints pictures of any size by given moments, compiled once."""
    like = tf.nest.map_structure(tf.TensorSpec.from_tensor, moments)
    shares = tf.TensorSpec([1, len(stylizer.paintings)])

    def paint(part: tf.Tensor, shares: tf.Tensor, given: list[Moments]) -> tf.Tensor:
        rest = iter(given)
        return stylizer.painted(part, shares, lambda maps: next(rest))

    signature = [tf.TensorSpec([1, None, None, 3]), shares, like]
    return tf.function(paint, input_signature=signature, autograph=False)


def _cuts(length: int, side: int, reach: int) -> Iterator[tuple[slice, int, int]]:
    """Along one axis, of every tile what it makes, and where what it sees begins and ends."""
    for begin in range(0, length, side):
        end = min(begin + side, length)
        yield slice(begin, end), max(0, begin - reach), min(length, end + reach)
