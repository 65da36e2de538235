"""What the studio keeps, in one folder: pictures that were given, and results with their orders.

    DIR/pictures/ID, ID.jpg (small), ID.json      ID is the beginning of the file's hash
    DIR/results/ID.png, ID-16.png, ID.jpg, ID.json (the manifest), ID.order.json
    DIR/aside/ID/                                 what a run that was ended goes on from

Whoever asks names an ID; a path never comes from outside.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nst_tf import assets, files, reading
from nst_tf.errors import FileError, NSTError, PictureError, SettingsError
from nst_tf.studio.reader import Reader

#: Bytes of an upload.
MOST_BYTES = 100 << 20
#: Pictures that the page shows at most, the last ones.
MOST_PICTURES = 1000
#: States of a result that nothing changes any more by itself.
DONE, STOPPED, FAILED = "done", "stopped", "failed"
_ID = re.compile(r"[0-9a-f]{20}")


class Shelf:
    """The folder.

    Args:
      folder: made where it is not there.
      samples: pictures that are there beside the bundled ones.

    Raises:
      OutputError: it cannot be written.
    """

    def __init__(self, folder: Path, samples: list[Path]) -> None:
        self.folder = folder
        for name in ("pictures", "results", "aside"):
            files.make_folder(folder / name)
        self._reader = Reader()
        bundled = [assets.SCENE, assets.PAINTING, *assets.TEXTURES.values()]
        self._samples = [path for path in (*bundled, *samples) if path.is_file()]
        self.samples: list[dict[str, Any]] = []

    def open_samples(self, tell: Callable[[dict[str, Any]], None]) -> None:
        """Looks at the sample pictures, and tells of each; one that is none is left out."""
        for path in self._samples:
            with contextlib.suppress(NSTError):
                self.samples.append(self.add(reading.read(path), path.name))
                tell({"event": "picture", "picture": self.samples[-1]})

    def close(self) -> None:
        """Ends the reader's process."""
        self._reader.close()

    def add(self, data: bytes, name: str, mask: bool = False) -> dict[str, Any]:
        """Keeps a picture; the same one is kept once.

        Args:
          data: the file's bytes.
          name: what people call it.
          mask: whether it is one, which is not shown among the pictures.

        Returns:
          Its `id`, `name`, `width` and `height`.

        Raises:
          PictureError: it is no picture that can be read.
          OutputError: it cannot be written.
        """
        if len(data) > MOST_BYTES:
            raise PictureError(f"the file has more than {MOST_BYTES >> 20} MiB")
        number = hashlib.sha256(data).hexdigest()[:20]
        path = self.folder / "pictures" / number
        about = path.with_suffix(".json")
        if about.is_file() and path.is_file():
            known: dict[str, Any] = reading.read_json(about)
            if known.get("mask") and not mask:  # it is shown from now on
                known["mask"] = False
                files.write(about, json.dumps(known))
            return known
        files.write(path, data)
        try:
            height, width = self._reader.look(path, path.with_suffix(".jpg"))
        except NSTError:
            path.unlink(missing_ok=True)
            raise
        # A name is for people and for the name of a result: no path, nor what no file can have.
        name = re.sub(r"[^\w .()+-]", "_", Path(name.replace("\\", "/")).name)[-80:] or "picture"
        told = {"id": number, "name": name, "width": width, "height": height}
        files.write(about, json.dumps({**told, "time": now(), "mask": mask}))
        return told

    def picture(self, number: str, small: bool = False) -> Path:
        """The file of a picture, or its small one.

        Raises:
          SettingsError: there is none.
        """
        path = self.folder / "pictures" / _checked(number)
        path = path.with_suffix(".jpg") if small else path
        if not path.is_file():
            raise SettingsError(f"there is no picture {number}")
        return path

    def about(self, number: str) -> dict[str, Any]:
        """What is known of a picture.

        Raises:
          SettingsError: there is none.
        """
        self.picture(number)
        told: dict[str, Any] = reading.read_json(self.picture(number).with_suffix(".json"))
        return told

    def pictures(self) -> list[dict[str, Any]]:
        """All that were given, the last one first."""
        found = []
        for path in (self.folder / "pictures").glob("*.json"):
            with contextlib.suppress(FileError):
                found.append(reading.read_json(path))
        shown = {one["id"] for one in self.samples}
        found = [one for one in found if one["id"] not in shown and not one.get("mask")]
        return sorted(found, key=lambda one: -one.get("time", 0))[:MOST_PICTURES]

    def keep_order(self, order: dict[str, Any]) -> None:
        """Keeps what was asked for and what has become of it."""
        path = self.folder / "results" / f"{_checked(order['id'])}.order.json"
        files.write(path, json.dumps(order, indent=1))

    def orders(self) -> list[dict[str, Any]]:
        """All orders, the last one first."""
        found = []
        for path in (self.folder / "results").glob("*.order.json"):
            with contextlib.suppress(FileError):
                found.append(reading.read_json(path))
        return sorted(found, key=lambda one: -one.get("time", 0))

    def result(self, number: str, ending: str = ".png") -> Path:
        """A file of a result, which may not be there (yet)."""
        return self.folder / "results" / f"{_checked(number)}{ending}"

    def aside(self, number: str) -> Path:
        """The folder that a run puts itself aside in."""
        return self.folder / "aside" / _checked(number)

    def forget(self, number: str) -> None:
        """Does away with a result."""
        for ending in (".png", "-16.png", ".jpg", ".mp4", ".json", ".order.json"):
            self.result(number, ending).unlink(missing_ok=True)
        shutil.rmtree(self.aside(number), ignore_errors=True)


def now() -> float:
    """The date, in seconds, by which things are sorted: no duration is taken from it."""
    return time.time_ns() / 1e9


def _checked(number: Any) -> str:
    """An ID, of which a path is made.

    Raises:
      SettingsError: it is none.
    """
    if not isinstance(number, str) or not _ID.fullmatch(number):
        raise SettingsError("no such picture")
    return number
