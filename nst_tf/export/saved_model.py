"""From weights to a SavedModel that TF Serving, a C++ program or a Keras pipeline loads."""

from __future__ import annotations

import json
import os
from pathlib import Path

import tensorflow as tf

from nst_tf import choices, images, perceptual, presets
from nst_tf import weights as weights_module
from nst_tf.errors import ExportError, SettingsError
from nst_tf.export import serving, versions
from nst_tf.export.extractor import KINDS, Extractor
from nst_tf.settings import Settings
from nst_tf.version import __version__
from nst_tf.weights import Weights

#: Beside the SavedModel, where TensorFlow keeps what is not a graph or a variable.
CARD = Path("assets.extra") / "nst_tf.json"

DTYPES = ("float32", "mixed_float16", "mixed_bfloat16", "float16", "bfloat16")


def build(weights: Weights, settings: Settings, size: int, dtype: str) -> Extractor:
    """The extractor that `export` saves."""
    return Extractor(perceptual.build_model(weights, settings, dtype), settings, size)


def export(
    out: str | os.PathLike[str],
    *,
    what: str = "all",
    weights: str | os.PathLike[str] | Weights | None = None,
    preset: str | Settings = presets.DEFAULT,
    size: int = 256,
    dtype: str = "float32",
    warmup: bool = False,
) -> Path:
    """Writes the feature model as the next version of the SavedModel `out`.

    Args:
      out: the model's folder; the version becomes a folder in it.
      what: one of `KINDS`: which signatures it has.
      weights: what `weights.load` takes.
      preset: a name in `presets.PRESETS`, or settings: the layers, their weights and the losses.
      size: of the fixed-size signature and of decoded pictures, in pixels.
      dtype: what the network is computed in; a policy without `mixed_` stores it so, too. Gram
        matrices, losses and outputs are float32.
      warmup: whether requests are written that a server answers before it says it is ready.

    Returns:
      The version's folder.

    Raises:
      SettingsError, WeightsError, ExportError: before anything is written.
    """
    out = Path(out)
    if warmup and not serving.can_write_warmup():
        raise ExportError(
            "warm-up requests need tensorflow-serving-api: pip install 'nst_tf[serve]'"
        )
    choices.check("kind of export", what, KINDS)
    choices.check("dtype", dtype, DTYPES)
    settings = preset if isinstance(preset, Settings) else presets.settings(preset)
    if size < 1:
        raise SettingsError(f"size is {size}: use a number of pixels such as 256")
    network = weights_module.load(weights)
    extractor = build(network, settings, size, dtype)
    card = {
        "nst_tf": __version__,
        "tensorflow": tf.__version__,
        "what": what,
        "size": size,
        "dtype": dtype,
        "settings": settings.asdict(),
        "weights": {
            "source": network.source,
            "sha256": network.sha256,
            "file_sha256": network.file_sha256,
        },
        "license": "Apache-2.0; VGG19's weights and what is derived from them: K. Simonyan and "
        "A. Zisserman, Visual Geometry Group, University of Oxford, CC BY 4.0",
    }

    def save(folder: Path) -> None:
        signatures = extractor.signatures(what)
        tf.saved_model.save(extractor, os.fspath(folder), signatures)
        (folder / CARD).parent.mkdir(exist_ok=True)
        if warmup:
            serving.write_warmup(folder, out.resolve().name, signatures, size)
        images.write_atomically(folder / CARD, json.dumps(card, indent=1).encode())

    return versions.write(out, save)
