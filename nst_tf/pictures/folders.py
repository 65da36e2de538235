"""Which files are meant by a folder or a pattern."""

from __future__ import annotations

import glob
import os
import reprlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from nst_tf.errors import FileError, PictureError
from nst_tf.pictures import images


def files(pattern: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> list[str]:
    """The files that a pattern, or each of several, matches: sorted, each once.

    Args:
      pattern: such as `photos/*.jpg`, or `photos/**/*.png` for subfolders too; a folder stands for
        the files in it.

    Raises:
      PictureError: a pattern that matches no file, or is none.
    """
    patterns: Iterable[object] = [pattern]
    if isinstance(pattern, Iterable) and not isinstance(pattern, (str, bytes)):
        patterns = pattern
    matched: set[str] = set()
    for given in patterns:
        wanted = os.fspath(given) if isinstance(given, (str, os.PathLike)) else given
        if not isinstance(wanted, str):
            raise PictureError(
                f"a pattern for picture files is {reprlib.repr(given)}, of type "
                f"{type(given).__name__}: give a path such as photos/*.jpg"
            )
        # A file's own name may hold what would be a pattern.
        paths = [wanted] if Path(wanted).is_file() else glob.glob(wanted, recursive=True)
        if Path(wanted).is_dir():
            paths = [os.path.join(wanted, name) for name in os.listdir(wanted)]
        paths = [path for path in paths if Path(path).is_file()]
        if not paths:
            of = "is in the folder" if Path(wanted).is_dir() else "matches"
            raise PictureError(f"no file {of} {wanted}")
        matched.update(paths)
    if not matched:
        raise PictureError("no pattern for picture files: name one such as photos/*.jpg")
    return sorted(matched)


def pictures(folder: Path) -> list[Path]:
    """The files of a folder that have the suffix of a picture, sorted; hidden ones left out.

    Raises:
      FileError: the folder cannot be read.
    """
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        raise FileError(f"cannot read the folder {folder}: {error.strerror}") from error
    return [
        path
        for path in paths
        if path.suffix.lower() in images.FORMATS
        and path.is_file()
        and not path.name.startswith(".")
    ]
