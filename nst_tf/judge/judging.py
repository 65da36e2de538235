"""One result judged, as work that `jobs.Jobs` shares out."""

from __future__ import annotations

import functools
import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nst_tf import files
from nst_tf.errors import PictureError
from nst_tf.judge.measures import Judge
from nst_tf.judge.methods import IDENTITY, STYLE, Method
from nst_tf.judge.protocol import Pair
from nst_tf.network import weights as weights_module
from nst_tf.pictures import images
from nst_tf.run import record
from nst_tf.run.jobs import Manifest, Worker, done_before

#: Changes with what the measures mean, so that old ones are not taken for new.
_VERSION = 1


@dataclass(frozen=True)
class Judging:
    """A kind of `jobs.Work` whose file is the measures of a result, as JSON.

    Attributes:
      name: tells it from others.
      method: the row of the table.
      pair: of pictures.
      size: longer side that they are scaled to, in pixels.
      result: path of the picture to judge; the rows that are always there have none.
      networks: label of each network to judge by, and what `weights.load` takes.
      output: path of the measures.
    """

    name: str
    method: Method
    pair: Pair
    size: int
    result: Path
    networks: tuple[tuple[str, str], ...]
    output: Path
    length = 1

    def run(self, worker: Worker) -> Manifest | None:
        """As `jobs.Work.run`."""
        judge, hashes = _judge(self.networks)
        identity = {
            "judging": _VERSION,
            "method": self.method.name,
            "size": self.size,
            "content": record.identity_of(self.pair.content),
            "style": record.identity_of(self.pair.style),
            "result": None if self.method.still else record.identity_of(self.result),
            "networks": hashes,
        }
        if (done := done_before(self.output, identity)) is not None:
            return done
        content = images.load(self.pair.content, self.size)
        style = images.load(self.pair.style, self.size)
        measures = judge(self._load(content, style), content, style)
        # JSON has no word for what is not a number.
        plain = {key: value if math.isfinite(value) else None for key, value in measures.items()}
        manifest = {**identity, "measures": plain}
        files.write(self.output, json.dumps(manifest, indent=1))
        worker.report(self.name, self.length, None)
        return manifest

    def _load(self, content: np.ndarray, style: np.ndarray) -> np.ndarray:
        if self.method.name == IDENTITY:
            return content
        if self.method.name == STYLE:
            return images.cover(style, *content.shape[:2])
        return of_size(self.result, content, self.pair.content)


def of_size(path: Path, content: np.ndarray, source: Path) -> np.ndarray:
    """The picture of a result, float32 [height, width, 3].

    Args:
      path: of its file.
      content: the content image at the size that it is to have.
      source: path of the content image, for an error.

    Raises:
      PictureError: it is no picture, or of another size.
    """
    result = images.load(path)
    if result.shape != content.shape:
        (height, width), (rows, columns) = result.shape[:2], content.shape[:2]
        raise PictureError(
            f"{path} has {width}x{height} pixels, the content image {source}, scaled to the "
            f"results' longer side, {columns}x{rows}: give results of its size"
        )
    return result


@functools.lru_cache(maxsize=1)
def _judge(networks: tuple[tuple[str, str], ...]) -> tuple[Judge, dict[str, str]]:
    """The judge of this process, made once, and the hash of each of its networks."""
    loaded = {label: weights_module.load(source) for label, source in networks}
    return Judge(loaded), {label: weights.sha256 for label, weights in loaded.items()}
