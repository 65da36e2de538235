"""Pictures through Apache Beam: the same numbers and pictures as without, and what fails told."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator

import numpy as np
import pytest
import quick
import stylizers

import nst_tf
from nst_tf import assets
from nst_tf.apps import beam as app
from nst_tf.apps import command
from nst_tf.data import Corpus
from nst_tf.errors import SettingsError
from nst_tf.export import saved_model
from nst_tf.keras.models import FeatureExtractor
from nst_tf.losses.gram import gram_matrix
from nst_tf.pictures import images
from nst_tf.recipe import presets

beam = pytest.importorskip("apache_beam")
from nst_tf.beam import (  # noqa: E402  where Beam is there
    Failure,
    Features,
    Grams,
    Painting,
    PictureModel,
    ReadPictures,
    Stylize,
    WriteManifest,
    storing,
    stylize,
)

LAYERS = ["conv1_1", "conv2_1"]


@pytest.fixture
def folder(tmp_path, scene):
    """Seven pictures of three shapes, and two that are none."""
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(7):
        height = (24, 32, 40)[number % 3]
        images.save(np.roll(scene, number, 1)[:height], photos / f"{number}.png")
    (photos / "broken.png").write_bytes((photos / "0.png").read_bytes()[:300])
    (photos / "text.jpg").write_text("no picture")
    return photos


@pytest.fixture
def kept() -> Iterator[dict[str, list]]:
    """Elements by name: Beam sends functions through pickle, even to the process itself."""
    FOUND.clear()
    yield FOUND
    FOUND.clear()


FOUND: dict[str, list] = {}


def keep(pcollection, name):
    def add(element):
        import test_beam

        test_beam.FOUND.setdefault(name, []).append(element)

    return pcollection | f"keep {name}" >> beam.Map(add)


def same_features(found, model):
    """What came through Beam is what a model makes of the same files."""
    for name, made in found:
        wanted = model(images.load(name)[np.newaxis])
        for layer in LAYERS:
            np.testing.assert_allclose(made[layer], wanted[layer][0], rtol=1e-5, atol=1e-5)


def test_grams_are_the_extractors_and_what_is_broken_is_told(folder, kept):
    paths = sorted(map(str, folder.iterdir()))
    with beam.Pipeline() as pipeline:
        read = pipeline | beam.Create(paths) | ReadPictures()
        grams = read.good | Grams(LAYERS, "mini", max_batch_size=2)
        features = read.good | Features(LAYERS, "mini")
        keep(grams.good, "grams")
        keep(features.good, "features")
        keep((read.failed, grams.failed) | beam.Flatten(), "failed")
    assert len(kept["grams"]) == len(kept["features"]) == 7
    model = FeatureExtractor(LAYERS, "mini")
    same_features(kept["features"], model)
    for name, made in kept["grams"]:
        maps = model(images.load(name)[np.newaxis])
        for layer in LAYERS:
            flat = np.asarray(maps[layer][0], np.float64).reshape(-1, maps[layer].shape[-1])
            wanted = flat.T @ flat / len(flat)
            np.testing.assert_allclose(made[layer], wanted, rtol=1e-5, atol=1e-5 * wanted.max())
    told = {failure.name: failure.reason for failure in kept["failed"]}
    assert set(told) == {str(folder / "broken.png"), str(folder / "text.jpg")}
    assert all(name in reason for name, reason in told.items())


def test_cropped_to_one_size_and_given_as_bytes(folder, kept):
    given = [(path.name, path.read_bytes()) for path in sorted(folder.iterdir())]
    with beam.Pipeline() as pipeline:
        read = pipeline | beam.Create(given) | ReadPictures(16, crop=True)
        keep(read.good, "good")
        keep(read.failed, "failed")
    assert sorted(name for name, _ in kept["good"]) == [f"{number}.png" for number in range(7)]
    for name, picture in kept["good"]:
        np.testing.assert_array_equal(picture, images.cover(images.load(folder / name), 16, 16))
    assert {failure.name for failure in kept["failed"]} == {"broken.png", "text.jpg"}
    for wrong in ({"size": 0}, {"size": None, "crop": True}, {"size": 10**6}):
        with pytest.raises(SettingsError, match="use a number of pixels"):
            ReadPictures(**wrong)


def test_a_saved_model_of_ours_does_as_well(folder, kept, tmp_path, tiny_weights):
    how = {"size": 32, "layers": LAYERS, "weights": tiny_weights, "preset": "gatys2016"}
    style, features = (
        str(saved_model.export(tmp_path / what, what=what, **how)) for what in ("style", "features")
    )
    paths = sorted(map(str, folder.glob("[0-9].png")))
    with beam.Pipeline() as pipeline:
        read = pipeline | beam.Create(paths) | ReadPictures()
        keep((read.good | "g" >> Grams(saved_model=style)).good, "grams")
        keep((read.good | "f" >> Features(saved_model=features)).good, "features")
    model = FeatureExtractor(LAYERS, tiny_weights)
    assert len(kept["grams"]) == len(kept["features"]) == 7
    same_features(kept["features"], model)
    for name, made in kept["grams"]:
        maps = model(images.load(name)[np.newaxis])
        for layer in LAYERS:
            np.testing.assert_allclose(
                made[layer], gram_matrix(maps[layer])[0], rtol=1e-5, atol=1e-5
            )
    with pytest.raises(SettingsError, match="has its own layers"):
        Grams(LAYERS, saved_model=style)
    for wrong, grams in ((str(tmp_path), True), (style, False), (features, True)):
        with pytest.raises(SettingsError, match="is no SavedModel of nst-tf export"):
            PictureModel(saved_model=wrong, grams=grams).load_model()


def test_what_the_network_cannot_take_is_a_failure_of_its_own(kept):
    good = np.zeros([8, 8, 3], np.float32)
    given = [
        ("good", good),
        ("five", np.zeros([8, 8, 5], np.float32)),
        ("high", good + 9),
        ("flat", good[0, 0]),
    ]
    with beam.Pipeline() as pipeline:
        made = pipeline | beam.Create(given) | Grams(["conv1_1"], "mini")
        keep(made.good, "good")
        keep(made.failed, "failed")
    assert [name for name, _ in kept["good"]] == ["good"]
    assert {failure.name for failure in kept["failed"]} == {"five", "high", "flat"}
    assert all(isinstance(one, Failure) and one.reason for one in kept["failed"])


def test_batches_are_of_one_shape_and_no_longer_than_they_may_be(monkeypatch):
    calls = []

    def model(pictures):
        calls.append(pictures.shape)
        return {"sum": pictures.sum((1, 2, 3))}

    draw = np.random.default_rng(0)
    given = [draw.random([4 + number % 3, 5, 3]).astype(np.float32) for number in range(11)]
    handler = PictureModel(["conv1_1"], "mini", model_copies=2)
    made = list(handler.run_inference(given, model))
    np.testing.assert_allclose(
        [one["sum"] for one in made], [one.sum() for one in given], rtol=1e-5
    )
    assert sorted(shape[1] for shape in calls) == [4, 5, 6]
    # As Beam asks for it: two copies a machine, in processes of their own.
    assert handler.share_model_across_processes() and handler.model_copies() == 2
    assert not PictureModel(["conv1_1"]).share_model_across_processes()


@pytest.fixture
def paintings(folder):
    settings = presets.settings("gatys2016", **quick.SETTINGS)
    style = str(assets.PAINTING)
    return [
        Painting(f"in/{path.stem}.png", str(path), (style,), settings, "mini")
        for path in sorted(folder.iterdir())
    ]


def test_paints_what_a_run_paints_once(folder, kept, tmp_path, paintings):
    out = tmp_path / "out"

    def run():
        kept.clear()
        with beam.Pipeline() as pipeline:
            painted = pipeline | beam.Create(paintings) | Stylize(str(out))
            keep(painted.good, "good")
            keep(painted.failed, "failed")

    run()
    assert {failure.name for failure in kept["failed"]} == {"in/broken.png", "in/text.png"}
    assert len(kept["good"]) == 7
    for name, record in kept["good"]:
        content = record["content"]
        alone = nst_tf.stylize(
            content, assets.PAINTING, preset="gatys2016", weights="mini", **quick.SETTINGS
        )
        made = images.load(out / name)
        np.testing.assert_array_equal(images.to_uint8(made), images.to_uint8(alone.array))
        told = json.loads((out / name).with_suffix(".json").read_text())
        assert told["content"]["path"] == content
        assert told["result_sha256"] == record["result_sha256"] == alone.manifest["result_sha256"]
    stamps = {path: path.stat().st_mtime_ns for path in out.rglob("*.*")}
    assert len(stamps) == 14  # and no half of a file
    (out / "in" / "3.json").unlink()
    run()
    after = {path: path.stat().st_mtime_ns for path in out.rglob("*.*")}
    changed = {path.name for path in after if after[path] != stamps.get(path)}
    assert changed == {"3.png", "3.json"} and after.keys() == stamps.keys()


def test_in_one_pass(folder, kept, tmp_path, paintings):
    stylizer = stylizers.stirred(["night", "wave"])
    stylizer.save(tmp_path / "s.keras")
    one = paintings[0]._replace(styles=("night=1+wave=3",))
    with beam.Pipeline() as pipeline:
        how = {"stylizer": str(tmp_path / "s.keras"), "strength": 0.5}
        keep((pipeline | beam.Create([one]) | Stylize(str(tmp_path), **how)).good, "good")
    made = images.load(tmp_path / one.output)
    wanted = stylizer.paint(images.load(one.content, 36), 0.5, [1.0, 3.0])
    np.testing.assert_array_equal(images.to_uint8(made), images.to_uint8(wanted))
    assert [name for name, _ in kept["good"]] == [one.output]


def test_a_manifest_has_each_name_once_and_failures_apart(tmp_path):
    good = [(f"{number}.png", {"output": f"{number}.png"}) for number in range(50)]
    failed = [(name, Failure(name, "why")) for name in ("a.png", "b.png", "3.png")]
    with beam.Pipeline() as pipeline:
        outcomes = pipeline | beam.Create([*good, *failed, *good[:5]])
        _ = outcomes | WriteManifest(str(tmp_path), 4)

    def lines(kind):
        files = sorted(tmp_path.glob(f"{kind}-*-of-00004.jsonl"))
        return [json.loads(line) for path in files for line in path.read_text().splitlines()]

    assert len(list(tmp_path.glob("manifest-*"))) == 4
    assert sorted(line["output"] for line in lines("manifest")) == sorted(name for name, _ in good)
    # What failed once, and was done when it was done again, is done.
    assert sorted(line["name"] for line in lines("failures")) == ["a.png", "b.png"]
    with pytest.raises(SettingsError, match="use a number of files"):
        WriteManifest(str(tmp_path), 0)


def test_metrics_count_what_was_done(folder, tmp_path, paintings):
    pipeline = beam.Pipeline()
    _ = pipeline | beam.Create(paintings) | Stylize(str(tmp_path / "out"))
    result = pipeline.run()
    result.wait_until_finish()
    query = result.metrics().query(beam.metrics.MetricsFilter().with_namespace("nst_tf"))
    counters = {one.key.metric.name: one.committed for one in query["counters"]}
    assert counters == {"stylize_pictures": 7, "stylize_failures": 2}
    (times,) = query["distributions"]
    assert times.key.metric.name == "stylize_milliseconds" and times.committed.count == 9


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = str(tmp_path / "new" / "a.bin")
    storing.write_file(path, b"one")
    storing.write_file(path, b"two")
    assert storing.read_file(path) == b"two"
    with monkeypatch.context() as patch, pytest.raises(nst_tf.OutputError, match="cannot write"):
        patch.setattr(storing.FileSystems, "rename", lambda *_: 1 / 0)
        storing.write_file(path, b"three")
    assert storing.read_file(path) == b"two" and len(list((tmp_path / "new").iterdir())) == 1
    with pytest.raises(nst_tf.FileError, match="cannot read"):
        storing.read_file(str(tmp_path / "gone"))
    with pytest.raises(nst_tf.FileError, match="too large"):
        storing.read_file(path, most=2)


@pytest.mark.parametrize("broken", [False, True])
def test_a_file_is_kept_where_another_cannot_take_its_name(tmp_path, monkeypatch, broken):
    """As of a file system that renames onto nothing alone, and as of one that is out of order."""
    path = tmp_path / "a.bin"
    storing.write_file(str(path), b"one")
    rename = storing.FileSystems.rename

    def strict(sources, targets):
        new = storing.read_file(sources[0]) == b"two"
        if targets == [str(path)] and (path.exists() or (broken and new)):
            raise storing.BeamIOError("no", {"a": OSError("quota")})
        rename(sources, targets)

    monkeypatch.setattr(storing.FileSystems, "rename", strict)
    if broken:
        with pytest.raises(nst_tf.OutputError, match="quota"):
            storing.write_file(str(path), b"two")
    else:
        storing.write_file(str(path), b"two")
    assert path.read_bytes() == (b"one" if broken else b"two")
    assert list(tmp_path.iterdir()) == [path]


def test_threads_with_other_networks_each_get_their_own(monkeypatch):
    """Between a network's coming and its use, another thread may have put its own there."""
    from nst_tf.network import weights

    studio = stylize._Studio()
    given = {
        seed: Painting("a.png", "c", (), presets.settings("gatys2016", seed=seed), "random")
        for seed in (0, 1)
    }
    others = []

    @contextlib.contextmanager
    def copied(path):
        yield path
        if not others:  # while the copy is deleted
            others.append(None)
            others.append(studio._weights(given[1]))

    monkeypatch.setattr(stylize, "local_copy", copied)
    monkeypatch.setattr(weights, "load", lambda _, seed: f"network {seed}")
    assert studio._weights(given[0]) == "network 0" and others[1] == "network 1"
    monkeypatch.setattr(stylize, "read_file", str.encode)
    for number in [*range(stylize._KEPT + 5), 0]:
        assert studio._file(f"{number}") == f"{number}".encode()
    assert len(studio._files) == stylize._KEPT


