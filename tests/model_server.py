"""A small model server for tests: TF Serving's gRPC service and REST form around a SavedModel.

TF Serving's own server is in no registry of wheels and not in Debian; this one speaks its protocol
buffers and status codes, and answers requests at once.
"""

from __future__ import annotations

import base64
import contextlib
import json
import threading
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc


class Addresses(NamedTuple):
    """Where it listens: the REST API's URL, and host and port of gRPC."""

    rest: str
    grpc: str


@contextlib.contextmanager
def serving(version, name, refusals=0, workers=8):
    """Serves a version as the model `name` on loopback.

    Args:
      version: the SavedModel's folder.
      name: of the model.
      refusals: how many requests are first told that it is unavailable, as while it loads.
      workers: requests that are answered at once over gRPC; over REST all are.

    Yields:
      Its `Addresses`.
    """
    signatures = tf.saved_model.load(str(version)).signatures
    left, lock = [refusals], threading.Lock()

    def predict(model, signature, inputs):
        """A signature's outputs, as arrays; an error of TensorFlow's where there are none."""
        with lock:
            left[0] -= 1
            if left[0] >= 0:
                raise tf.errors.UnavailableError(None, None, "loading")
        if model != name:
            raise tf.errors.NotFoundError(None, None, f"Servable not found for request: {model}")
        if signature not in signatures:
            raise tf.errors.FailedPreconditionError(None, None, f"no signature {signature}")
        wanted = signatures[signature].structured_input_signature[1]
        if lacking := sorted(set(wanted) - set(inputs)):
            text = f"input size does not match signature: missing {lacking}"
            raise tf.errors.InvalidArgumentError(None, None, text)
        outputs = signatures[signature](**inputs)
        return {key: value.numpy() for key, value in outputs.items()}

    class Service(prediction_service_pb2_grpc.PredictionServiceServicer):
        def Predict(self, request, context):  # noqa: N802, the protocol's name
            inputs = {key: tensor_of(value) for key, value in request.inputs.items()}
            model = request.model_spec
            try:
                outputs = predict(model.name, model.signature_name, inputs)
            except tf.errors.OpError as error:
                code = next(code for code in grpc.StatusCode if code.value[0] == error.error_code)
                context.abort(code, error.message)
            answer = predict_pb2.PredictResponse()
            for key, value in outputs.items():
                answer.outputs[key].CopyFrom(tf.make_tensor_proto(value))
            return answer

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            model = self.path.removeprefix("/v1/models/").removesuffix(":predict")
            inputs = {key: tf.constant(decoded(value)) for key, value in body["inputs"].items()}
            try:
                outputs = predict(model, body["signature_name"], inputs)
                told = {key: encoded(value) for key, value in outputs.items()}
                # Of one output, TF Serving leaves the name out.
                status = 200
                answer = {"outputs": told if len(told) > 1 else next(iter(told.values()))}
            except tf.errors.OpError as error:
                http = {tf.errors.UNAVAILABLE: 503, tf.errors.NOT_FOUND: 404}
                status, answer = http.get(error.error_code, 400), {"error": error.message}
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_):
            pass

    rpc = grpc.server(futures.ThreadPoolExecutor(workers))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Service(), rpc)
    port = rpc.add_insecure_port("127.0.0.1:0")
    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    rpc.start()
    thread.start()
    try:
        yield Addresses(f"http://127.0.0.1:{http.server_port}", f"127.0.0.1:{port}")
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
        rpc.stop(None).wait()


def tensor_of(proto):
    """A tensor of a protocol buffer; NumPy's strings lose zeros at their ends."""
    if proto.dtype == tf.string.as_datatype_enum:
        shape = [dimension.size for dimension in proto.tensor_shape.dim]
        return tf.reshape(tf.constant(list(proto.string_val), tf.string), shape)
    return tf.constant(tf.make_ndarray(proto))


def encoded(array):
    """An output in REST's JSON, bytes as {"b64": ...}."""
    if array.dtype != object:
        return array.tolist()
    return [{"b64": base64.b64encode(one).decode()} for one in array]


def decoded(value):
    """REST's JSON with every {"b64": ...} as the bytes that it stands for."""
    if isinstance(value, dict):
        return base64.b64decode(value["b64"])
    return [decoded(one) for one in value] if isinstance(value, list) else np.asarray(value).item()
