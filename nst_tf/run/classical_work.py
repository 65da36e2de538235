"""A picture by a method from before neural networks, as work that `jobs.Jobs` shares out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nst_tf.classical import methods
from nst_tf.classical.checks import Report
from nst_tf.pictures import images
from nst_tf.run import computer, record
from nst_tf.run.jobs import Manifest, Worker, done_before
from nst_tf.run.meter import Meter
from nst_tf.run.output import Output
from nst_tf.version import __version__

#: What a picture is made of.
Pictures = tuple[np.ndarray, ...]

#: Steps of a piece of work: hundredths.
_LENGTH = 100


class _StoppedError(Exception):
    """Ends a method in the middle of its work."""


@dataclass(frozen=True)
class Painting:
    """A photo painted by one of `methods.TRANSFERS`; a kind of `jobs.Work`.

    Attributes:
      name: tells it from others.
      method: one of `methods.TRANSFERS`.
      content: path of the content image.
      style: path of the style image.
      size: longer side in pixels, of both; None for the content's own.
      output: path of the picture; the manifest goes beside it.
      seed: of what is drawn at random.
    """

    name: str
    method: str
    content: str
    style: str
    size: int | None
    output: Path
    seed: int = 0
    length = _LENGTH

    def run(self, worker: Worker) -> Manifest | None:
        """As `jobs.Work.run`."""
        return _once(self, worker)

    def load(self) -> Pictures:
        """The content and the style image, float32 [height, width, 3]."""
        content = images.load(self.content, self.size)
        return content, images.load(self.style, self.size or max(content.shape[:2]))

    def identity(self, pictures: Pictures) -> dict[str, Any]:
        """What tells it from others, as plain values."""
        return {
            "method": self.method,
            "version": methods.METHODS[self.method].version,
            "seed": self.seed,
            "image": {"height": pictures[0].shape[0], "width": pictures[0].shape[1]},
            "content": record.identity_of(self.content),
            "styles": [record.identity_of(self.style)],
        }

    def paint(self, pictures: Pictures, report: Report) -> np.ndarray:
        """The picture, float32 [height, width, 3]; tells `report` the share that is done."""
        content, style = pictures
        return methods.transfer(self.method, content, style, seed=self.seed, report=report)


@dataclass(frozen=True)
class Texture:
    """More of a texture, by one of `methods.SYNTHESES`; a kind of `jobs.Work`.

    Attributes:
      name: tells it from others.
      method: one of `methods.SYNTHESES`.
      texture: path of the texture, which is taken as it is.
      size: of the result in pixels, height and width.
      output: path of the picture; the manifest goes beside it.
      seed: of what is drawn at random.
    """

    name: str
    method: str
    texture: str
    size: int
    output: Path
    seed: int = 0
    length = _LENGTH

    def run(self, worker: Worker) -> Manifest | None:
        """As `jobs.Work.run`."""
        return _once(self, worker)

    def load(self) -> Pictures:
        """The texture, float32 [height, width, 3]."""
        return (images.load(self.texture),)

    def identity(self, pictures: Pictures) -> dict[str, Any]:
        """What tells it from others, as plain values."""
        return {
            "method": self.method,
            "version": methods.METHODS[self.method].version,
            "seed": self.seed,
            "image": {"height": self.size, "width": self.size},
            "texture": record.identity_of(self.texture),
        }

    def paint(self, pictures: Pictures, report: Report) -> np.ndarray:
        """The picture, float32 [size, size, 3]; tells `report` the share that is done."""
        (texture,) = pictures
        return methods.synthesize(
            self.method, texture, self.size, self.size, seed=self.seed, report=report
        )


def make(
    work: Painting | Texture, pictures: Pictures, report: Report, bits: int = 8
) -> tuple[Manifest, np.ndarray]:
    """Makes a picture and writes it, with its manifest beside it, whatever was there before.

    Args:
      work: to be done.
      pictures: that it is made of (`load`).
      report: told the share of it that is done; what it raises ends the work.
      bits: of the file, a channel.

    Returns:
      The manifest and the picture.

    Raises:
      NSTError: pictures that it cannot be made of, or SciPy is missing.
      OutputError: it cannot be written there.
    """
    manifest = {"nst_tf": __version__, **work.identity(pictures)}
    image = manifest["image"]
    output = Output(work.output, (image["height"], image["width"]), bits)
    meter = Meter()
    made = work.paint(pictures, report)
    manifest |= {
        "versions": computer.versions(),
        "machine": computer.machine(),
        "result_sha256": record.pixels_sha256(made),
        "paper": methods.METHODS[work.method].paper,
        "seconds": round(meter.seconds, 4),
        **meter.spent(),
    }

    output.save(made, manifest)
    return manifest, made


def _once(work: Painting | Texture, worker: Worker) -> Manifest | None:
    pictures = work.load()
    if (done := done_before(work.output, work.identity(pictures))) is not None:
        return done

    def report(share: float) -> None:
        worker.report(work.name, round(_LENGTH * share), None)
        if worker.stopping:
            raise _StoppedError

    try:
        return make(work, pictures, report)[0]
    except _StoppedError:
        return None
