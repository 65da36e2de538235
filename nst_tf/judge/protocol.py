"""Which pairs of pictures methods are compared on."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nst_tf import assets
from nst_tf.errors import PictureError, SettingsError
from nst_tf.pictures import folders

#: Pixels that the measures need of a longer side.
_SMALLEST = 32


@dataclass(frozen=True)
class Pair:
    """A content image and a style image."""

    content: Path
    style: Path

    @property
    def name(self) -> str:
        """Of the pair's files: CONTENT--STYLE."""
        return f"{self.content.stem}--{self.style.stem}"


@dataclass(frozen=True)
class Protocol:
    """Content images in the style of style images, at one size.

    Raises:
      SettingsError: a size that is too small, or two pairs of one name.

    Attributes:
      name: of the list.
      size: longer side of every picture in pixels.
      contents: paths of the content images.
      styles: paths of the style images.
      once: whether each content image is there with one style image alone, which take turns,
        rather than with every one.
    """

    name: str
    size: int
    contents: tuple[Path, ...]
    styles: tuple[Path, ...]
    once: bool = False

    def __post_init__(self) -> None:
        if self.size < _SMALLEST:
            raise SettingsError(f"a size of {self.size} pixels is too small: {_SMALLEST} at least")
        names = [pair.name for pair in self.pairs]
        for name in names:
            if names.count(name) > 1:
                raise SettingsError(f"two pairs are called {name}: rename a picture")

    @property
    def pairs(self) -> list[Pair]:
        """All of them, those of one content image after the other: what is compiled for its size
        serves them all."""
        if self.once:
            return [Pair(*both) for both in zip(self.contents, itertools.cycle(self.styles))]
        return [Pair(content, style) for content in self.contents for style in self.styles]


def names() -> tuple[str, ...]:
    """Of the lists that the package brings along (`assets/protocols.json`)."""
    return tuple(_lists())


def load(
    name: str,
    pictures: str | None = None,
    contents: str | None = None,
    styles: str | None = None,
    size: int | None = None,
) -> Protocol:
    """A protocol: its list, with pictures of a folder, or folders of one's own in place of lists.

    Args:
      name: of the list: `small` (8 x 5 pairs at 512 pixels), `brief` (8 of these, a style image for
        each content image) or `full` (20 x 10 at 256).
      pictures: the folder that the list's pictures lie in; None for the bundled pair of pictures.
      contents: a folder or pattern whose pictures stand in for the list's; likewise styles.
      size: in place of the list's.

    Raises:
      SettingsError: no such list, a size that is too small, or two pairs of one name.
      PictureError: pictures that are not there.
    """
    if name not in names():
        raise SettingsError(f"no protocol {name!r}: use one of {', '.join(names())}")
    listed = _lists()[name]
    listed = {**_lists()[listed["of"]], **listed} if "of" in listed else listed
    return Protocol(
        name,
        size or int(listed["size"]),
        _choose(contents, pictures, listed["contents"], assets.SCENE),
        _choose(styles, pictures, listed["styles"], assets.PAINTING),
        bool(listed.get("once", False)),
    )


def _choose(
    own: str | None, pictures: str | None, listed: Sequence[str], bundled: Path
) -> tuple[Path, ...]:
    if own is not None:
        paths = [Path(path) for path in folders.files(own)]
        if Path(own).is_dir():
            paths = folders.pictures(Path(own))
            if not paths:
                raise PictureError(f"no picture in the folder {own}")
    elif pictures is None:
        paths = [bundled]
    else:
        paths = [Path(pictures) / name for name in listed]
        missing = [str(path) for path in paths if not path.is_file()]
        if missing:
            raise PictureError(
                f"{len(missing)} of the protocol's {len(paths)} pictures are not there: "
                f"{', '.join(missing)}"
            )
    return tuple(paths)


def _lists() -> dict[str, dict[str, Any]]:
    lists: dict[str, dict[str, Any]] = json.loads(assets.PROTOCOLS.read_text())
    return lists
