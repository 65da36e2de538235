"""A result is made again from its manifest, its files known by their hashes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from test_faults import Full

import nst_tf
from nst_tf import assets, reading
from nst_tf.apps import rerun
from nst_tf.apps.main import main
from nst_tf.errors import FileError, NSTError, SettingsError
from nst_tf.network import weights as weights_module
from nst_tf.pictures import images
from nst_tf.pictures.masks import Masked
from nst_tf.recipe import presets
from nst_tf.run import record
from nst_tf.run.again import Manifest

#: All that are it compile once between them.
QUICK = ["--preset=gatys2016", "--optimizer=adam", "--size=32", "--iterations=3", "--quiet"]
QUICK += ["--content_layers=conv2_1", "--style_layers=conv1_1"]


@pytest.fixture
def inputs(tmp_path):
    """Pictures of one's own: a photo, a painting, a mask, in a folder."""
    folder = tmp_path / "inputs"
    folder.mkdir()
    for name, source in (("photo.png", assets.SCENE), ("painting.png", assets.PAINTING)):
        images.save(images.load(source, 48), folder / name)
    images.save(np.kron([[1.0, 0.0]], np.ones((24, 24)))[..., None].repeat(3, -1), folder / "m.png")
    return folder


@pytest.fixture
def made(inputs, tmp_path, capsys):
    """The path of a result's manifest."""
    weights = shutil.copy(assets.MINI, inputs / "network.npz")
    arguments = [str(inputs / name) for name in ("photo.png", "painting.png")]
    out = tmp_path / "made" / "out.png"
    out.parent.mkdir()
    assert main(["stylize", *arguments, "-o", str(out), f"--weights={weights}", *QUICK]) == 0
    capsys.readouterr()
    return out.with_suffix(".json")


def changed(path: Path, **changes) -> Path:
    """The manifest with other things in it, beside it."""
    other = path.with_name("changed.json")
    other.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return other


def test_the_same_comes_out_also_of_files_that_have_moved(made, inputs, tmp_path, capsys):
    assert main(["rerun", str(made), "--quiet"]) == 0
    told = capsys.readouterr().out
    assert f"the same picture as in {made}" in told
    again = made.with_name("out-again.png")
    assert again.read_bytes() == made.with_suffix(".png").read_bytes()
    first, second = (json.loads(path.with_suffix(".json").read_text()) for path in (made, again))
    assert first["result_sha256"] == second["result_sha256"] and first["result_sha256"] in told

    moved = inputs.rename(tmp_path / "moved")
    assert main(["rerun", str(made), "--quiet"]) == 2
    assert "the content image is not at" in capsys.readouterr().err
    output = tmp_path / "elsewhere.tif"
    assert main(["rerun", str(made), f"--inputs={moved}", "-o", str(output), "--quiet"]) == 0
    assert output.exists() and output.with_suffix(".json").exists()


def test_what_cannot_be_written_is_kept(made, tmp_path, monkeypatch, capsys):
    (refuge := tmp_path / "refuge").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(refuge))
    monkeypatch.setattr(os, "fsync", Full(made.parent, 1, True))
    assert main(["rerun", str(made), "--quiet"]) == 2
    (again,) = refuge.glob("*/out-again.png")
    error = capsys.readouterr().err
    assert f"the result is kept as {again}" in error and error.count("\n") == 1
    assert again.read_bytes() == made.with_suffix(".png").read_bytes()
    assert {path.stem for path in made.parent.iterdir()} == {"out"}


def test_what_differs_is_named_and_how_far_the_picture_is(made, capsys):
    told = json.loads(made.read_text())
    versions = {**told["versions"], "tensorflow": "2.0\x1b[2J"}
    machine = {**told["machine"], "threads": 77}
    # The settings of another picture than the one that the hash is of.
    settings = {**told["settings"], "style_weight": 0.9}
    changed(made, settings=settings, versions=versions, machine=machine)
    os.replace(made.with_name("changed.json"), made)
    assert main(["rerun", str(made), "--quiet"]) == rerun.OTHER == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith(f"another picture than in {made}: sha256 {told['result_sha256']}")
    assert lines[2] == "what is not as it was:" and len(lines) == 6
    assert lines[3].startswith("  tensorflow 2.0\\x1b[2J, now ")
    assert lines[4].startswith("  threads 77, now ")
    pictures = [images.load(made.with_name(name)) for name in ("out.png", "out-again.png")]
    apart = np.abs(np.subtract(*(images.to_uint8(picture).astype(int) for picture in pictures)))
    assert apart.max() > 0
    assert lines[5].startswith(f"{np.mean(apart > 0):.2%} of the values differ, by {apart.max()} ")


