"""SavedModels: how they are written and verified, their folders, cards and errors."""

import json
import subprocess

import numpy as np
import pytest
import rounding
import tensorflow as tf

from nst_tf import assets
from nst_tf.apps.main import main
from nst_tf.errors import ExportError, PictureError, SettingsError
from nst_tf.export import card, painter, parity, probe, saved_model, verify, versions
from nst_tf.network.weights import Weights
from nst_tf.recipe import presets

SETTINGS = presets.settings("gatys2016")
STYLE, CONTENT = list(SETTINGS.style_layers), list(SETTINGS.content_layers)
#: For exports of a test's own: the fewer layers there are, the sooner they are written.
SHALLOW = SETTINGS.replace(
    content_layers={"conv2_2": 1.0}, style_layers={"conv1_1": 0.5, "conv2_1": 0.5}
)


def test_a_part_of_it_with_other_layers_is_served(tiny_weights, tmp_path):
    chosen = ["block2_conv1", "conv1_2:pre"]
    version = saved_model.export(
        tmp_path / "m", what="features", weights=tiny_weights, layers=chosen, size=32
    )
    loaded = tf.saved_model.load(str(version))
    files = {"image_bytes", "image_bytes_whole"}
    assert set(loaded.signatures) == {"serving_default", "fixed", "uint8", *files}
    assert loaded.signatures["fixed"].structured_outputs.keys() == {"conv2_1", "conv1_2_pre"}
    assert len(loaded.variables) == 2 * 3  # no deeper than conv2_1
    version = saved_model.export(
        tmp_path / "m",
        what="style",
        weights=tiny_weights,
        settings=SHALLOW,
        layers=chosen,
        size=32,
    )
    signatures = tf.saved_model.load(str(version)).signatures
    of_styles = {"serving_default", "grams", "style_loss", "content_loss"}
    assert set(signatures) == {*of_styles, *(f"{name}_grams" for name in files)}
    named = {name.rpartition("_")[0] for name in signatures["grams"].structured_outputs}
    assert named == {"conv2_1", "conv1_2_pre"}
    losses = {"style_loss", *SHALLOW.style_layers}
    assert signatures["style_loss"].structured_outputs.keys() == losses


def test_versions_count_up_and_nothing_is_overwritten(tmp_path):
    model = tmp_path / "a" / "m"
    (model / "7").mkdir(parents=True)
    (model / "notes").mkdir()
    first = versions.write(model, lambda folder: (folder / "x").touch())
    second = versions.write(model, lambda folder: (folder / "y").touch())
    assert (first.name, second.name) == ("8", "9")
    assert {path.name for path in model.iterdir()} == {"7", "8", "9", "notes"}
    assert (first / "x").exists() and not (second / "x").exists()
    assert first.stat().st_mode & 0o777 == 0o755


def test_a_failed_write_leaves_nothing(tmp_path):
    def fail(folder):
        (folder / "half").touch()
        raise OSError(28, "No space left on device")

    with pytest.raises(ExportError, match="No space left"):
        versions.write(tmp_path / "m", fail)
    assert not list((tmp_path / "m").iterdir())


def test_verified_in_a_process_that_has_only_tensorflow(exported, tiny_weights, scene, monkeypatch):
    monkeypatch.chdir(exported.parent.parent)
    errors = verify.verify(exported.parent.name, scene, tiny_weights)
    assert set(errors) == set(card.read(exported)["signatures"])
    for name, error in errors.items():
        rounding.assert_below(error, rounding.of_served(name), name)


def test_what_it_says_of_bad_models(exported, tiny_weights, random_weights, scene, tmp_path):
    with pytest.raises(ExportError, match="holds another network"):
        verify.verify(exported, scene, random_weights)
    with pytest.raises(ExportError, match="cannot start no-python: No such file"):
        verify.verify(exported, scene, tiny_weights, python="no-python")
    with pytest.raises(ExportError, match="no SavedModel in"):
        verify.verify(tmp_path, scene, tiny_weights)
    broken = tmp_path / "m" / "1"
    versions.write(tmp_path / "m", lambda folder: None)
    (broken / "saved_model.pb").write_bytes(b"no")
    with pytest.raises(ExportError, match="was not written by nst-tf export"):
        verify.verify(tmp_path / "m", scene, tiny_weights)
    path = broken / card.PATH
    path.parent.mkdir()
    path.write_text((exported / card.PATH).read_text())
    python = tmp_path / "python"  # what it says is its last line; TensorFlow's own takes seconds
    python.write_text(
        "#!/bin/sh\necho Traceback >&2\necho a saved_model.pb of two bytes >&2\nexit 1\n"
    )
    python.chmod(0o755)
    with pytest.raises(ExportError, match=r"m/1 does not run: a saved_model\.pb of two bytes$"):
        verify.verify(tmp_path / "m", scene, tiny_weights, python=str(python))


