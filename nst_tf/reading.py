"""Files are read only where they are files: no pipes, no devices, no URLs, and none without end."""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from pathlib import Path
from typing import Any

from nst_tf.errors import FileError, in_bytes

#: Bytes that a file of pixels may have: more than any camera, scanner or painting program here
#: makes of what may be read at all.
MOST = 512 << 20
#: And one of JSON; a manifest of 80 000 iterations has as many.
MOST_JSON = 32 << 20
#: Lists and objects in it: each takes some hundred bytes in memory, and three in the file.
_MOST_PARTS = 500_000

_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
#: Of two letters or more: one alone is a drive. A path may have made one slash of two.
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")


def size(path: str | os.PathLike[str]) -> int:
    """Bytes of a regular file, or of what a link leads to; nothing is opened yet.

    Opening a pipe waits for who writes to it, and a device may have no end.

    Raises:
      FileError: there is none, or it is something else; the text says what.
    """
    try:
        status = os.stat(os.fspath(path))  # which takes numbers, too, as open files
    except FileNotFoundError as error:
        if _URL.match(os.fspath(path)):
            raise FileError(f"{path} is a URL, not a file: download it first") from error
        raise FileError(f"cannot read {path}: {error.strerror}") from error
    except (OSError, ValueError) as error:
        raise FileError(f"cannot read {path}: {getattr(error, 'strerror', error)}") from error
    kind = stat.S_IFMT(status.st_mode)
    if kind != stat.S_IFREG:
        raise FileError(f"{path} is {_KINDS.get(kind, 'something else')}, not a file")
    return status.st_size


def read(path: str | os.PathLike[str], most: int = MOST) -> bytes:
    """What a regular file holds.

    Args:
      path: of the file.
      most: bytes that it may have.

    Raises:
      FileError: it is no such file, is larger, or cannot be read.
    """
    held = size(path)
    if held > most:
        raise FileError(
            f"{path} is too large: it holds {in_bytes(held)}, and may have {in_bytes(most)}"
        )
    try:
        with Path(path).open("rb") as file:
            data = file.read(held + 1)  # and no more, where the system's own files have no end
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror}") from error
    if len(data) != held:
        raise FileError(f"cannot read {path}: it holds more or less than its {held} bytes")
    return data


def sha256(path: str | os.PathLike[str]) -> str:
    """The hash of a regular file of any size.

    Raises:
      FileError: it is no such file, or cannot be read.
    """
    size(path)
    digest = hashlib.sha256()
    try:
        with Path(path).open("rb") as file:
            while piece := file.read(1 << 20):
                digest.update(piece)
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror}") from error
    return digest.hexdigest()


def read_json(path: str | os.PathLike[str]) -> Any:
    """What a file of JSON says.

    Raises:
      FileError: it cannot be read, is larger than `MOST_JSON`, holds too many parts, or is no JSON.
    """
    data = read(path, MOST_JSON)
    if data.count(b"[") + data.count(b"{") > _MOST_PARTS:
        raise FileError(f"{path} is too large: it holds more than {_MOST_PARTS} lists and objects")
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError, too; lists of lists of ...
        raise FileError(f"{path} is not JSON: {error}") from error
