"""A stylizer as a SavedModel that TF Serving, a phone or a program in another language loads."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from nst_tf import assets
from nst_tf.errors import ExportError
from nst_tf.export import card, parity, probe, saved_model, serving, tflite, versions
from nst_tf.export.servable import MOST_PIXELS
from nst_tf.export.verify import run
from nst_tf.pictures import decoding, images
from nst_tf.pictures.images import Picture
from nst_tf.stylizer import card as stylizers_card
from nst_tf.stylizer.network import Stylizer
from nst_tf.stylizer.servable import ServedStylizer, numbers, unguarded
from nst_tf.version import __version__

#: TFLite files: float16 for GPUs, int8 for processors.
PRECISIONS = ("float16", "int8")


def export(
    out: str | os.PathLike[str],
    stylizer: Stylizer | str | os.PathLike[str],
    *,
    size: int = 256,
    warmup: bool = False,
    with_tflite: bool = False,
    most_pixels: int = MOST_PIXELS,
) -> Path:
    """Writes a stylizer as the next version of the SavedModel `out`.

    Args:
      out: the model's folder; the version becomes a folder in it.
      stylizer: it, or its file; the card tells of the training whose record is beside that.
      size: of the fixed-size signature and of decoded pictures, in pixels.
      warmup: whether requests are written that a server answers before it says it is ready.
      with_tflite: whether TFLite files are written into the version's folder, too (`PRECISIONS`).
      most_pixels: of the pictures of a request together, at most.

    Returns:
      The version's folder.

    Raises:
      SettingsError, FileError, ExportError: nothing is left in the folder then.
    """
    out = Path(out)
    saved_model.check_warmup(warmup)
    saved_model.check_pixels(size, most_pixels)
    training = None
    if not isinstance(stylizer, Stylizer):
        file = Path(stylizer)
        stylizer = Stylizer.load(file)
        training = stylizers_card.training(file, stylizer)
    served = ServedStylizer(stylizer, size, most_pixels)
    told: dict[str, Any] = {
        "nst_tf": __version__,
        "tensorflow": tf.__version__,
        "what": card.STYLIZER,
        "size": size,
        "least": 1,
        "most_pixels": most_pixels,
        "most_pixels_of_files": decoding.MOST_PIXELS,
        "most_pixels_of_files_together": decoding.MOST_TOGETHER,
        "files": card.FILES,
        "paintings": stylizer.paintings,
        "dtype": str(stylizer.compute_dtype),
        "weights": {"count": stylizer.count_params(), "sha256": _sha256(stylizer)},
        "training": training,
        "license": stylizers_card.license_of(training),
    }

    # Not a square, so that it shows whether files are cropped as elsewhere.
    encoded = parity.encode(images.cover(images.load(assets.SCENE), size, size * 5 // 4))

    def save(folder: Path) -> None:
        signatures = served.signatures()
        tf.saved_model.save(served, os.fspath(folder), signatures)
        if warmup:
            serving.write_warmup(folder, out.resolve().name, signatures, size)
        told["signatures"] = {
            name: [spec.name for spec in function.structured_input_signature[0]]
            for name, function in signatures.items()
        }
        expected = _expected(stylizer, size, encoded)
        loaded = tf.saved_model.load(os.fspath(folder)).signatures
        told["parity"] = parity.errors(str(out), probe.run(loaded, encoded), expected)
        if with_tflite:
            told["tflite"] = _write_tflite(folder, stylizer, size, encoded, expected)
        card.write(folder, told, stylizers_card.markdown(told))
        images.save(_shown(stylizer), (folder / card.PATH).with_name(stylizers_card.PICTURE))

    return versions.write(out, save)


def verify(
    model: str | os.PathLike[str],
    picture: Picture,
    stylizer: Stylizer | str | os.PathLike[str],
    python: str = sys.executable,
) -> dict[str, float]:
    """Runs every signature in a clean process, and compares with the stylizer in Python.

    Args:
      model: the folder that `export` wrote to, whose newest version is taken, or a version.
      picture: what to run it on.
      stylizer: the one that was exported, or its file.
      python: the interpreter that loads it; of another environment, it may have another TensorFlow.

    Returns:
      By signature, the largest difference of any output, relative to the output's largest value.

    Raises:
      ExportError: nothing is there, it does not load, another stylizer was exported, or an output
        is missing or not finite.
      FileError: the stylizer cannot be read.
    """
    version = versions.latest(Path(model))
    made = card.read(version)
    if made["what"] != card.STYLIZER:
        raise ExportError(f"{version} holds a feature model, no stylizer: name its --weights")
    if not isinstance(stylizer, Stylizer):
        stylizer = Stylizer.load(stylizer)
    if made["weights"]["sha256"] != _sha256(stylizer):
        raise ExportError(
            f"{version} holds another stylizer ({', '.join(made['paintings'])}): name its file"
        )
    encoded = parity.encode(images.load(picture))
    expected = _expected(stylizer, made["size"], encoded)
    return parity.errors(str(version), run(version, encoded, python), expected)


def _expected(stylizer: Stylizer, size: int, encoded: bytes) -> dict[str, np.ndarray]:
    """What `probe.run` must give for a file, from the model in Python."""
    count = len(stylizer.paintings)
    # As there; equal parts would not tell one style from another.
    shares = None if count == 1 else [share / count for share in range(1, count + 1)]

    def painted(photo: Any) -> np.ndarray:
        return stylizer.paint(np.asarray(photo, np.float32), styles=shares)

    whole = images.load(encoded)
    fixed = tf.image.resize(whole, (size, size), antialias=True)
    square = images.to_uint8(painted(images.cover(whole, size, size)))
    any_size = painted(whole)
    pixels = images.to_uint8(any_size)
    return {
        "serving_default/stylized": any_size[np.newaxis],
        "fixed/stylized": painted(fixed)[np.newaxis],
        "uint8/stylized": pixels[np.newaxis],
        "image_bytes/stylized_bytes": np.stack([square, square]),
        "image_bytes_whole/stylized_bytes": pixels[np.newaxis],
    }


def _write_tflite(
    folder: Path,
    stylizer: Stylizer,
    size: int,
    encoded: bytes,
    expected: Mapping[str, np.ndarray],
) -> dict[str, Any]:
    """Writes the files into a version's folder, and measures them."""
    signatures = unguarded(stylizer, size)
    with tempfile.TemporaryDirectory() as bare:
        root = tf.train.Checkpoint()
        root.variables = numbers(stylizer)
        tf.saved_model.save(root, bare, signatures)
        without = tflite.write(Path(bare), signatures, PRECISIONS)
        if without:
            raise ExportError(f"no TFLite file of this stylizer: {without}")
        shutil.move(Path(bare) / tflite.FOLDER, folder)
    there = {key: value for key, value in expected.items() if key.split("/")[0] in signatures}
    errors, means = {}, {}
    for precision in PRECISIONS:
        path = tflite.path_of(folder, precision)
        served = probe.run(tflite.load(path), encoded)
        errors[precision] = parity.errors(str(path), served, there)
        means[precision] = float(
            np.mean([np.abs(served[key] - there[key]).mean() for key in there])
        )
    return {"without": {}, "parity": errors, "mean": means}


def _shown(stylizer: Stylizer) -> np.ndarray:
    """The bundled photo and what each style makes of it, side by side."""
    photo = images.load(assets.SCENE, 256)
    each = ([float(one == other) for other in stylizer.paintings] for one in stylizer.paintings)
    return np.concatenate([photo, *(stylizer.paint(photo, styles=one) for one in each)], axis=1)


def _sha256(stylizer: Stylizer) -> str:
    """Of the numbers, in the order of the layers: the same in whichever file they are."""
    digest = hashlib.sha256()
    for array in stylizer.get_weights():
        digest.update(np.ascontiguousarray(array, "<f4").tobytes())
    return digest.hexdigest()