def test_one_of_an_older_version_has_nothing_to_compare_with(made, capsys):
    told = json.loads(made.read_text())
    for name in ("result_sha256", "machine", "tile"):
        del told[name]
    made.write_text(json.dumps(told))
    assert main(["rerun", str(made), "--quiet"]) == 1
    assert "no hash" in capsys.readouterr().out
    again = json.loads(made.with_name("out-again.json").read_text())
    assert again["total"] == told["total"]


def test_masks_and_an_initial_file_and_an_early_end(inputs, tmp_path, capsys):
    """Of a run that a program stopped: it is stopped there again."""
    photo, painting, mask = (str(inputs / name) for name in ("photo.png", "painting.png", "m.png"))
    run = nst_tf.StyleTransfer(
        photo,
        [Masked(painting, mask), photo],
        protect=mask,
        preset="gatys2016",
        optimizer="adam",
        size=32,
        iterations=9,
        init=f"{painting}=0.5,noise=0.5",
        content_layers={"conv2_1": 1.0},
        style_layers={"conv1_1": 1.0},
        weights="mini",
        callbacks=[lambda step: step.iteration == 2 and run.stop()],
    )
    result = run.run()
    assert result.stopped == "interrupted"
    result.save(tmp_path / "out.png")
    assert main(["rerun", str(tmp_path / "out.json"), "--quiet"]) == 0
    again = json.loads((tmp_path / "out-again.json").read_text())
    assert again["stopped"] == "interrupted" and again["iterations"] == 2
    # Another file in the initial image's place is not taken.
    images.save(np.zeros((9, 9, 3)), painting)
    capsys.readouterr()
    assert main(["rerun", str(tmp_path / "out.json"), "--quiet"]) == 2
    assert "is no longer style image 1" in capsys.readouterr().err
    with pytest.raises(FileError, match="the initial image, is no longer what it was"):
        Manifest.read(tmp_path / "out.json").settings()


def test_it_begins_with_what_a_stylizer_paints(inputs, tmp_path, capsys):
    """The network of another process, as it were: by its file, which the manifest names."""
    photo, painting = (str(inputs / name) for name in ("photo.png", "painting.png"))
    stylizer, file = nst_tf.Stylizer(width=1 / 16, seed=1), inputs / "s=1.keras"
    draw = np.random.default_rng(0)
    for variable in stylizer.trainable_variables:
        variable.assign_add(0.2 * draw.standard_normal(variable.shape).astype(np.float32))
    stylizer.save(file)
    seen = images.load(photo, 32)
    picture = stylizer.paint(seen)
    assert np.abs(picture - seen).mean() > 0.02
    out = tmp_path / "out.png"
    command = ["stylize", photo, painting, "-o", str(out), "--weights=mini", *QUICK]
    assert main([*command, f"--init=stylizer:{file}"]) == 0
    told = json.loads(out.with_suffix(".json").read_text())
    assert told["init"] == [{"path": str(file), "sha256": reading.sha256(file)}]
    run = nst_tf.StyleTransfer(
        photo, painting, weights="mini", settings=Manifest.read(tmp_path / "out.json").settings()
    )
    np.testing.assert_allclose(run.initial_image, picture, atol=1e-6)
    assert main(["rerun", str(tmp_path / "out.json"), "--quiet"]) == 0
    assert "the same picture as in" in capsys.readouterr().out
    assert main([*command, f"--init=stylizer:{photo}"]) == 2
    assert f"{photo} is no stylizer that can be read" in capsys.readouterr().err
    assert main([*command, "-o", str(file), f"--init=stylizer:{file}"]) == 2
    capsys.readouterr()
    assert main([*command, "--init=stylizer:nowhere.keras"]) == 2
    assert "'stylizer:nowhere.keras' is no file and none of" in capsys.readouterr().err
    # Another network in its place is not taken.
    shutil.copy(assets.MINI, file)
    with pytest.raises(FileError, match="the initial image, is no longer what it was"):
        Manifest.read(tmp_path / "out.json").settings()


def test_a_method_from_before_neural_networks(inputs, tmp_path, capsys):
    arguments = [str(inputs / name) for name in ("photo.png", "painting.png")]
    out = tmp_path / "out.png"
    assert main(["stylize", *arguments, "-o", str(out), "--method=reinhard", "--quiet"]) == 0
    assert main(["rerun", str(out.with_suffix(".json")), "--quiet"]) == 0
    assert (tmp_path / "out-again.png").read_bytes() == out.read_bytes()
    other = changed(out.with_suffix(".json"), method="rm -rf")
    capsys.readouterr()
    assert main(["rerun", str(other), "--quiet"]) == 2
    assert "rm -rf is no method that paints" in capsys.readouterr().err


