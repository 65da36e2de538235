"""How a stylizer is trained: stages of growing crops, put aside and gone on with."""

from __future__ import annotations

import contextlib
import os
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from nst_tf import data, files, locks
from nst_tf.errors import PictureError, SettingsError
from nst_tf.keras import PerceptualLoss
from nst_tf.network import machine
from nst_tf.pictures import images
from nst_tf.pictures.crops import check_enough
from nst_tf.pictures.images import Picture
from nst_tf.recipe import choices
from nst_tf.stylizer import apprentice, blobs, replicas
from nst_tf.stylizer import base as bases
from nst_tf.stylizer.apprentice import Apprentice, steps_of
from nst_tf.stylizer.callbacks import Curves, Exhibition, Guard, Keep, Progress, Stop
from nst_tf.stylizer.course import Course, Stage
from nst_tf.stylizer.network import Stylizer
from nst_tf.stylizer.record import Record

#: Photos there must be to learn from; of all, one in so many is held out, and so many at most.
LEAST, _HELD_ONE_IN, _HELD_MOST = 8, 8, 16
#: Photos of the sheet, and the longer side of each in pixels.
_SHOWN, _SHOWN_SIZE = 4, 256


def train(
    paintings: Sequence[str | os.PathLike[str]],
    photos: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    course: Course | None = None,
    *,
    dtype: str = "auto",
    precision: str = "float32",
    sheet_every: int = 200,
    checkpoint_every: float = 60.0,
    logdir: str | os.PathLike[str] | None = None,
    stop: Stop | None = None,
    progress: bool = False,
    strategy: tf.distribute.Strategy | None = None,
) -> Stylizer:
    """Trains a stylizer; the same call goes on where an earlier one was ended, however.

    Args:
      paintings: files, each a style that is called as its file is.
      photos: files, patterns or folders of such, TFRecords or a data set (`data.photos`); one in
        eight is held out.
      out: a folder, for the network (`stylizer.keras`, without the losses'), sheets of held-out
        photos, the record (`training.json`) and what is put aside.
      course: what decides what is learnt.
      dtype: what the losses' network is computed in, one of `choices.LOSS_DTYPES`; `auto` is what
        suits the machine.
      precision: what the stylizer is computed in, one of `choices.LOSS_DTYPES`; its weights are
        float32 all the same, and so is what `Stylizer.load` makes of them.
      sheet_every: so many steps a sheet, the held-out photos' loss and the network so far.
      checkpoint_every: so many seconds it is put aside.
      logdir: for curves in TensorBoard; None for none.
      stop: with which it can be asked to stop.
      progress: whether a bar is shown.
      strategy: of tf.distribute: its replicas have equal parts of every batch, and what is learnt
        is as without. None is one for the workers that TF_CONFIG names, of which the first alone
        writes, and all read `out`; or else for all GPUs, where there are several.

    Returns:
      The network.

    Raises:
      SettingsError, PictureError, WeightsError, FileError: something cannot be used, or `out` holds
        another training, or is in use by this one.
      DivergenceError: the loss did not stay finite.
      NSTError: another worker has ended.
    """
    choices.check("precision", precision, choices.LOSS_DTYPES)
    course, stop, folder = course or Course(), stop or Stop(), Path(out)
    strategy = strategy or replicas.strategy(course.batch)
    replicas.check(strategy, course.batch)
    chief = replicas.is_chief(strategy)
    styles = [Path(painting) for painting in paintings]
    names = _names(styles)
    known = data.photos(photos)
    learnt, held = split(list(known), course.seed)
    for where in (folder, folder / "sheets", folder / "checkpoints"):
        files.make_folder(where)
    with contextlib.ExitStack() as ending:
        if chief:
            ending.enter_context(locks.alone(folder))
        ending.enter_context(replicas.naming_losses(strategy))
        ending.enter_context(strategy.scope())
        base = bases.file_of(course)
        record = Record(folder, course, styles, learnt, held, base)
        stylizer = Stylizer(names, course.width, precision, seed=course.seed)
        loss = PerceptualLoss(
            course.weights,
            course.preset,
            style=[str(style) for style in styles],
            apart=True,
            dtype=machine.choose_loss_dtype(dtype),
            style_size=course.style_size,
            **course.overrides,
        )
        apart = [images.load(known[name]) for name in held]
        if base is not None and not Keep.anything(folder / "checkpoints"):
            record.nearest = _begin(stylizer, bases.load(base), apart, loss, course)
        optimizer = apprentice.optimizer(course.steps, course.learning_rate)
        optimizer.build(stylizer.trainable_variables)
        keep = Keep(folder / "checkpoints", stylizer, optimizer, checkpoint_every)
        done = begun = keep.restore()
        record.history = [row for row in record.history if row["step"] <= done]
        if done >= course.steps:
            return stylizer
        model = Apprentice(stylizer, loss)
        shown = [images.load(photo, _SHOWN_SIZE) for photo in apart[:_SHOWN]]
        exhibition = Exhibition(shown, folder / "sheets", sheet_every)
        watchers: list[Any] = [Guard(), stop, *([exhibition, keep] if chief else [])]
        if progress and chief:
            bar = Progress(course)
            ending.callback(bar.close)
            watchers.append(bar)
        if logdir is not None and chief:
            watchers.append(Curves(Path(logdir), record.history))
        for stage in course.stages():
            if done >= stage.end or stop.asked:
                continue
            keep.end = stage.end
            exhibition.show = _judge(model, apart, stage, record)
            model.whole = stage.whole
            model.compile(optimizer=optimizer, jit_compile=False)
            batches = _batches(
                {name: known[name] for name in learnt}, stage, course, len(names), done
            )
            with _naming_photos():
                model.fit(
                    batches,
                    steps_per_epoch=stage.end - done,
                    verbose=0,
                    callbacks=watchers,
                    shuffle=False,
                )
            done = steps_of(optimizer)
        if done > begun and chief:
            exhibition.hang(stylizer, done)
            record.write(stylizer)
            if told := blobs.warning(stylizer, shown):
                warnings.warn(told, stacklevel=2)
        return stylizer


