"""How far what a SavedModel gives is from what the Python model gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from nst_tf.errors import ExportError
from nst_tf.export.servable import Servable
from nst_tf.pictures import images


def encode(picture: np.ndarray) -> bytes:
    """A picture [height, width, 3] as a PNG file, to ask both with."""
    pixels: bytes = tf.io.encode_png(np.round(picture * 255).astype(np.uint8)).numpy()
    return pixels


def expected(
    servable: Servable, what: str, encoded: bytes, stylize: bool = True
) -> dict[str, np.ndarray]:
    """What `probe.run` must give for a file, from the Python model.

    Args:
      servable: in float32.
      what: the kind of export, one of `servable.KINDS`.
      encoded: a picture from `encode`.
      stylize: whether the signature `stylize` is asked, too, which takes the longest.
    """
    size = servable.size
    # Files as `nst_tf.data` reads them: what differs in decoding or resampling counts as an error.
    whole = images.load(encoded)
    pictures = tf.constant(whole[np.newaxis])
    decoded = tf.constant(np.stack(2 * [images.cover(whole, size, size)]))
    outputs: dict[str, Any] = {}
    if what != "style":
        outputs["serving_default"] = outputs["uint8"] = servable(pictures)
        outputs["fixed"] = servable(tf.image.resize(pictures, (size, size), antialias=True))
        outputs["image_bytes"] = servable(decoded)
        outputs["image_bytes_whole"] = outputs["serving_default"]
    if what != "features":
        outputs["grams"] = servable.grams(pictures)
        outputs["image_bytes_whole_grams"] = outputs["grams"]
        outputs["image_bytes_grams"] = servable.grams(decoded)
        outputs["style_loss"] = servable.style_loss(pictures, pictures[:, ::-1])
        outputs["content_loss"] = servable.content_loss(pictures, pictures[:, ::-1])
        outputs.setdefault("serving_default", outputs["grams"])
    if what == "all" and stylize:
        style = tf.io.encode_png(255 - tf.io.decode_png(encoded, channels=3))
        # Without a graph of its own, which takes ten seconds: for two steps it is not worth it.
        made = servable.stylize(encoded, style, tf.constant(2))
        outputs["stylize"] = {**made, "image_bytes": tf.io.decode_png(made["image_bytes"])}
    return {
        f"{name}/{key}": value.numpy()
        for name, by_key in outputs.items()
        for key, value in by_key.items()
    }


def errors(
    name: str, served: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray]
) -> dict[str, float]:
    """By signature, the largest difference of any output, relative to the output's largest value.

    Args:
      name: of the SavedModel, for an error's text.
      served: from `probe.run`.
      expected: from `expected`.

    Raises:
      ExportError: an output is missing or not finite.
    """
    largest: dict[str, float] = {}
    for key, value in expected.items():
        if key not in served:
            raise ExportError(f"{name} lacks the output {key}")
        if not np.isfinite(served[key]).all():
            raise ExportError(f"{name}: {key} is not finite; export it in float32")
        difference = float(np.abs(served[key] - value.astype(np.float64)).max())
        error = difference / max(float(np.abs(value).max()), 1e-12)
        signature = key.split("/")[0]
        largest[signature] = max(largest.get(signature, 0.0), error)
    return largest
