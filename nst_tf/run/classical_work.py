"""A picture by a method from before neural networks, as work that `jobs.Jobs` shares out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nst_tf.classical import methods
from nst_tf.classical.checks import Report
from nst_tf.pictures import images
from nst_tf.run import one_go, record
from nst_tf.run.jobs import Manifest, Worker
from nst_tf.run.one_go import HUNDREDTHS, Pictures


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
    length = HUNDREDTHS

    @property
    def told(self) -> dict[str, Any]:
        """The paper, for the manifest."""
        return {"paper": methods.METHODS[self.method].paper}

    def run(self, worker: Worker) -> Manifest | None:
        """As `jobs.Work.run`."""
        return one_go.once(self, worker)

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
    length = HUNDREDTHS

    @property
    def told(self) -> dict[str, Any]:
        """The paper, for the manifest."""
        return {"paper": methods.METHODS[self.method].paper}

    def run(self, worker: Worker) -> Manifest | None:
        """As `jobs.Work.run`."""
        return one_go.once(self, worker)

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
