"""What has become of a run so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import tensorflow as tf
from PIL import Image

from nst_tf.run.descent import Counts, Progress
from nst_tf.run.schedule import Stage


@dataclass
class Track:
    """Where a run stands, and what it leaves behind.

    Attributes:
      progress: of the descent; None before the first evaluation.
      leaves: the tensors of the progress to go on from (`tf.nest.flatten`), where a run that was
        put aside is taken up; none once the descent has them, and otherwise.
      stage: that it is at.
      number: of the stages before it.
      start: the image that the stage began with, float32 [1, height, width, 3]; None at the first.
      begun: how far the descent had come when the stage began.
      stopped: why it ended, as in `Result`.
      stopping: whether it is to end after the current step.
      history: a row an iteration.
      snapshots: by iteration.
      spent: as `Meter.spent`, up to the last row.
      totals: as `StyleTransfer` finds them, with the progress that they are of.
      picture: likewise.
    """

    progress: Progress | None = None
    leaves: Sequence[tf.Tensor] = ()
    stage: Stage | None = None
    number: int = 0
    start: tf.Tensor | None = None
    begun: Counts = field(default_factory=Counts)
    stopped: str = "interrupted"
    stopping: bool = False
    history: list[dict[str, float]] = field(default_factory=list)
    snapshots: dict[int, Image.Image] = field(default_factory=dict)
    spent: dict[str, float | int | None] = field(default_factory=dict)
    totals: tuple[Progress, tuple[float, float | None]] | None = None
    picture: tuple[Progress, np.ndarray] | None = None
