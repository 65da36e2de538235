"""Pictures of a run on its way."""

from __future__ import annotations

from pathlib import Path

from nst_tf.pictures import images
from nst_tf.run.record import Step
from nst_tf.run.transfer import Callback, StyleTransfer


def snapshot_path(result: Path, iteration: int) -> Path:
    """Where the image of an iteration goes: `out-0100.png` beside `out.png`."""
    return result.with_name(f"{result.stem}-{iteration:04d}{result.suffix}")


class Snapshots(Callback):
    """Writes the image at the iterations that the settings name, as it stands then: at the size of
    the result, without its final colours.

    Args:
      path: of the result; iteration 100 of `out.png` becomes `out-0100.png` beside it.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)

    def on_step(self, run: StyleTransfer, step: Step) -> None:
        if run.settings.snapshot_due(step.iteration):
            array = images.resize(step.array, *run.content.shape[:2])  # of a smaller scale, too
            images.save(array, snapshot_path(self._path, step.iteration))
