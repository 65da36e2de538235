"""A stylizer as a SavedModel: what it gives, what it refuses, and what its card tells."""

import json

import numpy as np
import pytest
import stylizers
import tensorflow as tf

import nst_tf
from nst_tf import assets
from nst_tf.apps.main import main
from nst_tf.errors import ExportError, FileError, SettingsError
from nst_tf.export import card, serving, verify
from nst_tf.pictures import images
from nst_tf.recipe import presets
from nst_tf.stylizer import shipping
from nst_tf.stylizer.record import RECORD

SIZE = 32
#: What a training of two paintings leaves beside the stylizer, as far as a card tells it.
TRAINING = {
    "weights": "mini",
    "preset": "crisp",
    "overrides": {"style_weight": 2.0},
    "style_size": 384,
    "steps": 600,
    "width": 1 / 16,
    "paintings": {"one": "0a", "two": "0b"},
    "photos": [f"{number}.png" for number in range(9)],
    "held_out": ["x.png"],
    "history": [
        {"step": 200, "size": 128, "loss": 3.0, "held_out": 3.25},
        {"step": 600, "size": 256, "loss": 2.0, "held_out": 2.125},
    ],
}


@pytest.fixture(scope="module")
def stylizer():
    return stylizers.stirred(["one", "two"], 1 / 16)


@pytest.fixture(scope="module")
def file(stylizer, tmp_path_factory):
    path = tmp_path_factory.mktemp("trained") / "stylizer.keras"
    stylizer.save(path)
    path.with_name(RECORD).write_text(json.dumps(TRAINING))
    return path


@pytest.fixture(scope="module")
def version(file, tmp_path_factory):
    out = tmp_path_factory.mktemp("models") / "two"
    assert main(["export", f"--out={out}", f"--stylizer={file}", f"--size={SIZE}"]) == 0
    return out / "1"


@pytest.fixture(scope="module")
def loaded(version):
    return tf.saved_model.load(str(version))


@pytest.fixture(scope="module")
def ask(loaded):
    """A signature's only output, of equal parts of both styles unless told otherwise."""

    def ask(name, given, **dials):
        dials = {"strength": [1.0], "styles": [[1.0, 1.0]], **dials}
        key = "image_bytes" if "bytes" in name else "content"
        dials = {dial: tf.constant(value, tf.float32) for dial, value in dials.items()}
        (output,) = loaded.signatures[name](**{key: tf.constant(given)}, **dials).values()
        return output.numpy()

    return ask


@pytest.fixture(scope="module")
def photos():
    return np.random.default_rng(2).random((2, 21, 30, 3)).astype(np.float32)


def test_it_paints_as_the_stylizer_does(ask, loaded, stylizer, photos):
    """At any strength, in each picture's own shares, called by name or as TensorFlow Hub's are."""
    given = {
        "content": photos,
        "strength": np.float32([0.4, 0.9]),
        "styles": np.float32([[1, 3], [2, 0]]),
    }
    expected = stylizer(given).numpy()
    assert np.abs(expected - photos).max() > 0.1
    dials = {"strength": given["strength"], "styles": given["styles"]}
    np.testing.assert_allclose(ask("serving_default", photos, **dials), expected, atol=1e-5)
    np.testing.assert_allclose(loaded(*given.values()), expected, atol=1e-5)
    np.testing.assert_allclose(loaded(photos), stylizer(photos), atol=1e-5)
    half = stylizer({"content": photos, "strength": np.float32([0.5])})
    np.testing.assert_allclose(loaded(photos, 0.5), half, atol=1e-5)
    numbers = sum(int(np.prod(variable.shape)) for variable in loaded.variables)
    assert numbers == stylizer.count_params()


def test_pixels_and_files(ask, stylizer, tmp_path):
    """0-255 in and out; JPEG in, of which the middle square is painted, and PNG out."""
    photo = images.load(assets.SCENE, 40)
    pixels = images.to_uint8(photo)
    shares = [1.0, 1.0]

    def near(made, photo):
        expected = images.to_uint8(stylizer.paint(photo, styles=shares))
        assert made.dtype == np.uint8 and made.shape == expected.shape
        difference = np.abs(made.astype(int) - expected)
        assert difference.max() <= 1 and difference.mean() < 0.01

    near(ask("uint8", pixels[np.newaxis])[0], pixels / np.float32(255))
    images.save(photo, tmp_path / "photo.jpg")
    file = (tmp_path / "photo.jpg").read_bytes()
    decoded = images.load(file)
    (whole,) = ask("image_bytes_whole", [file])
    near(tf.io.decode_png(whole).numpy(), decoded)
    both = ask("image_bytes", [file, file])
    for one in both:
        near(tf.io.decode_png(one).numpy(), images.cover(decoded, SIZE, SIZE))


def test_no_photos_give_no_pictures(ask):
    none = np.zeros((0, 20, 24, 3), np.float32)
    assert ask("serving_default", none).shape == none.shape
    empty = {"strength": np.zeros(0), "styles": np.zeros((0, 2))}
    assert ask("serving_default", none, **empty).shape == none.shape


GRAY = np.full((1, 16, 16, 3), 0.5, np.float32)


