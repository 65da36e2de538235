"""A photo painted in one pass by a trained stylizer, as work that `jobs.Jobs` shares out."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nst_tf import files, reading
from nst_tf.errors import SettingsError
from nst_tf.pictures import images
from nst_tf.run import one_go, record
from nst_tf.run.jobs import Manifest, Worker
from nst_tf.run.one_go import HUNDREDTHS, Pictures
from nst_tf.stylizer.network import Stylizer


@dataclass(frozen=True)
class OnePass:
    """A kind of `jobs.Work`.

    Attributes:
      name: tells it from others.
      stylizer: path of the network.
      content: path of the photo.
      shares: of its paintings, each with its name; empty for equal parts.
      strength: how much is painted, from 0 (the photo) to 1.
      size: longer side in pixels; None for the photo's own.
      output: path of the picture; the manifest goes beside it.
    """

    name: str
    stylizer: str
    content: str
    shares: tuple[tuple[str, float], ...]
    strength: float
    size: int | None
    output: Path
    length = HUNDREDTHS

    def run(self, worker: Worker) -> Manifest | None:
        """As `jobs.Work.run`."""
        return one_go.once(self, worker)

    @property
    def told(self) -> dict[str, Any]:
        """Nothing but what tells it from others."""
        return {}

    def load(self) -> Pictures:
        """The photo."""
        return (images.load(self.content, self.size),)

    def identity(self, pictures: Pictures) -> dict[str, Any]:
        """What tells it from others, as plain values."""
        hashed = _read(self.stylizer, files.stamp(Path(self.stylizer)))[1]
        network = {"path": self.stylizer, "sha256": hashed}
        how = self.shares, self.strength, pictures[0].shape[:2]
        return identity(network, *how, record.identity_of(self.content))

    def paint(self, pictures: Pictures, report: Callable[[float], None]) -> np.ndarray:
        """The picture, float32 [height, width, 3]."""
        report(0.0)  # which ends it here where it is to stop
        stylizer, _ = _read(self.stylizer, files.stamp(Path(self.stylizer)))
        shares = stylizer.shares(dict(self.shares)) if self.shares else None
        return stylizer.paint(pictures[0], self.strength, shares)


def identity(
    network: Mapping[str, Any],
    shares: Sequence[tuple[str, float]],
    strength: float,
    shape: tuple[int, ...],
    content: Mapping[str, Any],
) -> dict[str, Any]:
    """What tells a pass from others, as plain values.

    Args:
      network: its file's `sha256`, and perhaps its path; likewise content.
      shares: of its paintings.
      strength: how much is painted.
      shape: height and width of the picture.
    """
    return {
        "stylizer": dict(network),
        "shares": dict(shares),
        "strength": strength,
        "image": {"height": shape[0], "width": shape[1]},
        "content": dict(content),
    }


def parse_shares(text: str) -> tuple[tuple[str, float], ...]:
    """Reads `scream`, or a mix such as `scream=1+starry_night=3`.

    Raises:
      SettingsError: it is neither.
    """
    found = []
    for part in text.split("+"):
        name, _, number = part.strip().partition("=")
        try:
            found.append((name, float(number or 1)))
        except ValueError as error:
            raise SettingsError(
                f"style {text!r}: say the name of one of its paintings, or NAME=SHARE+NAME=SHARE"
            ) from error
    return tuple(found)


@functools.lru_cache(maxsize=1)
def _read(path: str, stamp: object) -> tuple[Stylizer, str]:
    """A network and its file's hash, read once a process for as long as the file is the same."""
    return Stylizer.load(path), reading.sha256(path)
