"""Many jobs, one after the other or in several processes, each done once.

A job is whatever is `Work`: what is done is known by its manifest, so that jobs that were stopped
go on where they were. A run is one (`job.Job`), and goes on in its midst, too.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import tensorflow as tf

from nst_tf import files, locks, reading, signals
from nst_tf.errors import FileError, NSTError, OutputError
from nst_tf.network import machine
from nst_tf.network import weights as weights_module
from nst_tf.network.weights import Weights
from nst_tf.run import outlook
from nst_tf.run.meter import forget_peak
from nst_tf.run.record import same_work
from nst_tf.run.workshop import Workshop

Manifest = dict[str, Any]


class Work(Protocol):
    """What is done once and leaves a file and a manifest: a value that can be sent to a process."""

    @property
    def name(self) -> str:
        """Tells it from the others."""
        ...

    @property
    def output(self) -> Path:
        """The file that it makes."""
        ...

    @property
    def length(self) -> int:
        """How many steps end it."""
        ...

    def run(self, worker: Worker) -> Manifest | None:
        """Does it, or finds that it was done before; None where it was stopped.

        Args:
          worker: tells whether to stop, is told of every step, keeps what several have in common.
        """
        ...


@dataclass(frozen=True)
class Engine:
    """How all jobs are computed: `tile`, `engine`, `dtype` and `checkpoint_every` as
    `StyleTransfer` takes them, and `max_memory` of all processes together."""

    tile: int | str = "auto"
    engine: str = "auto"
    dtype: str = "auto"
    checkpoint_every: float = 60.0
    max_memory: int | str | None = None


class Observer(Protocol):
    """Told how the jobs get on; by several workers' jobs in two threads, perhaps at once."""

    def update(self, name: str, done: int, loss: float | None) -> None:
        """The job `name` has come so far, in steps, and its loss is this, where it has one."""

    def finish(self, name: str) -> None:
        """The job `name` is done, however early."""


