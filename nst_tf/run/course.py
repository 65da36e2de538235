"""How a run goes: from stage to stage, each with its objective, down to the last image."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from nst_tf import optimizers
from nst_tf.errors import DivergenceError
from nst_tf.losses import own_terms
from nst_tf.losses.objective import Objective
from nst_tf.losses.own_terms import Term
from nst_tf.network.engine import winograd_ends
from nst_tf.network.weights import Weights
from nst_tf.optimizers.base import Evaluate, Solver
from nst_tf.pictures import images, masks
from nst_tf.recipe import choices
from nst_tf.recipe.choices import Tile
from nst_tf.recipe.settings import Settings
from nst_tf.run import descent, finish, outlook, schedule
from nst_tf.run.descent import Progress
from nst_tf.run.finish import Overlay
from nst_tf.run.inputs import Inputs
from nst_tf.run.memory import Need
from nst_tf.run.outlook import Outlook, Room
from nst_tf.run.record import Result
from nst_tf.run.schedule import Stage
from nst_tf.run.track import Track
from nst_tf.run.workshop import Workshop

#: Up to so many pixels a graph serves all shapes, also where a run has but one. An evaluation takes
#: 3 to 4 ms longer than in one of the shape's own (with mini 9 % at 64 pixels, 3 % at 192); that
#: takes four seconds and more to compile: only a run of larger pictures is long enough for it.
SHARED = 256 * 256


def serves_any_size(several: bool, shape: tuple[int, int], settings: Settings) -> bool:
    """Whether one trace serves pictures of other sizes, too, which our own optimizers' can.

    Args:
      several: whether the run has several scales.
      shape: height and width of its last stage.
      settings: of the run.
    """
    shared = several or shape[0] * shape[1] <= SHARED
    return shared and settings.optimizer in choices.OWN


@dataclass(frozen=True)
class Course:
    """What a run computes, wherever it does.

    Attributes:
      settings: of the run.
      inputs: its pictures.
      weights: its network.
      stages: what it consists of.
      tile: as `outlook.decide` takes it.
      engine: one of `choices.ENGINES` but auto; likewise dtype.
      within: what it may take of memory.
      terms: of the user's own.
    """

    settings: Settings
    inputs: Inputs
    weights: Weights
    stages: tuple[Stage, ...]
    tile: Tile
    engine: str
    dtype: str
    within: Room
    terms: tuple[Term, ...] = ()

    @property
    def key(self) -> tuple[Any, ...]:
        """What runs that are equal in it compile once between them."""
        regions, settings = self.inputs.regions, self.settings
        height, width = self.stages[0].shape(self.inputs.content)
        size = None if self._scales else winograd_ends(height, width)
        return (
            (settings.graph_key, self.weights.sha256, self.engine, self.dtype, *self.tiles),
            [(term.name, term.loss) for term in self.terms],
            size if self._any_size else (height, width),
            None if regions is None else regions.shape[-1],
            (self._solver(self.stages[0]), settings.average, self.inputs.protect is None),
        )

    def need(self, stage: Stage) -> Need:
        """What a stage has to hold in memory."""
        inputs = self.inputs
        content, *styles = stage.shapes(inputs.content, *inputs.styles)
        return Need(
            self.settings,
            self.weights.channels,
            content,
            styles,
            self.engine,
            self.dtype,
            0 if inputs.regions is None else inputs.regions.shape[-1],
            inputs.content.shape[:2] if content != inputs.content.shape[:2] else (0, 0),
        )

    @functools.cached_property
    def _outlooks(self) -> dict[Stage, Outlook]:
        """What is foreseen of each stage, decided once."""
        needs = [self.need(stage) for stage in self.stages]
        decided = outlook.decide(self.tile, needs, self.within)
        return dict(zip(self.stages, decided, strict=True))

    def foreseen(self) -> Outlook:
        """What is foreseen of the run's memory: that of the stage that takes most.

        Raises:
          SettingsError: it does not fit.
        """
        return max(self._outlooks.values(), key=lambda one: one.peak)

    @property
    def tiles(self) -> list[int | str]:
        """What was decided for each stage, as `tile` takes it: `off`, or a number of pixels."""
        return [self._outlooks[stage].tile or "off" for stage in self.stages]

    @property
    def identity(self) -> dict[str, Any]:
        """What tells the run from others, as plain values: settings, pictures, network."""
        height, width = self.inputs.content.shape[:2]
        return {
            "settings": self.settings.asdict(),
            "image": {"height": height, "width": width},
            "engine": self.engine,
            "dtype": self.dtype,
            **self.inputs.identity,
            "weights": self.weights.identity,
            **({"terms": own_terms.identity(self.terms)} if self.terms else {}),
        }

    @property
    def staged_identity(self) -> dict[str, Any]:
        """Likewise, with its stages, which need not be the settings' own."""
        stages = [dataclasses.asdict(stage) for stage in self.stages]
        return {**self.identity, "stages": stages}

    @property
    def whole_identity(self) -> dict[str, Any]:
        """Likewise, with their strips, which are as memory allowed."""
        return {**self.staged_identity, "tile": self.tiles}

    @property
    def _any_size(self) -> bool:
        """Whether one trace serves pictures of other sizes, too, which our own optimizers' can."""
        shape = self.stages[-1].shape(self.inputs.content)
        return serves_any_size(self._scales, shape, self.settings)

    @property
    def _scales(self) -> bool:
        return len(self.stages) > 1

    def _tile(self, stage: Stage) -> int | None:
        if stage in self._outlooks:
            return self._outlooks[stage].tile
        # A program may ask for one that is not the run's.
        tile = self.tile if isinstance(self.tile, (int, str)) else "auto"
        return outlook.tile_for(tile, self.need(stage), self.within.left)

    def _solver(self, stage: Stage) -> Solver:
        """A new one each time: some have memory of their own, which no two runs should share."""
        settings = self.settings
        return optimizers.create(settings.optimizer, stage.learning_rate, settings.bounded)

    def objective(
        self, workshop: Workshop, stage: Stage, start: tf.Tensor | None = None
    ) -> Objective:
        """The compiled value and gradient of a stage, with this run's targets.

        Args:
          workshop: where it is built, unless one is there that will do.
          stage: of the run.
          start: the image that it begins with, [1, height, width, 3]; None for the content image.
        """
        inputs = self.inputs
        content, styles = stage.pictures(inputs.content, inputs.styles)
        return workshop.objective(
            self.settings,
            self.weights,
            content,
            styles,
            tile=self._tile(stage),
            engine=self.engine,
            dtype=self.dtype,
            any_size=self._any_size,
            scales=self._scales,
            start=start,
            layerwise=stage.layerwise,
            regions=None
            if inputs.regions is None
            else masks.resize(inputs.regions, *content.shape[:2]),
            terms=self.terms,
        )

    def _evaluate(
        self, workshop: Workshop, stage: Stage, start: tf.Tensor | None = None
    ) -> Evaluate:
        """The objective as one of the image that descends, of which the protected is no part."""
        objective, inputs = self.objective(workshop, stage, start), self.inputs
        if inputs.protect is None:
            return objective
        return workshop.protected(objective, *Overlay(inputs).at(stage.shape(inputs.content)))

    def descend(
        self, workshop: Workshop, track: Track, result: Callable[[], Result]
    ) -> Iterator[Progress]:
        """Yields the progress at every iteration, through all stages.

        A run that is taken up yields first the iteration that it was put aside at.

        Args:
          workshop: where it takes place.
          track: which is kept up to date; it says where to go on, of a run that is taken up.
          result: of the run so far, for an error to carry.

        Raises:
          DivergenceError: the loss stayed non-finite.
        """
        iteration, content, first = -1, self.inputs.content, self.inputs.start
        for number, stage in list(enumerate(self.stages))[track.number :]:
            image, begun, solver = track.start, track.begun, self._solver(stage)
            if track.progress is None:
                evaluate = self._evaluate(workshop, stage, image)
                start = images.resize(first, *stage.shape(content))
                progress = descent.begin(evaluate, solver, tf.constant(start[np.newaxis]))
                if track.leaves:
                    # What has begun says of which parts a progress is made: that is all of it.
                    progress = tf.nest.pack_sequence_as(progress, track.leaves)
                    track.leaves = ()
                elif not progress.finite:
                    raise DivergenceError(
                        f"the loss of the initial image is {float(progress.state.point.loss)}, or "
                        "its gradient is not finite: check the weights and the loss weights"
                    )
            else:
                begun = track.progress.counts
                image = finish.outcome(track.progress, self.settings)
                shapes = image.shape[1:3], stage.shape(content)
                before, after = (images.resize(first, *shape) for shape in shapes)
                image = schedule.enlarge(image, before, after, self.settings.bounded)
                evaluate = self._evaluate(workshop, stage, image)
                progress = descent.resize(evaluate, solver, track.progress, image)
                if not progress.finite:  # what is known to be good is the scale before
                    track.stopped = "diverged"
                    height, width = image.shape[1:3]
                    raise DivergenceError(
                        f"the loss at the beginning of {width}x{height} pixels is "
                        f"{float(progress.state.point.loss)}, or its gradient is not finite",
                        result(),
                    )
            track.stage, track.number, track.start = stage, number, image
            track.begun, track.progress = begun, progress
            track.stopped = "interrupted"
            if iteration < 0:
                iteration = int(progress.iteration)
                yield progress
            if track.stopping:
                return
            like = progress if getattr(evaluate, "any_size", False) else None
            take_step = workshop.step(evaluate, solver, self.settings.average, like)
            limits, here = stage.limits.after(begun), progress
            for progress in descent.descend(evaluate, solver, here, limits, take_step):
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
                    result(),
                )
