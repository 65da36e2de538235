"""What has become of a run so far."""

from __future__ import annotations

from dataclasses import dataclass, field

import tensorflow as tf
from PIL import Image

from nst_tf.run.descent import Progress
from nst_tf.run.schedule import Stage


@dataclass
class Track:
    """Where a run stands, and what it leaves behind.

    Attributes:
      progress: of the descent; None before the first evaluation.
      stage: that it is at.
      start: the image that the stage began with, float32 [1, height, width, 3]; None at the first.
      begun: the progress that the stage before it ended with; None at the first.
      stopped: why it ended, as in `Result`.
      stopping: whether it is to end after the current step.
      history: a row an iteration.
      snapshots: by iteration.
      spent: as `Meter.spent`, up to the last row.
      totals: as `StyleTransfer` finds them, with the progress that they are of.
    """

    progress: Progress | None = None
    stage: Stage | None = None
    start: tf.Tensor | None = None
    begun: Progress | None = None
    stopped: str = "interrupted"
    stopping: bool = False
    history: list[dict[str, float]] = field(default_factory=list)
    snapshots: dict[int, Image.Image] = field(default_factory=dict)
    spent: dict[str, float | int | None] = field(default_factory=dict)
    totals: tuple[Progress, tuple[float, float | None]] | None = None
