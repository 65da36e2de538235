"""How long a run will take: a moment of it, at a small size, and what that comes to at its own.

The time of an evaluation is that of its pixels. What comes before the first one, compilation, takes
as long at every size.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from nst_tf.recipe.settings import Settings
from nst_tf.run.schedule import Stage
from nst_tf.run.transfer import StyleTransfer

#: Longer side in pixels at which is measured: what a pixel takes there it takes in larger pictures.
_SIZE = 256
#: For how many seconds, and how many steps at least; behind the two evaluations that compile.
_SECONDS, _LEAST, _COMPILING = 2.0, 3, 2
#: What strip by strip takes of the time of a whole picture.
_STRIPS = 1.26
#: Of an evaluation's time, what measuring a picture without its gradient takes.
_FORWARD = 0.4


class Forecast(NamedTuple):
    """What a run takes.

    Attributes:
      evaluations: of loss and gradient, at each scale.
      seconds: in all.
    """

    evaluations: list[int]
    seconds: float


def trial_settings(run: StyleTransfer) -> Settings:
    """Those of a run to measure, small and without an end."""
    size = min(_SIZE, max(run.stages[-1].shape(run.content)))
    return run.settings.replace(
        size=size, min_scale=None, max_scale=None, evaluations=1_000_000, snapshots=()
    )


class Pace(NamedTuple):
    """How fast runs of one kind go here.

    Attributes:
      compiling: seconds before the first step of the first of them.
      a_pixel: seconds of an evaluation, for each pixel.
    """

    compiling: float
    a_pixel: float

    def of(self, run: StyleTransfer) -> Forecast:
        """What such a run takes, compilation included; it is not begun."""
        evaluations = [stage.limits.steps for stage in run.stages]
        stages = zip(run.stages, evaluations, strict=True)
        work = sum(count * self.a_pixel * _weight(run, stage) for stage, count in stages)
        targets = sum(_FORWARD * self.a_pixel * _seen(run, stage) for stage in run.stages)
        return Forecast(evaluations, self.compiling + work + targets)


def pace(trial: StyleTransfer, clock: Callable[[], float] = time.perf_counter) -> Pace:
    """Measures.

    Args:
      trial: a run with `trial_settings`, as a whole; it is begun and left.
      clock: in seconds.
    """
    times, steps = [(clock(), 0)], iter(trial)
    for step in steps:
        times.append((clock(), step.evaluations))
        measured = times[_COMPILING:]
        if len(measured) > _LEAST and measured[-1][0] - measured[0][0] > _SECONDS:
            break
    del steps  # a run that is left ends there
    # A run that is at its end at once has nothing else to go by.
    seconds, counts = np.diff(times[min(_COMPILING, len(times) - 2) :], axis=0).T
    an_evaluation = float(np.median(seconds / counts))
    start = times[min(_COMPILING, len(times) - 1)]
    compiling = max(0.0, start[0] - times[0][0] - start[1] * an_evaluation)
    return Pace(compiling, an_evaluation / _pixels(trial.content.shape))


def _pixels(shape: tuple[int, ...]) -> int:
    return shape[0] * shape[1]


def _weight(run: StyleTransfer, stage: Stage) -> float:
    """Pixels of an evaluation, as many as it takes the time of."""
    strips = 1.0 if run.outlook.tile is None else _STRIPS
    return strips * _pixels(stage.shape(run.content))


def _seen(run: StyleTransfer, stage: Stage) -> int:
    """Pixels of all that is measured before a stage."""
    return sum(map(_pixels, stage.shapes(run.content, *run.styles)))
