"""Asks a running TF Serving for the features, statistics or losses of pictures, or a stylizer for
what it paints of them.

    python scripts/query_serving.py photo.jpg --model=mini --signature=image_bytes_grams
    python scripts/query_serving.py photo.jpg --model=mini --grpc=localhost:8500
    python scripts/query_serving.py photo.jpg --model=starry --signature=image_bytes --strength=0.8

Sends the files as they are to a signature that takes `image_bytes`, over REST or, with --grpc, over
gRPC, and prints each output's name, shape and range; --out keeps them as .npz. Files that come back
are decoded. Needs the extra `serve`.
"""

from __future__ import annotations

import base64
import io
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from absl import app, flags
from PIL import Image

_MODEL = flags.DEFINE_string("model", "mini", "The model's name.")
_SIGNATURE = flags.DEFINE_string("signature", "image_bytes_grams", "One that takes image_bytes.")
_REST = flags.DEFINE_string("rest", "http://localhost:8501", "Where the server's REST API is.")
_GRPC = flags.DEFINE_string("grpc", None, "Where its gRPC API is; in place of REST.")
_STRENGTH = flags.DEFINE_float(
    "strength", None, "To a stylizer: how much it paints, from 0 (the photo) to 1.", 0, 1
)
_STYLES = flags.DEFINE_list(
    "styles", None, "To one of several paintings: the share of each, as its card has them: 3,1."
)
_TIMEOUT = flags.DEFINE_float("timeout", 30, "Seconds that one attempt may take.")
_ATTEMPTS = flags.DEFINE_integer("attempts", 4, "How often to try while it is unavailable.", 1)
_OUT = flags.DEFINE_string("out", None, "Also write the outputs here, as .npz.")

Outputs = dict[str, np.ndarray]


class QueryError(Exception):
    """The server did not answer, or said no. Its text is one line."""


class UnavailableError(QueryError):
    """The server is not there, or not ready: worth another attempt."""


def dials(count: int) -> dict[str, Any]:
    """What says how a stylizer paints, of each of so many pictures the same."""
    rows: dict[str, Any] = {}
    if _STRENGTH.value is not None:
        rows["strength"] = [_STRENGTH.value] * count
    if _STYLES.value is not None:
        try:
            shares = [float(share) for share in _STYLES.value]
        except ValueError as error:
            given = ",".join(_STYLES.value)
            raise app.UsageError(f"--styles={given}: use a number for each, as in 3,1") from error
        rows["styles"] = [shares] * count
    return rows


def pixels(files: list[bytes]) -> np.ndarray:
    """Pictures of one size that came as files, uint8 [batch, height, width, 3]."""
    return np.stack([np.asarray(Image.open(io.BytesIO(data)).convert("RGB")) for data in files])


def rest(files: list[bytes]) -> Outputs:
    """One request over REST."""
    import requests

    url = f"{_REST.value}/v1/models/{_MODEL.value}:predict"
    body = {
        "signature_name": _SIGNATURE.value,
        "inputs": {
            "image_bytes": [{"b64": base64.b64encode(data).decode()} for data in files],
            **dials(len(files)),
        },
    }
    try:
        answer = requests.post(url, json=body, timeout=_TIMEOUT.value)
    except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema) as error:
        raise QueryError(f"{url} is no address: {error}") from error
    except requests.exceptions.RequestException as error:
        raise UnavailableError(f"no answer from {url}: {type(error).__name__}") from error
    if answer.status_code == 503:
        raise UnavailableError(f"{url} is not ready")
    if answer.status_code != 200:
        raise QueryError(f"{url} said {answer.status_code}: {answer.text[:300]}")
    try:
        outputs = answer.json()["outputs"]
    except (ValueError, KeyError, TypeError) as error:
        raise QueryError(f"{url} is no TF Serving: it said {answer.text[:300]}") from error
    if not isinstance(outputs, dict):  # a signature with one output
        outputs = {"output": outputs}
    return {
        name: pixels([base64.b64decode(one["b64"]) for one in value])
        if isinstance(value, list) and value and isinstance(value[0], dict)
        else np.asarray(value, np.float32)
        for name, value in outputs.items()
    }


def grpc(files: list[bytes]) -> Outputs:
    """One request over gRPC."""
    import grpc as library
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    request = predict_pb2.PredictRequest()
    request.model_spec.name = _MODEL.value
    request.model_spec.signature_name = _SIGNATURE.value
    request.inputs["image_bytes"].CopyFrom(tf.make_tensor_proto(files))
    for name, rows in dials(len(files)).items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(rows, tf.float32))
    unlimited = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    with library.insecure_channel(_GRPC.value, options=unlimited) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        try:
            answer = stub.Predict(request, timeout=_TIMEOUT.value)
        except library.RpcError as error:
            text = f"{_GRPC.value} said {error.code().name}: {error.details()}"
            if error.code() in (
                library.StatusCode.UNAVAILABLE,
                library.StatusCode.DEADLINE_EXCEEDED,
            ):
                raise UnavailableError(text) from error
            raise QueryError(text) from error
    return {
        name: pixels(list(value.string_val))
        if value.dtype == tf.string.as_datatype_enum
        else tf.make_ndarray(value)
        for name, value in answer.outputs.items()
    }


def patiently(ask: Callable[[list[bytes]], Outputs], files: list[bytes]) -> Outputs:
    """Asks again while the server is unavailable, after 0.5, 1, 2, ... seconds."""
    for attempt in range(_ATTEMPTS.value):
        if attempt:
            time.sleep(2.0 ** (attempt - 2))
        try:
            return ask(files)
        except UnavailableError as error:
            last = error
    raise last


def main(argv: list[str]) -> int:
    if len(argv) < 2:
        raise app.UsageError("name at least one picture")
    try:
        files = [Path(path).read_bytes() for path in argv[1:]]
        outputs = patiently(grpc if _GRPC.value else rest, files)
    except OSError as error:
        print(f"query_serving: cannot read {error.filename}: {error.strerror}", file=sys.stderr)
        return 2
    except QueryError as error:
        print(f"query_serving: {' '.join(str(error).splitlines())}", file=sys.stderr)
        return 1
    for name, value in sorted(outputs.items()):
        print(f"{name:24} {list(value.shape)!s:24} {value.min():.4g} to {value.max():.4g}")
    if _OUT.value:
        arrays: dict[str, Any] = outputs  # savez' other arguments are no arrays
        np.savez(_OUT.value, **arrays)
    return 0


if __name__ == "__main__":
    app.run(main)
