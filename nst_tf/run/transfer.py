"""The run itself: pictures and settings in, a pastiche out, one iteration at a time."""

from __future__ import annotations

import contextlib
import math
import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image

from nst_tf import optimizers
from nst_tf.errors import DivergenceError, Interrupted, SettingsError
from nst_tf.losses.objective import Objective
from nst_tf.network import machine
from nst_tf.network import weights as weights_module
from nst_tf.network.weights import Weights
from nst_tf.pictures import images, initial
from nst_tf.pictures.images import Picture
from nst_tf.recipe import layers, presets
from nst_tf.recipe.settings import Settings
from nst_tf.run import descent, record, schedule
from nst_tf.run.descent import Progress
from nst_tf.run.meter import Meter
from nst_tf.run.record import Result, Step
from nst_tf.run.schedule import Schedule, Stage
from nst_tf.run.workshop import Workshop


class Callback:
    """What watches a run. Inherit from it and override what is of interest: the rest does nothing.

    `on_end` is called of all whose `on_begin` came through, the last one first, whatever ended the
    run and whatever another's `on_end` raised.
    """

    def on_begin(self, run: StyleTransfer) -> None:
        """Before the first evaluation."""

    def on_step(self, run: StyleTransfer, step: Step) -> None:
        """After every iteration, the initial image (iteration 0) included."""

    def on_end(self, run: StyleTransfer) -> None:
        """When the run ends, whatever ended it."""


@dataclass
class _Track:
    """What has become of a run so far.

    Attributes:
      progress: of the descent; None before the first evaluation.
      stage: that it is at.
      stopped: why it ended, as in `Result`.
      stopping: whether it is to end after the current step.
      history: a row an iteration.
      snapshots: by iteration.
      spent: as `Meter.spent`, up to the last row.
      saved_total: the loss of an image as saved, with that image's progress.
    """

    progress: Progress | None = None
    stage: Stage | None = None
    stopped: str = "interrupted"
    stopping: bool = False
    history: list[dict[str, float]] = field(default_factory=list)
    snapshots: dict[int, Image.Image] = field(default_factory=dict)
    spent: dict[str, float | int | None] = field(default_factory=dict)
    saved_total: tuple[Progress, float | None] | None = None


