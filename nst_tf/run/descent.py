"""How a run goes down: from an accepted step to the next, as a value that can be put aside.

`descend` yields a `Progress` after every step. A progress is all there is to know: written to a
file and read back, or taken up by another call, it goes on exactly as it would have. `advance` is
the same inside a graph.

A step to where the loss or gradient is not finite is rejected: the solver starts again at the best
image with half the step length. One that finds no smaller loss is given one new start without the
solver's memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import tensorflow as tf

from nst_tf.network.compiled import compiled
from nst_tf.optimizers.base import Evaluate, Point, Solver, State, is_finite

#: How often in a row a step that is not finite is tried again with half the length.
ATTEMPTS = 6


class Average(NamedTuple):
    """The exponential moving average of the iterates, corrected for its beginning.

    Adam's iterates go around a minimum more than down to it; their average is nearer to it than the
    last of them, and smoother (Polyak and Juditsky 1992; the corrected form is Kingma and Ba's).

    Attributes:
      image: Σ d^(t−k) x_k / Σ d^(t−k), float32 [1, height, width, 3]; the image begun with while
        there is no iterate.
      weight: (1 − d) Σ d^(t−k), float32 []; 0 while there is none.
    """

    image: tf.Tensor
    weight: tf.Tensor


class Counts(NamedTuple):
    """How far a descent has come: accepted steps; losses and gradients."""

    iteration: int = 0
    evaluations: int = 0


class Progress(NamedTuple):
    """Where a descent stands: a nest of tensors, which tf.train.Checkpoint can save.

    Attributes:
      state: the solver's, after its last step or new start.
      best: the image with the smallest loss so far.
      iteration: accepted steps so far, int32 [].
      failures: rejected steps since the last accepted one, int32 [].
      finite: whether the last step, accepted or not, came to a finite loss and gradient, bool [].
      shrink: what the solver's step length is multiplied by at its next new start, float32 [].
      change: RMS change of the image in the last step, black to white being 1, float32 [].
      average: of the images accepted since `begin` or `resize`.
    """

    state: State
    best: Point
    iteration: tf.Tensor
    failures: tf.Tensor
    finite: tf.Tensor
    shrink: tf.Tensor
    change: tf.Tensor
    average: Average

    @property
    def evaluations(self) -> tf.Tensor:
        """Losses and gradients computed so far, int32 []."""
        return self.state.evaluations

    @property
    def counts(self) -> Counts:
        """The same numbers as Python has them."""
        return Counts(int(self.iteration), int(self.evaluations))


@dataclass(frozen=True)
class Limits:
    """What ends a descent, whichever comes first; None is no limit.

    Attributes:
      iterations: accepted steps.
      evaluations: losses and gradients; the step that reaches so many is the last.
    """

    iterations: int | None = None
    evaluations: int | None = None

    def after(self, begun: Progress | Counts) -> Limits:
        """Limits that allow as much again, counted from `begun`."""
        iterations, evaluations = self.iterations, self.evaluations
        if iterations is not None:
            iterations += int(begun.iteration)
        if evaluations is not None:
            evaluations += int(begun.evaluations)
        return Limits(iterations, evaluations)

    @property
    def steps(self) -> int:
        """How many steps they allow: evaluations, or iterations where these are not limited."""
        limit = self.iterations if self.evaluations is None else self.evaluations
        return 0 if limit is None else limit

    def share(self, begun: Counts, progress: Progress) -> float:
        """How much of what they allow is done at `progress`, counted from `begun`: 0 to 1, also
        where nothing ends it but the descent itself."""
        now, done = progress.counts, [0.0]
        if self.iterations:
            done.append((now.iteration - begun.iteration) / self.iterations)
        if self.evaluations:
            done.append((now.evaluations - begun.evaluations) / self.evaluations)
        return min(max(done), 1.0)

    def reached(self, progress: Progress) -> bool:
        """Whether `progress` is at its end."""
        spent = int(progress.evaluations)
        done = self.iterations is not None and int(progress.iteration) >= self.iterations
        return done or (self.evaluations is not None and spent >= self.evaluations)


def begin(evaluate: Evaluate, solver: Solver, image: tf.Tensor) -> Progress:
    """Evaluates `image`, float32 [1, height, width, 3], and starts there."""
    return _anew(solver.init(evaluate, image), tf.constant(0))


def resize(evaluate: Evaluate, solver: Solver, progress: Progress, image: tf.Tensor) -> Progress:
    """Goes on with an image of another size, whose loss is not comparable with the old one's.

    Args:
      evaluate: the objective at the new size.
      solver: of the same algorithm as the one that gave `progress`.
      progress: at the old size.
      image: float32 [1, height, width, 3].
    """
    state = solver.resize(evaluate, progress.state, image)
    spent = state.evaluations + progress.state.evaluations
    return _anew(state._replace(evaluations=spent), progress.iteration)


def _anew(state: State, iteration: tf.Tensor) -> Progress:
    finite = is_finite(state.point)
    return Progress(
        state,
        state.point,
        iteration,
        tf.constant(0),
        finite,
        tf.ones([]),
        tf.zeros([]),
        Average(state.point.image, tf.zeros([])),
    )


def attempt(evaluate: Evaluate, solver: Solver, progress: Progress, decay: float = 0.0) -> Progress:
    """One step of the solver, accepted or not; TensorFlow operations only.

    Args:
      evaluate: the objective.
      solver: the algorithm.
      progress: so far.
      decay: d of the average, from 0 (the last image) to below 1.
    """
    state = solver.step(evaluate, progress.state)
    finite = is_finite(state.point)
    accepted = finite & tf.logical_not(state.stalled)
    better = accepted & (state.point.loss < progress.best.loss)
    change = tf.square(state.point.image - progress.state.point.image)
    return Progress(
        state,
        tf.cond(better, lambda: state.point, lambda: progress.best),
        progress.iteration + tf.cast(accepted, tf.int32),
        tf.where(accepted, 0, progress.failures + 1),
        finite,
        tf.where(finite, progress.shrink, progress.shrink / 2),
        tf.sqrt(tf.reduce_mean(change)),
        _averaged(progress.average, state.point.image, accepted, decay),
    )


def _averaged(average: Average, image: tf.Tensor, accepted: tf.Tensor, decay: float) -> Average:
    weight = decay * average.weight + (1 - decay)
    mean = average.image + (image - average.image) * ((1 - decay) / weight)
    return Average(
        tf.where(accepted, mean, average.image), tf.where(accepted, weight, average.weight)
    )


def restart(evaluate: Evaluate, solver: Solver, progress: Progress) -> Progress:
    """The solver at the best image, without its memory; TensorFlow operations only."""
    state = solver.init(evaluate, progress.best.image, progress.shrink)
    spent = state.evaluations + progress.state.evaluations
    return progress._replace(state=state._replace(evaluations=spent))


def advance(evaluate: Evaluate, solver: Solver, progress: Progress, decay: float = 0.0) -> Progress:
    """One step and, where it is rejected, a new start: what `descend` does, inside a graph."""
    progress = attempt(evaluate, solver, progress, decay)
    again = (progress.failures > 0) & tf.logical_not(diverged(progress) | stalled(progress))
    return tf.cond(again, lambda: restart(evaluate, solver, progress), lambda: progress)


def diverged(progress: Progress) -> tf.Tensor:
    """Whether no step, however short, came to a finite loss, or the start has none: bool []."""
    lost = (progress.failures == 0) & tf.logical_not(progress.finite)
    return lost | (progress.failures > ATTEMPTS)


def stalled(progress: Progress) -> tf.Tensor:
    """Whether a new start found no smaller loss either: there is none at float32's resolution."""
    return progress.finite & (progress.failures > 1)


def verdict(progress: Progress, limits: Limits) -> str | None:
    """Why a descent is over: `diverged`, `stalled` or `finished`; None where it goes on."""
    if bool(stalled(progress)):
        return "stalled"
    if bool(diverged(progress)):
        return "diverged"
    return "finished" if limits.reached(progress) else None


def descend(
    evaluate: Evaluate,
    solver: Solver,
    progress: Progress,
    limits: Limits,
    take_step: Callable[[Progress], Progress] | None = None,
) -> Iterator[Progress]:
    """Yields the progress after every step, rejected ones included, until `verdict` ends it.

    What it yields can be gone on from: where a step was rejected, the new start is made already.

    Args:
      evaluate: the objective.
      solver: the algorithm.
      progress: from `begin` or `resize`, or as an earlier call yielded it.
      limits: counted from the very beginning (`Limits.after` counts from `progress`).
      take_step: `attempt` with `evaluate` and `solver`, where it is compiled already.
    """
    take_step = take_step or compiled(partial(attempt, evaluate, solver))
    while verdict(progress, limits) is None:
        progress = take_step(progress)
        if int(progress.failures) and verdict(progress, Limits()) is None:
            progress = restart(evaluate, solver, progress)
        yield progress
