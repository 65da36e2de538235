"""TFLite files of an export, run by TensorFlow's own interpreter."""

import numpy as np
import pytest
import rounding
import tensorflow as tf

from nst_tf import assets
from nst_tf.apps.main import main
from nst_tf.errors import SettingsError
from nst_tf.export import card, saved_model, tflite
from nst_tf.network import vgg
from nst_tf.network import weights as weights_module
from nst_tf.pictures import images

pytestmark = pytest.mark.slow  # for the export with every signature

LAYERS = ["conv1_1", "conv2_1"]
FEW = ["--content_layers=conv2_1", "--style_layers=conv1_1,conv2_1", "--size=24"]


@pytest.fixture(scope="module")
def version(tmp_path_factory):
    out = tmp_path_factory.mktemp("models") / "mini"
    assert main(["export", f"--out={out}", "--weights=mini", "--tflite", *FEW]) == 0
    return out / "1"


@pytest.fixture(scope="module")
def picture():
    return images.load(assets.SCENE, 40)[np.newaxis]


@pytest.fixture(scope="module")
def maps(picture):
    model = vgg.build_model(LAYERS, weights_module.load("mini"), dtype="float64")
    return {name: one.numpy() for name, one in model(tf.constant(picture, tf.float64)).items()}


@pytest.mark.parametrize(("precision", "factor"), [("float32", 1), ("float16", 2.0**13)])
def test_features_and_gram_matrices(version, picture, maps, precision, factor):
    """In float32 and, 2^13 times as coarse, in float16; of a picture of another size."""
    signatures = tflite.load(tflite.path_of(version, precision))
    features = signatures["serving_default"](pictures=picture)
    grams = signatures["grams"](pictures=picture)
    whole = signatures["uint8"](pictures=images.to_uint8(picture))
    for name in LAYERS:
        bound = rounding.of_maps(weights_module.load("mini"), name)
        flat = maps[name].reshape(-1, maps[name].shape[-1])
        rounding.assert_close(features[name], maps[name], factor * bound, name)
        expected = flat.T @ flat / len(flat)
        rounding.assert_close(grams[f"{name}_gram"][0], expected, 4 * factor * bound, name)
        assert np.abs(whole[name] - maps[name]).max() < 0.02 * np.abs(maps[name]).max()


def test_half_is_half_as_large(version):
    sizes = [tflite.path_of(version, one).stat().st_size for one in tflite.PRECISIONS]
    assert sizes[1] < 0.75 * sizes[0]


def test_the_card_says_what_cannot_be_converted(version):
    told = card.read(version)
    without = told["tflite"]["without"]
    of_files = {name for name in told["signatures"] if "bytes" in name} | {"stylize"}
    assert without == dict.fromkeys(of_files, "it decodes files")
    for precision in tflite.PRECISIONS:
        signatures = tflite.load(tflite.path_of(version, precision))
        errors = told["tflite"]["parity"][precision]
        assert set(signatures) == set(errors) == set(told["signatures"]) - set(without)
        assert max(errors.values()) < {"float32": 1e-4, "float16": 0.02}[precision]
    text = (version / card.PATH).with_name("README.md").read_text()
    assert "| `image_bytes` | cannot be converted: it decodes files |" in text
    assert "| `grams` | " in text.split("## TFLite")[1]


def test_they_refuse_nothing_and_the_card_says_so(version):
    signature = tflite.load(tflite.path_of(version, "float32"))["serving_default"]
    for bad in (
        np.full((1, 24, 24, 3), 256, np.float32),
        np.full((1, 24, 24, 3), np.nan, np.float32),
        np.full((1, 24, 24, 1), 0.5, np.float32),
        np.full((1, 1, 1, 3), 0.5, np.float32),
    ):
        assert signature(pictures=bad)["conv1_1"].shape[:3] == bad.shape[:3]
    text = (version / card.PATH).with_name("README.md").read_text()
    assert "conversion leaves every check out" in text.split("## TFLite")[1]


def test_operations_that_tflite_has_not_are_said(tmp_path):
    """Such as eigenvalues, of Wasserstein distances; the rest is there."""
    square = tf.TensorSpec([2, 2], tf.float32, "square")
    module = tf.Module()
    signatures = {
        "roots": tf.function(lambda square: {"result": tf.linalg.eigvalsh(square)}),
        "squares": tf.function(lambda square: {"result": tf.square(square)}),
    }
    signatures = {name: one.get_concrete_function(square) for name, one in signatures.items()}
    tf.saved_model.save(module, str(tmp_path), signatures)
    without = tflite.write(tmp_path, signatures)
    assert without == {"roots": "TFLite has no SelfAdjointEigV2"}
    made = tflite.load(tflite.path_of(tmp_path, "float16"))
    assert set(made) == {"squares"}
    given = np.float32([[1, 2], [3, 4]])
    np.testing.assert_array_equal(made["squares"](square=given)["result"], given**2)


def test_it_is_made_of_a_float32_model(tiny_weights, tmp_path):
    with pytest.raises(SettingsError, match="in float32 and float16: leave out mixed_float16"):
        saved_model.export(
            tmp_path / "m", weights=tiny_weights, dtype="mixed_float16", with_tflite=True
        )
    assert not (tmp_path / "m").exists()
