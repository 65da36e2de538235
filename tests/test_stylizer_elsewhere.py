"""An exported stylizer elsewhere: TFLite's interpreter and onnxruntime paint what Keras does."""

import subprocess
import sys

import numpy as np
import pytest
import stylizers

from nst_tf import assets
from nst_tf.export import card, tflite
from nst_tf.pictures import images
from nst_tf.stylizer import shipping

pytestmark = pytest.mark.slow  # for the conversions

SIZE = 32


@pytest.fixture(scope="module")
def stylizer():
    return stylizers.stirred()


@pytest.fixture(scope="module")
def version(stylizer, tmp_path_factory):
    out = tmp_path_factory.mktemp("models") / "small"
    return shipping.export(out, stylizer, size=SIZE, with_tflite=True)


@pytest.fixture(scope="module")
def photo():
    return images.load(assets.SCENE, 47)[np.newaxis]


#: A difference's mean and its largest; measured 2.1e-4 and 0.013, 5.1e-3 and 0.23. (A network that
#: has learnt, of a quarter of the width: 1.0e-4 and 9e-4, 3.0e-3 and 0.11.)
MOST = {"float16": (6e-4, 0.04), "int8": (0.015, 0.5)}


@pytest.mark.parametrize("precision", shipping.PRECISIONS)
def test_tflite_paints_the_same(version, stylizer, photo, precision):
    """Photos of one size and of any, at half the strength, too."""
    signatures = tflite.load(tflite.path_of(version, precision))
    assert set(signatures) == {"serving_default", "fixed"}
    for name, given in (
        ("serving_default", photo),
        ("serving_default", photo[:, :21, :30]),
        ("fixed", photo[:, :SIZE, :SIZE]),
    ):
        for strength in (1.0, 0.5):
            strengths = np.float32([strength])
            made = signatures[name](content=given, strength=strengths)["stylized"].numpy()
            expected = stylizer({"content": given, "strength": strengths}).numpy()
            difference = np.abs(made - expected)
            mean, largest = MOST[precision]
            assert made.shape == given.shape
            assert difference.mean() < mean and difference.max() < largest


def test_its_numbers_are_quantised(version):
    """TFLite leaves kernels below 1024 numbers alone; most are in larger ones."""
    sizes = {one: tflite.path_of(version, one).stat().st_size for one in shipping.PRECISIONS}
    assert sizes["int8"] < sizes["float16"]


def test_the_card_has_their_errors(version):
    told = card.read(version)
    assert told["training"] is None
    assert "mini" not in told["license"] and "is not told" in told["license"]
    text = (version / card.PATH).with_name("README.md").read_text()
    for precision in shipping.PRECISIONS:
        errors = told["tflite"]["parity"][precision]
        assert set(errors) == {"serving_default", "fixed"}
        assert f"{errors['fixed']:.1e}" in text.split("## TFLite")[1]
        assert told["tflite"]["mean"][precision] < MOST[precision][0]
    assert "no training.json was beside the file" in text


def test_onnxruntime_paints_the_same(version, stylizer, photo, tmp_path):
    """Photos of any size, several with a strength each."""
    pytest.importorskip("tf2onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    path = tmp_path / "stylizer.onnx"
    command = [sys.executable, "-m", "tf2onnx.convert", f"--saved-model={version}", "--tag=serve"]
    command += ["--signature_def=serving_default", f"--output={path}", "--opset=17"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for pictures in (photo, np.concatenate([photo, 1 - photo])[:, :21, :30]):
        given = {"content": pictures, "strength": np.float32([1.0, 0.5][: len(pictures)])}
        (made,) = session.run(["stylized"], given)
        np.testing.assert_allclose(made, stylizer(given), atol=1e-4)
