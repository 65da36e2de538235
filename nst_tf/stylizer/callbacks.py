"""What looks on while a stylizer learns: Keras callbacks."""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import tensorflow as tf
from tqdm.auto import tqdm

from nst_tf import files
from nst_tf.errors import DivergenceError, NSTError
from nst_tf.pictures import images
from nst_tf.stylizer.apprentice import averaged, steps_of
from nst_tf.stylizer.course import Course

#: Steps between two points of a curve.
_CURVE_EVERY = 10


class Progress(tf.keras.callbacks.Callback):
    """A bar with the size, the steps, the loss, the speed and the time left.

    Args:
      course: of the whole training.
      stream: where to; None is standard error. Where that is no terminal, a line every ten seconds
        at most.
    """

    def __init__(self, course: Course, stream: TextIO | None = None) -> None:
        super().__init__()
        stream = stream or sys.stderr
        self._bar = tqdm(
            total=1.0,
            file=stream,
            mininterval=0.2 if stream.isatty() else 10.0,
            dynamic_ncols=True,
            bar_format="{percentage:3.0f}% {bar:12} [{elapsed}<{remaining}]{postfix}",
        )
        self._course, self._began, self._seen = course, 0.0, -1

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Of a stage."""
        if self._seen < 0:  # what was done before says nothing of the time left
            done = self._course.share(steps_of(self.model.optimizer))
            self._bar.initial = self._bar.n = self._bar.last_print_n = done
        self._seen = 0

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        step = steps_of(self.model.optimizer)
        if not self._seen:  # the first step compiles
            self._began = time.perf_counter()
        seconds = time.perf_counter() - self._began
        speed = self._seen * self._course.batch / seconds if self._seen else 0.0
        self._seen += 1
        size = next(stage.size for stage in self._course.stages() if step <= stage.end)
        loss = (logs or {}).get("loss", float("nan"))
        self._bar.set_postfix_str(
            f"{size} px, step {step}/{self._course.steps}, loss {loss:.3f}, {speed:.1f} pictures/s",
            refresh=False,
        )
        self._bar.update(self._course.share(step) - self._bar.n)

    def close(self) -> None:
        """The bar ends where it stands."""
        self._bar.refresh()
        self._bar.close()


class Guard(tf.keras.callbacks.Callback):
    """Ends a training whose loss is not finite, before that is saved."""

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        if not np.isfinite((logs or {}).get("loss", 0.0)):
            step = steps_of(self.model.optimizer)
            raise DivergenceError(
                f"the loss is not finite after {step} steps: the same command with a smaller "
                "learning_rate and another folder begins anew; what is in this one is from before"
            )


class Stop(tf.keras.callbacks.Callback):
    """Ends a training after the step at which it is asked to.

    Attributes:
      asked: whether it is.
      begun: whether there was a step, which can be saved.
    """

    def __init__(self) -> None:
        super().__init__()
        self.asked = self.begun = False

    def ask(self) -> None:
        """Asks it."""
        self.asked = True

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self.begun = True
        if self.asked:
            self.model.stop_training = True


class Keep(tf.keras.callbacks.Callback):
    """Puts a training aside: weights, the optimizer and its averages, whatever ends it.

    Args:
      folder: for the last two checkpoints.
      stylizer: what is kept, with `optimizer`, which has been built for it.
      seconds: between two.

    Attributes:
      end: the step that the stage ends at.
    """

    def __init__(self, folder: Path, stylizer: tf.keras.Model, optimizer: Any, seconds: float):
        super().__init__()
        self.end = -1
        checkpoint = tf.train.Checkpoint(stylizer=stylizer, optimizer=optimizer)
        _ = checkpoint.save_counter  # which is made now, by all workers of a training at once
        self._manager = tf.train.CheckpointManager(checkpoint, str(folder), max_to_keep=2)
        self._optimizer, self._seconds = optimizer, seconds
        self._due = time.monotonic() + seconds

    @staticmethod
    def anything(folder: Path) -> bool:
        """Whether there is anything put aside in a folder."""
        return tf.train.latest_checkpoint(str(folder)) is not None

    def restore(self) -> int:
        """Goes on from the newest checkpoint, if there is one; returns the steps done so far."""
        self._manager.restore_or_initialize()
        return steps_of(self._optimizer)

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        step = steps_of(self._optimizer)
        asked = self.model.stop_training or time.monotonic() > self._due
        if asked and step < self.end:
            self._save(step)

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        """Only of a stage that has come to its end: Keras has put in the averages by now."""
        step = steps_of(self._optimizer)
        if step >= self.end:
            self._save(step)

    def _save(self, step: int) -> None:
        self._manager.save(checkpoint_number=step)
        self._due = time.monotonic() + self._seconds


class Exhibition(tf.keras.callbacks.Callback):
    """Every so many steps the fixed photos, painted by the averaged weights, and their loss.

    Args:
      photos: float32 [height, width, 3], for the sheet.
      folder: of the sheets.
      every: so many steps.

    Attributes:
      show: is then given the step and the mean loss of the stage so far.
    """

    def __init__(self, photos: Sequence[np.ndarray], folder: Path, every: int) -> None:
        super().__init__()
        self._photos, self._folder, self._every = photos, folder, every
        self.show: Callable[[int, float], None] = lambda step, loss: None

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        step = steps_of(self.model.optimizer)
        if step % self._every == 0:
            with averaged(self.model):
                self.hang(self.model.stylizer, step)
                self.show(step, (logs or {}).get("loss", float("nan")))

    def hang(self, stylizer: Any, step: int) -> None:
        """Writes the sheet: a row of photos, and one of them in each style."""
        styles = np.eye(len(stylizer.paintings), dtype=np.float32)
        rows = [images.side_by_side(self._photos)]
        for style in styles:
            painted = [
                stylizer({"content": photo[np.newaxis], "styles": style[np.newaxis]})[0].numpy()
                for photo in self._photos
            ]
            rows.append(images.side_by_side(painted))
        sheet = np.concatenate(rows)
        images.save(sheet, self._folder / f"step-{step:06d}.jpg")


class Curves(tf.keras.callbacks.Callback):
    """For TensorBoard, by the steps of the whole training (Keras' own counts every stage anew):
    `loss`, the mean of the stage so far, and `held_out`.

    Args:
      logdir: a folder.
      history: of the record, whose last row may be of the step that has just ended.

    Raises:
      NSTError: the package tensorboard is missing, or the folder cannot be written.
    """

    def __init__(self, logdir: Path, history: Sequence[Mapping[str, float]]) -> None:
        super().__init__()
        if importlib.util.find_spec("tensorboard") is None:  # without, nothing would be written
            raise NSTError("curves need tensorboard: pip install 'nst_tf[tensorboard]'")
        files.make_folder(logdir)
        self._writer, self._history = tf.summary.create_file_writer(str(logdir)), history

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        step = steps_of(self.model.optimizer)
        with self._writer.as_default(step=step):
            if step % _CURVE_EVERY == 0:
                tf.summary.scalar("loss", (logs or {}).get("loss", float("nan")))
            if self._history and self._history[-1]["step"] == step:
                tf.summary.scalar("held_out", self._history[-1]["held_out"])

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        self._writer.flush()
