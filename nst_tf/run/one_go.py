"""Work that is done in one go, a picture from pictures: a kind that `jobs.Jobs` shares out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from nst_tf.run import computer, record
from nst_tf.run.jobs import Manifest, Work, Worker, done_before
from nst_tf.run.meter import Meter
from nst_tf.run.output import Output
from nst_tf.version import __version__

#: What a picture is made of.
Pictures = tuple[np.ndarray, ...]

#: Steps of such work.
HUNDREDTHS = 100


class OneGo(Work, Protocol):
    """What is made in one go: it begins anew where it was ended."""

    @property
    def told(self) -> dict[str, Any]:
        """What else the manifest says, as plain values."""
        ...

    def load(self) -> Pictures:
        """What it is made of, each float32 [height, width, 3]."""
        ...

    def identity(self, pictures: Pictures) -> dict[str, Any]:
        """What tells it from others, as plain values; `image` is the height and width that it
        will have."""
        ...

    def paint(self, pictures: Pictures, report: Callable[[float], None]) -> np.ndarray:
        """The picture, float32 [height, width, 3]; tells `report` the share that is done."""
        ...


class _StoppedError(Exception):
    """Ends a method in the middle of its work."""


def make(
    work: OneGo, pictures: Pictures, report: Callable[[float], None], bits: int = 8
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
      NSTError: pictures that it cannot be made of, or a library is missing.
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
        **work.told,
        "seconds": round(meter.seconds, 4),
        **meter.spent(),
    }
    output.save(made, manifest)
    return manifest, made


def once(work: OneGo, worker: Worker) -> Manifest | None:
    """As `jobs.Work.run`."""
    pictures = work.load()
    if (done := done_before(work.output, work.identity(pictures))) is not None:
        return done

    def report(share: float) -> None:
        worker.report(work.name, round(HUNDREDTHS * share), None)
        if worker.stopping:
            raise _StoppedError

    try:
        return make(work, pictures, report)[0]
    except _StoppedError:
        return None
