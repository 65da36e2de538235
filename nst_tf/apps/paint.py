"""`nst-tf paint`: photos painted in one pass, by a network of nst-tf train."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from absl import flags

from nst_tf import files
from nst_tf.apps import command, ordering
from nst_tf.errors import PictureError
from nst_tf.pictures import folders, images

USAGE = """
nst-tf paint PHOTO [PHOTO ...] --stylizer=FILE [-o OUT] [flags]

Paints photos of any size in one pass. -o is the picture's file, of several photos a folder, which
gets a picture of each by its name; by default the folder painted.

    nst-tf paint photos/*.jpg --stylizer=trained/stylizer.keras --strength=0.8 -o painted
"""


def define_flags() -> flags.FlagValues:
    """The command's flags, apart from absl's global ones."""
    values = flags.FlagValues()
    text = partial(flags.DEFINE_string, flag_values=values)
    text("stylizer", None, "The network: stylizer.keras of a training's folder.")
    text("output", "painted", "The picture, or a folder.", short_name="o")
    flags.DEFINE_float(
        "strength", 1.0, "How much is painted, from 0 (the photo) to 1.", flag_values=values
    )
    flags.DEFINE_list(
        "styles",
        None,
        "Of a network of several paintings: the one, or the share of each, such as "
        "starry_night=3,scream=1; by default all in equal parts.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "size",
        0,
        "Longer side of the results in pixels; 0 keeps each photo's own.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "tile",
        None,
        "Side of tiles in pixels, in which photos larger than memory are painted by the moments "
        "of parts from all over them; 0 for the whole photo. By default whole where there is the "
        "memory.",
        flag_values=values,
    )
    return values


def main(argv: list[str]) -> int:
    """Runs the command on `argv`, the command's name and what follows; returns the exit code."""
    values = define_flags()
    photos = command.parse(values, USAGE, argv, required=1)
    if not values.stylizer:
        raise command.UsageError("name the network: --stylizer=trained/stylizer.keras")
    strength = ordering.painted(values)
    if values.size < 0:
        raise command.UsageError(f"--size={values.size}: use a number of pixels, or 0")
    given = folders.files(photos)
    outputs = _outputs(given, Path(values.output))
    shares = _shares(values.styles)

    command.import_tensorflow()
    from nst_tf.stylizer.network import Stylizer

    stylizer = Stylizer.load(values.stylizer)
    styles = stylizer.shares(shares) if shares else None
    failed = 0
    for path, output in zip(given, outputs, strict=True):
        try:
            photo = images.load(path, values.size or None)
            images.save(stylizer.paint(photo, strength, styles, values.tile), output)
            print(output, flush=True)
        except PictureError as error:  # the others are painted all the same
            print(f"nst-tf paint: {error}", file=sys.stderr)
            failed += 1
    return command.BAD_INPUT if failed else 0


def _outputs(photos: list[str], output: Path) -> list[Path]:
    """Where each is written: a picture's file of one photo, else files in a folder."""
    if output.suffix.lower() in images.FORMATS:
        if len(photos) > 1:
            raise command.UsageError(f"{len(photos)} photos and one file {output}: name a folder")
        images.check_target(output)
        return [output]
    files.make_folder(output)
    names = [Path(photo).name for photo in photos]
    if twice := [name for name in names if names.count(name) > 1]:
        raise command.UsageError(f"two photos are called {twice[0]}: paint them one by one")
    targets = [output / name for name in names]
    targets = [
        target if target.suffix.lower() in images.FORMATS else target.with_suffix(".png")
        for target in targets
    ]
    for photo, target in zip(photos, targets, strict=True):
        if target.exists() and target.samefile(photo):
            raise command.UsageError(f"{target} would be painted over: name another folder")
    return targets


def _shares(given: list[str] | None) -> dict[str, float]:
    shares: dict[str, float] = {}
    for part in given or ():
        name, _, number = part.strip().partition("=")
        try:
            shares[name] = float(number or 1)
        except ValueError as error:
            raise command.UsageError(f"--styles: {part!r} is not NAME or NAME=SHARE") from error
    return shares
