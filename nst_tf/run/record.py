"""What is left of a run: its steps, its result, and how both came about."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image

from nst_tf import files, locks, reading
from nst_tf.pictures import images
from nst_tf.pictures.identity import identity_of as identity_of  # its place for who has a run
from nst_tf.recipe.settings import Settings
from nst_tf.run import computer, output
from nst_tf.run.descent import Progress
from nst_tf.version import __version__


@dataclass(frozen=True)
class Step:
    """One iteration, as callbacks and iterating programs see it.

    Attributes:
      iteration: accepted steps so far; 0 is the initial image.
      evaluations: losses and gradients computed so far.
      seconds: since the first evaluation began.
      terms: every loss term by name, as `objective.Evaluation` describes them.
      gradient_norm: Euclidean norm of the gradient of the total loss by the image.
      learning_rate: as it stands, in the solver's own units; a failed step halves it.
      step_length: RMS change of the image in this iteration, black to white being 1.
      pixels: the image where it was computed, float32 [1, height, width, 3]; see `array`.
    """

    iteration: int
    evaluations: int
    seconds: float
    terms: dict[str, float]
    gradient_norm: float
    learning_rate: float
    step_length: float
    pixels: tf.Tensor = field(repr=False)

    @classmethod
    def of_progress(cls, progress: Progress, seconds: float, pixels: tf.Tensor) -> Step:
        """The iteration that `progress` stands at; `pixels` is what its image stands for."""
        point = progress.state.point
        return cls(
            int(progress.iteration),
            int(progress.state.evaluations),
            seconds,
            {name: float(value) for name, value in point.terms.items()},
            float(tf.linalg.global_norm([point.gradient])),
            float(progress.state.learning_rate),
            float(progress.change),
            pixels,
        )

    @functools.cached_property
    def array(self) -> np.ndarray:
        """The image, float32 [height, width, 3], copied from the device when it is first asked for;
        values may lie outside [0, 1]."""
        array: np.ndarray = self.pixels[0].numpy()
        return array

    def sized(self, height: int, width: int) -> Image.Image:
        """The image at a size in pixels, as of a smaller scale at the result's; see `image`."""
        return images.to_pil(images.resize(self.array, height, width))

    @property
    def image(self) -> Image.Image:
        """The image as an 8-bit PIL image, clipped and tagged sRGB."""
        return images.to_pil(self.array)

    def row(self) -> dict[str, float]:
        """One row of the history: the counts, the time, every term and how far the step went."""
        return {
            "iteration": self.iteration,
            "evaluations": self.evaluations,
            "seconds": round(self.seconds, 4),
            **self.terms,
            "gradient_norm": self.gradient_norm,
            "learning_rate": self.learning_rate,
            "step_length": self.step_length,
        }


@dataclass(frozen=True)
class Result:
    """What a run made.

    Attributes:
      array: the image with the smallest total loss, or the average of the last ones where the
        settings ask for it, float32 [height, width, 3], in [0, 1].
      history: one row a recorded iteration: `iteration`, `evaluations`, `seconds`, `total`,
        `content`, `style`, `tv` and whatever else the loss is made of, their parts such as
        `style/LAYER`, `gradient_norm`,
        `learning_rate`, `step_length` (see `Step`).
      settings: of the run.
      stopped: why it ended: `finished`; `stalled`, where no smaller loss can be found at the
        resolution of float32; `interrupted`; `diverged`, where a step however short was not finite.
      snapshots: PIL image by iteration, where the settings ask for them and the run keeps them.
      manifest: everything that is needed to know how the image came about, as plain values.
    """

    array: np.ndarray = field(repr=False)
    history: list[dict[str, float]] = field(repr=False)
    settings: Settings
    stopped: str
    snapshots: dict[int, Image.Image] = field(repr=False)
    manifest: dict[str, Any] = field(repr=False)

    @property
    def image(self) -> Image.Image:
        """The pastiche as an 8-bit PIL image, tagged sRGB."""
        return images.to_pil(self.array)

    def save(self, path: str | os.PathLike[str], bits: int = 8) -> None:
        """Writes the picture, and beside it the manifest as `.json` (`output.save`).

        Args:
          path: its suffix names the format; see `images.save`.
          bits: 8, or 16 for PNG and TIFF.

        Raises:
          FileError: it cannot be written there.
        """
        output.save(self.array, self.manifest, Path(path), bits)