@pytest.mark.parametrize(
    ("given", "dials", "said"),
    [
        (GRAY * 255, {}, "the signature uint8 takes 0-255"),
        (GRAY * np.float32("nan"), {}, "pictures are finite"),
        (GRAY, {"strength": [1.5]}, "strengths are 0 to 1"),
        (GRAY, {"strength": [float("nan")]}, "strengths are 0 to 1"),
        (GRAY, {"strength": [1.0, 1.0]}, "strength: one for all pictures"),
        (GRAY, {"styles": [[0.0, 0.0]]}, "not all 0"),
        (GRAY, {"styles": [[-1.0, 2.0]]}, "shares of styles are from 0"),
        (GRAY, {"styles": [[float("inf"), 2.0]]}, "shares of styles are from 0"),
        (GRAY, {"styles": [[1.0, 2.0]] * 2}, "styles: one for all pictures"),
    ],
)
def test_what_cannot_be_painted_is_refused(ask, given, dials, said):
    with pytest.raises(tf.errors.InvalidArgumentError, match=said):
        ask("serving_default", given, **dials)


def test_files_that_are_none_are_named(ask):
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"places.*\[1\]"):
        ask("image_bytes", [assets.SCENE.read_bytes(), b"none"])


def test_verified_where_there_is_tensorflow_alone(version, file, capsys):
    """A level of 255 is what rounding may change in pixels."""
    assert main(["verify-export", str(version), f"--stylizer={file}", "--tolerance=0.004"]) == 0
    errors = dict(
        line.split(" largest relative error ") for line in capsys.readouterr().out.splitlines()
    )
    errors = {name.strip(): float(error) for name, error in errors.items()}
    assert set(errors) == set(card.read(version)["signatures"])
    assert errors["serving_default"] < 1e-4 and errors["fixed"] < 1e-4


def test_the_wrong_model_is_said(version, file, tmp_path):
    other, scene = nst_tf.Stylizer(["one", "two"], width=1 / 16), assets.SCENE
    with pytest.raises(ExportError, match=r"holds another stylizer \(one, two\)"):
        shipping.verify(version, scene, other)
    (tmp_path / "saved_model.pb").touch()
    of_features = {"what": "all", "layers": None, "settings": presets.settings().asdict()}
    card.write(tmp_path, card.read(version) | of_features, "")
    with pytest.raises(ExportError, match="holds a feature model, no stylizer"):
        shipping.verify(tmp_path, scene, other)
    with pytest.raises(ExportError, match="holds a stylizer: name its file"):
        verify.verify(version, scene, "mini")


def test_the_card_tells_of_the_training(version):
    told = json.loads((version / card.PATH).read_text())
    assert told["paintings"] == ["one", "two"]
    assert told["training"]["last"] == {"step": 600, "held_out": 2.125}
    assert max(told["parity"].values()) < 0.004
    text = (version / card.PATH).with_name("README.md").read_text()
    for words in (
        "# A stylizer of nst_tf: one, two",
        "those of `crisp` with `style_weight=2.0`, measured by `mini`",
        "9 to learn from, 1 held out",
        "2.125 of held-out photos, after 600 steps",
        "VGG19 by K. Simonyan and A. Zisserman",
        "| `serving_default` | `content`, `strength`, `styles` |",
    ):
        assert words in text
    shown = images.load((version / card.PATH).with_name("painted.png"))
    height, width = images.load(assets.SCENE, 256).shape[:2]
    assert shown.shape == (height, 3 * width, 3)


def test_what_a_server_reads(version, loaded):
    assert "--enable_batching=true" in (version.parent / "serving" / "compose.yaml").read_text()
    pytest.importorskip("tensorflow_serving")
    from tensorflow_serving.apis import prediction_log_pb2

    asked = set()
    for record in tf.data.TFRecordDataset(str(version / serving.WARMUP)):
        request = prediction_log_pb2.PredictionLog.FromString(record.numpy()).predict_log.request
        asked.add(request.model_spec.signature_name)
        inputs = {key: tf.constant(tf.make_ndarray(proto)) for key, proto in request.inputs.items()}
        loaded.signatures[request.model_spec.signature_name](**inputs)
    assert asked == set(loaded.signatures)


def test_what_is_refused_before_any_work(file, tmp_path, capsys):
    out = tmp_path / "m"
    command = ["export", f"--out={out}", f"--stylizer={file}"]
    assert main([*command, "--weights=mini", "--what=style"]) == 2
    assert "--stylizer knows no --" in capsys.readouterr().err
    assert main([*command, "--size=0"]) == 2
    assert main(["verify-export", str(out), f"--stylizer={file}", "--weights=mini"]) == 2
    assert "--stylizer knows no --weights" in capsys.readouterr().err
    with pytest.raises(SettingsError, match="most_pixels is 100"):
        shipping.export(out, file, most_pixels=100)
    with pytest.raises(FileError, match="no stylizer that can be read"):
        shipping.export(out, assets.SCENE)
    record = file.with_name(RECORD)
    kept = record.read_text()
    try:
        record.write_text("{}")
        with pytest.raises(ExportError, match="is not the record of a training"):
            shipping.export(out, file)
        record.write_text(json.dumps({**TRAINING, "paintings": {"three": "0c"}}))
        with pytest.raises(ExportError, match=r"of other paintings \(three\)"):
            shipping.export(out, file)
    finally:
        record.write_text(kept)
    assert not out.exists()