# What is refused, before TensorFlow is needed


@pytest.fixture
def manifest(inputs, tmp_path) -> Path:
    """As a run would leave it, without the run."""
    told = {
        "nst_tf": "0.2.0",
        "settings": presets.settings("gatys2016", size=32).asdict(),
        "image": {"height": 24, "width": 32},
        "engine": "winograd",
        "dtype": "float32",
        "stopped": "finished",
        "iterations": 3,
        "content": record.identity_of(str(inputs / "photo.png")),
        "styles": [record.identity_of(str(inputs / "painting.png"))],
        "weights": {"source": "mini (built in, distilled from VGG19)", "sha256": "0"},
        "result_sha256": "0",
    }
    path = tmp_path / "out.json"
    path.write_text(json.dumps(told))
    return path


def refused(*arguments, capsys) -> str:
    before = set(Path(arguments[0]).parent.rglob("*"))
    assert main(["rerun", *map(str, arguments), "--quiet"]) == 2
    assert set(Path(arguments[0]).parent.rglob("*")) == before
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_other_pictures_and_other_networks_are_refused(manifest, inputs, tmp_path, capsys):
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(inputs / "photo.png", other / "painting.png")  # by its name alone
    assert "made with another network" in refused(manifest, capsys=capsys)
    os.remove(inputs / "painting.png")
    line = refused(manifest, capsys=capsys)
    assert "style image 1 is not at" in line and "--inputs=DIR" in line
    line = refused(manifest, f"--inputs={other}", capsys=capsys)
    assert f"{other / 'painting.png'} is no longer style image 1" in line
    weights = {"source": str(inputs / "photo.png"), "sha256": "0", "file_sha256": "0"}
    assert "the network" in refused(changed(manifest, weights=weights, styles=[]), capsys=capsys)


@pytest.mark.parametrize("kind", [{}, {"kind": "file"}])
@pytest.mark.parametrize("name", ["mini (1).npz", "imagenet (old).h5", "random (7)", "mini"])
def test_a_file_may_be_called_as_a_network_is(manifest, inputs, monkeypatch, name, kind):
    """A browser calls a second download `mini (1).npz`."""
    shutil.copy(assets.MINI, inputs / name)
    monkeypatch.chdir(inputs)
    own = weights_module.load(assets.MINI)
    weights = {"source": name, "sha256": own.sha256, "file_sha256": own.file_sha256, **kind}
    assert Manifest.read(changed(manifest, weights=weights)).network() == str(inputs / name)
    with pytest.raises(FileError, match="no longer the network"):
        Manifest.read(changed(manifest, weights={**weights, "file_sha256": "0"})).network()


@pytest.mark.parametrize("name", ["mini", "random"])
def test_what_has_a_name_needs_no_file(manifest, name):
    told = weights_module.load(name, seed=3).identity
    assert told["kind"] == name
    older = {key: value for key, value in told.items() if key != "kind"}
    for weights in (told, older, {**told, "source": "of another version"}):
        assert Manifest.read(changed(manifest, weights=weights)).network() == name


QUICKLY = """
import sys
from nst_tf.apps.main import main
code = main(["rerun", *sys.argv[1:]])
assert "tensorflow" not in sys.modules
sys.exit(code)
"""


def test_it_is_refused_before_tensorflow_is_loaded(manifest, inputs):
    os.remove(inputs / "painting.png")
    done = subprocess.run([sys.executable, "-c", QUICKLY, manifest], capture_output=True, text=True)
    assert done.returncode == 2 and "style image 1 is not at" in done.stderr


def test_ctrl_c_leaves_nothing_and_says_so(manifest, monkeypatch, capsys):
    """Half of a run is nothing to compare."""
    told = json.loads(manifest.read_text())
    mini = weights_module.load("mini")
    weights = {**told["weights"], "sha256": mini.sha256}
    settings = {**told["settings"], "evaluations": None, "iterations": 3, "optimizer": "adam"}
    settings |= {"content_layers": {"conv2_1": 1.0}, "style_layers": {"conv1_1": 1.0}}
    path = changed(manifest, weights=weights, settings=settings)
    # It is told to stop after the first step, which is not where it was stopped.
    answers = iter([True, False])
    monkeypatch.setattr(Manifest, "ended", lambda manifest, iteration: next(answers))
    before = set(manifest.parent.rglob("*"))
    assert main(["rerun", str(path), "--quiet"]) == 128 + signal.SIGINT
    assert set(manifest.parent.rglob("*")) == before
    assert "interrupted" in capsys.readouterr().err


