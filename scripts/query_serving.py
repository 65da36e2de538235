"""Asks a running TF Serving for the features, statistics or losses of pictures.

    python scripts/query_serving.py photo.jpg --model=mini --signature=image_bytes_grams
    python scripts/query_serving.py photo.jpg --model=mini --grpc=localhost:8500

Sends the files as they are to a signature that takes `image_bytes`, over REST or, with --grpc, over
gRPC, and prints each output's name, shape and range; --out keeps them as .npz. Needs the extra
`serve`.
"""

from __future__ import annotations

import base64
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from absl import app, flags

_MODEL = flags.DEFINE_string("model", "mini", "The model's name.")
_SIGNATURE = flags.DEFINE_string("signature", "image_bytes_grams", "One that takes image_bytes.")
_REST = flags.DEFINE_string("rest", "http://localhost:8501", "Where the server's REST API is.")
_GRPC = flags.DEFINE_string("grpc", None, "Where its gRPC API is; in place of REST.")
_TIMEOUT = flags.DEFINE_float("timeout", 30, "Seconds that one attempt may take.")
_ATTEMPTS = flags.DEFINE_integer("attempts", 4, "How often to try while it is unavailable.", 1)
_OUT = flags.DEFINE_string("out", None, "Also write the outputs here, as .npz.")

Outputs = dict[str, np.ndarray]


class QueryError(Exception):
    """The server did not answer, or said no. Its text is one line."""


class UnavailableError(QueryError):
    """The server is not there, or not ready: worth another attempt."""


def rest(files: list[bytes]) -> Outputs:
    """One request over REST."""
    import requests

    url = f"{_REST.value}/v1/models/{_MODEL.value}:predict"
    body = {
        "signature_name": _SIGNATURE.value,
        "inputs": {"image_bytes": [{"b64": base64.b64encode(data).decode()} for data in files]},
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
    return {name: np.asarray(value, np.float32) for name, value in outputs.items()}


def grpc(files: list[bytes]) -> Outputs:
    """One request over gRPC."""
    import grpc as library
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    request = predict_pb2.PredictRequest()
    request.model_spec.name = _MODEL.value
    request.model_spec.signature_name = _SIGNATURE.value
    request.inputs["image_bytes"].CopyFrom(tf.make_tensor_proto(files))
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
    return {name: tf.make_ndarray(value) for name, value in answer.outputs.items()}


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
