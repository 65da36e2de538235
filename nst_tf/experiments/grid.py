"""The runs of an experiment as jobs, with a folder for what they make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nst_tf.experiments.plan import Cell
from nst_tf.run.job import Job
from nst_tf.watch.snapshots import snapshot_path
from nst_tf.watch.watchers import Filming, Watchers


@dataclass(frozen=True)
class Folder:
    """Where an experiment writes.

    Attributes:
      path: of the folder for pictures and manifests.
      logdir: for TensorBoard, a folder in it for each run; None for none.
    """

    path: Path
    logdir: Path | None = None

    def picture(self, cell: Cell, iteration: int | None = None) -> Path:
        """Where a cell's result lies, or its image after an iteration."""
        result = self.path / f"{cell.name}.png"
        return result if iteration is None else snapshot_path(result, iteration)

    def jobs(self, cells: Sequence[Cell]) -> list[Job]:
        """The cells as jobs that write here."""
        return [self._job(cell) for cell in cells]

    def _job(self, cell: Cell) -> Job:
        output = self.picture(cell)
        watchers = Watchers(
            snapshots_of=output,
            films=tuple(
                Filming(self.path / name, curve=curve) for name, curve in cell.films.items()
            ),
            logdir=None if self.logdir is None else self.logdir / cell.name,
            hparams=cell.varied,
        )
        return Job(
            cell.name, cell.settings, cell.content, cell.styles, cell.weights, output, watchers
        )