class _Nobody:
    def update(self, name: str, done: int, loss: float | None) -> None:
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
      keep_going: whether the others are done where some fail. Not where a result cannot be written:
        the others, on the same disk, would be made for nothing.
      held: a folder that who runs them has to itself (`locks.alone`); other folders they take for
        as long as they run.
      kept: what is kept of a manifest for `run` to return, where many whole ones are more than is
        wanted; None for all of it.

    Attributes:
      failures: why those failed, by name, where the others went on.
    """

    def __init__(
        self,
        jobs: Sequence[Work],
        engine: Engine = Engine(),
        workers: int = 1,
        observer: Observer | None = None,
        workshop: Workshop | None = None,
        keep_going: bool = False,
        held: Path | None = None,
        kept: Callable[[Manifest], Manifest] | None = None,
    ) -> None:
        self.failures: dict[str, NSTError] = {}
        self._kept = kept or (lambda manifest: manifest)
        self._keep_going, self._held = keep_going, held and held.resolve()
        self._jobs, self._engine, self._workshop = list(jobs), engine, workshop
        self._workers = max(1, min(workers, len(jobs)))
        self._observer = observer or _Nobody()
        # A fork of a process that has started TensorFlow does not work.
        self._context = multiprocessing.get_context("spawn")
        # That of several processes has a lock which a signal's handler in this one must not want.
        self._stopping: Any = self._context.Event() if self._workers > 1 else threading.Event()
        self._asked = False

    def stop(self) -> None:
        """Ends the runs after their current step; those that are done stay done. From a callback,
        a signal or another thread."""
        self._asked = True
        self._stopping.set()

    def run(self) -> dict[str, Manifest]:
        """Runs what is not done yet.

        Returns:
          The manifest of every run that is done, by the job's name: fewer than there are jobs
          where they were stopped.

        Raises:
          OutputError: other jobs write into the same folder now, or a result cannot be written.
          NSTError: of the first run that fails, unless it keeps going. What was done before stays
            done.
        """
        with contextlib.ExitStack() as ending:
            for folder in sorted({job.output.parent.resolve() for job in self._jobs}):
                files.make_folder(folder)
                if folder != self._held:
                    ending.enter_context(locks.alone(folder))
                ending.enter_context(files.swept(folder))
            try:
                return self._in_this_process() if self._workers == 1 else self._in_several()
            finally:
                self._asked = False
                self._stopping.clear()

    def _in_this_process(self) -> dict[str, Manifest]:
        worker = Worker(self._engine, self._observer.update, self._stopping, self._workshop)
        manifests: dict[str, Manifest] = {}
        for job in self._jobs:
            self._keep(job, partial(worker.run, job), manifests)
        return manifests

    def _keep(
        self, job: Work, get: Callable[[], Manifest | None], manifests: dict[str, Manifest]
    ) -> None:
        """Puts a manifest with the others, or an error with the failures."""
        try:
            manifest = get()
        except NSTError as error:
            if not self._keep_going or isinstance(error, OutputError):
                raise
            self.failures[job.name] = error
        else:
            if manifest is None:
                return
            manifests[job.name] = self._kept(manifest)
        self._observer.finish(job.name)

    def _in_several(self) -> dict[str, Manifest]:
        reports: Any = self._context.Queue()
        room = outlook.share(self._engine.max_memory, self._workers, machine.has_gpu())
        told = (reports, self._observer.update)
        listener = threading.Thread(target=_listen, args=told, daemon=True)
        listener.start()
        pool = ProcessPoolExecutor(
            self._workers,
            self._context,
            _begin,
            (replace(self._engine, max_memory=room), reports, self._stopping, self._workers),
        )
        manifests: dict[str, Manifest] = {}
        try:
            with signals.ignored():
                futures = {pool.submit(_do, job): job for job in self._jobs}
            for future in as_completed(futures):
                self._keep(futures.pop(future), future.result, manifests)
        except BrokenProcessPool as error:
            time.sleep(0.2)  # what ended it, as SIGTERM to all at once, may be about to end us, too
            if not self._asked:
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
    """Does work, with one workshop and one network between all of it.

    Args:
      engine: of every run.
      report: told of every step, as `Observer.update` is.
      stopping: an event; once it is set, the run ends after its current step and none begins.
      workshop: None for one of its own.
    """

    def __init__(
        self,
        engine: Engine,
        report: Callable[[str, int, float | None], None],
        stopping: Any,
        workshop: Workshop | None = None,
    ) -> None:
        self.engine, self.report, self._stopping = engine, report, stopping
        self.workshop = workshop or Workshop()
        self._network: tuple[Any, Weights] | None = None

    def run(self, work: Work) -> Manifest | None:
        """Does one, unless that was done before, and writes what it makes.

        The peak of memory in its manifest is that of the process meanwhile, with what earlier work
        has left there.

        Returns:
          Its manifest; None where it was stopped.

        Raises:
          NSTError: it cannot be done; also for want of memory, which smaller work may have.
        """
        if self.stopping:
            return None
        forget_peak()
        try:
            return work.run(self)
        except (MemoryError, tf.errors.ResourceExhaustedError) as error:
            raise NSTError("out of memory; try --tile=512, or a smaller --size") from error

    @property
    def stopping(self) -> bool:
        """Whether to end after the current step."""
        return bool(self._stopping.is_set())

    def weights(self, source: str, seed: int) -> Weights:
        """The network, as `weights.load` takes it: read again only where it is another one."""
        if self._network is None or self._network[0] != (source, seed):
            self._network = (source, seed), weights_module.load(source, seed=seed)
        return self._network[1]


def done_before(output: Path, identity: Mapping[str, Any]) -> Manifest | None:
    """The manifest beside a file that is there and was made by this very work; else None.

    Args:
      output: the file; its manifest has the suffix `.json`.
      identity: what tells the work from others, as plain values, all of them in the manifest.
    """
    try:
        manifest: Manifest = reading.read_json(output.with_suffix(".json"))
        same = same_work(identity, manifest)
    except (FileError, TypeError, AttributeError):
        return None
    return manifest if same and output.exists() else None


def share_cores(processes: int) -> None:
    """Leaves TensorFlow in this process its share of the cores, before it computes anything."""
    threads = max(1, (os.cpu_count() or 1) // processes)
    tf.config.threading.set_intra_op_parallelism_threads(threads)


# What follows runs in the processes of jobs that have several.

_worker: Worker


def _begin(engine: Engine, reports: Any, stopping: Any, workers: int) -> None:
    global _worker
    share_cores(workers)
    for gpu in tf.config.list_physical_devices("GPU"):  # else the first one takes all its memory
        tf.config.experimental.set_memory_growth(gpu, True)
    _worker = Worker(engine, lambda *report: reports.put(report), stopping)
    signals.end_with_parent()


def _do(work: Work) -> Manifest | None:
    try:
        with signals.interrupting():  # where SIGTERM ends this process, its run is put aside first
            return _worker.run(work)
    except KeyboardInterrupt as interrupt:
        os._exit(signals.reason(interrupt).code)


def _listen(reports: Any, update: Callable[[str, int, float | None], None]) -> None:
    while (report := reports.get()) is not None:
        update(*report)
