"""What pictures are called: names from a template, none of them twice, none outside its folder."""

from __future__ import annotations

import os
import string
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePath

from nst_tf import reading
from nst_tf.batch.orders import Order
from nst_tf.errors import FileError, OutputError, SettingsError
from nst_tf.pictures import images

#: Of the template where none is given.
TEMPLATE = "{content}--{style}"
#: The fields that every order has, beside the columns of its line.
FIELDS = ("content", "style", "folder", "number")


def fields_of(template: str) -> set[str]:
    """The names in a template, such as `content` and `style` of `{content}--{style}`.

    Raises:
      SettingsError: it is none.
    """
    try:
        parts = [(name, spec, how) for _, name, spec, how in string.Formatter().parse(template)]
    except ValueError as error:
        raise SettingsError(f"--names={template!r} is no template: {error}") from error
    for name, spec, how in parts:
        if name is not None and (not name.isidentifier() or spec or how):
            raise SettingsError(
                f"--names={template!r}: use plain names in braces, such as {TEMPLATE}"
            )
    return {name for name, _, _ in parts if name}


def outputs(orders: Sequence[Order], template: str, folder: Path) -> list[Path]:
    """The file of each picture; a PNG where its name has no picture's suffix.

    Args:
      orders: of which one that says its name itself has that one.
      template: with the fields `FIELDS` (names without suffix, the photo's folder, the place in
        the list from 1) and the columns of the table, as far as lines fill them in.
      folder: that all lie in, in subfolders where names have slashes.

    Raises:
      SettingsError: a field that is not there; two pictures of one name; a name that leads
        elsewhere.
      OutputError: a picture would be written over that is read.
    """
    fields_of(template)
    read = {os.path.realpath(path) for order in orders for path in (order.content, *order.styles)}
    real = os.path.realpath(folder)
    for picture in sorted(read):
        if Path(picture).is_relative_to(real) and _made_before(picture):
            raise SettingsError(
                f"{picture} is a result in --out, not a photo: leave that folder out of the photos'"
            )
    found: dict[str, tuple[Path, Order]] = {}
    paths: list[Path] = []
    for number, order in enumerate(orders, 1):
        name = order.output or _filled(template, order, number, len(orders))
        path = folder / _within(name, order)
        # The manifest lies beside it: two that differ in their suffix alone are one, too. And on
        # some disks those that differ in capitals alone are.
        key = str(path.with_suffix("")).casefold()
        if key in found:
            raise SettingsError(
                f"{_what(found[key][1])} and {_what(order)} would both be {path}: say --names="
                f"'{{folder}}-{TEMPLATE}', or '{TEMPLATE}-{{number}}'"
            )
        if os.path.realpath(path) in read:
            raise OutputError(f"{path} is one of the pictures to read: name another --out")
        found[key] = path, order
        paths.append(path)
    return paths


def _filled(template: str, order: Order, number: int, count: int) -> str:
    told: Mapping[str, str] = {
        **order.cells,
        "content": _stem(order.content),
        "style": "+".join(map(_stem, order.styles)),
        "folder": Path(order.content).absolute().parent.name,
        "number": str(number).zfill(len(str(count))),
    }
    # What is in a cell may be a path: it makes no folders here.
    plain = {name: value.replace("/", "-").replace("\\", "-") for name, value in told.items()}
    try:
        return template.format_map(plain)
    except KeyError as error:
        where = f"{order.place}: " if order.place else ""
        raise SettingsError(
            f"{where}--names has {error}, which is not there: use {_listed(plain)}"
        ) from error


def _within(name: str, order: Order) -> PurePath:
    """A name that leads nowhere else."""
    path = PurePath(name.replace("\\", "/"))
    outside = path.is_absolute() or path.drive or ".." in path.parts or "\0" in name
    if outside or not path.name or not path.stem.strip("."):
        where = order.place or "--names"
        raise SettingsError(f"{where}: {name!r} is no name of a picture in the folder --out")
    known = path.suffix.lower() in images.FORMATS
    return path if known else path.with_name(f"{path.name}.png")


def _stem(path: str) -> str:
    """A file's name without a picture's suffix: what is no file may have dots in it."""
    known = PurePath(path).suffix.lower() in images.FORMATS
    return PurePath(path).stem if known else PurePath(path).name


def _made_before(path: str) -> bool:
    """Whether a picture in the folder is one that an earlier batch has left there: a pattern that
    finds it would have it painted again, and the next time that, too."""
    try:
        told = reading.read_json(Path(path).with_suffix(".json"))
    except FileError:
        return False
    return isinstance(told, dict) and "nst_tf" in told


def _what(order: Order) -> str:
    return order.place or f"{order.content} in {' + '.join(order.styles)}"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
