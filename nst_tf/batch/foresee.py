"""What a batch would do, and how long that would take: a moment of each kind of run, measured."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

from nst_tf.batch import plan
from nst_tf.batch.one_pass import OnePass
from nst_tf.errors import NSTError
from nst_tf.run import forecast
from nst_tf.run.forecast import Pace
from nst_tf.run.job import Job, manifest_of
from nst_tf.run.jobs import Engine, Work, Worker, done_before


class Foreseen(NamedTuple):
    """What is foreseen of one picture.

    Attributes:
      name: of the work.
      shape: height and width of its picture; None where it cannot be made.
      done: whether it was made before.
      error: why it cannot be made; None where it can.
      seconds: that it will take, on all of a worker's threads, compilation apart; 0 where it will
        not.
      compiling: seconds that a worker takes to compile before it, where none before it did.
      peak: bytes of a process at its peak.
    """

    name: str
    shape: tuple[int, int] | None = None
    done: bool = False
    error: NSTError | None = None
    seconds: float = 0.0
    compiling: float = 0.0
    peak: int = 0


def foresee(works: Sequence[Work], engine: Engine) -> Iterator[Foreseen]:
    """Foresees each picture, in turn; nothing is written.

    Args:
      works: all of one kind (`plan`), in their order.
      engine: of all of them, of which `max_memory` is that of one process.
    """
    yield from _runs([work for work in works if isinstance(work, Job)], engine)
    yield from _passes([work for work in works if isinstance(work, OnePass)])


def _runs(jobs: Sequence[Job], engine: Engine) -> Iterator[Foreseen]:
    worker = Worker(engine, lambda *_: None, threading.Event())
    paces: dict[object, Pace] = {}
    compiled: set[object] = set()
    for job in jobs:
        try:
            run = job.transfer(worker)
            shape = run.content.shape[:2]
            if manifest_of(job, run) is not None:
                yield Foreseen(job.name, shape, done=True)
                continue
            graph = job.weights, job.settings.graph_key
            if graph not in paces:
                settings = forecast.trial_settings(run)
                paces[graph] = forecast.pace(job.transfer(worker, settings, tile="off"))
            pace = paces[graph]
            whole = graph if plan.any_size(job, shape) else (graph, shape)
            compiling = 0.0 if whole in compiled else pace.compiling
            compiled.add(whole)
            seconds = pace.of(run).seconds - pace.compiling
            yield Foreseen(job.name, shape, False, None, seconds, compiling, run.outlook.peak)
        except NSTError as error:
            yield Foreseen(job.name, error=error)


def _passes(works: Sequence[OnePass]) -> Iterator[Foreseen]:
    """The first of them is painted, twice."""
    a_pixel = 0.0
    for work in works:
        try:
            pictures = work.load()
            shape = pictures[0].shape[:2]
            if done_before(work.output, work.identity(pictures)) is not None:
                yield Foreseen(work.name, shape, done=True)
                continue
            begins = 0.0
            if not a_pixel:
                times = [_seconds(partial(work.paint, pictures, lambda _: None)) for _ in range(2)]
                a_pixel = times[1] / (shape[0] * shape[1])
                begins = times[0] - times[1]
            seconds = a_pixel * shape[0] * shape[1]
            yield Foreseen(work.name, shape, False, None, seconds, begins)
        except NSTError as error:
            yield Foreseen(work.name, error=error)


def _seconds(work: Callable[[], object]) -> float:
    before = time.perf_counter()
    work()
    return time.perf_counter() - before
