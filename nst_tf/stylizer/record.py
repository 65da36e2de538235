"""The record of a training: what it is of, and how it went."""

from __future__ import annotations

import dataclasses
import json
import reprlib
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nst_tf import files, reading
from nst_tf.errors import FileError
from nst_tf.stylizer.course import Course
from nst_tf.stylizer.network import Stylizer

#: The files' names in the folder of a training.
RECORD, RESULT = "training.json", "stylizer.keras"


class Record:
    """The record in a folder, begun or gone on with.

    Args:
      folder: of the training.
      course: what decides what is learnt.
      paintings: files.
      photos: names of those to learn from, and `held`, of those that are held out.
      base: the stylizer that it begins with.

    Attributes:
      history: a row for every time that the held-out photos were looked at.
      nearest: the base's style that each painting's began with.

    Raises:
      FileError: the folder holds another training.
    """

    def __init__(
        self,
        folder: Path,
        course: Course,
        paintings: Sequence[Path],
        photos: Sequence[str],
        held: Sequence[str],
        base: Path | None = None,
    ) -> None:
        self._folder = folder
        identity = {
            **dataclasses.asdict(course),
            "paintings": {painting.stem: reading.sha256(painting) for painting in paintings},
            "base": base and reading.sha256(base),
            "photos": [Path(photo).name for photo in photos],
            "held_out": [Path(photo).name for photo in held],
        }
        self._identity: dict[str, Any] = json.loads(json.dumps(identity))
        self.history: list[dict[str, float]] = []
        self.nearest: list[str] = []
        if (folder / RECORD).exists():
            self._go_on(folder / RECORD)

    def _go_on(self, path: Path) -> None:
        try:
            found = dict(reading.read_json(path))
            self.history = [dict(row, step=int(row["step"])) for row in found["history"]]
            self.nearest = list(map(str, found["nearest"]))
        except (ValueError, KeyError, TypeError) as error:
            raise FileError(
                f"{path} is not the record of a training: name another folder"
            ) from error
        for name, value in self._identity.items():
            if found.get(name) != value:
                raise FileError(
                    f"{path.parent} holds another training: {name} was "
                    f"{reprlib.repr(found.get(name))}, and is {reprlib.repr(value)} now; name "
                    "another folder, or give what it was begun with"
                )

    def write(self, stylizer: Stylizer) -> None:
        """Writes it, and the network so far, each whole or not at all.

        Raises:
          FileError: the folder cannot be written.
        """
        save(stylizer, self._folder / RESULT)
        told = {"nearest": self.nearest, "history": self.history}
        text = json.dumps({**self._identity, **told}, indent=1)
        files.write(self._folder / RECORD, text + "\n")


def save(stylizer: Stylizer, path: Path) -> None:
    """Writes a stylizer for `Stylizer.load`, whole or not at all.

    Raises:
      FileError: it cannot be written there.
    """
    part = path.with_name(f".{uuid.uuid4().hex}.keras")  # Keras goes by the suffix
    try:
        stylizer.save(part)
        part.replace(path)
    except OSError as error:
        raise FileError(f"cannot write {path}: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)
