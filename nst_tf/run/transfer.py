"""The run itself: pictures and settings in, a pastiche out, one iteration at a time."""

from __future__ import annotations

import contextlib
import math
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import tensorflow as tf
from typing_extensions import Unpack

from nst_tf import optimizers
from nst_tf.errors import Interrupted, SettingsError
from nst_tf.losses import own_terms
from nst_tf.losses.objective import Objective
from nst_tf.losses.own_terms import Term
from nst_tf.network import machine
from nst_tf.network import weights as weights_module
from nst_tf.network.weights import Weights
from nst_tf.pictures import images
from nst_tf.pictures.images import Picture
from nst_tf.recipe import presets
from nst_tf.recipe.choices import Tile
from nst_tf.recipe.overrides import Overrides
from nst_tf.recipe.settings import Settings
from nst_tf.run import finish, outlook, record, schedule, workshops
from nst_tf.run import inputs as inputs_module
from nst_tf.run.checkpoint import Checkpoint
from nst_tf.run.course import Course
from nst_tf.run.descent import Progress
from nst_tf.run.given import as_callbacks
from nst_tf.run.inputs import Inputs, Style
from nst_tf.run.meter import Meter
from nst_tf.run.record import Result, Step
from nst_tf.run.schedule import Schedule, Stage
from nst_tf.run.track import Track
from nst_tf.run.workshop import Workshop
from nst_tf.run.workshops import Place


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


