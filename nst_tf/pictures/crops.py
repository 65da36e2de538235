"""Random square parts of photos, for training: the same number is always the same crop.

So batches are drawn in parallel, and work that goes on where it was ended sees what it would have
seen.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from PIL import Image

from nst_tf.errors import PictureError
from nst_tf.pictures import heads, images
from nst_tf.pictures.images import Picture

#: How many times as large as a crop the shorter side of the photo is at most that it is cut from.
_LARGEST = 2.0
#: Bytes of decoded photos that are kept.
_KEPT = 1 << 30
#: How many names a message has at most.
_NAMED = 5


class Crops:
    """Crops of photos, numbered from 0: every photo once, then every photo once more.

    Args:
      photos: as `images.load` takes them; files are decoded when they are first wanted, and kept.
      size: pixels of a crop's side. What it shows is as large, or up to twice as large where the
        photo is.
      seed: the same seed gives the same crops.
      flip: whether one in two is mirrored.
      least: how many photos there must be.

    Raises:
      PictureError: there are fewer, or some cannot be read: they are named.
    """

    def __init__(
        self,
        photos: Sequence[Picture],
        size: int,
        *,
        seed: int = 0,
        flip: bool = True,
        least: int = 1,
    ) -> None:
        bad = [photo for photo in photos if heads.shape(photo) is None]
        if bad:
            raise PictureError(_not_read(photos, bad))
        check_enough(photos, least)
        self._photos, self._size, self._seed, self._flip = list(photos), size, seed, flip
        self._held: dict[int, np.ndarray] = {}
        self._bytes, self._lock = 0, threading.Lock()
        self._order: Callable[[int], np.ndarray] = functools.lru_cache(4)(
            lambda epoch: np.random.default_rng([seed, epoch]).permutation(len(photos))
        )

    def __len__(self) -> int:
        """How many photos there are."""
        return len(self._photos)

    def __call__(self, number: int) -> np.ndarray:
        """A crop, uint8 [size, size, 3] RGB.

        Raises:
          PictureError: its photo cannot be decoded.
        """
        epoch, place = divmod(int(number), len(self))
        photo = self._photo(int(self._order(epoch)[place]))
        draw = np.random.default_rng([self._seed, int(number), 1])
        height, width = photo.shape[:2]
        shorter = min(height, width)
        side = draw.uniform(min(self._size, shorter), shorter)
        top, left = draw.uniform(0, height - side), draw.uniform(0, width - side)
        crop = Image.fromarray(photo).resize(
            (self._size, self._size),
            Image.Resampling.LANCZOS,
            (left, top, min(left + side, width), min(top + side, height)),
        )
        array = np.asarray(crop)
        return array[:, ::-1] if self._flip and draw.random() < 0.5 else array

    def _photo(self, place: int) -> np.ndarray:
        """Uint8 [height, width, 3], its shorter side `_LARGEST` times as long as a crop at most."""
        held = self._held.get(place)
        if held is not None:
            return held
        picture = images.load(self._photos[place])
        height, width = picture.shape[:2]
        factor = min(1.0, _LARGEST * self._size / min(height, width))
        scaled = images.resize(
            picture, max(1, round(factor * height)), max(1, round(factor * width))
        )
        photo = images.to_uint8(scaled)
        with self._lock:
            if place not in self._held and self._bytes + photo.nbytes <= _KEPT:
                self._bytes += photo.nbytes
                self._held[place] = photo
        return photo


def check_enough(photos: Sequence[Any], least: int) -> None:
    """Raises PictureError where there are fewer photos than it takes to learn from."""
    if len(photos) < least:
        raise PictureError(
            f"too few photos to learn from, {len(photos)}: give {least} at least, better hundreds"
        )


def _not_read(photos: Sequence[Picture], bad: Sequence[Picture]) -> str:
    """What is said of photos that are none."""
    names = [str(one) if isinstance(one, (str, os.PathLike)) else repr(type(one)) for one in bad]
    more = "" if len(names) <= _NAMED else f" and {len(names) - _NAMED} more"
    return (
        f"{len(bad)} of {len(photos)} photos cannot be read: {', '.join(names[:_NAMED])}{more}; "
        "take them out"
    )
