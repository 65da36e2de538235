"""Where a result goes: a picture and its manifest, both of one run or neither.

To a file, the last one wins, and says so where it replaces what came during its work.
"""

from __future__ import annotations

import contextlib
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nst_tf import files, locks, signals
from nst_tf.pictures import images


def save(picture: np.ndarray, manifest: Mapping[str, Any], path: Path, bits: int = 8) -> None:
    """Writes a picture, and beside it its manifest as `.json`.

    Both are on the disk before either takes its place, and while the places change there is no
    manifest: whatever stops that, none lies beside another run's picture, and where the picture
    cannot take its place, what was there stays. Of several processes each waits for its turn.

    Args:
      picture: float [height, width, 3].
      manifest: plain values.
      path: its suffix names the format; see `images.save`.
      bits: 8, or 16 for PNG and TIFF.

    Raises:
      FileError: it cannot be written there.
    """
    beside = path.with_suffix(".json")
    files.check_writable(beside)
    pixels, told = images.encode(picture, path, bits), json.dumps(manifest, indent=1)
    with (
        locks.turn(path.resolve().parent),
        signals.deferred(),
        files.replacing(beside) as second,
        contextlib.ExitStack() as older,  # ends once the picture has taken its place, or has not
        files.replacing(path) as first,
    ):
        files.fill(second, told)
        files.fill(first, pixels)
        older.enter_context(files.away(beside))


class Output:
    """The file of a result, known from before the work to its end.

    Args:
      path: of the picture.
      shape: its height and width.
      bits: as for `save`.

    Raises:
      OutputError: there is too little room on its disk.
      PictureError: its format holds no picture of that size.
    """

    def __init__(self, path: Path, shape: tuple[int, int], bits: int = 8) -> None:
        images.check_shape(path, shape)
        files.check_room(path, 3 * shape[0] * shape[1] * bits // 8)
        self._path, self._bits, self._before = path, bits, files.stamp(path)

    def begin(self) -> None:
        """Takes the manifest away: what will lie there is no whole run's any more."""
        with contextlib.suppress(OSError):  # what cannot be written there, `save` says
            self._path.with_suffix(".json").resolve().unlink()

    def save(self, picture: np.ndarray, manifest: Mapping[str, Any]) -> None:
        """Saves the result as `save` does; elsewhere, where it cannot be written there.

        Raises:
          OutputError: that; the text says where it is.
        """
        replaced = files.stamp(self._path) != self._before
        files.or_elsewhere(lambda path: save(picture, manifest, path, self._bits), self._path)
        if replaced:
            warnings.warn(
                f"{self._path} was written by another during this run: replaced", stacklevel=2
            )
