"""Files are written whole or not at all, and it is found out early where they cannot be.

What long work has made is not lost where its place has gone meanwhile: see `or_elsewhere`.
"""

from __future__ import annotations

import contextlib
import csv
import io
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from nst_tf.errors import FileError, OutputError, in_bytes


def check_writable(path: Path) -> None:
    """Raises OutputError where no file could be written at `path`: before long work, not after."""
    try:
        folder = path.resolve().parent
        reason = None
        if path.is_dir():
            reason = "it is a directory"
        elif path.exists() and not path.is_file():
            reason = "it is not an ordinary file"
        elif not folder.is_dir():
            reason = f"there is no directory {folder}"
        elif not os.access(folder, os.W_OK):
            reason = f"no permission in {folder}"
        elif len(os.fsencode(path.name)) > 255:
            reason = "the name is too long"
    except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: a link to itself
        reason = getattr(error, "strerror", None) or str(error)
    if reason:
        raise OutputError(f"cannot write {path}: {reason}")


def check_room(path: Path, size: int) -> None:
    """Raises OutputError where so many bytes would not go to the disk of `path`."""
    try:
        disk = shutil.disk_usage(path.resolve().parent)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error
    if disk.total and disk.free < size:  # of some networks' disks nothing is known
        raise OutputError(
            f"cannot write {path}: it may take {in_bytes(size)}, and {in_bytes(disk.free)} are "
            "free there: make room, or name another folder"
        )


def check_folder(folder: Path) -> None:
    """Raises OutputError where a folder is not there and cannot be made, or cannot be written."""
    try:
        nearest = next(path for path in (folder, *folder.resolve().parents) if path.exists())
        reason = None
        if not nearest.is_dir():
            reason = f"{nearest} is no folder"
        elif not os.access(nearest, os.W_OK):
            reason = f"no permission in {nearest}"
    except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: a link to itself
        reason = getattr(error, "strerror", None) or str(error)
    if reason:
        raise OutputError(f"cannot write into the folder {folder}: {reason}")


def make_folder(folder: Path) -> None:
    """Makes a folder, with those above it, that can be written into.

    Raises:
      OutputError: it cannot be made, or there is one without permission.
    """
    check_folder(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {folder}: {error.strerror}") from error


#: What is called so that is not whole yet, for a number of 32 digits.
_PART = ".{}.part"


def part_beside(path: Path) -> Path:
    """Where a file or folder is made that is to be `path` once it is whole: nothing is there."""
    return path.with_name(_PART.format(uuid.uuid4().hex))


def parts(folder: Path) -> list[Path]:
    """What is in a folder by such a name: halves that are made now, or that killed processes have
    left."""
    return list(folder.glob(_PART.format(32 * "[0-9a-f]")))


def discard(part: Path) -> None:
    """Does away with a file or a folder, as far as it is there and that can be done."""
    if part.is_dir() and not part.is_symlink():
        shutil.rmtree(part, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            part.unlink()


@contextlib.contextmanager
def swept(folder: Path) -> Iterator[None]:
    """Does away with the halves of files that killed processes have left in a folder: after the
    block, unless that fails, those that nobody has written to during it."""
    before = {part: stamp(part) for part in parts(folder)}
    yield
    for part, then in before.items():
        if stamp(part) == then:
            discard(part)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file beside `path` to write to, which takes its place when the block ends without an error.

        with replacing(path) as part:
            part.write_bytes(data)

    Nobody ever sees half a file, and what was at `path` stays until the new one is whole.

    Raises:
      OutputError: the folder cannot be written or is full; the block's own OSErrors, too.
    """
    path = path.resolve()  # so that a link stays one
    part = part_beside(path)
    try:
        try:
            yield part
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error


@contextlib.contextmanager
def away(path: Path) -> Iterator[None]:
    """What is at `path`, if anything, is not there during the block nor after it; where the block
    fails, it is there again. An OSError is that it cannot be moved."""
    path = path.resolve()  # so that a link stays one
    part = path.with_name(_PART.format(uuid.uuid4().hex))
    with contextlib.suppress(FileNotFoundError):
        path.rename(part)
    try:
        yield
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            part.rename(path)
        raise
    with contextlib.suppress(OSError):
        part.unlink()


def write(path: Path, data: bytes | str) -> None:
    """Writes a file atomically, and only returns once the disk has it.

    Raises:
      OutputError: the folder cannot be written or is full.
    """
    with replacing(path) as part:
        fill(part, data)


def write_table(path: Path, lines: Iterable[Iterable[object]]) -> None:
    """Writes lines of cells as CSV, as `write` does; the first of them is the head."""
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(lines)
    write(path, stream.getvalue())


def fill(part: Path, data: bytes | str) -> None:
    """Writes a new file, as that of `replacing`, and only returns once the disk has it."""
    with part.open("xb") as file:
        file.write(data.encode() if isinstance(data, str) else data)
        file.flush()
        os.fsync(file.fileno())


def stamp(path: Path) -> tuple[int, int] | None:
    """What changes with whatever is written to `path`; None where no file is there."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_ino, found.st_mtime_ns


def or_elsewhere(write: Callable[[Path], object], path: Path) -> None:
    """Writes what must not be lost; where `path` cannot be written, to a new temporary folder.

    Args:
      write: writes it to a path, and raises FileError where it cannot.
      path: where it belongs.

    Raises:
      OutputError: it is not at `path`; the text says where it is instead, if it is anywhere.
    """
    before = stamp(path)
    try:
        write(path)
    except FileError as error:
        kept = _elsewhere(write, path.name)
        if kept is None:
            raise OutputError(str(error)) from error
        older = before is not None and stamp(path) == before
        note = f"; what is at {path} is older" if older else ""
        raise OutputError(f"{error}; the result is kept as {kept}{note}") from error


def _elsewhere(write: Callable[[Path], object], name: str) -> Path | None:
    """The path in the first folder that takes it; None where none does."""
    # The temporary folder is named None: there may be none. The last one is in memory, which is
    # better than nothing where every disk is full.
    for parent in (None, os.path.expanduser("~"), "/dev/shm"):
        try:
            folder = Path(tempfile.mkdtemp(prefix="nst-tf-", dir=parent))
        except OSError:
            continue
        try:
            write(folder / name)
        except FileError:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            return folder / name
    return None
