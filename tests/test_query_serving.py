"""The client against a server of TF Serving's kind on loopback, around a real SavedModel."""

import os
import subprocess
import sys
from concurrent import futures
from pathlib import Path

import numpy as np
import pytest
import rounding
import tensorflow as tf
from absl import flags

from nst_tf import assets

pytest.importorskip("tensorflow_serving")
import model_server
import query_serving

SCRIPT = Path(__file__).parent.parent / "scripts" / "query_serving.py"
PICTURES = (str(assets.SCENE), str(assets.PAINTING))


@pytest.fixture(scope="module")
def expected(exported):
    encoded = tf.constant([Path(path).read_bytes() for path in PICTURES])
    return tf.saved_model.load(str(exported)).signatures["image_bytes_grams"](image_bytes=encoded)


@pytest.fixture(scope="module")
def server(exported):
    """It refuses the first request, as a server that still loads does."""
    with model_server.serving(exported, "tiny", refusals=1) as addresses:
        yield addresses


def query(*arguments):
    environment = dict(os.environ, TF_CPP_MIN_LOG_LEVEL="3")
    return subprocess.run(
        [sys.executable, str(SCRIPT), *arguments, "--timeout=60"],
        capture_output=True,
        text=True,
        env=environment,
    )


def assert_right(expected, answer):
    assert set(answer) == set(expected)
    for name, value in expected.items():
        # The same functions in the same process; REST writes decimals.
        rounding.assert_close(answer[name], value, rounding.of_sums(27, *[36] * 12, 48 * 48), name)


@pytest.mark.slow
def test_over_grpc_with_a_second_attempt(expected, server, tmp_path):
    done = query(*PICTURES, f"--grpc={server.grpc}", "--model=tiny", f"--out={tmp_path}/o.npz")
    assert done.returncode == 0, done.stderr
    assert "conv1_1_gram" in done.stdout
    assert_right(expected, np.load(tmp_path / "o.npz"))
    done = query(*PICTURES, f"--grpc={server.grpc}", "--model=tiny", "--signature=other")
    assert done.returncode == 1
    assert "FAILED_PRECONDITION: no signature other" in done.stderr


@pytest.mark.slow
def test_over_rest(expected, server, tmp_path):
    done = query(*PICTURES, f"--rest={server.rest}", "--model=tiny", f"--out={tmp_path}/o.npz")
    assert done.returncode == 0, done.stderr
    assert_right(expected, np.load(tmp_path / "o.npz"))
    done = query(*PICTURES, f"--rest={server.rest}", "--model=other")
    assert done.returncode == 1
    assert "said 404" in done.stderr


@pytest.mark.slow
def test_eight_clients_at_once_with_bad_bytes_among_good_ones(expected, server):
    """Who sends a picture gets its answer; who sends something else, its place in the batch."""
    good = [Path(path).read_bytes() for path in PICTURES]
    damaged = [good[0], good[1][:5000]]
    flags.FLAGS(["query", "--model=tiny", f"--rest={server.rest}", f"--grpc={server.grpc}"])

    def client(number):
        ask = (query_serving.rest, query_serving.grpc)[number % 2]
        try:
            return query_serving.patiently(ask, damaged if number in (2, 5) else good)
        except query_serving.QueryError as error:
            return str(error)

    with futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(client, range(16)))
    for number, answer in enumerate(answers):
        if number in (2, 5):
            assert "cut short:] [1]" in answer
            assert ("said 400" if number == 2 else "said INVALID_ARGUMENT") in answer
        else:
            assert_right(expected, answer)


@pytest.mark.slow
def test_nobody_there():
    done = query(str(assets.SCENE), "--rest=http://127.0.0.1:9", "--attempts=2")
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("query_serving: no answer from http://127.0.0.1:9/")
    done = query("absent.jpg")
    assert done.returncode == 2
    assert "cannot read absent.jpg" in done.stderr
