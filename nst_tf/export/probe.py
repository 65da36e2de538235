"""Runs every signature of a SavedModel, in a process that has only TensorFlow and NumPy.

Run as a script: `python probe.py SAVED_MODEL PICTURE.png RESULTS.npz`. It imports nothing of
nst_tf, as a server would not.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf


def run(signatures: Mapping[str, Any], encoded: bytes) -> dict[str, Any]:
    """`{SIGNATURE/OUTPUT: value}` of every signature for a PNG file; encoded pictures as pixels."""
    whole = tf.io.decode_image(encoded, channels=3, expand_animations=False)[tf.newaxis]
    pictures = tf.cast(whole, tf.float32) / 255
    outputs: dict[str, Any] = {}
    for name, function in signatures.items():
        inputs = function.structured_input_signature[1]
        given = {}
        for key, spec in inputs.items():
            if key == "style_bytes":
                # The style of the same picture would leave nothing to do.
                given[key] = tf.io.encode_png(255 - whole[0])
            elif spec.dtype == tf.string:
                # Pictures of their own size come one at a time.
                files = [encoded] if "whole" in name else [encoded, encoded]
                given[key] = tf.constant(files if spec.shape.rank else encoded)
            elif spec.dtype == tf.int32:
                given[key] = tf.constant(2)
            elif spec.shape.rank < 3:
                # Numbers that go with pictures: one row for all, of such as 0.5 and 1.
                count = spec.shape[-1] or 1
                row = np.arange(1, count + 1, dtype=np.float32) / count
                given[key] = np.broadcast_to(row, [1] * (spec.shape.rank - 1) + [count])
            elif spec.dtype == tf.uint8:
                given[key] = whole
            elif spec.shape[1] is not None:
                given[key] = tf.image.resize(pictures, spec.shape[1:3], antialias=True)
            elif key == "others":
                given[key] = pictures[:, ::-1]
            else:
                given[key] = pictures
        for key, value in function(**given).items():
            if value.dtype == tf.string:
                pixels = [tf.io.decode_png(file) for file in tf.reshape(value, [-1])]
                value = tf.stack(pixels) if value.shape.rank else pixels[0]
            outputs[f"{name}/{key}"] = value.numpy()
    return outputs


def main(saved_model: str, picture: str, results: str) -> None:
    signatures = tf.saved_model.load(saved_model).signatures
    np.savez(results, **run(signatures, Path(picture).read_bytes()))


if __name__ == "__main__":
    main(*sys.argv[1:])
