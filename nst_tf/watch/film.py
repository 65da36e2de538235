"""A film of a run: its iterations as MP4, animated WebP or GIF."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from nst_tf.errors import NSTError
from nst_tf.pictures import images
from nst_tf.run.record import Step
from nst_tf.run.transfer import Callback, StyleTransfer
from nst_tf.watch import reel
from nst_tf.watch.reel import FORMATS as FORMATS


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
        reel.check(self._path, every, fps)
        self._curve = _Curve() if curve else None
        self._reel: reel.Reel | None = None

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
            self._reel = reel.Reel(self._path, self._fps, *frame.shape[:2])
        self._reel.add(frame, times)


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
