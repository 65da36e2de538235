"""Files are read only where they are files: no pipes, no devices, no URLs, and none without end."""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from typing import Any, BinaryIO

from nst_tf.errors import FileError, in_bytes

#: Bytes that a file of pixels may have: more than any camera, scanner or painting program here
#: makes of what may be read at all.
MOST = 512 << 20
#: And one of weights: VGG19 with its dense layers takes 1.2 GB in float64, and in float32, with the
#: two moments that Adam keeps of each number, 1.7 GB.
MOST_WEIGHTS = 2 << 30
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


def opened(path: str | os.PathLike[str], most: int) -> BinaryIO:
    """A regular file, or what a link leads to, open to be read.

    Args:
      path: of the file.
      most: bytes that it may have.

    Raises:
      FileError: there is none, it is something else or larger, or it cannot be read; the text says
        what.
    """
    # A device may do something when it is opened, and a file become another one before it is.
    _check(path, _status(path), most)
    try:
        file = open(path, "rb", opener=_at_once)  # noqa: SIM115
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror}") from error
    try:
        _check(path, os.fstat(file.fileno()), most)
    except FileError:
        file.close()
        raise
    return file


def _at_once(path: str, flags: int) -> int:
    """Opens without waiting for who writes to a pipe."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _status(path: str | os.PathLike[str]) -> os.stat_result:
    try:
        return os.stat(os.fspath(path))  # which takes numbers, too, as open files
    except FileNotFoundError as error:
        if _URL.match(os.fspath(path)):
            raise FileError(f"{path} is a URL, not a file: download it first") from error
        raise FileError(f"cannot read {path}: {error.strerror}") from error
    except (OSError, ValueError) as error:
        raise FileError(f"cannot read {path}: {getattr(error, 'strerror', error)}") from error


def _check(path: str | os.PathLike[str], status: os.stat_result, most: int) -> None:
    kind, held = stat.S_IFMT(status.st_mode), status.st_size
    if kind != stat.S_IFREG:
        raise FileError(f"{path} is {_KINDS.get(kind, 'something else')}, not a file")
    if held > most:
        raise FileError(
            f"{path} is too large: it holds {in_bytes(held)}, and may have {in_bytes(most)}"
        )


def read(path: str | os.PathLike[str], most: int = MOST) -> bytes:
    """What a regular file holds.

    Args:
      path: of the file.
      most: bytes that it may have.

    Raises:
      FileError: it is no such file, is larger, or cannot be read.
    """
    with opened(path, most) as file:
        held = os.fstat(file.fileno()).st_size
        try:
            # And no more, where the system's own files have no end; of one of these, None is what
            # would have to be waited for.
            data = file.read(held + 1) or b""
        except OSError as error:
            raise FileError(f"cannot read {path}: {error.strerror}") from error
    if len(data) != held:
        raise FileError(f"cannot read {path}: it holds more or less than its {held} bytes")
    return data


def sha256(path: str | os.PathLike[str], most: int = MOST_WEIGHTS) -> str:
    """The hash of a regular file.

    Args:
      path: of the file.
      most: bytes that it may have.

    Raises:
      FileError: it is no such file, is larger, or cannot be read.
    """
    with opened(path, most) as file:
        try:
            return sha256_of(file)
        except OSError as error:
            raise FileError(f"cannot read {path}: {error.strerror}") from error


def sha256_of(file: BinaryIO) -> str:
    """The hash of all that a file holds."""
    digest = hashlib.sha256()
    file.seek(0)
    while piece := file.read(1 << 20):
        digest.update(piece)
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