class StyleTransfer:
    """A run: iterate over it for a `Step` after every iteration, or call `run` for the result.

        run = StyleTransfer("photo.jpg", "painting.jpg", size=256)
        for step in run:
            if step.terms["total"] < 0.1:
                break
        run.result().save("out.png")

    Args:
      content: a path, PIL image, array or tensor (`images.load`).
      style: such a picture, or one with a mask (`masks.Masked`); or a list or tuple of them, which
        share the result out by their masks (`masks.shares`), or are blended where none has one.
      protect: a mask that is white where the photo is to stay as it is, gray where in part.
      preset: a name in `presets.PRESETS`; None for the default.
      settings: in place of a preset.
      weights: what `weights.load` takes; None is the preset's own (`presets.NETWORKS`), else
        $NST_TF_WEIGHTS, else ImageNet's.
      callbacks: each told of the begin, of every iteration and of the end; a function, of every
        iteration's `Step`.
      terms: of the loss, beside the recipe's: each an `nst_tf.Term`, or a function of the image
        (`own_terms.Term` says which).
      tile: how much of the picture is in the works at a time, for the same result: `auto`, `off`
        or a number of pixels (`outlook.tile_for`); a list of the latter, one a stage, as `auto`
        decided them before (a manifest's `tile`), for the same bytes.
      engine: how the network is computed, for the same result: one of `choices.ENGINES`.
      dtype: what it is computed in: one of `choices.DTYPES`. Losses and image are float32 always.
      max_memory: that the process may take, `6GiB`; None for four fifths of what is at hand.
      stages: what the run consists of; None for a single stage, as the settings have it.
      keep_snapshots: whether the images that the settings ask for are kept for `Result.snapshots`;
        a callback may write them instead (`callbacks.Snapshots`).
      checkpoint: a folder that the run puts itself aside in; a run of the same pictures and
        settings goes on from there, to the same picture. None for none.
      checkpoint_every: seconds between two that are kept; the last step is kept in any case.
      workshop: where it compiles, for runs that follow each other; None for one of the process's,
        of which runs in several threads each have their own (`workshops.clear_workshops`).
      inputs: what `inputs.load` has made of these very pictures for these settings, to be taken in
        their place; None to read them.
      **overrides: fields of `Settings`. The optimizer may be one of Keras, the style loss a
        statistic (`statistics.Statistic`), the initial image a picture.

    Attributes:
      settings: of the run.
      content: the content image at the run's size, float32 [height, width, 3].
      styles: the style images at their size, likewise.
      stages: what it consists of.
      weights: the network's numbers as loaded, before any normalisation.
      engine: as chosen for this machine; likewise dtype.
      outlook: the memory that it will take.
      checkpoint: a `Checkpoint`, or None.

    Raises:
      SettingsError, PictureError, FileError, WeightsError: before any work is done.
    """

    def __init__(
        self,
        content: Picture,
        style: Style | Sequence[Style],
        *,
        protect: Picture | None = None,
        preset: str | None = None,
        settings: Settings | None = None,
        weights: str | os.PathLike[str] | Weights | None = None,
        callbacks: Sequence[Callback | Callable[[Step], Any]] = (),
        terms: Sequence[Term | Callable[[tf.Tensor], tf.Tensor]] = (),
        tile: Tile = "auto",
        engine: str = "auto",
        dtype: str = "auto",
        max_memory: int | str | None = None,
        stages: Schedule | None = None,
        keep_snapshots: bool = True,
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_every: float = 60.0,
        workshop: Workshop | None = None,
        inputs: Inputs | None = None,
        **overrides: Unpack[Overrides],
    ) -> None:
        self.settings = settings = presets.choose(preset, settings, **overrides)
        optimizers.create(settings.optimizer, bounded=settings.bounded)  # is it here?
        self._terms, watching = own_terms.checked(terms), as_callbacks(callbacks)
        settings.check_aim(max((term.weight for term in self._terms), default=0))
        self.engine, self.dtype = machine.choose_engine(engine), machine.choose_dtype(dtype)
        network = weights_module.at_once(presets.network(settings.preset, weights))
        how: dict[str, Any] = {
            "engine": self.engine,
            "dtype": self.dtype,
            "tile": machine.check_tile(tile),
            "within": outlook.room(max_memory, machine.has_gpu(), workshops.idle(workshop)),
        }
        if stages is None:
            outlook.check_early(settings, content, style, network, **how)
        self._inputs = inputs or inputs_module.load(settings, content, style, protect)
        self.content, self.styles = self._inputs.content, self._inputs.styles
        self._overlay = finish.Overlay(self._inputs)
        self.stages = tuple(stages or schedule.of_settings(settings, self.content, self.styles))
        self.weights = weights_module.load(network, seed=settings.seed)
        self._callbacks = watching
        course = Course(
            settings,
            self._inputs,
            self.weights,
            self.stages,
            terms=self._terms,
            **how,
        )
        if checkpoint is not None and course.tile == "auto":
            begun = Checkpoint.tile(checkpoint, course.staged_identity)
            course = replace(course, tile=begun or "auto")
        self._course, self.outlook = course, course.foreseen()
        self._keep_snapshots = keep_snapshots
        self.checkpoint: Checkpoint | None = None
        if checkpoint is not None:
            self.checkpoint = Checkpoint(checkpoint, checkpoint_every, self._course.whole_identity)
        self._place = Place(workshop, self._course.key, self.outlook.crowded)
        self._track = Track()

    def build_objective(
        self, stage: Stage | None = None, start: tf.Tensor | None = None
    ) -> Objective:
        """The compiled value and gradient, with this run's targets.

        It is the workshop's: built when there is none that will do, which takes a second or more.
        A workshop of the process's then is this run's for good.

        Args:
          stage: at whose size; None for the last one's.
          start: the image that it begins with, [1, height, width, 3]; None for the content image.
        """
        return self._course.objective(self._place.keep(), stage or self.stages[-1], start)

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
        return self._inputs.start

    @property
    def history(self) -> list[dict[str, float]]:
        """One row a recorded iteration so far, as in `Result.history`; empty before the first."""
        return list(self._track.history)

    @property
    def best(self) -> np.ndarray:
        """The image with the smallest total loss so far, or the average of the iterates where the
        settings ask for one: float32 [height, width, 3] in [0, 1].

        Raises:
          SettingsError: nothing has been evaluated yet.
        """
        progress, known = self._progress(), self._track.picture
        if known is None or known[0] is not progress:
            image = finish.outcome(progress, self.settings)
            known = progress, finish.result(image, self._overlay, self.settings)
            self._track.picture = known
        return known[1].copy()

    @property
    def identity(self) -> dict[str, Any]:
        """What tells this run from others, as plain values: settings, pictures, network."""
        return self._course.identity

    @property
    def share(self) -> float:
        """How much of the run is done, from 0 to 1: its steps, a large scale's weighing more."""
        track = self._track
        if track.progress is None or track.stage is None:
            return 0.0
        here = track.stage.limits.share(track.begun, track.progress)
        return schedule.share(self.stages, self.content, track.stage, here)

    def stop(self) -> None:
        """Ends the run after the current step; from a callback, a signal or another thread."""
        self._track.stopping = True

    def run(self) -> Result:
        """Runs to the end.

        Raises:
          DivergenceError: the loss stayed non-finite; it carries the result so far.
          Interrupted: Ctrl-C, as a KeyboardInterrupt that carries the result so far.
        """
        with self._place.open():  # the result is measured where the run was
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
        track, progress, best = self._track, self._progress(), self.best
        return Result(
            best,
            list(track.history),
            self.settings,
            track.stopped,
            dict(track.snapshots),
            record.manifest(
                {**self.identity, "tile": self._course.tiles},
                best,
                list(track.history),
                track.spent,
                track.stopped,
                *self._totals(progress),
                len(self.stages),
            ),
        )

    def __iter__(self) -> Iterator[Step]:
        """Starts the run from the initial image and yields every iteration, that of 0 first; from a
        checkpoint, the one that it was put aside at."""
        track = self._track = Track()
        with contextlib.ExitStack() as ending:
            workshop = ending.enter_context(self._place.open())
            if self.checkpoint:
                ending.enter_context(self.checkpoint.open(track))
            for callback in self._callbacks:
                callback.on_begin(self)
                ending.callback(callback.on_end, self)
            told = dict(track.history[-1]) if track.history else {"iteration": -1, "seconds": 0.0}
            meter = Meter(told["seconds"], track.spent)
            for progress in self._course.descend(workshop, track, self.result):
                image = self._overlay(progress.state.point.image)
                step = Step.of_progress(progress, meter.seconds, image)
                if step.iteration > told["iteration"]:
                    track.history.append(step.row())
                track.spent = meter.spent()
                if self._keep_snapshots and self.settings.snapshot_due(step.iteration):
                    track.snapshots[step.iteration] = step.sized(*self.content.shape[:2])
                if self.checkpoint:
                    self.checkpoint.after_step(track)
                for callback in self._callbacks:
                    callback.on_step(self, step)
                yield step

    def _progress(self) -> Progress:
        if self._track.progress is None:
            raise SettingsError("no result yet: the run has not taken its first step")
        return self._track.progress

    def _totals(self, progress: Progress) -> tuple[float, float | None]:
        """L_total of the outcome, and of it as 8 bits hold it; None where that is not finite.

        Where they cannot be measured, as in too little memory, the first is the best iterate's, and
        the second None: the picture is there all the same.
        """
        known = self._track.totals
        if known is None or known[0] is not progress:
            try:
                known = progress, self._measured(progress)
            except (MemoryError, tf.errors.OpError) as error:
                reason = type(error).__name__
                warnings.warn(f"the result's loss cannot be measured: {reason}", stacklevel=3)
                known = progress, (float(progress.best.loss), None)
            self._track.totals = known
        return known[1]

    def _measured(self, progress: Progress) -> tuple[float, float | None]:
        image = self._overlay(finish.outcome(progress, self.settings))
        best = images.resize(self.best, *image.shape[1:3])[np.newaxis]
        pixels = images.to_uint8(np.asarray(best)) / np.float32(255)
        stage = self._track.stage or self.stages[-1]
        with self._place.open() as workshop:
            objective = self._course.objective(workshop, stage, self._track.start)
            total = objective(image).loss if self.settings.average else progress.best.loss
            saved = float(objective(tf.constant(pixels)).loss)
        return float(total), saved if math.isfinite(saved) else None


def stylize(
    content: Picture,
    style: Style | Sequence[Style],
    *,
    protect: Picture | None = None,
    preset: str | None = None,
    settings: Settings | None = None,
    weights: str | os.PathLike[str] | Weights | None = None,
    callbacks: Sequence[Callback | Callable[[Step], Any]] = (),
    terms: Sequence[Term | Callable[[tf.Tensor], tf.Tensor]] = (),
    tile: Tile = "auto",
    engine: str = "auto",
    dtype: str = "auto",
    max_memory: int | str | None = None,
    stages: Schedule | None = None,
    keep_snapshots: bool = True,
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_every: float = 60.0,
    workshop: Workshop | None = None,
    **overrides: Unpack[Overrides],
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
        protect=protect,
        settings=presets.choose(preset, settings, **overrides),
        weights=weights,
        callbacks=callbacks,
        terms=terms,
        tile=tile,
        engine=engine,
        dtype=dtype,
        max_memory=max_memory,
        stages=stages,
        keep_snapshots=keep_snapshots,
        checkpoint=checkpoint,
        checkpoint_every=checkpoint_every,
        workshop=workshop,
    ).run()