def test_what_would_be_written_over_is_refused(manifest, inputs, capsys):
    line = refused(manifest, "-o", manifest.with_suffix(".tif"), capsys=capsys)
    assert "is the result that is to be made again" in line
    line = refused(manifest, "-o", inputs / "photo.png", capsys=capsys)
    assert "is one of the pictures to read" in line
    assert "no directory" in refused(manifest, "-o", "/nowhere/out.png", capsys=capsys)
    assert "unexpected" in refused(manifest, "more.json", capsys=capsys)


def test_too_little_room_is_found_out_before(manifest, monkeypatch, capsys):
    mini = weights_module.load("mini")
    weights = {**json.loads(manifest.read_text())["weights"], "sha256": mini.sha256}
    usage = shutil.disk_usage(manifest.parent)._replace(free=32 * 24 * 3 - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: usage)
    assert "are free there: make room" in refused(changed(manifest, weights=weights), capsys=capsys)


def test_an_object_of_a_program_is_in_no_file(manifest, capsys):
    array = {"shape": [4, 4, 3], "sha256": "0"}
    for told in ({"content": array}, {"styles": [array]}, {"init": [array]}, {"terms": [{}]}):
        assert "run that program again" in refused(changed(manifest, **told), capsys=capsys)
    settings = {**json.loads(manifest.read_text())["settings"], "optimizer": "AdamW(0.1)"}
    line = refused(changed(manifest, settings=settings), capsys=capsys)
    assert "settings that this version cannot take: no optimizer 'AdamW(0.1)'" in line
    settings = {"newer": 1, "evaluations": 1}
    assert "newer" in refused(changed(manifest, settings=settings), capsys=capsys)


def test_no_path_is_followed_out_of_the_folder_that_was_named(manifest, inputs, tmp_path):
    """What stands before a name's last part leads nowhere, whatever it is."""
    (tmp_path / "secret").mkdir()
    secret = shutil.copy(inputs / "photo.png", tmp_path / "secret" / "photo.png")
    told = json.loads(manifest.read_text())["content"]
    os.remove(inputs / "photo.png")
    for path in ("../secret/photo.png", "secret/photo.png", "..", "", "/", "photo.png/.."):
        found = Manifest.read(changed(manifest, content={**told, "path": path}), inputs)
        with pytest.raises(FileError):
            found.files()
    found = Manifest.read(changed(manifest, content={**told, "path": "no/photo.png"}), tmp_path)
    with pytest.raises(FileError):
        found.files()
    found = Manifest.read(found.path, Path(secret).parent)
    assert found.files().content == str(secret)


def test_what_is_no_ordinary_file_is_not_opened(manifest, inputs):
    """A device or a pipe has no end."""
    told = json.loads(manifest.read_text())["content"]
    os.mkfifo(inputs / "pipe")
    (inputs / "link").symlink_to("/dev/zero")
    for path in (
        inputs / "pipe",
        inputs / "link",
        Path("/dev/zero"),
        inputs,
        Path("\0"),
        Path("\ud800"),
    ):
        found = Manifest.read(changed(manifest, content={**told, "path": str(path)}))
        with pytest.raises(FileError, match="the content image is not at"):
            found.files()


def test_what_is_no_manifest_is_refused_by_name(manifest, tmp_path, capsys):
    told = json.loads(manifest.read_text())
    odd = [None, 0, -1, 1e99, True, "\x1b[2J", [], [1], {}, {"path": 1}, {"height": "3"}, 10**320]
    texts = ["", "[]", "null", "{", "[" * 100_000, '{"image": 1}', "\xff", "NaN"]
    texts += [json.dumps({**told, name: value}) for name in told for value in odd]
    texts += [json.dumps({key: told[key] for key in told if key != name}) for name in told]
    settings = told["settings"]
    texts += [
        json.dumps({**told, "settings": {**settings, name: value}})
        for name in settings
        for value in odd
    ]
    refusals = 0
    path = tmp_path / "bad.json"
    for text in texts:
        path.write_bytes(text.encode("latin-1"))
        try:
            read = Manifest.read(path)
            read.settings()
            read.files()
            read.network()
        except NSTError as error:
            refusals += 1
            assert str(error).isprintable()
            assert isinstance(error, (FileError, SettingsError))
    path.write_text(json.dumps({**told, "image": {"height": 10**320, "width": 32}}))
    assert main(["rerun", str(path)]) == 2
    assert f"{path} is not the .json that nst-tf stylize wrote" in capsys.readouterr().err
    assert refusals > len(texts) / 2
    assert len(texts) > 400
