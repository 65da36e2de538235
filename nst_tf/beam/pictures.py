"""Picture files of any file system that Beam knows, decoded."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import apache_beam as beam

from nst_tf.beam.outcomes import Counts, Failure, Split, split
from nst_tf.beam.storing import read_file
from nst_tf.errors import NSTError, SettingsError
from nst_tf.pictures import images


class ReadPictures(beam.PTransform):
    """Paths, or (name, file's bytes), to (name, picture): float32 RGB in [0, 1] [height, width, 3].

    Files are read as `stylize` reads them (`images.load`). The name of a path is the path.

    Args:
      size: in pixels. With `crop` the side of a square, the largest middle part, scaled; without,
        the longer side. None keeps every picture's own.
      crop: whether all pictures get one shape: they make full batches.

    Raises:
      SettingsError: a size that cannot be used.
    """

    def __init__(self, size: int | None = None, *, crop: bool = False) -> None:
        super().__init__()
        if (size is None and crop) or (size is not None and not 1 <= size <= images.MAX_SIZE):
            raise SettingsError(f"size is {size!r}: use a number of pixels such as 256")
        self._size, self._crop = size, crop

    def expand(self, pcoll: Any) -> Split:
        return split(pcoll | "Read" >> beam.ParDo(_Read(self._size, self._crop)))


class _Read(beam.DoFn):
    def __init__(self, size: int | None, crop: bool) -> None:
        self._size, self._crop = size, crop

    def setup(self) -> None:
        self._counts = Counts("read")

    def process(self, element: str | tuple[str, bytes]) -> Iterator[tuple[str, Any]]:
        begun = time.perf_counter()
        name, data = (element, None) if isinstance(element, str) else element
        try:
            data = read_file(name) if data is None else data
            outcome: Any = self._decoded(name, data)
        except NSTError as error:
            outcome = Failure(name, str(error))
        self._counts.add(outcome, time.perf_counter() - begun)
        yield name, outcome

    def _decoded(self, name: str, data: bytes) -> Any:
        try:
            picture = images.load(data, None if self._crop else self._size)
        except NSTError as error:
            raise type(error)(f"{name}: {error}") from error
        if self._crop and self._size:
            picture = images.cover(picture, self._size, self._size)
        return picture
