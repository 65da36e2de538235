"""A result made again from its manifest: what it says of the run, where its files are found, and
whether the same came out.

A manifest is data, and perhaps somebody else's: a file that it names is read only where its hash is
the one that stands beside the name, and nothing is written where it says.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from nst_tf import reading
from nst_tf.errors import FileError, SettingsError, WeightsError
from nst_tf.pictures import encoded, initial
from nst_tf.pictures.masks import Masked
from nst_tf.recipe.choices import Tile
from nst_tf.recipe.settings import Settings

#: Kinds of weights that are loaded by their names (`weights.Weights.kind`).
_NAMED = ("imagenet", "mini", "random")
#: The sources of these, whose first word is the kind, in manifests of before kinds were told.
_SOURCES = re.compile(
    r"imagenet \(keras\.applications\)|mini \(built in, distilled from VGG19\)"
    r"|random \(He normal, seed \d+\)"
)


class Files(NamedTuple):
    """Of a run, each where it is what it was.

    Attributes:
      content: the photo.
      styles: the paintings, some with masks.
      protect: the mask of what is protected.
    """

    content: str
    styles: list[str | Masked]
    protect: str | None

    @property
    def pictures(self) -> list[str]:
        """The path of each."""
        paths = [self.content, *([self.protect] if self.protect else [])]
        for style in self.styles:
            both = (style.picture, style.mask) if isinstance(style, Masked) else (style,)
            paths += map(str, both)
        return paths


@dataclass(frozen=True)
class Manifest:
    """What was written beside a result.

    Attributes:
      path: of the file.
      told: what is in it.
      folder: where its pictures and weights are looked for by their names alone, where they are
        not at their places; None for nowhere.
    """

    path: Path
    told: Mapping[str, Any]
    folder: Path | None = None

    @classmethod
    def read(cls, path: Path, folder: Path | None = None) -> Manifest:
        """Reads it.

        Raises:
          FileError: it cannot be read, or is not what `nst-tf stylize` writes.
        """
        try:
            told = reading.read_json(path)
            kinds: dict[str, type] = {"image": dict, "content": dict, "styles": list}
            if "method" in told:
                kinds |= {"method": str, "seed": int}
            else:
                kinds |= {"settings": dict, "weights": dict, "engine": str, "dtype": str}
                kinds |= {"stopped": str, "iterations": int}
            if "method" in told and not 0 <= told["seed"] < 2**32:
                raise ValueError("no seed")
            size = [told["image"][side] for side in ("height", "width")]
            if not all(isinstance(told[name], kind) for name, kind in kinds.items()):
                raise TypeError("of other types")
            if not all(isinstance(side, int) and 0 < side <= encoded.MAX_SIZE for side in size):
                raise ValueError("no size")
            if not all(isinstance(one, dict) for one in told.get("init", [])):
                raise TypeError("no files")
        except (ValueError, KeyError, TypeError) as error:
            raise FileError(f"{path} is not the .json that nst-tf stylize wrote") from error
        return cls(path, told, folder)

    @property
    def method(self) -> str | None:
        """The method from before neural networks; None of a run with a network."""
        return self.told.get("method")

    @property
    def size(self) -> int:
        """The longer side of the result in pixels."""
        image = self.told["image"]
        return int(max(image["height"], image["width"]))

    @property
    def deterministic(self) -> bool:
        """Whether TensorFlow was asked to be."""
        machine = self.told.get("machine")
        return isinstance(machine, dict) and machine.get("deterministic") is True

    @property
    def sha256(self) -> str | None:
        """Of the result (`record.pixels_sha256`); None where an older version wrote none."""
        told = self.told.get("result_sha256")
        return told if isinstance(told, str) and re.fullmatch("[0-9a-f]{64}", told) else None

    @property
    def tile(self) -> Tile:
        """How much of the picture was in the works at a time, as `StyleTransfer` takes it: that of
        each stage; `auto` of an older version, which wrote no more than what was asked for."""
        tile: Tile = self.told.get("tile", "auto")
        return tile

    def ended(self, iteration: int) -> bool:
        """Whether the run was stopped after this iteration, before its own end."""
        return bool(self.told["stopped"] == "interrupted" and iteration >= self.told["iterations"])

    def settings(self) -> Settings:
        """Of the run.

        Raises:
          SettingsError: another version's, or with an object of a program's, which no file holds.
          FileError: a file among its initial images is gone, or is another one by now.
        """
        init = self.told.get("init", [])
        if self.told.get("terms") or any("path" not in one for one in init):
            raise SettingsError(f"{self.path}: {_OBJECTS}")
        try:
            settings = Settings(**self.told["settings"])
            begun = initial.files(settings.init)
        except (TypeError, ValueError, AttributeError) as error:
            raise SettingsError(
                f"{self.path}, of nst_tf {self.told.get('nst_tf')}, has settings that this version "
                f"cannot take: {error}"
            ) from error
        for path in begun:
            told: dict[str, Any] = next((one for one in init if one["path"] == path), {})
            if _sha256(Path(path)) != told.get("sha256"):
                raise FileError(f"{path}, the initial image, is no longer what it was")
        return settings

    def files(self) -> Files:
        """Finds its pictures.

        Raises:
          FileError: one is gone, is another one by now, or was no file.
        """
        photo, styles = self._found(self.told["content"], "the content image"), []
        for number, told in enumerate(self.told["styles"], 1):
            style: str | Masked = self._found(told, f"style image {number}")
            if "mask" in told:
                style = Masked(style, self._found(told["mask"], f"mask {number}"))
            styles.append(style)
        protect = self.told["content"].get("protect")
        if protect is not None:
            protect = self._found(protect, "the mask of what is protected")
        return Files(photo, styles, protect)

    def network(self) -> str:
        """The weights, as `weights.load` takes them.

        Raises:
          FileError: their file is gone, or is another one by now.
        """
        told = self.told["weights"]
        source = str(told.get("source"))
        known = source.partition(" ")[0] if _SOURCES.fullmatch(source) else None
        kind = told.get("kind", known)
        if kind in _NAMED:
            return str(kind)
        found = self._found({"path": source, "sha256": told.get("file_sha256")}, "the network")
        return os.path.abspath(found)  # which is the name of none, as `mini` would be

    def check_network(self, sha256: str) -> None:
        """Raises WeightsError where a network's numbers have another hash than the run's."""
        wanted = self.told["weights"].get("sha256")
        if sha256 != wanted:
            raise WeightsError(
                f"{self.path} was made with another network: sha256 {wanted} was, {sha256} is"
            )

    def verdict(self, now: Mapping[str, Any]) -> list[str]:
        """What is to be said of the result that was made again, in lines.

        Args:
          now: its manifest.
        """
        from nst_tf.run import computer

        made, differing = now["result_sha256"], computer.differences(self.told, now)
        if self.method is None and self.tile == "auto":
            strips = ", ".join(map(str, now["tile"]))
            differing.append(f"strips as memory allowed, not written down, now {strips}")
        there = [f"  {line}" for line in differing]
        if self.sha256 is None:
            return [f"nothing to compare with: {self.path}, of an older version, has no hash"]
        if self.sha256 == made:
            also = ["though not all is as it was:", *there] if there else []
            return [f"the same picture as in {self.path}: sha256 {made}", *also]
        lines = [f"another picture than in {self.path}: sha256 {self.sha256} was, {made} is"]
        if there:
            return [*lines, "what is not as it was:", *there]
        hint = "" if self.deterministic else "; --deterministic takes one way always"
        return [*lines, f"versions, processor, threads and devices are as they were{hint}"]

    def _found(self, told: Any, what: str) -> str:
        """Where a file is that has the name and the hash of one in the manifest."""
        path, wanted = (told.get(key) if isinstance(told, dict) else None for key in _FILE)
        if not isinstance(path, str) or not isinstance(wanted, str):
            raise FileError(f"{self.path}: {what}: {_OBJECTS}")
        # The last part alone of a name that came out of a file: the others lead out of the folder.
        places = [Path(path), *([self.folder / Path(path).name] if self.folder else [])]
        hashes = {place: _sha256(place) for place in places}
        for place, sha256 in hashes.items():
            if sha256 == wanted:
                return str(place)
        for place, sha256 in hashes.items():
            if sha256 is not None:
                raise FileError(
                    f"{place} is no longer {what} of {self.path}: sha256 {wanted} was, {sha256} is"
                )
        nor = f", nor in {self.folder}" if self.folder else ""
        raise FileError(
            f"{what} is not at {path}{nor}: name the folder that it is in, --inputs=DIR"
        )


#: The two things that tell a file.
_FILE = ("path", "sha256")
_OBJECTS = (
    "an object of a program's (an array, a picture's bytes, a term), which no file holds: run that "
    "program again"
)


def _sha256(path: Path) -> str | None:
    """Of an ordinary file; None where there is none that can be read."""
    try:
        return reading.sha256(path)
    except FileError:
        return None
