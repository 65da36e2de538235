"""What TF Serving wants beside a SavedModel: its configuration, and requests to warm up with.

https://www.tensorflow.org/tfx/serving/serving_config and saved_model_warmup.
"""

from __future__ import annotations

import importlib.util
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from nst_tf import assets, files
from nst_tf.errors import ExportError
from nst_tf.export import card
from nst_tf.pictures import images

#: In the model's folder. A server takes only whole numbers for versions.
FOLDER = "serving"
WARMUP = Path("assets.extra") / "tf_serving_warmup_requests"

#: The sizes that a batch is padded to, as far as the model takes as many pixels.
_SIZES = (1, 2, 4, 8)

_NO_BATCHING = """\
# No batching: a server that batches takes no model with inputs like those of stylize, which have
# no batch; for one, export with --what=features or --what=style.
"""


def _configuration(
    name: str, version: int, batching: bool, told: Mapping[str, Any]
) -> dict[str, str]:
    """The files by name. Their forms are those of TF Serving's protocol buffers.

    A server makes one batch of the requests of several clients, and the model's limit is of the
    batch: none is larger than what the model takes of pictures of its one size.
    """
    flags = [f"--model_config_file=/models/{name}/{FOLDER}/models.config"]
    flags.append("--allow_version_labels_for_unavailable_models=true")
    if batching:
        flags.append("--enable_batching=true")
        flags.append(f"--batching_parameters_file=/models/{name}/{FOLDER}/batching.config")
    flags.append(f"--monitoring_config_file=/models/{name}/{FOLDER}/monitoring.config")
    command = "\n".join(f"      - {flag}" for flag in flags)
    note = "" if batching else _NO_BATCHING
    pixels = told.get("most_pixels", math.inf)  # before 0.2.0 there was no limit
    allowed = [size for size in _SIZES if size * told["size"] ** 2 <= pixels]
    sizes = "\n".join(f"allowed_batch_sizes: {size}" for size in allowed)
    return {
        "models.config": f"""\
model_config_list {{
  config {{
    name: "{name}"
    base_path: "/models/{name}"
    model_platform: "tensorflow"
    # The newest two: requests go on while a new version loads.
    model_version_policy {{ latest {{ num_versions: 2 }} }}
    # Clients that ask for "stable" get this one; move it on while it is among the newest two.
    version_labels {{ key: "stable" value: {version} }}
  }}
}}
""",
        "batching.config": f"""\
# For the signatures whose pictures have one size: fixed, image_bytes and image_bytes_grams. Others
# fail where requests with pictures of different sizes, or files of image_bytes_whole, meet in one
# batch, or pictures that have more than the {pixels} pixels together that the model takes: where
# pictures may have any size, serve without batching. A file that is no picture fails all requests
# of its batch: the error names its place there, and whose it was shows when each asks again on its
# own.
max_batch_size {{ value: {allowed[-1]} }}
batch_timeout_micros {{ value: 5000 }}
max_enqueued_batches {{ value: 100 }}
num_batch_threads {{ value: 2 }}
pad_variable_length_inputs: false
{sizes}
""",
        "monitoring.config": """\
prometheus_config {
  enable: true
  path: "/monitoring/prometheus/metrics"
}
""",
        "compose.yaml": f"""\
# docker compose -f compose.yaml up; then REST is on port 8501, gRPC on 8500.
{note}services:
  "{name}":
    image: tensorflow/serving:latest
    ports: ["127.0.0.1:8500:8500", "127.0.0.1:8501:8501"]
    volumes: ["..:/models/{name}:ro"]
    command:
{command}
""",
    }


def check_name(model: Path) -> str:
    """The name of a model's folder, where a server and a compose file take it.

    Raises:
      ExportError: it has other characters.
    """
    name = model.resolve().name
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
        raise ExportError(f"{name!r}: name the model with letters, digits, - and _ alone")
    return name


def write_configuration(version: Path) -> list[Path]:
    """Writes the files of a version's model that are not there yet, and returns them.

    Raises:
      ExportError: the model's name cannot be one of a server's, or it cannot be written.
    """
    model, name = version.parent, check_name(version.resolve().parent)
    told = card.read(version)
    batching = "stylize" not in told["signatures"]
    written = []
    try:
        (model / FOLDER).mkdir(exist_ok=True)
        for file, text in _configuration(name, int(version.name), batching, told).items():
            path = model / FOLDER / file
            if not path.exists():  # people change them
                files.write(path, text)
                written.append(path)
    except OSError as error:
        raise ExportError(f"cannot write to {model / FOLDER}: {error.strerror}") from error
    return written


def can_write_warmup() -> bool:
    """Whether TF Serving's protocol buffers are installed: the extra `serve`."""
    return importlib.util.find_spec("tensorflow_serving") is not None


def write_warmup(folder: Path, name: str, signatures: Mapping[str, Any], size: int) -> None:
    """Writes one request for every signature, which a server answers before it says it is ready.

    Args:
      folder: of the version.
      name: of the model.
      signatures: concrete functions by name.
      size: of the pictures to ask with, in pixels.

    Raises:
      ImportError: tensorflow-serving-api is not installed.
    """
    from tensorflow_serving.apis import prediction_log_pb2

    picture = images.load(assets.SCENE, size)
    path = folder / WARMUP
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, function in signatures.items():
            log = prediction_log_pb2.PredictionLog()
            request = log.predict_log.request
            request.model_spec.name, request.model_spec.signature_name = name, signature
            for spec in function.structured_input_signature[0]:
                example = tf.make_tensor_proto(_example(spec, picture))
                request.inputs[spec.name].CopyFrom(example)
            writer.write(log.SerializeToString())


def _example(spec: tf.TensorSpec, picture: np.ndarray) -> Any:
    """An input that fits `spec`, from a photo."""
    if spec.dtype == tf.string:
        return [assets.SCENE.read_bytes()] if spec.shape.rank else assets.SCENE.read_bytes()
    if spec.dtype == tf.int32:
        return np.int32(1)
    if spec.shape.rank < 3:  # numbers that go with the picture
        return np.ones([1, *spec.shape[1:]], np.float32)
    if spec.dtype == tf.uint8:
        return (picture[np.newaxis] * 255).astype(np.uint8)
    if spec.shape[1] is not None:
        return tf.image.resize(picture[np.newaxis], spec.shape[1:3], antialias=True).numpy()
    return picture[np.newaxis]
