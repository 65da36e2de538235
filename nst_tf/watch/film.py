"""A film of a run: its iterations as MP4, animated WebP or GIF."""

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
from nst_tf.pictures import images
from nst_tf.run.record import Step
from nst_tf.run.transfer import Callback, StyleTransfer

#: Suffix to (encoder, pixel format, the encoder's options, the container's), as FFmpeg names them.
#: WebP frame by frame: `libwebp_anim` drops changes that are too small to see, and they add up.
FORMATS: dict[str, tuple[str, str, dict[str, str], dict[str, str]]] = {
    ".mp4": ("libx264", "yuv420p", {"crf": "18"}, {"movflags": "+faststart"}),
    ".webp": ("libwebp", "bgra", {"quality": "90"}, {"loop": "0"}),
    ".gif": ("gif", "pal8", {}, {"loop": "0"}),
}

#: BT.709 in FFmpeg's numbering of primaries, of transfer curves and of matrices.
_BT709 = 1


class Film(Callback):
    """Films a run, from the initial image to the result, which then stands for a second.

    Frames go to the encoder as they come. The file appears when the run ends, whatever ended it.

    Args:
      path: .mp4 (H.264), .webp or .gif; the latter two play in a loop.
      every: a frame every so many iterations.
      fps: frames a second.
      curve: whether the total loss up to each frame is drawn beside it.

    Raises:
      FileError: it cannot be written there.
      SettingsError: a number below 1.
      NSTError: the package av is missing, or matplotlib for a curve.
    """

    def __init__(
        self, path: str | os.PathLike[str], every: int = 1, fps: int = 25, curve: bool = False
    ) -> None:
        self._path, self._every, self._fps = Path(path), every, fps
        if self._path.suffix.lower() not in FORMATS:
            suffixes = ", ".join(FORMATS)
            raise FileError(f"cannot write {path} as a film: use one of the suffixes {suffixes}")
        files.check_writable(self._path)
        for name, value in (("every", every), ("fps", fps)):
            if value < 1:
                raise SettingsError(
                    f"{name} of a film is {value}: use a whole number of at least 1"
                )
        _av()
        self._curve = _Curve() if curve else None
        self._reel: _Reel | None = None

    def on_begin(self, run: StyleTransfer) -> None:
        self._reel = None

    def on_step(self, run: StyleTransfer, step: Step) -> None:
        if step.iteration % self._every == 0:
            self._show(run, step.array)

    def on_end(self, run: StyleTransfer) -> None:
        if self._reel is None or self._reel.failed:
            return
        self._show(run, run.best, times=self._fps)
        self._reel.close()

    def _show(self, run: StyleTransfer, array: np.ndarray, times: int = 1) -> None:
        height, width = run.content.shape[:2]
        frame = images.to_uint8(images.resize(array, height, width))
        if self._curve:
            frame = np.concatenate([frame, self._curve.draw(run.history, height)], axis=1)
        if self._reel is None:
            self._reel = _Reel(self._path, self._fps, *frame.shape[:2])
        self._reel.add(frame, times)


class _Reel:
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


class _Curve:
    """The total loss so far, as a square panel."""

    def __init__(self) -> None:
        try:
            from matplotlib.backends.backend_agg import FigureCanvasAgg
            from matplotlib.figure import Figure
        except ImportError as error:
            raise NSTError("a curve needs matplotlib: pip install 'nst_tf[plot]'") from error
        self._canvas = FigureCanvasAgg(Figure(figsize=(4, 4)))
        figure = self._canvas.figure
        figure.subplots_adjust(left=0.2, right=0.96, bottom=0.14, top=0.92)
        self._axes = figure.add_subplot(xlabel="evaluations", title="loss", yscale="log")
        self._axes.locator_params(axis="x", integer=True)
        self._axes.grid(True, which="both", alpha=0.2)
        (self._line,) = self._axes.plot([], [], marker="o", markevery=[-1])

    def draw(self, history: list[dict[str, float]], height: int) -> np.ndarray:
        """The panel, uint8 [height, height, 3]."""
        self._line.set_data(
            [row["evaluations"] for row in history], [row["total"] for row in history]
        )
        self._axes.relim()
        self._axes.autoscale_view()
        self._canvas.figure.dpi = height / 4
        self._canvas.draw()
        return np.asarray(self._canvas.buffer_rgba())[..., :3]


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
