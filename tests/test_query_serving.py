"""The client against a PredictionService on loopback, around a real SavedModel.

The service is ours, not TF Serving: it speaks TF Serving's protocol buffers and its REST form.
"""

import base64
import json
import os
import subprocess
import sys
import threading
from concurrent import futures
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest
import rounding
import tensorflow as tf

from nst_tf import assets

pytest.importorskip("tensorflow_serving")
import grpc
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

SCRIPT = Path(__file__).parent.parent / "scripts" / "query_serving.py"


@pytest.fixture(scope="module")
def served(exported):
    return tf.saved_model.load(str(exported))


@pytest.fixture
def rpc(served):
    """A gRPC PredictionService; it refuses the first request, as a server that still loads does."""

    class Service(prediction_service_pb2_grpc.PredictionServiceServicer):
        refused = False

        def Predict(self, request, context):  # noqa: N802, the protocol's name
            if not Service.refused:
                Service.refused = True
                context.abort(grpc.StatusCode.UNAVAILABLE, "loading")
            name = request.model_spec.signature_name
            if name not in served.signatures:
                context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"no signature {name}")
            inputs = {key: tf.make_ndarray(value) for key, value in request.inputs.items()}
            inputs = {key: tf.constant(value.tolist()) for key, value in inputs.items()}
            answer = predict_pb2.PredictResponse()
            for key, value in served.signatures[name](**inputs).items():
                answer.outputs[key].CopyFrom(tf.make_tensor_proto(value.numpy()))
            return answer

    server = grpc.server(futures.ThreadPoolExecutor(1))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Service(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None)


@pytest.fixture
def http(served):
    """The REST form of the same."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path != "/v1/models/tiny:predict":
                self.send_error(404, "no such model")
                return
            files = [base64.b64decode(file["b64"]) for file in body["inputs"]["image_bytes"]]
            given = served.signatures[body["signature_name"]](image_bytes=tf.constant(files))
            outputs = {key: value.numpy().tolist() for key, value in given.items()}
            answer = json.dumps({"outputs": outputs}).encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def query(*arguments):
    environment = dict(os.environ, TF_CPP_MIN_LOG_LEVEL="3")
    return subprocess.run(
        [sys.executable, str(SCRIPT), *arguments, "--timeout=20"],
        capture_output=True,
        text=True,
        env=environment,
    )


def assert_right(served, path):
    answer = np.load(path)
    encoded = tf.constant([assets.SCENE.read_bytes(), assets.PAINTING.read_bytes()])
    expected = served.signatures["image_bytes_grams"](image_bytes=encoded)
    assert set(answer) == set(expected)
    for name, value in expected.items():
        # The same functions in the same process; REST writes decimals.
        rounding.assert_close(answer[name], value, rounding.of_sums(27, *[36] * 12, 48 * 48), name)


@pytest.mark.slow
def test_over_grpc_with_a_second_attempt(served, rpc, tmp_path):
    pictures = (str(assets.SCENE), str(assets.PAINTING))
    done = query(*pictures, f"--grpc={rpc}", "--model=tiny", f"--out={tmp_path}/o.npz")
    assert done.returncode == 0, done.stderr
    assert "conv1_1_gram" in done.stdout
    assert_right(served, tmp_path / "o.npz")
    done = query(*pictures, f"--grpc={rpc}", "--model=tiny", "--signature=other")
    assert done.returncode == 1
    assert "FAILED_PRECONDITION: no signature other" in done.stderr


@pytest.mark.slow
def test_over_rest(served, http, tmp_path):
    pictures = (str(assets.SCENE), str(assets.PAINTING))
    done = query(*pictures, f"--rest={http}", "--model=tiny", f"--out={tmp_path}/o.npz")
    assert done.returncode == 0, done.stderr
    assert_right(served, tmp_path / "o.npz")
    done = query(*pictures, f"--rest={http}", "--model=other")
    assert done.returncode == 1
    assert "said 404" in done.stderr


@pytest.mark.slow
def test_nobody_there():
    done = query(str(assets.SCENE), "--rest=http://127.0.0.1:9", "--attempts=2")
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("query_serving: no answer from http://127.0.0.1:9/")
    done = query("absent.jpg")
    assert done.returncode == 2
    assert "cannot read absent.jpg" in done.stderr