def test_the_network_is_timed_and_has_no_other_batching():
    draw = np.random.default_rng(0)
    given = [(f"{number}", draw.random([48, 48, 3]).astype(np.float32)) for number in range(4)]
    pipeline = beam.Pipeline()
    _ = pipeline | beam.Create([*given, ("flat", np.zeros(3))]) | Grams(["conv3_1"], "mini")
    result = pipeline.run()
    result.wait_until_finish()
    query = result.metrics().query(beam.metrics.MetricsFilter().with_namespace("nst_tf"))
    counters = {one.key.metric.name: one.committed for one in query["counters"]}
    assert counters["network_pictures"] == 4 and counters["network_failures"] == 1
    times = {one.key.metric.name: one.committed for one in query["distributions"]}
    whole = times["inference_batch_latency_micro_secs"].sum / 1000  # as Beam has it
    assert times["network_milliseconds"].count == 5
    assert times["network_milliseconds"].sum == pytest.approx(whole, rel=0.2, abs=5)
    for wrong in ("min_batch_size", "batch_bucket_boundaries"):
        with pytest.raises(SettingsError, match=f"{wrong} does nothing"):
            Features(["conv1_1"], "mini", **{wrong: 2})


def run(*arguments, code=0):
    assert command.run("beam", app.main, [str(argument) for argument in arguments]) == code


