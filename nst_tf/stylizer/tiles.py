"""Photos larger than memory, painted tile by tile.

Chen, Wang, Xie, Lu and Luo, "Towards Ultra-Resolution Neural Style Transfer via Thumbnail Instance
Normalization", arXiv:2103.11784: what keeps tiles from being painted each by itself is that
instance normalisation asks for the mean and variance of the whole. Theirs are those of a thumbnail,
by which every tile is normalised. Here they are those of parts of the photo in its own size, from
all over it, since a thumbnail's details are others. Neither are the whole's, so that results differ
from one pass over it. Apart from that a pixel is made of its surroundings alone (`Stylizer.reach`),
which every tile has around it, so that there are no seams.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from nst_tf import memory_at_hand
from nst_tf.errors import PictureError, SettingsError, in_bytes
from nst_tf.stylizer.normalisation import Moments, moments_of_all

#: Sides of tiles in pixels: chosen by memory, and those that can be wanted.
_SIDES, LEAST = (2048, 1024, 512, 256), 64
#: Parts along either side, of which the moments are. Of as many pixels as one tile takes, mean
#: |differences| from one pass over the whole, in levels of 255, of two stylizers and four photos
#: scaled up to 1536 pixels, tiles of 512: a thumbnail 9.0, 2x2 parts 13.4, 3x3 9.9, 4x4 8.1, 5x5
#: 6.9, 8x8 6.2; of one and three, at 1536 with tiles of 256: 13.0, 18.1, 17.3, 11.9, 11.0, 11.9; at
#: 2560 with tiles of 1024: 13.1, 10.5, 9.7, 7.9, 5.6, 4.1. To paint nine tiles of 512 first, each
#: by its own moments, whose means are then all tiles', gives 6.4 and takes twice as long.
_GRID = 8
#: Bytes of a pixel of photo, copy of a fitting size, result and mixture together; measured 62.
_HELD = 64


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
    moments = moments_of(stylizer, samples(photo, side + 2 * reach), shares)
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


def samples(photo: np.ndarray, side: int) -> np.ndarray:
    """Square parts of a photo from border to border, [parts, height, width, 3], of as many pixels
    as a square of that side at most; the photo alone where it has no more."""
    height, width = photo.shape[:2]
    if height * width <= side**2:
        return photo[np.newaxis]
    part = min(side // _GRID, height, width)
    tops, lefts = (np.linspace(0, length - part, _GRID).astype(int) for length in (height, width))
    return np.stack([photo[y : y + part, x : x + part] for y in tops for x in lefts])


def moments_of(stylizer: Any, parts: np.ndarray, shares: tf.Tensor) -> list[Moments]:
    """Of every normalisation of a pass over all parts as over one picture, in their order.

    Args:
      stylizer: a `Stylizer`.
      parts: float32 [parts, height, width, 3] in [0, 1].
      shares: of each style, float32 [1, styles].
    """
    seen: list[Moments] = []

    def record(maps: tf.Tensor) -> Moments:
        seen.append(moments_of_all(maps))
        return seen[-1]

    every = tf.repeat(shares, len(parts), 0)
    stylizer.painted(stylizer.fitted(parts), every, record)
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
