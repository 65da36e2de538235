"""Files on whichever file system Beam knows: read whole, written whole or not at all."""

from __future__ import annotations

import contextlib
import posixpath
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

from apache_beam.io.filesystem import BeamIOError, CompressionTypes
from apache_beam.io.filesystems import FileSystems

from nst_tf import reading
from nst_tf.errors import FileError, OutputError, PictureError, in_bytes

#: Of a file that is written: as it is.
_PLAIN = CompressionTypes.UNCOMPRESSED
#: What is called so that is not whole yet.
_PART = ".nst_tf-{}.part"


def read_file(path: str, most: int = reading.MOST) -> bytes:
    """What a file holds.

    Args:
      path: on any file system.
      most: bytes that it may have.

    Raises:
      FileError: it cannot be read, or has more.
    """
    try:
        with FileSystems.open(path, compression_type=_PLAIN) as file:
            data: bytes = file.read(most + 1)
    except Exception as error:  # each file system has its own
        raise FileError(f"cannot read {path}: {_reason(error)}") from error
    if len(data) > most:
        raise FileError(f"{path} is too large: it may have {in_bytes(most)}")
    return data


def write_file(path: str, data: bytes) -> None:
    """Writes a file under another name, and then gives it its own: nobody ever sees half of it, and
    where two write the same there is one.

    Raises:
      OutputError: it cannot be written.
    """
    folder = posixpath.dirname(path)
    part = posixpath.join(folder, _PART.format(uuid.uuid4().hex))
    try:
        if folder:
            with contextlib.suppress(BeamIOError, OSError):  # it is there
                FileSystems.mkdirs(folder)
        with FileSystems.create(part, compression_type=_PLAIN) as file:
            file.write(data)
        try:
            FileSystems.rename([part], [path])
        except BeamIOError:  # some file systems rename onto nothing alone
            if not FileSystems.exists(path):
                raise
            _in_place_of(part, path)
    except Exception as error:
        with contextlib.suppress(Exception):
            FileSystems.delete([part])
        raise OutputError(f"cannot write {path}: {_reason(error)}") from error


def _in_place_of(part: str, path: str) -> None:
    """Renames onto a file, which is laid aside first, and comes back where that fails."""
    aside = posixpath.join(posixpath.dirname(path), _PART.format(uuid.uuid4().hex))
    FileSystems.rename([path], [aside])
    try:
        FileSystems.rename([part], [path])
    except BeamIOError:
        FileSystems.rename([aside], [path])
        raise
    FileSystems.delete([aside])


def matched(patterns: list[str]) -> list[str]:
    """The files that paths and patterns stand for, in that order, each once; a folder's by `DIR/*`.

    Raises:
      PictureError: one that stands for none.
      FileError: a file system that cannot be asked.
    """
    found: list[str] = []
    for pattern in patterns:
        try:
            (result,) = FileSystems.match([pattern])
        except Exception as error:
            raise FileError(f"cannot look for {pattern}: {_reason(error)}") from error
        paths = sorted(one.path for one in result.metadata_list)
        if not paths:
            raise PictureError(f"no file matches {pattern}")
        found += paths
    return list(dict.fromkeys(found))


def swept(folder: str) -> None:
    """Does away with what workers that were lost have left half-written in a folder, once nobody
    writes there any more.

    Raises:
      OutputError: that cannot be done.
    """
    forget(posixpath.join(folder, _PART.format("*")))


def exists(path: str) -> bool:
    """Whether there is such a file, as far as its file system can be asked."""
    try:
        return bool(FileSystems.exists(path))
    except Exception:  # each file system has its own
        return False


def found(pattern: str) -> list[str]:
    """The files that a pattern matches now, if any; none where there is no such folder."""
    try:
        return matched([pattern])
    except FileError:
        return []


def forget(pattern: str) -> None:
    """Does away with the files that a pattern matches.

    Raises:
      OutputError: that cannot be done.
    """
    if paths := found(pattern):
        try:
            FileSystems.delete(paths)
        except Exception as error:
            raise OutputError(f"cannot delete {pattern}: {_reason(error)}") from error


@contextlib.contextmanager
def local_copy(path: str) -> Iterator[str]:
    """A file as one on this machine, for as long as the block."""
    if Path(path).is_file() or "://" not in path:
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / posixpath.basename(path)
        try:
            with FileSystems.open(path, compression_type=_PLAIN) as file, target.open("xb") as copy:
                shutil.copyfileobj(file, copy)
        except Exception as error:
            raise FileError(f"cannot read {path}: {_reason(error)}") from error
        yield str(target)


def _reason(error: Exception) -> str:
    details = getattr(error, "exception_details", None)
    if isinstance(details, dict) and details:
        error = next(iter(details.values()))
    return str(getattr(error, "strerror", None) or error or type(error).__name__)
