"""Whether a SavedModel, loaded by a process without nst_tf, gives what the Python model gives."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from nst_tf.errors import ExportError
from nst_tf.export import card, parity, probe, saved_model, versions
from nst_tf.network import weights as weights_module
from nst_tf.pictures import decoding, images
from nst_tf.pictures.images import Picture
from nst_tf.recipe.settings import Settings


def verify(
    model: str | os.PathLike[str],
    picture: Picture,
    weights: str | os.PathLike[str] | weights_module.Weights,
    python: str = sys.executable,
) -> dict[str, float]:
    """Runs every signature in a clean process, and compares with the Python model in float32.

    Args:
      model: the folder that `export` wrote to, whose newest version is taken, or a version.
      picture: what to run it on.
      weights: the network that was exported.
      python: the interpreter that loads it; of another environment, it may have another TensorFlow.

    Returns:
      By signature, the largest difference of any output, relative to the output's largest value.

    Raises:
      ExportError: nothing is there, it does not load, another network was exported, or an output
        is missing or not finite.
    """
    version = versions.latest(Path(model))
    made = card.read(version)
    if made["what"] == card.STYLIZER:
        raise ExportError(f"{version} holds a stylizer: name its file, --stylizer=FILE.keras")
    network = weights_module.load(weights)
    if network.sha256 != made["weights"]["sha256"]:
        raise ExportError(
            f"{version} holds another network ({made['weights']['source']}) than "
            f"{network.source}: name its weights"
        )
    encoded = parity.encode(images.load(picture))
    served = run(version, encoded, python)
    settings = Settings(**made["settings"])
    what, layers = made["what"], made["layers"]
    most = made.get("most_pixels", decoding.NO_LIMIT)  # before 0.2.0 there was none
    servable = saved_model.build(network, settings, made["size"], "float32", what, layers, most)
    return parity.errors(str(version), served, parity.expected(servable, what, encoded))


def run(version: Path, encoded: bytes, python: str = sys.executable) -> dict[str, np.ndarray]:
    """What every signature of a version gives of a PNG file, in a clean process (`probe.run`).

    Raises:
      ExportError: it does not load or run there.
    """
    with tempfile.TemporaryDirectory() as folder:
        png, results = Path(folder) / "picture.png", Path(folder) / "results.npz"
        png.write_bytes(encoded)
        # From a folder of its own: what loads the model there has TensorFlow and NumPy alone.
        script = shutil.copy(probe.__file__, folder)
        command = [python, script, str(version.resolve()), str(png), str(results)]
        try:
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        except OSError as error:
            raise ExportError(f"cannot start {python}: {error.strerror}") from error
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise ExportError(f"{version} does not run: {last}")
        if not results.is_file():
            raise ExportError(f"{python} ran nothing: name a Python with TensorFlow")
        return dict(np.load(results, allow_pickle=False))
