"""Which watchers a run has, as a value: made where the run takes place, in another process too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nst_tf.recipe.settings import Settings
from nst_tf.run.transfer import Callback


@dataclass(frozen=True)
class Filming:
    """What `film.Film` takes.

    Attributes:
      path: of the film.
      every: a frame every so many iterations.
      curve: whether the loss is drawn beside the picture.
    """

    path: Path
    every: int = 1
    curve: bool = False


@dataclass(frozen=True)
class Watchers:
    """A factory of callbacks (`job.Watchers`). A new kind of watcher is a field and a line here.

    Attributes:
      snapshots_of: path of the result beside which snapshots are written; None to write none.
      films: to make.
      logdir: the run's folder for TensorBoard; None for none.
      hparams: what tells the run from others there (`tensorboard.TensorBoard`).
      bar: whether there is a progress bar on standard error.
    """

    snapshots_of: Path | None = None
    films: tuple[Filming, ...] = ()
    logdir: Path | None = None
    hparams: Mapping[str, Any] | None = None
    bar: bool = False

    @property
    def see_all(self) -> bool:
        """Whether a run must begin anew for them: a film of its second half is none of it."""
        return bool(self.films)

    def outputs(self, settings: Settings, iterations: int) -> Sequence[Path]:
        """The files and folders that they leave of a run of so many iterations."""
        paths = [film.path for film in self.films]
        if self.snapshots_of is not None:
            from nst_tf.watch.snapshots import snapshot_path

            # A run may have ended before a snapshot was due.
            due = filter(settings.snapshot_due, range(1, iterations + 1))
            paths += [snapshot_path(self.snapshots_of, iteration) for iteration in due]
        if self.logdir is not None:
            paths.append(self.logdir)
        return paths

    def __call__(self) -> list[Callback]:
        """Makes them, for one run.

        Raises:
          NSTError: a package is missing, or a file could not be written.
        """
        watchers: list[Callback] = []
        if self.snapshots_of is not None:
            from nst_tf.watch.snapshots import Snapshots

            watchers.append(Snapshots(self.snapshots_of))
        if self.films:
            from nst_tf.watch.film import Film

            watchers += [Film(film.path, film.every, curve=film.curve) for film in self.films]
        if self.logdir is not None:
            from nst_tf.watch.tensorboard import TensorBoard

            watchers.append(TensorBoard(self.logdir, hparams=self.hparams))
        if self.bar:
            from nst_tf.watch.progress_bar import ProgressBar

            watchers.append(ProgressBar())
        return watchers
