"""What is to be painted: by files and folders, or by a table with a line for each picture."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nst_tf import reading
from nst_tf.errors import FileError, PictureError, SettingsError
from nst_tf.pictures import folders

#: What a table is known by, and the columns that are no settings.
CSV, JSON_LINES = (".csv",), (".jsonl", ".ndjson")
CONTENT, STYLE, OUTPUT = "content", "style", "output"
#: Between several paintings in one cell, which are blended.
_AND = ";"
_MOST = 1 << 28


@dataclass(frozen=True)
class Order:
    """One picture to be painted.

    Attributes:
      content: path of the photo.
      styles: what it is painted in: paths of paintings, which are blended; of a trained stylizer,
        one of its paintings' names or a mix of them.
      cells: the other columns of its line, as words.
      output: what it is to be called, where its line says so.
      place: where that stands, for people; empty for none.
    """

    content: str
    styles: tuple[str, ...] = ()
    cells: Mapping[str, str] = field(default_factory=dict)
    output: str | None = None
    place: str = ""


def is_table(path: str) -> bool:
    """Whether a path is that of a table, by its suffix."""
    return Path(path).suffix.lower() in (*CSV, *JSON_LINES)


def files(patterns: Sequence[str]) -> list[str]:
    """The pictures that paths, folders and patterns stand for: in that order, each once.

    Args:
      patterns: a folder stands for the files in it with a picture's suffix.

    Raises:
      PictureError: one that stands for none.
      FileError: a folder that cannot be read.
    """
    found: list[str] = []
    for pattern in patterns:
        if not Path(pattern).is_dir():
            found += folders.files(pattern)
            continue
        pictures = folders.pictures(Path(pattern))
        if not pictures:
            raise PictureError(f"no picture is in the folder {pattern}")
        found += map(str, pictures)
    return list(dict.fromkeys(found))


def crossed(contents: Sequence[str], styles: Sequence[str]) -> list[Order]:
    """Every photo in every style."""
    return [Order(content, (style,)) for content in contents for style in styles]


def paired(contents: Sequence[str], styles: Sequence[str]) -> list[Order]:
    """The first photo in the first style, the second in the second, and so on.

    Raises:
      SettingsError: there are not as many of both.
    """
    if len(contents) != len(styles):
        raise SettingsError(
            f"--pairs: {len(contents)} photos and {len(styles)} paintings: give as many of both"
        )
    return [Order(*pair) for pair in zip(contents, [(style,) for style in styles], strict=True)]


def read(path: str, styles: Sequence[str] = (), files_of_styles: bool = True) -> list[Order]:
    """The lines of a table.

    Args:
      path: of a CSV file with a head, or of JSON lines; pictures that it names are looked for from
        its own folder on.
      styles: of the lines that name none, each a picture of its own.
      files_of_styles: whether the styles that it names are files.

    Raises:
      FileError: it cannot be read, or is no table.
      SettingsError: a line without a photo, or without a style where there is none for all.
    """
    lines = _json_lines(path) if Path(path).suffix.lower() in JSON_LINES else _csv(path)
    base = Path(path).parent
    orders: list[Order] = []
    for number, cells in lines:
        place = f"{path}, line {number}"
        style = cells.pop(STYLE, None)
        told = {name: text for name, value in cells.items() if (text := _words(value, place))}
        content, output = told.pop(CONTENT, ""), told.pop(OUTPUT, None)
        if not content:
            raise SettingsError(f"{place} names no photo: fill in the column {CONTENT}")
        parts = style if isinstance(style, list) else _words(style, place).split(_AND)
        named = [text for part in parts if (text := _words(part, place))]
        if files_of_styles:
            named = [_placed(base, part) for part in named]
        if not named and not styles:
            raise SettingsError(f"{place} names no style: fill in the column {STYLE}, or --styles")
        for wanted in [tuple(named)] if named else [(style,) for style in styles]:
            orders.append(Order(_placed(base, content), wanted, told, output, place))
    if not orders:
        raise FileError(f"{path} has no line with a picture")
    return orders


def _placed(base: Path, path: str) -> str:
    """A path of a table, from its folder on; a URL as it is."""
    return path if "://" in path else str(base / path)


def _csv(path: str) -> list[tuple[int, dict[str, Any]]]:
    lines = csv.reader(io.StringIO(_text(path), newline=""), strict=True)
    try:
        head = [name.strip() for name in next(lines, [])]
        if CONTENT not in head or len(set(head)) < len(head):
            raise FileError(
                f"{path}: its first line is {','.join(head)!r}: name each column once, and one of "
                f"them {CONTENT}"
            )
        found = []
        for cells in lines:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) > len(head):
                raise FileError(
                    f"{path}, line {lines.line_num} has {len(cells)} cells for {len(head)} columns"
                )
            found.append((lines.line_num, dict(zip(head, map(str.strip, cells), strict=False))))
        return found
    except csv.Error as error:
        raise FileError(f"{path}, line {lines.line_num} is no CSV: {error}") from error


def _json_lines(path: str) -> list[tuple[int, dict[str, Any]]]:
    found = []
    for number, line in enumerate(_text(path).splitlines(), 1):
        if not line.strip():
            continue
        try:
            told = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise FileError(f"{path}, line {number} is not JSON: {error}") from error
        if not isinstance(told, dict):
            raise FileError(f'{path}, line {number} is no object such as {{"content": "a.jpg"}}')
        found.append((number, told))
    return found


def _text(path: str) -> str:
    try:
        return reading.read(path, _MOST).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FileError(f"{path} is not text in UTF-8: {error}") from error


def _words(value: Any, place: str) -> str:
    """A cell as a command's flag would have it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ",".join(_words(part, place) for part in value)
    if isinstance(value, dict):
        return ",".join(f"{key}={_words(part, place)}" for key, part in value.items())
    if isinstance(value, (str, int, float)):
        return str(value).strip()
    raise FileError(f"{place}: {value!r} is no value")
