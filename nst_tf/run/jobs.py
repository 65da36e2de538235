"""Many runs, one after the other or in several processes, each done once.

A job is a run with settings, inputs and a place to write. What is done is known by its manifest, so
jobs that were stopped go on where they were.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import tensorflow as tf

from nst_tf import files
from nst_tf.errors import DivergenceError, NSTError
from nst_tf.network import weights as weights_module
from nst_tf.network.weights import Weights
from nst_tf.recipe.settings import Settings
from nst_tf.run.record import Step
from nst_tf.run.transfer import Callback, StyleTransfer
from nst_tf.run.workshop import Workshop

Manifest = dict[str, Any]


class Watchers(Protocol):
    """What looks on at a run: a value, which can be sent to another process and called there."""

    def outputs(self, settings: Settings, iterations: int) -> Sequence[Path]:
        """The files and folders that they leave of a run with these settings, of so many
        iterations."""
        ...

    def __call__(self) -> Sequence[Callback]:
        """Makes them, for one run."""
        ...


@dataclass(frozen=True)
class NoWatchers:
    """Nobody looks on."""

    def outputs(self, settings: Settings, iterations: int) -> Sequence[Path]:
        return ()

    def __call__(self) -> Sequence[Callback]:
        return ()


@dataclass(frozen=True)
class Job:
    """One run.

    Attributes:
      name: tells it from the others.
      settings: of the run.
      content: path of the content image.
      styles: paths of the style images.
      weights: the network, as `weights.load` takes it.
      output: path of its picture; the manifest goes beside it.
      watchers: what looks on.
    """

    name: str
    settings: Settings
    content: str
    styles: tuple[str, ...]
    weights: str
    output: Path
    watchers: Watchers = NoWatchers()

    @property
    def length(self) -> int:
        """How many steps end it: evaluations, or iterations where these are not limited."""
        limit = self.settings.evaluations
        return limit if limit is not None else self.settings.iterations or 1


@dataclass(frozen=True)
class Engine:
    """How all jobs are computed: `tile`, `engine` and `dtype` as `StyleTransfer` takes them."""

    tile: int | str = "auto"
    engine: str = "auto"
    dtype: str = "auto"


class Observer(Protocol):
    """Told how the jobs get on; by several workers' jobs in two threads, perhaps at once."""

    def update(self, name: str, done: int, loss: float) -> None:
        """The job `name` has come so far, in steps, and its loss is this."""

    def finish(self, name: str) -> None:
        """The job `name` is done, however early."""


class _Nobody:
    def update(self, name: str, done: int, loss: float) -> None:
        pass

    def finish(self, name: str) -> None:
        pass


