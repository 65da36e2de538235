"""A SavedModel's signatures for phones and small computers: TFLite, in float32, float16 and int8.

Each file has every signature that TFLite's own operations can compute, and the network's numbers
once. In the float16 file these are half as large; it is computed in float32 where a processor
knows nothing shorter. In the int8 file, a stylizer's, kernels are a quarter as large, and
convolutions are of whole numbers, whose scale is found anew for every picture. Pictures may be of
any size, as in the SavedModel: an interpreter's signature runner takes the size of what it is
given.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from nst_tf.errors import ExportError

#: In the version's folder, a file for each of `PRECISIONS`.
FOLDER = "tflite"
PRECISIONS = ("float32", "float16")


def write(
    folder: Path, signatures: Mapping[str, Any], precisions: Sequence[str] = PRECISIONS
) -> dict[str, str]:
    """Writes the TFLite files of a SavedModel into its folder.

    Args:
      folder: of the version.
      signatures: its concrete functions by name.
      precisions: a file for each, of `PRECISIONS` and `int8`.

    Returns:
      Why they are not in the files, of those that are not, by name.

    Raises:
      ExportError: none can be converted.
    """
    without, able = {}, []
    for name, function in signatures.items():
        specs = function.structured_input_signature[0]
        if any(spec.dtype == tf.string for spec in specs):
            without[name] = "it decodes files"
        else:
            able.append(name)
    try:
        model = _convert(folder, able, precisions[0])
    except _ConversionError:
        # Which of them: their operations are told of all together.
        for name in tuple(able):
            try:
                _convert(folder, [name], precisions[0])
            except _ConversionError as error:
                able.remove(name)
                without[name] = str(error)
        if not able:
            raise ExportError(f"no signature can be converted to TFLite: {without}") from None
        model = _convert(folder, able, precisions[0])
    (folder / FOLDER).mkdir()
    for precision in precisions:
        if precision != precisions[0]:
            model = _convert(folder, able, precision)
        path_of(folder, precision).write_bytes(model)
    return without


def path_of(folder: Path, precision: str) -> Path:
    """The file of a precision in a version's folder."""
    return folder / FOLDER / f"{precision}.tflite"


class _ConversionError(ExportError):
    """Its text names the operations that are missing."""


def _convert(folder: Path, names: Sequence[str], precision: str) -> bytes:
    converter = tf.lite.TFLiteConverter.from_saved_model(
        os.fspath(folder), signature_keys=list(names)
    )
    if precision != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]  # by itself, int8's
    if precision == "float16":
        converter.target_spec.supported_types = [tf.float16]
    try:
        model: bytes = converter.convert()
    # Of its own class, which it does not name, and others.
    except Exception as error:
        missing = re.search(r"(?:Flex|Custom) ops: ([\w, ]+)", str(error))
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise _ConversionError(
            f"TFLite has no {missing[1].strip()}" if missing else lines[0]
        ) from error
    return model


class Signature:
    """A signature of a TFLite file, called as a SavedModel's is; `probe.run` runs both.

    Attributes:
      structured_input_signature: as of a concrete function.
    """

    def __init__(self, runner: Any) -> None:
        self._runner = runner
        specs = {}
        for name, details in runner.get_input_details().items():
            shape = [None if side < 0 else int(side) for side in details["shape_signature"]]
            specs[name] = tf.TensorSpec(shape, tf.as_dtype(details["dtype"]), name)
        self.structured_input_signature = ((), specs)

    def __call__(self, **given: Any) -> dict[str, tf.Tensor]:
        arrays = {name: np.asarray(value) for name, value in given.items()}
        return {name: tf.constant(value) for name, value in self._runner(**arrays).items()}


def load(path: Path) -> dict[str, Signature]:
    """The signatures of a TFLite file by name, to be called with pictures."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it is to move to ai_edge_litert
        interpreter = tf.lite.Interpreter(os.fspath(path))
    names = interpreter.get_signature_list()
    return {name: Signature(interpreter.get_signature_runner(name)) for name in names}
