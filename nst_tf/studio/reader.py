"""Uploads looked at, in a process of its own: whatever a file does to it, the studio stays."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from nst_tf import signals
from nst_tf.errors import NSTError, PictureError
from nst_tf.pictures import heads, images

#: Longer side of what the page shows of a picture, in pixels.
THUMBNAIL = 320
#: Of a picture: more is refused by its head, before anything is decoded.
MOST_PIXELS = 64_000_000


class Reader:
    """The process that looks at files, begun anew where a file has ended it."""

    def __init__(self) -> None:
        self._pool = self._begun()

    def look(self, path: Path, thumbnail: Path) -> tuple[int, int]:
        """The height and width of a picture, of which a small one is written, too.

        Args:
          path: of the file.
          thumbnail: of the small one, a JPEG.

        Raises:
          PictureError: it is no picture that can be read, or too large.
        """
        try:
            found, error = self._pool.submit(_look, str(path), str(thumbnail)).result(60)
        except (BrokenProcessPool, TimeoutError) as broken:
            self.close()
            self._pool = self._begun()
            raise PictureError("the picture cannot be read: reading it came to no end") from broken
        if error:
            raise PictureError(error)
        return found

    def close(self) -> None:
        """Ends the process."""
        for process in list(getattr(self._pool, "_processes", {}).values()):
            process.kill()
        self._pool.shutdown(wait=False, cancel_futures=True)

    @staticmethod
    def _begun() -> ProcessPoolExecutor:
        pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))
        with signals.ignored():
            pool.submit(_ready)  # so that it has imported what it needs before the first file comes
        return pool


def _ready() -> None:
    pass


def _look(path: str, thumbnail: str) -> tuple[tuple[int, int], str]:
    """The shape, or why there is none; an error's own class need not go through a pipe."""
    try:
        shape = heads.shape(path)
        if shape is not None and shape[0] * shape[1] > MOST_PIXELS:
            raise PictureError(
                f"{shape[1]} x {shape[0]} pixels are too many: the studio takes "
                f"{MOST_PIXELS // 10**6} million"
            )
        picture = images.load(path)
        height, width = picture.shape[:2]
        small = picture
        if max(height, width) > THUMBNAIL:
            small = images.load(picture, THUMBNAIL)
        images.save(small, thumbnail)
        return (height, width), ""
    except NSTError as error:
        return (0, 0), str(error).replace(path, "the file")
    except MemoryError:
        return (0, 0), "there is not the memory to read it"