def test_the_command_paints(folder, tmp_path, capsys):
    out = tmp_path / "out"
    styles = f"--styles={assets.PAINTING}"
    arguments = ("stylize", folder, styles, f"--out={out}", "--shards=2", *quick.FLAGS)
    run(*arguments, "--runner=DirectRunner", code=1)
    assert "could not be made" in capsys.readouterr().err
    assert len(list(out.glob("*--painting.png"))) == 7
    listed = [
        json.loads(line)["output"]
        for path in out.glob("manifest-*-of-00002.jsonl")
        for line in path.read_text().splitlines()
    ]
    assert sorted(listed) == sorted(path.name for path in out.glob("*.png"))
    (folder / "broken.png").unlink()
    (folder / "text.jpg").unlink()
    run(*arguments)
    assert not list(out.glob("failures-*"))


def test_the_command_measures_styles_for_nearest(folder, tmp_path):
    out = tmp_path / "corpus" / "photos"
    layers = ["conv1_1", "conv3_1"]
    how = ("--weights=mini", "--size=32", f"--layers={','.join(layers)}")
    run("grams", folder, f"--out={out}", *how, code=1)
    (path,) = tmp_path.glob("corpus/photos-00000-of-00001.npz")
    made = Corpus.load(path)
    wanted = Corpus.of(str(folder / "[0-9].png"), "mini", size=32, layers=layers)
    assert made.names == wanted.names and made.layers == wanted.layers
    np.testing.assert_allclose(made.styles, wanted.styles, rtol=2e-3, atol=2e-3)
    (near, *_) = made.nearest(folder / "3.png", "mini")
    assert near.name == str(folder / "3.png") and near.distance < 0.01
    # In their own sizes, which are three: batches are of one shape.
    own = tmp_path / "own"
    run("grams", folder, f"--out={own}", how[0], "--size=0", how[2], code=1)
    loaded = Corpus.load(tmp_path / "own-00000-of-00001.npz")
    (near, *_) = loaded.nearest(folder / "4.png", "mini")
    assert near.name == str(folder / "4.png") and near.distance < 0.01
    (failed,) = tmp_path.glob("corpus/photos-failures-*.jsonl")
    assert len(failed.read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["paint", "{folder}", "--out=o"], "no 'paint'"),
        (["stylize", "{folder}", "--styles={style}"], "--out=DIR"),
        (["stylize", "{folder}", "--styles={style}", "--out={out}", "--stlyes=a"], "--stlyes"),
        (["stylize", "{folder}", "--styles={style}", "--out={out}", "--runner=No"], "--runner=No"),
        (["stylize", "{folder}/*.gif", "--styles={style}", "--out={out}"], "no file matches"),
        (["stylize", "{folder}", "--out={out}"], "name the paintings"),
        (
            ["stylize", "{folder}", "--styles={style}", "--out={out}", "--layers=conv1_1"],
            "--layers",
        ),
        (["grams", "{folder}", "--out={out}/x", "--styles=a"], "knows no --styles"),
        (["grams", "{folder}", "--out={out}/x", "--runner=DaskRunner"], "runner for Dask"),
    ],
)
def test_what_cannot_be_is_told_in_a_line(folder, tmp_path, capsys, arguments, words):
    given = {"folder": folder, "style": assets.PAINTING, "out": tmp_path / "out"}
    run(*(argument.format(**given) for argument in arguments), code=command.BAD_INPUT)
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith("nst-tf beam: ") and words in said