def test_the_card_says_where_it_comes_from(exported, tiny_weights):
    made = json.loads((exported / card.PATH).read_text())
    assert made["weights"]["sha256"] == tiny_weights.sha256
    assert made["settings"]["content_layers"] == {"conv4_2": 1.0}
    assert "CC BY 4.0" in made["license"]
    assert made["parity"].keys() == made["signatures"].keys() - {"stylize"}
    for name, error in made["parity"].items():
        rounding.assert_below(error, rounding.of_served(name), name)
    text = (exported / card.PATH).with_name("README.md").read_text()
    assert tiny_weights.sha256 in text and "CC BY 4.0" in text
    assert "they end at `evaluations=500` by themselves. `loss` is" in text
    for name, error in made["parity"].items():
        assert f"| `{name}` | `{made['signatures'][name][0]}`" in text and f"{error:.1e} |" in text


def test_the_card_says_what_steps_are(exported, tmp_path):
    made = json.loads((exported / card.PATH).read_text())
    crisp = presets.settings("crisp", min_scale=64)
    made |= {"settings": crisp.asdict(), "scales": painter.scales(crisp, 256)}
    card.write(tmp_path, made)
    text = (tmp_path / card.PATH).with_name("README.md").read_text()
    assert "they end at `evaluations=20` by themselves" in text
    assert "at 64, 91, 128, 181, 256 pixels on the longer side" in text


def test_errors_are_relative_to_the_largest_value():
    expected = {"a/x": np.array([1.0, -4.0]), "a/y": np.array([10.0]), "b/x": np.array([0.5])}
    given = {"a/x": np.array([1.2, -4.0]), "a/y": np.array([10.1]), "b/x": np.array([0.5])}
    errors = parity.errors("m", given, expected)
    assert errors["b"] == 0
    rounding.assert_close(errors["a"], 0.05, rounding.of_sums(1, 1, dtype="float64") / 0.05)
    with pytest.raises(ExportError, match="m lacks the output b/x"):
        parity.errors("m", {name: given[name] for name in ("a/x", "a/y")}, expected)


def test_numbers_that_overflow_are_not_exported(tiny_weights, tmp_path):
    kernels = {name: 1e4 * kernel for name, kernel in tiny_weights.kernels.items()}
    large = Weights(kernels, tiny_weights.biases, "large")
    options = {"what": "features", "layers": ["conv2_1"], "weights": large, "size": 32}
    with pytest.raises(ExportError, match="conv2_1 is not finite; export it in float32"):
        saved_model.export(tmp_path / "m", dtype="float16", **options)
    assert not list((tmp_path / "m").iterdir())
    saved_model.export(tmp_path / "m", **options)


def test_settings_that_cannot_be_used(tiny_weights, tmp_path):
    for options, message in (
        ({"what": "some"}, "no kind of export 'some'"),
        ({"dtype": "int8"}, "no dtype 'int8'"),
        ({"size": 0}, "size is 0"),
        ({"size": "16"}, "size is '16'"),
        ({"size": 4}, "4x4 pixels are too few for conv5_1"),
        (
            {"what": "style", "settings": presets.settings("gatys2016", style_layers={})},
            "no layer to serve Gram matrices of",
        ),
        ({"layers": []}, "at least one layer"),
        ({"most_pixels": 0}, "most_pixels is 0"),
        ({"most_pixels": 50_000}, "most_pixels is 50000: use 131072 or more for a size of 256"),
        ({"layers": ["conv6_1"]}, "no layer 'conv6_1'"),
        ({"layers": ["conv4_2", "block4_conv2"]}, "name conv4_2 twice"),
    ):
        with pytest.raises(SettingsError, match=message):
            saved_model.export(tmp_path / "m", weights=tiny_weights, **options)
    assert not (tmp_path / "m").exists()