class StyleTransfer:
    """A run: iterate over it for a `Step` after every iteration, or call `run` for the result.

        run = StyleTransfer("photo.jpg", "painting.jpg", size=256)
        for step in run:
            if step.terms["total"] < 0.1:
                break
        run.result().save("out.png")

    Args:
      content: a path, PIL image, array or tensor (`images.load`).
      style: such a picture, or a list or tuple of them.
      preset: a name in `presets.PRESETS`; None for the default.
      settings: in place of a preset.
      weights: what `weights.load` takes; None is $NST_TF_WEIGHTS, else ImageNet's.
      callbacks: each told of the begin, of every iteration and of the end.
      tile: how much of the picture is in the works at a time, for the same result: `auto`, `off`
        or a number of pixels (`machine.tile_for`).
      engine: how the network is computed, for the same result: one of `choices.ENGINES`.
      dtype: what it is computed in: one of `choices.DTYPES`. Losses and image are float32 always.
      stages: what the run consists of; None for a single stage, as the settings have it.
      keep_snapshots: whether the images that the settings ask for are kept for `Result.snapshots`;
        a callback may write them instead (`callbacks.Snapshots`).
      workshop: shared by runs that follow each other, so that they compile once between them.
      **overrides: fields of `Settings`.

    Attributes:
      settings: of the run.
      content: the content image at the run's size, float32 [height, width, 3].
      styles: the style images at their size, likewise.
      weights: the network's numbers as loaded, before any normalisation.
      engine: as chosen for this machine; likewise dtype.

    Raises:
      SettingsError, PictureError, WeightsError: before any work is done.
    """

    def __init__(
        self,
        content: Picture,
        style: Picture | Sequence[Picture],
        *,
        preset: str | None = None,
        settings: Settings | None = None,
        weights: str | os.PathLike[str] | Weights | None = None,
        callbacks: Sequence[Callback] = (),
        tile: int | str = "auto",
        engine: str = "auto",
        dtype: str = "auto",
        stages: Schedule | None = None,
        keep_snapshots: bool = True,
        workshop: Workshop | None = None,
        **overrides: Any,
    ) -> None:
        self.settings = presets.choose(preset, settings, **overrides)
        settings = self.settings
        styles = list(style) if isinstance(style, (list, tuple)) else [style]
        if not styles:
            raise SettingsError("name at least one style image")
        if settings.style_blend and len(settings.style_blend) != len(styles):
            raise SettingsError(
                f"{len(settings.style_blend)} weights in style_blend for {len(styles)} "
                "style images: give one for each, or none"
            )
        self._stages = schedule.of_settings(settings) if stages is None else tuple(stages)
        self._solvers = [
            optimizers.create(settings.optimizer, stage.learning_rate) for stage in self._stages
        ]
        self.content = images.load(content, settings.size)
        style_size = settings.style_size or settings.size
        self.styles = [images.load(picture, style_size) for picture in styles]
        for source, picture in zip((content, *styles), (self.content, *self.styles), strict=True):
            height, width = picture.shape[:2]
            try:
                layers.check_size(height, width, map(layers.parse, settings.layers))
            except SettingsError as error:
                name = source if isinstance(source, (str, os.PathLike)) else "a picture"
                raise SettingsError(f"{name}: {error}") from error
        self._start = initial.image(settings.init, self.content, self.styles, settings.seed)
        self.weights = weights_module.load(weights, seed=settings.seed)
        self._inputs: dict[str, Any] = {
            "content": record.identity_of(content),
            "styles": [record.identity_of(picture) for picture in styles],
        }
        if files := initial.files(settings.init):
            self._inputs["init"] = [record.identity_of(path) for path in files]
        self._callbacks = list(callbacks)
        self._tile = machine.check_tile(tile)
        self.engine, self.dtype = machine.choose_engine(engine), machine.choose_dtype(dtype)
        self._keep_snapshots = keep_snapshots
        self._workshop = workshop or Workshop()
        self._track = _Track()

    def build_objective(self, stage: Stage | None = None) -> Objective:
        """The compiled value and gradient, with this run's targets.

        It is the workshop's: built when there is none that will do, which takes a second or more.

        Args:
          stage: at whose size; None for the last one's.
        """
        stage = stage or self._stages[-1]
        content, styles = stage.pictures(self.content, self.styles)
        return self._workshop.objective(
            self.settings,
            self.weights,
            content,
            styles,
            tile=self._tile,
            engine=self.engine,
            dtype=self.dtype,
        )

    @property
    def objective(self) -> Objective:
        """Deprecated: `build_objective`, which says that it takes its time."""
        warnings.warn(
            "StyleTransfer.objective is StyleTransfer.build_objective() since nst_tf 0.2.0",
            DeprecationWarning,
            stacklevel=2,
        )
        return self.build_objective()

    @property
    def plan(self) -> dict[str, Any]:
        """Deprecated: `identity`."""
        warnings.warn(
            "StyleTransfer.plan is StyleTransfer.identity since nst_tf 0.2.0",
            DeprecationWarning,
            stacklevel=2,
        )
        return self.identity

    @property
    def initial_image(self) -> np.ndarray:
        """The image that the run starts from, float32 [height, width, 3]."""
        return self._start

    @property
    def history(self) -> list[dict[str, float]]:
        """One row a recorded iteration so far, as in `Result.history`; empty before the first."""
        return list(self._track.history)

    @property
    def best(self) -> np.ndarray:
        """The image with the smallest total loss so far, float32 [height, width, 3] in [0, 1].

        Raises:
          SettingsError: nothing has been evaluated yet.
        """
        array = np.clip(self._progress().best.image[0].numpy(), 0, 1)
        return images.resize(array, *self.content.shape[:2])  # of a run that ended at a small size

    @property
    def identity(self) -> dict[str, Any]:
        """What tells this run from others, as plain values: settings, pictures, network."""
        return {
            "settings": self.settings.asdict(),
            "image": {"height": self.content.shape[0], "width": self.content.shape[1]},
            "engine": self.engine,
            "dtype": self.dtype,
            **self._inputs,
            "weights": {
                "source": self.weights.source,
                "sha256": self.weights.sha256,
                "file_sha256": self.weights.file_sha256,
            },
        }

    def stop(self) -> None:
        """Ends the run after the current step; from a callback, a signal or another thread."""
        self._track.stopping = True

    def run(self) -> Result:
        """Runs to the end.

        Raises:
          DivergenceError: the loss stayed non-finite; it carries the result so far.
          Interrupted: Ctrl-C, as a KeyboardInterrupt that carries the result so far.
        """
        try:
            for _ in self:
                pass
        except KeyboardInterrupt as interrupt:
            if self._track.progress is None:
                raise
            raise Interrupted(self.result()) from interrupt
        return self.result()

    def result(self) -> Result:
        """The best image so far, also of a run that was left before its end.

        Raises:
          SettingsError: nothing has been evaluated yet.
        """
        track, progress = self._track, self._progress()
        return Result(
            self.best,
            list(track.history),
            self.settings,
            track.stopped,
            dict(track.snapshots),
            record.manifest(
                self.identity,
                list(track.history),
                track.spent,
                track.stopped,
                float(progress.best.loss),
                self._saved_total(progress),
            ),
        )

    def __iter__(self) -> Iterator[Step]:
        """Starts the run from the initial image and yields every iteration, that of 0 first."""
        track = self._track = _Track()
        with contextlib.ExitStack() as ending:
            for callback in self._callbacks:
                callback.on_begin(self)
                ending.callback(callback.on_end, self)
            meter = Meter()
            for progress in self._descend(track):
                step = Step.of_progress(progress, meter.seconds)
                track.history.append(step.row())
                track.spent = meter.spent()
                if self._keep_snapshots and self.settings.snapshot_due(step.iteration):
                    track.snapshots[step.iteration] = step.image
                for callback in self._callbacks:
                    callback.on_step(self, step)
                yield step

    def _descend(self, track: _Track) -> Iterator[Progress]:
        """Yields the progress at every iteration, through all stages."""
        iteration = -1
        for stage, solver in zip(self._stages, self._solvers, strict=True):
            objective = self.build_objective(stage)
            take_step = self._workshop.step(objective, solver)
            limits = stage.limits
            if track.progress is None:
                start = images.resize(self._start, *stage.shape(self.content))
                progress = descent.begin(objective, solver, tf.constant(start[np.newaxis]))
                if not progress.finite:
                    raise DivergenceError(
                        f"the loss of the initial image is {float(progress.state.point.loss)}, or "
                        "its gradient is not finite: check the weights and the loss weights"
                    )
            else:
                limits = limits.after(track.progress)
                image = track.progress.best.image
                image = tf.image.resize(image, stage.shape(self.content), "bicubic")
                progress = descent.resize(objective, solver, track.progress, image)
            track.stage, track.progress = stage, progress
            if iteration < 0:
                iteration = 0
                yield progress
            if track.stopping:
                return
            begun = progress
            for progress in descent.descend(objective, solver, begun, limits, take_step):
                track.progress = progress
                if int(progress.iteration) > iteration:
                    iteration = int(progress.iteration)
                    yield progress
                if track.stopping:
                    return
            track.stopped = descent.verdict(track.progress, limits) or "finished"
            if track.stopped == "diverged":
                raise DivergenceError(
                    f"the loss or its gradient was not finite {int(track.progress.failures)} times "
                    f"in a row after iteration {iteration}; lower the learning rate",
                    self.result(),
                )

    def _progress(self) -> Progress:
        if self._track.progress is None:
            raise SettingsError("no result yet: the run has not taken its first step")
        return self._track.progress

    def _saved_total(self, progress: Progress) -> float | None:
        """L_total of the best image as 8 bits hold it; None where that is not finite."""
        known = self._track.saved_total
        if known is None or known[0].best is not progress.best:
            pixels = images.to_uint8(progress.best.image.numpy()) / np.float32(255)
            total = float(self.build_objective(self._track.stage)(tf.constant(pixels)).loss)
            known = progress, total if math.isfinite(total) else None
            self._track.saved_total = known
        return known[1]


def stylize(
    content: Picture,
    style: Picture | Sequence[Picture],
    *,
    preset: str | None = None,
    settings: Settings | None = None,
    weights: str | os.PathLike[str] | Weights | None = None,
    callbacks: Sequence[Callback] = (),
    tile: int | str = "auto",
    engine: str = "auto",
    dtype: str = "auto",
    stages: Schedule | None = None,
    keep_snapshots: bool = True,
    workshop: Workshop | None = None,
    **overrides: Any,
) -> Result:
    """Paints `content` in the style of `style`: a whole run in one call.

        result = nst_tf.stylize("photo.jpg", "painting.jpg", size=512)
        result.image.save("out.png")

    The arguments are those of `StyleTransfer`.

    Raises:
      NSTError: one clear line about a bad picture, setting or network.
      Interrupted: Ctrl-C; a KeyboardInterrupt that carries the result so far.
    """
    return StyleTransfer(
        content,
        style,
        settings=presets.choose(preset, settings, **overrides),
        weights=weights,
        callbacks=callbacks,
        tile=tile,
        engine=engine,
        dtype=dtype,
        stages=stages,
        keep_snapshots=keep_snapshots,
        workshop=workshop,
    ).run()
