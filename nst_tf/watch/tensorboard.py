"""TensorBoard's view of a run: curves, pictures, settings, hyperparameters."""

from __future__ import annotations

import contextlib
import numbers
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from nst_tf import files
from nst_tf.errors import NSTError
from nst_tf.pictures import images
from nst_tf.run.record import Step
from nst_tf.run.transfer import Callback, StyleTransfer

#: What the HParams tab compares runs by: their last values.
_METRICS = {"loss/total": "total loss", "loss/content": "content loss", "loss/style": "style loss"}

#: What the HParams tab holds; anything else is told as text.
_PLAIN = (bool, numbers.Real, str)


class TensorBoard(Callback):
    """Writes what TensorBoard shows; see it with `tensorboard --logdir=LOGDIR`.

    Scalars, by iteration: `loss/total`, `loss/content`, `loss/style`, `loss/tv`, each layer's term
    as `layers/content/LAYER` and `layers/style/LAYER`, and under `optimizer/` the gradient's norm,
    the learning rate, the step length and the evaluations (`record.Step`). Images:
    `pictures/pastiche`, `pictures/content` and the styles. Text: the settings.

    The runs of a grid go to folders of their own in one; the HParams tab then compares them:

        for weight in (1, 10, 100):
            board = TensorBoard(f"logs/{weight}", hparams={"style_weight": weight})
            nst_tf.stylize(content, style, style_weight=weight, callbacks=[board])

    Args:
      logdir: the run's folder, made if there is none. TensorBoard shows runs that share one as one.
      image_every: the image is written at every so many iterations, and at the end.
      hparams: what tells the run from others, by name; None takes every setting that is a number,
        a word or a switch.

    Raises:
      NSTError: the package tensorboard is missing, or `logdir` cannot be written.
    """

    def __init__(
        self,
        logdir: str | os.PathLike[str],
        image_every: int = 10,
        hparams: Mapping[str, Any] | None = None,
    ) -> None:
        _plugin()
        if image_every < 1:
            raise NSTError(f"image_every is {image_every}: use a whole number of at least 1")
        self._logdir = Path(logdir)
        self._image_every = image_every
        self._hparams = None if hparams is None else dict(hparams)
        self._writer: Any = None
        self._last: Step | None = None
        files.check_folder(self._logdir)

    def on_begin(self, run: StyleTransfer) -> None:
        api = _plugin()
        self._last = self._writer = None
        hparams = self._hparams
        if hparams is None:
            settings = run.settings.asdict().items()
            hparams = {name: value for name, value in settings if isinstance(value, _PLAIN)}
        with self._writing():
            # The runs of a grid each bring this table's description; TensorBoard reads one.
            api.hparams_config(
                hparams=[api.HParam(name) for name in hparams],
                metrics=[api.Metric(tag, display_name=name) for tag, name in _METRICS.items()],
            )
            # Named by the folder: else runs with the same values would be averaged into one row.
            trial = "/".join(self._logdir.resolve().parts[-2:])
            plain = {k: v if isinstance(v, _PLAIN) else str(v) for k, v in hparams.items()}
            api.hparams(plain, trial_id=trial)
            tf.summary.text("settings", _table(run), step=0)
            _picture("content", run.content, 0)
            for number, style in enumerate(run.styles, 1):
                _picture("style" if len(run.styles) == 1 else f"style_{number}", style, 0)

    def on_step(self, run: StyleTransfer, step: Step) -> None:
        self._last = step
        with self._writing():
            for name, value in step.terms.items():
                tag = f"layers/{name}" if "/" in name else f"loss/{name}"
                tf.summary.scalar(tag, value, step=step.iteration)
            for name in ("gradient_norm", "learning_rate", "step_length", "evaluations"):
                tf.summary.scalar(f"optimizer/{name}", getattr(step, name), step=step.iteration)
            if step.iteration % self._image_every == 0:
                _picture("pastiche", step.array, step.iteration)

    def on_end(self, run: StyleTransfer) -> None:
        last = self._last
        with self._writing():
            if last is not None and last.iteration % self._image_every:
                _picture("pastiche", last.array, last.iteration)
            if last is not None:
                _picture("result", run.best, last.iteration)
        self._writer.close()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Where tf.summary writes; a full disk becomes one line."""
        try:
            if self._writer is None:
                self._writer = tf.summary.create_file_writer(os.fspath(self._logdir))
            with self._writer.as_default(), tf.summary.record_if(True):
                yield
                self._writer.flush()
        except tf.errors.OpError as error:
            raise NSTError(f"cannot write logs to {self._logdir}: {error.message}") from error


def _plugin() -> Any:
    try:
        from tensorboard.plugins.hparams import api
    except ImportError as error:
        raise NSTError(
            "logs for TensorBoard need tensorboard: pip install 'nst_tf[tensorboard]'"
        ) from error
    return api


def _picture(name: str, array: Any, step: int) -> None:
    tf.summary.image(f"pictures/{name}", images.to_uint8(array)[None], step=step)


def _table(run: StyleTransfer) -> str:
    """The settings, and what they were applied with, as Markdown."""
    height, width = run.content.shape[:2]
    rows = {
        **run.settings.asdict(),
        "image": f"{width} x {height}",
        "weights": run.weights.source,
        "engine": run.engine,
        "dtype": run.dtype,
    }
    lines = ["| setting | value |", "| --- | --- |"]
    for name, value in rows.items():
        if isinstance(value, dict):
            value = ", ".join(f"{layer}={weight:g}" for layer, weight in value.items())
        elif isinstance(value, tuple):
            value = ", ".join(map(str, value))
        text = "" if value is None else str(value).replace("|", "\\|")
        lines.append(f"| {name} | {text} |")
    return "\n".join(lines)
