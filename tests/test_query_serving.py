"""The client against a server of TF Serving's kind on loopback, around a real SavedModel."""

import os
import subprocess
import sys
from concurrent import futures
from pathlib import Path

import numpy as np
import pytest
import rounding
import stylizers
import tensorflow as tf
from absl import app, flags
from absl.testing import flagsaver

from nst_tf import assets
from nst_tf.pictures import images
from nst_tf.stylizer import servable

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


@pytest.fixture(scope="module")
def stylizer():
    return stylizers.stirred(("one", "two"))


@pytest.fixture(scope="module")
def painting_server(stylizer, tmp_path_factory):
    version = tmp_path_factory.mktemp("stylizer") / "1"
    served = servable.ServedStylizer(stylizer, 32)
    tf.saved_model.save(served, str(version), signatures=served.signatures())
    with model_server.serving(version, "painter") as addresses:
        yield addresses


@pytest.mark.slow
@pytest.mark.parametrize("how", ["rest", "grpc"])
def test_what_a_stylizer_paints(stylizer, painting_server, how, tmp_path):
    """Against the network itself, of the two pictures at the size that is served."""
    address = f"--{how}={getattr(painting_server, how)}"
    asked = (*PICTURES, address, "--model=painter", "--signature=image_bytes")
    done = query(*asked, "--strength=0.5", "--styles=3,1", f"--out={tmp_path}/o.npz")
    assert done.returncode == 0, done.stderr
    assert "[2, 32, 32, 3]" in done.stdout
    [made] = np.load(tmp_path / "o.npz").values()
    assert made.dtype == np.uint8
    seen = np.stack([images.cover(images.load(path), 32, 32) for path in PICTURES])
    for strength, styles, same in ((0.5, (3, 1), True), (1, (3, 1), False), (0.5, (1, 3), False)):
        told = {"content": seen, "strength": np.float32([strength]), "styles": np.float32([styles])}
        apart = np.abs(255 * stylizer(told).numpy() - made).mean()
        assert (apart < 2) if same else (apart > 4)
    done = query(*asked)
    assert done.returncode == 1 and "strength" in done.stderr


def test_shares_that_are_none():
    flags.FLAGS(["query"])
    with (
        flagsaver.flagsaver(styles=["3", "more"]),
        pytest.raises(app.UsageError, match="--styles=3,more: use a number for each"),
    ):
        query_serving.dials(1)


@pytest.mark.slow
def test_nobody_there():
    done = query(str(assets.SCENE), "--rest=http://127.0.0.1:9", "--attempts=2")
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("query_serving: no answer from http://127.0.0.1:9/")
    done = query("absent.jpg")
    assert done.returncode == 2
    assert "cannot read absent.jpg" in done.stderr
