"""Who comes second: refused where a folder is in use, let wait where files belong together.

The system itself takes a lock from a process that ends, whatever ended it.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator
from pathlib import Path

from nst_tf.errors import OutputError

#: What lies in a folder while it is in use.
_NAME = ".lock"


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Has a folder to itself: whoever else wants it meanwhile, here or in another process, is
    refused. Where the system cannot lock files there (Windows, some disks of networks), a warning
    says so.

    Args:
      folder: that is there.

    Raises:
      OutputError: it is in use, or cannot be written into.
    """
    path = folder / _NAME
    file = _taken(path)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            path.unlink()
        os.close(file)


def check(folder: Path) -> None:
    """Raises OutputError where a folder is in use: before long work, not in it."""
    if folder.is_dir():
        with alone(folder):
            pass


@contextlib.contextmanager
def turn(folder: Path) -> Iterator[None]:
    """Waits until nobody else is in such a block for the same folder. For what takes no time, as
    files that take their places together; where a folder cannot be locked, it does not wait.

    Args:
      folder: that is there.
    """
    with contextlib.ExitStack() as ending:
        with contextlib.suppress(ImportError, OSError):
            import fcntl

            file = os.open(folder, os.O_RDONLY)
            ending.callback(os.close, file)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _taken(path: Path) -> int:
    """The descriptor of a file at `path` that is locked."""
    while True:
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error.strerror}") from error
        try:
            _lock(file, path.parent)
            if os.path.samestat(os.fstat(file), path.stat()):
                return file
        except BlockingIOError as error:
            os.close(file)
            raise OutputError(
                f"{path.parent} is in use by another run: wait for its end, or name another folder"
            ) from error
        except FileNotFoundError:
            pass
        os.close(file)  # who had it has done away with it since: the next one is another


def _lock(file: int, folder: Path) -> None:
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except (ImportError, OSError) as error:
        reason = getattr(error, "strerror", None) or error
        warnings.warn(
            f"{folder} cannot be locked ({reason}): let no other run use it meanwhile", stacklevel=6
        )
