"""Many pictures in one call, of which a bad one does not stop the others."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import tensorflow as tf
from PIL import Image
from typing_extensions import Unpack

from nst_tf import files, locks, optimizers
from nst_tf.errors import NSTError, SettingsError
from nst_tf.losses import own_terms
from nst_tf.losses.own_terms import Term
from nst_tf.network import machine
from nst_tf.network import weights as weights_module
from nst_tf.network.weights import Weights
from nst_tf.pictures import images, masks
from nst_tf.pictures.images import Picture
from nst_tf.pictures.masks import Masked
from nst_tf.recipe import presets
from nst_tf.recipe.overrides import Overrides
from nst_tf.recipe.settings import Settings
from nst_tf.run import checkpoint, outlook
from nst_tf.run.given import as_callbacks
from nst_tf.run.inputs import Style
from nst_tf.run.record import Result, Step
from nst_tf.run.transfer import Callback, StyleTransfer
from nst_tf.run.workshop import Workshop


class Painted(NamedTuple):
    """What became of one photo in one style: a result or an error.

    Attributes:
      content: the photo, as it was given.
      style: the style image or images, likewise.
      result: None where there is an error.
      error: why there is none, in one line; None where there is a result.
    """

    content: Picture
    style: Style | Sequence[Style]
    result: Result | None
    error: NSTError | None


def stylize_many(
    contents: Iterable[Picture],
    styles: Style | Iterable[Style | Sequence[Style]],
    *,
    preset: str | None = None,
    settings: Settings | None = None,
    weights: str | os.PathLike[str] | Weights | None = None,
    callbacks: Sequence[Callback | Callable[[Step], Any]] = (),
    terms: Sequence[Term | Callable[[tf.Tensor], tf.Tensor]] = (),
    tile: int | str = "auto",
    engine: str = "auto",
    dtype: str = "auto",
    max_memory: int | str | None = None,
    keep_snapshots: bool = True,
    checkpoints: str | os.PathLike[str] | None = None,
    checkpoint_every: float = 60.0,
    workshop: Workshop | None = None,
    **overrides: Unpack[Overrides],
) -> Iterator[Painted]:
    """Paints every photo in every style, one after the other, as they are asked for.

        for number, painted in enumerate(nst_tf.stylize_many(photos, "painting.jpg", size=256)):
            if painted.result is None:
                print(painted.error)
            else:
                painted.result.save(f"{number}.png")

    Settings and network are checked, and the network read, before the first; runs compile once
    between them.

    Args:
      contents: the photos, each as `StyleTransfer` takes one; any iterable, read as it goes.
      styles: a style image, or several, of which each makes a result of its own; a list or tuple
        among them is blended.
      preset: as for `StyleTransfer`, likewise whatever follows.
      checkpoints: a folder with a checkpoint for each result, numbered by photo and style: the same
        call goes on from there and gives again what was done. It stays when all is done.

    Returns:
      An iterator: of the first photo every style, then of the second. Where one of the pictures
      cannot be painted it says so in `Painted.error` and goes on.

    Raises:
      SettingsError: a setting that cannot be used, no style, or one picture in place of several;
        at once.
      OutputError: `checkpoints` cannot be written into, at once; or another call has it, at the
        first result.
      PictureError: a file object among the styles cannot be read; at once.
      WeightsError: the network cannot be had; at once.
      Interrupted: Ctrl-C; a KeyboardInterrupt that carries the result so far of its run.
    """
    chosen = presets.choose(preset, settings, **overrides)
    optimizers.create(chosen.optimizer, chosen.learning_rate, chosen.bounded)
    own, watching = own_terms.checked(terms), as_callbacks(callbacks)
    machine.check_tile(tile)
    machine.choose_engine(engine)
    machine.choose_dtype(dtype)
    if max_memory is not None:
        outlook.parse(max_memory)
    aside = None if checkpoints is None else checkpoint.checked(checkpoints, checkpoint_every)[0]
    if _is_one(contents) or not isinstance(contents, Iterable):
        raise SettingsError(
            f"contents is {type(contents).__name__}, not several pictures: give a list of them"
        )
    several = [styles] if _is_one(styles) or not isinstance(styles, Iterable) else list(styles)
    if not several:
        raise SettingsError("name at least one style image")
    network = weights_module.load(presets.network(chosen.preset, weights), seed=chosen.seed)
    # What a file object gives can be read once alone.
    held = [
        [masks.held(one) for one in style]
        if isinstance(style, (list, tuple))
        else masks.held(style)
        for style in several
    ]

    def paint(content: Picture, style: Style | Sequence[Style], name: str) -> Result:
        return StyleTransfer(
            content,
            style,
            settings=chosen,
            weights=network,
            callbacks=watching,
            terms=own,
            tile=tile,
            engine=engine,
            dtype=dtype,
            max_memory=max_memory,
            keep_snapshots=keep_snapshots,
            checkpoint=None if aside is None else aside / name,
            checkpoint_every=checkpoint_every,
            workshop=workshop,
        ).run()

    def painted() -> Iterator[Painted]:
        for number, content in enumerate(contents, 1):
            read: Any = None
            for index, (given, style) in enumerate(zip(several, held, strict=True), 1):
                try:
                    read = images.held(content) if read is None else read
                    result = paint(read, style, f"{number:06}-{index}")
                except NSTError as error:
                    yield Painted(content, given, None, error)
                else:
                    yield Painted(content, given, result, None)

    return painted() if aside is None else _alone(aside, painted())


def _alone(folder: Path, painted: Iterator[Painted]) -> Iterator[Painted]:
    """The same, with a folder to itself from the first one on."""
    files.make_folder(folder)
    with locks.alone(folder):
        yield from painted


def _is_one(pictures: Any) -> bool:
    """Whether it is one picture, though it may be iterated over: as letters, bytes, rows."""
    if isinstance(pictures, (str, os.PathLike, bytes, bytearray, Image.Image, Masked)):
        return True
    shape = getattr(pictures, "shape", None)
    return hasattr(pictures, "read") or (shape is not None and len(shape) < 4)
