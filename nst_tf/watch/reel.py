"""The file of a film: an encoder that takes frame after frame. It knows nothing of runs."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from nst_tf import files
from nst_tf.errors import FileError, NSTError, SettingsError

#: Suffix to (encoder, pixel format, the encoder's options, the container's), as FFmpeg names them.
#: WebP frame by frame: `libwebp_anim` drops changes that are too small to see, and they add up.
FORMATS: dict[str, tuple[str, str, dict[str, str], dict[str, str]]] = {
    ".mp4": ("libx264", "yuv420p", {"crf": "18"}, {"movflags": "+faststart"}),
    ".webp": ("libwebp", "bgra", {"quality": "90"}, {"loop": "0"}),
    ".gif": ("gif", "pal8", {}, {"loop": "0"}),
}

#: BT.709 in FFmpeg's numbering of primaries, of transfer curves and of matrices.
_BT709 = 1


def check(path: Path, every: int = 1, fps: int = 25) -> None:
    """Finds out before the long work, not after it, that a film cannot be made.

    Raises:
      FileError: it cannot be written there.
      SettingsError: a number below 1.
      NSTError: the package av is missing.
    """
    if path.suffix.lower() not in FORMATS:
        raise FileError(
            f"cannot write {path} as a film: use one of the suffixes {', '.join(FORMATS)}"
        )
    files.check_writable(path)
    for name, value in (("every", every), ("fps", fps)):
        if value < 1:
            raise SettingsError(f"{name} of a film is {value}: use a whole number of at least 1")
    _av()


class Reel:
    """An encoder and the file that it writes, which appears under its name when closed whole.

    Attributes:
      failed: whether it could not be written.
    """

    def __init__(self, path: Path, fps: int, height: int, width: int) -> None:
        av = _av()
        self._path, self._kind = path, path.suffix.lower()
        self._tick, self._frames, self.failed = Fraction(1, fps), 0, False
        self._file = contextlib.ExitStack()
        encoder, pixels, options, container_options = FORMATS[self._kind]
        with self._writing():
            part = self._file.enter_context(files.replacing(path))
            part.touch(exist_ok=False)  # the encoder itself opens it only frames later
            self._container = av.open(
                os.fspath(part), "w", format=self._kind[1:], options=container_options
            )
            self._stream = self._container.add_stream(encoder, rate=fps, options=options)
            even = 2 if pixels == "yuv420p" else 1
            self._stream.height = -(-height // even) * even
            self._stream.width = -(-width // even) * even
            self._stream.pix_fmt = pixels
            if self._kind == ".mp4":
                context = self._stream.codec_context
                context.color_primaries = context.color_trc = context.colorspace = _BT709

    def add(self, frame: np.ndarray, times: int) -> None:
        """Adds a frame, uint8 [height, width, 3], so many times."""
        right, below = (self._stream.width - frame.shape[1], self._stream.height - frame.shape[0])
        padded = np.pad(frame, ((0, below), (0, right), (0, 0)), mode="edge")
        picture = (
            _palettised(padded) if self._kind == ".gif" else _av().VideoFrame.from_ndarray(padded)
        )
        if self._kind == ".mp4":
            picture = picture.reformat(format="yuv420p", dst_colorspace="ITU709")
        picture.time_base = self._tick
        for _ in range(times):
            picture.pts = self._frames
            self._frames += 1
            with self._writing():
                self._container.mux(self._stream.encode(picture))

    def close(self) -> None:
        """Writes what the encoder still holds, and moves the file to its place."""
        with self._writing():
            self._container.mux(self._stream.encode(None))
            self._container.close()
            self._file.close()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except (_av().FFmpegError, OSError, FileError) as error:
            self.failed = True
            reason = getattr(error, "strerror", None)
            failure = FileError(f"cannot write {self._path}: {reason}" if reason else str(error))
            self._file.__exit__(type(failure), failure, None)  # what is there of it goes
            raise failure from error


def _palettised(frame: np.ndarray) -> Any:
    """The frame in the 256 colours that suit it best; dithered, it would flicker."""
    few = Image.fromarray(frame).quantize(256)
    colours = np.array(few.getpalette(), np.uint8).reshape(-1, 3)
    palette = np.full((256, 4), 255, np.uint8)  # ARGB
    palette[: len(colours), 1:] = colours
    return _av().VideoFrame.from_ndarray((np.asarray(few), palette), "pal8")


def _av() -> Any:
    try:
        import av
    except ImportError as error:
        raise NSTError("films need PyAV: pip install 'nst_tf[film]'") from error
    return av