class Jobs:
    """Jobs, to be run.

    Args:
      jobs: each is skipped where what it would make is there.
      engine: of all of them.
      workers: how many processes share the work.
      observer: told how they get on, such as a progress bar.
      workshop: of earlier runs, for those in this process; None for a new one.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        engine: Engine = Engine(),
        workers: int = 1,
        observer: Observer | None = None,
        workshop: Workshop | None = None,
    ) -> None:
        self._jobs, self._engine, self._workshop = list(jobs), engine, workshop
        self._workers = max(1, min(workers, len(jobs)))
        self._observer = observer or _Nobody()
        # A fork of a process that has started TensorFlow does not work.
        self._context = multiprocessing.get_context("spawn")
        # That of several processes has a lock which a signal's handler in this one must not want.
        self._stopping: Any = self._context.Event() if self._workers > 1 else threading.Event()

    def stop(self) -> None:
        """Ends the runs after their current step; those that are done stay done. From a callback,
        a signal or another thread."""
        self._stopping.set()

    def run(self) -> dict[str, Manifest]:
        """Runs what is not done yet.

        Returns:
          The manifest of every run that is done, by the job's name: fewer than there are jobs
          where they were stopped.

        Raises:
          NSTError: of the first run that fails. What was done before stays done.
        """
        for folder in {job.output.parent for job in self._jobs}:
            files.make_folder(folder)
        try:
            return self._in_this_process() if self._workers == 1 else self._in_several()
        finally:
            self._stopping.clear()

    def _in_this_process(self) -> dict[str, Manifest]:
        worker = Worker(self._engine, self._observer.update, self._stopping, self._workshop)
        manifests = {}
        for job in self._jobs:
            manifest = worker.run(job)
            if manifest is not None:
                manifests[job.name] = manifest
                self._observer.finish(job.name)
        return manifests

    def _in_several(self) -> dict[str, Manifest]:
        reports: Any = self._context.Queue()
        threads = max(1, (os.cpu_count() or 1) // self._workers)
        told = (reports, self._observer.update)
        listener = threading.Thread(target=_listen, args=told, daemon=True)
        listener.start()
        pool = ProcessPoolExecutor(
            self._workers,
            self._context,
            _begin,
            (self._engine, reports, self._stopping, threads),
        )
        manifests = {}
        try:
            with _ignoring_ctrl_c():
                futures = {pool.submit(_work, job): job for job in self._jobs}
            for future in as_completed(futures):
                manifest = future.result()
                if manifest is not None:
                    manifests[futures[future].name] = manifest
                    self._observer.finish(futures[future].name)
        except BrokenProcessPool as error:
            raise NSTError(
                "a worker process was ended from outside, perhaps for want of memory: "
                "try fewer workers"
            ) from error
        finally:
            # Where a run has failed, the others end with their current step.
            self._stopping.set()
            pool.shutdown(cancel_futures=True)
            reports.put(None)
            # A process that was killed may have taken the queue's lock with it.
            listener.join(5)
            reports.cancel_join_thread()
        return manifests


class Worker:
    """Runs jobs, with one workshop and one network between them.

    Args:
      engine: of every run.
      report: told of every step, as `Observer.update` is.
      stopping: an event; once it is set, the run ends after its current step and none begins.
      workshop: None for one of its own.
    """

    def __init__(
        self,
        engine: Engine,
        report: Callable[[str, int, float], None],
        stopping: Any,
        workshop: Workshop | None = None,
    ) -> None:
        self._engine, self._report, self._stopping = engine, report, stopping
        self._workshop = workshop or Workshop()
        self._network: tuple[Any, Weights] | None = None

    def run(self, job: Job) -> Manifest | None:
        """Runs a job, unless that was done before, and writes what it makes.

        Returns:
          The run's manifest; None where it was stopped.
        """
        if self._stopping.is_set():
            return None
        run = StyleTransfer(
            job.content,
            list(job.styles),
            settings=job.settings,
            weights=self._weights(job),
            callbacks=[_Reports(job, self._report, self._stopping), *job.watchers()],
            tile=self._engine.tile,
            engine=self._engine.engine,
            dtype=self._engine.dtype,
            keep_snapshots=False,
            workshop=self._workshop,
        )
        done = manifest_of(job, run)
        if done is not None:
            return done
        # From the first snapshot on, what lies there is no whole run's any more.
        with contextlib.suppress(OSError):
            job.output.with_suffix(".json").unlink()
        try:
            result = run.run()
        except DivergenceError as error:
            if error.result is None:
                raise
            result = error.result  # that a step is too long is what some sweeps are to show
        # The manifest comes last and says that the rest is there.
        result.save(job.output)
        return None if result.stopped == "interrupted" else result.manifest

    def _weights(self, job: Job) -> Weights:
        key = (job.weights, job.settings.seed)
        if self._network is None or self._network[0] != key:
            self._network = key, weights_module.load(job.weights, seed=job.settings.seed)
        return self._network[1]


def manifest_of(job: Job, run: StyleTransfer) -> Manifest | None:
    """The manifest of an earlier run of a job, which this one would only repeat; None if none is.

    What tells runs apart is `StyleTransfer.identity`; what the watchers leave must be there, too.
    """
    try:
        manifest: Manifest = json.loads(job.output.with_suffix(".json").read_text())
        identity = json.loads(json.dumps(run.identity))
        same = identity.items() <= manifest.items() and manifest["stopped"] != "interrupted"
        left = job.watchers.outputs(job.settings, manifest["iterations"])
        complete = all(path.exists() for path in (job.output, *left))
        return manifest if same and complete else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


class _Reports(Callback):
    def __init__(self, job: Job, report: Callable[[str, int, float], None], stopping: Any) -> None:
        self._name, self._report, self._stopping = job.name, report, stopping

    def on_step(self, run: StyleTransfer, step: Step) -> None:
        by_evaluations = run.settings.evaluations is not None
        done = step.evaluations if by_evaluations else step.iteration
        self._report(self._name, done, step.terms["total"])
        if self._stopping.is_set():
            run.stop()


@contextlib.contextmanager
def _ignoring_ctrl_c() -> Iterator[None]:
    """Processes that begin here never see a Ctrl-C: who starts them tells them to stop."""
    if threading.current_thread() is not threading.main_thread():
        yield  # Python lets no other one say what a signal does
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


# What follows runs in the processes of jobs that have several.

_worker: Worker


def _begin(engine: Engine, reports: Any, stopping: Any, threads: int) -> None:
    global _worker
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    for gpu in tf.config.list_physical_devices("GPU"):  # else the first one takes all its memory
        tf.config.experimental.set_memory_growth(gpu, True)
    _worker = Worker(engine, lambda *report: reports.put(report), stopping)


def _work(job: Job) -> Manifest | None:
    return _worker.run(job)


def _listen(reports: Any, update: Callable[[str, int, float], None]) -> None:
    while (report := reports.get()) is not None:
        update(*report)
