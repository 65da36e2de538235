"""Whether a SavedModel, loaded by a process without nst_tf, gives what the Python model gives."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from nst_tf import images
from nst_tf import weights as weights_module
from nst_tf.errors import ExportError
from nst_tf.export import probe, saved_model, versions
from nst_tf.images import Picture
from nst_tf.settings import Settings


def verify(
    model: str | os.PathLike[str],
    picture: Picture,
    weights: str | os.PathLike[str] | weights_module.Weights,
) -> dict[str, float]:
    """Runs every signature in a clean process, and compares with the Python model in float32.

    Args:
      model: the folder that `export` wrote to, whose newest version is taken, or a version.
      picture: what to run it on.
      weights: the network that was exported.

    Returns:
      By signature, the largest difference of any output, relative to the output's largest value.

    Raises:
      ExportError: nothing is there, it does not load, another network was exported, or an output
        is missing or not finite.
    """
    version = versions.latest(Path(model))
    try:
        card = json.loads((version / saved_model.CARD).read_text())
    except (OSError, ValueError) as error:
        raise ExportError(
            f"{version} was not written by nst-tf export: no {saved_model.CARD}"
        ) from error
    network = weights_module.load(weights)
    if network.sha256 != card["weights"]["sha256"]:
        raise ExportError(
            f"{version} holds another network ({card['weights']['source']}) than "
            f"{network.source}: name its weights"
        )
    array = images.load(picture)
    with tempfile.TemporaryDirectory() as folder:
        png, results = Path(folder) / "picture.png", Path(folder) / "results.npz"
        images.save(array, png)
        # From a folder of its own: what loads the model there has TensorFlow and NumPy alone.
        script = shutil.copy(probe.__file__, folder)
        done = subprocess.run(
            [sys.executable, script, str(version.resolve()), str(png), str(results)],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise ExportError(f"{version} does not run: {last}")
        found = dict(np.load(results))
        encoded = png.read_bytes()
        array = images.load(png)
    settings = Settings(**card["settings"])
    extractor = saved_model.build(network, settings, card["size"], "float32")
    expected = _expected(extractor, card["what"], encoded, array)
    errors: dict[str, float] = {}
    for key, value in expected.items():
        if key not in found:
            raise ExportError(f"{version} lacks the output {key}")
        if not np.isfinite(found[key]).all():
            raise ExportError(f"{version}: {key} is not finite; export with --dtype=float32")
        largest = max(float(np.abs(value).max()), 1e-12)
        difference = float(np.abs(found[key] - value.astype(np.float64)).max()) / largest
        signature = key.split("/")[0]
        errors[signature] = max(errors.get(signature, 0.0), difference)
    return errors


def _expected(
    extractor: Any, what: str, encoded: bytes, array: np.ndarray
) -> dict[str, np.ndarray]:
    """What the probe's outputs must be, from the Python model."""
    pictures = tf.constant(array[np.newaxis])
    fixed = (extractor._size, extractor._size)
    decoded = extractor.decode(tf.constant([encoded, encoded]))
    outputs: dict[str, Any] = {}
    if what != "style":
        outputs["serving_default"] = outputs["uint8"] = extractor(pictures)
        outputs["fixed"] = extractor(tf.image.resize(pictures, fixed, antialias=True))
        outputs["image_bytes"] = extractor(decoded)
    if what != "features":
        outputs["grams"] = extractor.grams(pictures)
        outputs["image_bytes_grams"] = extractor.grams(decoded)
        outputs["style_loss"] = extractor.style_loss(pictures, pictures[:, ::-1])
        outputs["content_loss"] = extractor.content_loss(pictures, pictures[:, ::-1])
        outputs.setdefault("serving_default", outputs["grams"])
    if what == "all":
        made = tf.function(extractor.stylize)(encoded, encoded, 2)
        outputs["stylize"] = {**made, "image_bytes": tf.io.decode_png(made["image_bytes"])}
    return {
        f"{name}/{key}": value.numpy()
        for name, found in outputs.items()
        for key, value in found.items()
    }
