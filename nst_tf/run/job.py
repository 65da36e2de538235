"""One run as work that `jobs.Jobs` shares out: done once, and gone on with where it was ended."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from nst_tf.errors import CheckpointError, DamagedCheckpointError, DivergenceError
from nst_tf.recipe import presets
from nst_tf.recipe.settings import Settings
from nst_tf.run import checkpoint
from nst_tf.run.jobs import Manifest, Worker, done_before
from nst_tf.run.output import Output
from nst_tf.run.record import Step
from nst_tf.run.transfer import Callback, StyleTransfer


class Watchers(Protocol):
    """What looks on at a run: a value, which can be sent to another process and called there."""

    @property
    def see_all(self) -> bool:
        """Whether they have to see a run from its beginning, as a film does: none goes on then."""
        ...

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

    see_all = False

    def outputs(self, settings: Settings, iterations: int) -> Sequence[Path]:
        return ()

    def __call__(self) -> Sequence[Callback]:
        return ()


@dataclass(frozen=True)
class Job:
    """One run, a kind of `jobs.Work`.

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

    @property
    def aside(self) -> Path:
        """The folder where it is put aside until it is done."""
        return self.output.with_name(f".{self.output.name}.aside")

    def run(self, worker: Worker) -> Manifest | None:
        """As `jobs.Work.run`; a run that diverged counts as done.

        What was put aside under other settings goes, as a picture that was made under them does.
        """
        try:
            return self._run(worker)
        except DamagedCheckpointError as error:
            warnings.warn(f"{self.name} begins anew: {error}", stacklevel=2)
        except CheckpointError:
            pass
        checkpoint.forget(self.aside)
        return self._run(worker)

    def transfer(
        self, worker: Worker, settings: Settings | None = None, **how: Any
    ) -> StyleTransfer:
        """The run, not begun.

        Args:
          worker: that it is of.
          settings: in place of its own.
          **how: arguments of `StyleTransfer`, likewise.

        Raises:
          NSTError: its pictures, settings or network cannot be used.
        """
        source = presets.network(self.settings.preset, self.weights)
        engine = worker.engine
        given: dict[str, Any] = {
            "tile": engine.tile,
            "engine": engine.engine,
            "dtype": engine.dtype,
            "max_memory": engine.max_memory,
            "workshop": worker.workshop,
            **how,
        }
        return StyleTransfer(
            self.content,
            list(self.styles),
            settings=settings or self.settings,
            weights=worker.weights(source, self.settings.seed),
            keep_snapshots=False,
            **given,
        )

    def _run(self, worker: Worker) -> Manifest | None:
        run = self.transfer(
            worker,
            callbacks=[_Reports(self.name, worker), *self.watchers()],
            checkpoint=None if self.watchers.see_all else self.aside,
            checkpoint_every=worker.engine.checkpoint_every,
        )
        if run.checkpoint:
            run.checkpoint.keep_end = False
        done = manifest_of(self, run)
        if done is not None:
            checkpoint.forget(self.aside)
            return done
        height, width, _ = run.content.shape
        output = Output(self.output, (height, width))
        output.begin()  # from the first snapshot on
        try:
            result = run.run()
        except DivergenceError as error:
            if error.result is None:
                raise
            result = error.result  # that a step is too long is what some sweeps are to show
        output.save(result.array, result.manifest)
        if result.stopped == "interrupted":  # to look at: what counts of it is put aside
            return None
        checkpoint.forget(self.aside)
        return result.manifest


def manifest_of(job: Job, run: StyleTransfer) -> Manifest | None:
    """The manifest of an earlier run of a job, which this one would only repeat; None if none is.

    What tells runs apart is `StyleTransfer.identity`; what the watchers leave must be there, too.
    """
    manifest = done_before(job.output, run.identity)
    if manifest is None or manifest.get("stopped") == "interrupted":
        return None
    left = job.watchers.outputs(job.settings, manifest.get("iterations", 0))
    return manifest if all(path.exists() for path in left) else None


class _Reports(Callback):
    def __init__(self, name: str, worker: Worker) -> None:
        self._name, self._worker = name, worker

    def on_step(self, run: StyleTransfer, step: Step) -> None:
        done = step.iteration if run.settings.evaluations is None else step.evaluations
        if len(run.stages) > 1:  # the steps of several scales are not alike
            done = round(run.share * (run.settings.evaluations or run.settings.iterations or 1))
        self._worker.report(self._name, done, step.terms["total"])
        if self._worker.stopping:
            run.stop()
