"""A whole run inside a graph: what `nst_tf.stylize` does, of pictures whose shapes are known only
when it runs.

Scales, steps, averages and what is handed from scale to scale are the package's own
(`run.schedule`, `run.descent`, `run.finish`). A graph has no Pillow and no NumPy: pictures are
scaled by `pictures.scaling`, and settings that need more of them are refused by `check`. So a run
begins as the package's does, to 5e-6 of a pixel, and goes apart from it as two engines of the
package do, by rounding.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from nst_tf import optimizers
from nst_tf.errors import ExportError
from nst_tf.export.graph_objective import GraphObjective, Targets, any_targets
from nst_tf.losses.border import Model
from nst_tf.losses.statistics import Nest
from nst_tf.network.compiled import any_size, compiled
from nst_tf.optimizers.base import Evaluate
from nst_tf.pictures import checks, initial, scaling, views
from nst_tf.recipe import choices, layers, sizes
from nst_tf.recipe.settings import Settings
from nst_tf.run import descent, finish, grain, inputs, schedule
from nst_tf.run.descent import Progress

#: Initial images, and mixes of them, that a graph can make.
INITIAL_IMAGES = ("content", "noise", "blank")


class Outcome(NamedTuple):
    """What a run makes.

    Attributes:
      image: float32 [height, width, 3] in [0, 1], at the size of the result.
      loss: L_total of the initial image and after each of n iterations, float32 [n + 1].
      scale: the longer side in pixels at each, int32 [n + 1]; losses compare within a scale.
    """

    image: tf.Tensor
    loss: tf.Tensor
    scale: tf.Tensor


def scales(settings: Settings, size: int) -> list[int]:
    """The longer sides of a run's scales in pixels, for a result of `size`.

    Those at which narrow pictures have too few pixels for the network are left out of their runs.

    Raises:
      SettingsError: `max_scale`, or the style image's size, is too small for the network.
    """
    settings = settings.replace(size=size)
    # A square has all scales that any picture has.
    seen_at = sizes.seen_at(settings, size) or size
    content, style = (np.broadcast_to(np.float32(0), (side, side, 3)) for side in (size, seen_at))
    smallest = max(1, round(seen_at * views.smallest(settings.stroke_sizes)))
    layers.check_size(smallest, smallest, map(layers.parse, settings.layers))
    return [stage.size or size for stage in schedule.of_settings(settings, content, [style])]


def check(settings: Settings, size: int) -> None:
    """Raises ExportError where the settings ask for what a served run cannot do, and SettingsError
    where a run of `size` pixels could not either."""
    unknown = [kind for kind in initial.parse(settings.init) if kind not in INITIAL_IMAGES]
    for bad, what, instead in (
        (
            settings.optimizer not in choices.OWN,
            f"optimizer={settings.optimizer}",
            f"use {', '.join(choices.OWN)}",
        ),
        (settings.colours != "free", f"colours={settings.colours}", "use colours=free"),
        (unknown, f"init={settings.init}", f"use {', '.join(INITIAL_IMAGES)} or a mix of them"),
        (len(settings.style_blend) > 1, "style_blend", "a served run has one style image"),
    ):
        if bad:
            raise ExportError(
                f"{what} is not to be had in a served run (stylize): {instead}, or export "
                "what=style, which leaves the run out"
            )
    inputs.check_blend(settings, 1)
    scales(settings, size)


class Painter:
    """A run of one recipe, to be called inside a graph.

    Args:
      model: pictures [batch, height, width, 3] to feature maps by layer, of the recipe's layers at
        least.
      settings: of the recipe, such that `check` lets them pass. Its iterations and evaluations do
        not count: whoever calls it says how many.
      size: longer side of the result in pixels.
    """

    def __init__(self, model: Model, settings: Settings, size: int) -> None:
        self._model, self._size = model, size
        self._settings = settings = settings.replace(size=size)
        self._scales = scales(settings, size)
        self._factors = [scale / size for scale in self._scales]
        self._solver = optimizers.create(
            settings.optimizer, settings.learning_rate, settings.bounded
        )

    def __call__(self, content: tf.Tensor, style: tf.Tensor, steps: tf.Tensor) -> Outcome:
        """Paints a photo in the style of a painting, each float32 [height, width, 3] in [0, 1].

        Args:
          content: of any size: it is scaled.
          style: likewise.
          steps: what `Settings.iterations` is, int32 []: accepted steps, of a recipe with several
            scales those at 512 pixels, of which others get as many times more as they are smaller.
            A scale at which there is no smaller loss to be found ends before.

        Raises:
          InvalidArgumentError: a picture is too small for the network, or too narrow; or the loss
            or its gradient is not finite, however short the step.
        """
        settings, solver = self._settings, self._solver
        content = scaling.to_size(content, self._size)
        style = scaling.to_size(style, sizes.seen_at(settings, self._size) or self._size)
        start = self._start(content)
        first, limits = self._first(content, style), self._limits(steps)
        objective = GraphObjective(self._model, settings)

        def targets_at(index: tf.Tensor) -> Targets:
            return objective.targets(self._scaled(content, index), self._scaled(style, index))

        def descend(
            index: tf.Tensor, targets: Targets, progress: Progress, history: Nest
        ) -> tuple[Progress, Nest]:
            limit = progress.iteration + tf.gather(limits, index)
            return self._descend(objective.against(targets), progress, limit, index, history)

        def go_on(index: tf.Tensor, progress: Progress, history: Nest) -> tuple[Any, ...]:
            targets = targets_at(index)
            image = finish.outcome(progress, settings)
            before = scaling.resize(start, tf.shape(image)[1:3])
            after = self._scaled(start, index)
            image = schedule.enlarge(image, before, after, settings.bounded)
            progress = descent.resize(objective.against(targets), solver, progress, image)
            return index + 1, *descend(index, targets, progress, history)

        targets = targets_at(first)
        image = self._scaled(start, first)[tf.newaxis]
        progress = descent.begin(objective.against(targets), solver, image)
        rows = 1 + tf.reduce_sum(tf.where(tf.range(len(self._scales)) >= first, limits, 0))
        history = (tf.zeros([rows]), tf.zeros([rows], tf.int32))
        history = self._noted(history, progress, first)
        count = len(self._scales)
        if count > 1:  # then traced once for all of them
            any_history = (tf.TensorSpec([None]), tf.TensorSpec([None], tf.int32))
            like = [any_targets(targets), any_size(progress), any_history]
            descend = compiled(descend, [tf.TensorSpec([], tf.int32), *like])
        progress, history = descend(first, targets, progress, history)
        if count > 1:
            _, progress, history = tf.while_loop(
                lambda index, *_: index < count,
                go_on,
                (first + 1, progress, history),
                parallel_iterations=1,
            )
        image = finish.outcome(progress, settings)
        if self._scales[-1] < self._size:
            before = scaling.resize(content, tf.shape(image)[1:3])
            image = schedule.enlarge(image, before, content)
        image = tf.clip_by_value(image[0], 0.0, 1.0)
        if settings.grain == "painting":
            seen = scaling.at_sizes(style, settings.stroke_sizes)
            image = grain.shaped(image, content, seen)
        loss, scale = (values[: progress.iteration + 1] for values in history)
        return Outcome(image, loss, scale)

    def _scaled(self, picture: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
        """A picture of the run at a scale."""
        factor = tf.gather(tf.constant(self._factors, tf.float64), index)
        return scaling.resize(picture, scaling.shape_at(tf.shape(picture)[:2], factor))

    def _start(self, content: tf.Tensor) -> tf.Tensor:
        """The initial image, as `initial.image` makes it."""
        shares = initial.parse(self._settings.init)
        mixed = tf.zeros_like(content)
        for kind, share in shares.items():
            if kind == "content":
                one = content
            elif kind == "noise":
                # The first numbers of the largest picture's noise are a smaller one's.
                noise = initial.noise(self._settings.seed, [3 * self._size**2])
                one = tf.reshape(tf.constant(noise)[: tf.size(content)], tf.shape(content))
            else:
                one = tf.fill(tf.shape(content), 0.5)
            mixed += np.float32(share / sum(shares.values())) * one
        return mixed

    def _first(self, content: tf.Tensor, style: tf.Tensor) -> tf.Tensor:
        """Index of the first scale at which both pictures have pixels enough, int32 []."""
        settings = self._settings
        deepest = layers.deepest(map(layers.parse, settings.layers))
        least = layers.smallest_size([deepest])
        factors = tf.constant(self._factors, tf.float64)[:, tf.newaxis]
        sides = [
            tf.cast(tf.reduce_min(scaling.shape_at(tf.shape(picture)[:2], factors), 1), tf.float64)
            for picture in (content, style)
        ]
        furthest = views.smallest(settings.stroke_sizes)
        enough = tf.minimum(sides[0], furthest * sides[1]) >= float(least)
        # All that the network sees is scaled by what comes of it, and so waits for the check.
        return checks.once(
            tf.argmax(enough, output_type=tf.int32),
            enough[-1],
            f"the content image or the style image is too narrow: scaled to the size of the run, "
            f"{self._scales[-1]} pixels, its shorter side has fewer than the {least} that "
            f"{deepest} takes",
        )

    def _limits(self, steps: tf.Tensor) -> tf.Tensor:
        """How many iterations each scale gets, int32 [scales]."""
        factors = [sizes.steps_factor(self._settings, scale) for scale in self._scales]
        some = tf.round(tf.cast(steps, tf.float64) * tf.constant(factors, tf.float64))
        return tf.where(steps > 0, tf.maximum(tf.cast(some, tf.int32), 1), 0)

    def _descend(
        self,
        evaluate: Evaluate,
        progress: Progress,
        limit: tf.Tensor,
        index: tf.Tensor,
        history: Nest,
    ) -> tuple[Progress, Nest]:
        """Goes down at one scale, up to so many iterations in all."""

        def goes_on(progress: Progress, history: Nest) -> tf.Tensor:
            over = descent.stalled(progress) | descent.diverged(progress)
            return (progress.iteration < limit) & tf.logical_not(over)

        def step(progress: Progress, history: Nest) -> tuple[Progress, Nest]:
            after = descent.advance(evaluate, self._solver, progress, self._settings.average)
            accepted = after.iteration > progress.iteration
            history = tf.cond(accepted, lambda: self._noted(history, after, index), lambda: history)
            return after, history

        progress, history = tf.while_loop(goes_on, step, (progress, history), parallel_iterations=1)
        tf.debugging.assert_equal(
            descent.diverged(progress),
            False,
            "the loss or its gradient is not finite, however short the step",
        )
        return progress, history

    def _noted(self, history: Nest, progress: Progress, index: tf.Tensor) -> Nest:
        """The history, losses and scales, with the row of an iteration."""
        row = tf.reshape(progress.iteration, [1, 1])
        scale = tf.gather(tf.constant(self._scales), [index])
        losses, scales = history
        return (
            tf.tensor_scatter_nd_update(losses, row, [progress.state.point.loss]),
            tf.tensor_scatter_nd_update(scales, row, scale),
        )