def add(path: Path, picture: np.ndarray, more: Mapping[str, Any]) -> None:
    """Adds to the manifest that lies beside a result; where another's has come in its place, a
    warning says that it has not.

    Args:
      path: of the result.
      picture: that it is, float [height, width, 3].
      more: plain values, by names that the manifest has not.

    Raises:
      FileError: it cannot be read or written.
    """
    beside = path.with_suffix(".json")
    with locks.turn(path.resolve().parent):
        told = reading.read_json(beside)
        if isinstance(told, dict) and told.get("result_sha256") == pixels_sha256(picture):
            files.write(beside, json.dumps({**told, **more}, indent=1))
            return
    warnings.warn(f"{beside} is another's by now: {', '.join(more)} not added to it", stacklevel=2)


def pixels_sha256(picture: np.ndarray) -> str:
    """SHA-256 of a picture's pixels in 8 bits, RGB, row by row: whatever the file, its format and
    its bits, and of a PNG that of the bytes that any program decodes.

    Args:
      picture: float [height, width, 3]; values outside [0, 1] are clipped.
    """
    return hashlib.sha256(images.to_uint8(picture).tobytes()).hexdigest()


def same_work(identity: Mapping[str, Any], manifest: Mapping[str, Any]) -> bool:
    """Whether a manifest is of the very work that an identity tells from others.

    A setting that is not in the manifest, of an older version, had the effect of its default: what
    is added leaves all else as it was. A network's kind need not be told. A picture or a network is
    what it holds, wherever it lies.
    """
    wanted = _held(json.loads(json.dumps(identity)))
    if "settings" in wanted:
        if not isinstance(manifest.get("settings"), Mapping):
            return False
        older = {**json.loads(json.dumps(Settings(evaluations=1).asdict())), **manifest["settings"]}
        manifest = {**manifest, "settings": older}
    weights = manifest.get("weights")
    if "weights" in wanted and isinstance(weights, Mapping):
        manifest = {**manifest, "weights": {"kind": wanted["weights"]["kind"], **weights}}
    return bool(wanted.items() <= _held(manifest).items())


def _held(value: Any) -> Any:
    """Plain values, without where files lie whose hashes are there."""
    if isinstance(value, list):
        return [_held(one) for one in value]
    if not isinstance(value, Mapping):
        return value
    places = ("path", "bytes", "source") if "sha256" in value else ()
    return {key: _held(one) for key, one in value.items() if key not in places}


def manifest(
    identity: Mapping[str, Any],
    picture: np.ndarray,
    history: Sequence[Mapping[str, float]],
    spent: Mapping[str, float | int | None],
    stopped: str,
    total: float,
    saved_total: float | None,
    stages: int,
) -> dict[str, Any]:
    """How an image came about, as plain values for JSON.

    Args:
      identity: of the run (`StyleTransfer.identity`), and how else it was computed.
      picture: that it made, float32 [height, width, 3].
      history: its rows; the last says how far it came.
      spent: on it, as `meter.Meter.spent` says.
      stopped: why it ended.
      total: L_total of the image as the optimizer has it, perhaps with values beyond [0, 1].
      saved_total: L_total of the image as 8 bits hold it, in its final colours, clipped and
        rounded, at the size of the last scale; None where that is not finite.
      stages: how many the run consists of; the losses of one do not compare with another's.
    """
    return {
        "nst_tf": __version__,
        **identity,
        "versions": computer.versions(),
        "machine": computer.machine(),
        "result_sha256": pixels_sha256(picture),
        "stopped": stopped,
        "iterations": history[-1]["iteration"],
        "evaluations": history[-1]["evaluations"],
        "seconds": history[-1]["seconds"],
        **spent,
        "total": total,
        "saved_total": saved_total,
        "stages": stages,
        "history": list(history),
    }