def test_how_many_pixels_it_takes_is_said_at_export(tiny_weights):
    most = 2 * 48 * 48
    servable = saved_model.build(tiny_weights, SHALLOW, 48, "float32", "style", None, most)
    for shape in ([2, 48, 48, 3], [1, 96, 48, 3]):
        assert servable.grams(tf.zeros(shape))["conv1_1_gram"].shape == (shape[0], 4, 4)
    with pytest.raises(PictureError, match=r"at most 4608 pixels together: .* \[ 1 97 48  3\]"):
        servable.grams(tf.zeros([1, 97, 48, 3]))
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"4608 pixels together.* \[3 48 48"):
        tf.function(servable.grams)(tf.zeros([3, 48, 48, 3]))
    file = assets.SCENE.read_bytes()
    assert servable.decode(tf.constant([file, file])).shape == (2, 48, 48, 3)
    with pytest.raises(PictureError, match=r"for 48 x 48 pixels are at most 2 in a request; .* 3"):
        servable.decode(tf.constant([file] * 3))


def test_what_a_graph_cannot_do_is_refused_by_name(tiny_weights, tmp_path):
    for changes, message in (
        ({"colours": "palette"}, "colours=palette is not to be had in a served run.* colours=free"),
        (
            {"init": "content=0.5,blurred=0.5"},
            "init=content=0.5,blurred=0.5 is not .* noise, blank",
        ),
        ({"optimizer": "tfp-lbfgs"}, "optimizer=tfp-lbfgs is not .* export what=style"),
        ({"style_blend": (1, 2)}, "style_blend is not .* one style image"),
    ):
        with pytest.raises(ExportError, match=message):
            saved_model.export(
                tmp_path / "m", weights=tiny_weights, settings=SETTINGS.replace(**changes), size=48
            )
    for changes, message in (
        ({"style_loss": "sliced", "mirrored": True}, "knows one style image, seen one way"),
        ({"max_scale": 8}, "max_scale is 8"),
        ({"stroke_size": 0.1}, "5x5 pixels are too few for conv5_1"),
    ):
        with pytest.raises(SettingsError, match=message):
            painter.check(SETTINGS.replace(**changes), 48)
    for name in presets.PRESETS:
        if name != "neighbours":  # which has no statistics of pictures alone
            painter.check(presets.settings(name), 256)


@pytest.mark.slow
def test_the_commands(tmp_path, capsys, monkeypatch):
    model = tmp_path / "mini"
    options = ["--what=style", "--weights=mini", "--size=32", "--layers=conv1_1,conv4_2"]
    options.append("--dtype=mixed_bfloat16")  # which differs from float32 by a hundredth
    assert main(["export", f"--out={model}", *options]) == 0
    assert str(model / "1") in capsys.readouterr().out
    assert json.loads((model / "1" / card.PATH).read_text())["layers"] == ["conv1_1", "conv4_2"]
    measured = []

    def here(command, **_):
        """As the process that another test starts, but without the time to start one."""
        probe.main(*command[2:])
        return subprocess.CompletedProcess(command, 0)

    def verified(*arguments, verify=verify.verify):
        measured.append(verify(*arguments))
        return measured[-1]

    monkeypatch.setattr(verify, "verify", verified)
    monkeypatch.setattr(verify.subprocess, "run", here)
    assert main(["verify-export", str(model), "--weights=mini", "--tolerance=0.3"]) == 0
    assert "style_loss" in capsys.readouterr().out
    # The same errors, not measured once more, are too many for another tolerance.
    monkeypatch.setattr(verify, "verify", lambda *_: measured[0])
    assert main(["verify-export", str(model), "--weights=mini", "--tolerance=1e-4"]) == 1


def test_errors_are_one_line(tmp_path, capsys):
    assert main(["export"]) == 2
    assert "name the model's folder" in capsys.readouterr().err
    assert main(["verify-export", str(tmp_path), "--weights=mini"]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


@pytest.mark.slow
# float16 and mixed_bfloat16 are exported above.
@pytest.mark.parametrize(("dtype", "most"), [("mixed_float16", 0.01), ("bfloat16", 0.05)])
def test_in_half_precision(tiny_weights, tmp_path, dtype, most):
    options = {"what": "style", "weights": tiny_weights, "size": 48, "dtype": dtype}
    options["settings"] = SHALLOW
    version = saved_model.export(tmp_path / "m", **options)
    assert 1e-5 < json.loads((version / card.PATH).read_text())["parity"]["grams"] < most