def _begin(
    stylizer: Stylizer,
    base: Stylizer,
    photos: Sequence[np.ndarray],
    loss: PerceptualLoss,
    course: Course,
) -> list[str]:
    """Gives it what the base can do, and returns the base's style nearest to each painting."""
    side = course.sizes[0]
    few = tf.stack([images.cover(photo, side, side) for photo in photos[:_SHOWN]])
    numbers = range(len(stylizer.paintings))

    def losses(painted: tf.Tensor) -> tf.Tensor:
        each = [loss.each(few, painted, [number] * len(few)) for number in numbers]
        return tf.reduce_mean(each, 1)

    return bases.begin(stylizer, base, few, losses)


@contextlib.contextmanager
def _naming_photos() -> Iterator[None]:
    """What TensorFlow makes of a photo that could not be decoded when its turn came is our error
    again."""
    try:
        yield
    except tf.errors.OpError as error:
        told = re.search(rf"{PictureError.__name__}: (.*)", str(error))
        if told is None:
            raise
        raise PictureError(f"{told[1].strip()}; take it out") from error


def split(photos: Sequence[str], seed: int) -> tuple[list[str], list[str]]:
    """Photos to learn from, and those that are held out.

    Raises:
      PictureError: there are too few.
    """
    check_enough(photos, LEAST)
    order = np.random.default_rng([seed, 2]).permutation(len(photos))
    held = {photos[place] for place in order[: min(_HELD_MOST, len(photos) // _HELD_ONE_IN)]}
    return [photo for photo in photos if photo not in held], sorted(held)


def _names(paintings: Sequence[Path]) -> list[str]:
    names = [painting.stem for painting in paintings]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise SettingsError(f"two paintings are called {twice[0]}, as their styles are: rename one")
    return names


def _batches(
    photos: Mapping[str, Picture], stage: Stage, course: Course, styles: int, done: int
) -> tf.data.Dataset:
    """Batches as `Apprentice` takes them, from after the steps that are done."""
    crops = data.crops(photos, stage.size, course.batch, seed=course.seed, first=done)

    def styled(step: tf.Tensor, photos: tf.Tensor) -> tuple[Mapping[str, tf.Tensor], tf.Tensor]:
        numbers = (step * course.batch + tf.range(course.batch, dtype=tf.int64)) % styles
        return {"content": photos, "styles": tf.one_hot(numbers, styles)}, photos

    steps = tf.data.Dataset.range(done, tf.int64.max)
    return tf.data.Dataset.zip((steps, crops)).map(styled)


def _judge(
    model: Apprentice, held: Sequence[np.ndarray], stage: Stage, record: Record
) -> Callable[[int, float], None]:
    """What writes down the loss of the held-out photos at a stage, and the network so far."""
    sides = (stage.size, stage.size)
    photos = np.stack([images.cover(photo, *sides) for photo in held])
    count = len(model.stylizer.paintings)

    def show(step: int, loss: float) -> None:
        losses = [
            model.each({"content": photo[np.newaxis], "styles": style[np.newaxis]})
            for photo in photos
            for style in np.eye(count, dtype=np.float32)
        ]
        row = {"step": step, "size": stage.size, "loss": loss, "held_out": float(np.mean(losses))}
        record.history.append(row)
        record.write(model.stylizer)

    return show
