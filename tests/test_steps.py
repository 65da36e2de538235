"""What a run tells while it goes, and leaves when it ends: steps, callbacks, snapshots, results."""

import hashlib
import io
import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import nst_tf
from nst_tf import assets
from nst_tf.pictures import images
from nst_tf.watch.progress_bar import ProgressBar
from nst_tf.watch.snapshots import Snapshots, snapshot_path

#: For runs that compile a step of their own: the less there is of it, the sooner.
SHALLOW = {"content_layers": {"conv1_2": 1.0}, "style_layers": {"conv1_1": 1.0}}


def test_every_iteration_is_recorded_with_every_term(stylize):
    result = stylize(preset="gatys2016").run()
    names = {"iteration", "evaluations", "seconds", "total", "content", "style", "tv"}
    names |= {"content/conv4_2"} | {f"style/conv{b}_1" for b in range(1, 6)}
    names |= {"gradient_norm", "learning_rate", "step_length"}
    assert all(set(row) == names for row in result.history)
    assert [row["iteration"] for row in result.history] == list(range(len(result.history)))
    evaluations = [row["evaluations"] for row in result.history]
    assert evaluations[0] == 1 and evaluations == sorted(set(evaluations))
    settings = result.settings
    for row in result.history:
        style = sum(w * row[f"style/{name}"] for name, w in settings.style_layers.items())
        assert row["style"] == pytest.approx(style, rel=1e-4)
        assert row["total"] == pytest.approx(row["content"] + row["style"], rel=1e-4)


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_every_step_says_how_steep_and_how_long_it_was(stylize, optimizer):
    run = stylize(optimizer=optimizer, evaluations=6)
    before = run.initial_image
    for step in run:
        gradient = np.float64(run.build_objective()(tf.constant(step.array[None])).gradient)
        assert step.gradient_norm == pytest.approx(np.linalg.norm(gradient), rel=1e-3)
        change = np.float64(step.array) - before
        assert step.step_length == pytest.approx(np.sqrt(np.mean(change**2)), rel=1e-4, abs=1e-9)
        assert step.learning_rate == pytest.approx({"lbfgs": 1.0, "adam": 0.02}[optimizer])
        before = step.array
    assert step.step_length > 0


def test_callbacks_see_begin_every_step_and_the_end(stylize):
    seen = []

    class Watcher:
        def on_begin(self, run):
            seen.append("begin")

        def on_step(self, run, step):
            seen.append(step.iteration)
            if step.iteration == 2:
                run.stop()

        def on_end(self, run):
            seen.append("end")

    result = stylize(callbacks=[Watcher()], evaluations=100).run()
    assert seen == ["begin", 0, 1, 2, "end"]
    assert result.stopped == "interrupted"


def test_snapshots(stylize):
    result = stylize(iterations=7, snapshot_every=3, snapshots=(4,)).run()
    assert sorted(result.snapshots) == [3, 4, 6]
    assert all(image.size == (48, 36) for image in result.snapshots.values())


def test_the_manifest_says_how_it_came_about(stylize, tiny_weights, tmp_path):
    run = stylize(str(assets.SCENE), [assets.PAINTING, np.zeros((20, 20, 3), np.uint8)], seed=3)
    result = run.run()
    result.save(tmp_path / "out.png")
    written = json.loads((tmp_path / "out.json").read_text())
    assert written["settings"] == json.loads(json.dumps(result.settings.asdict()))
    assert written["settings"]["preset"] == "gatys2016" and written["settings"]["seed"] == 3
    digest = hashlib.sha256(assets.SCENE.read_bytes()).hexdigest()
    assert written["content"] == {"path": str(assets.SCENE), "sha256": digest}
    assert written["styles"][1]["shape"] == [20, 20, 3]
    assert written["weights"]["sha256"] == tiny_weights.sha256
    assert written["versions"]["tensorflow"] == tf.__version__
    assert written["history"] == result.history and written["stopped"] == "finished"
    with Image.open(tmp_path / "out.png") as image:
        np.testing.assert_array_equal(np.asarray(image), np.asarray(result.image))


class Told(nst_tf.Callback):
    """Writes down what it is told, and fails where it is to."""

    def __init__(self, name, log, fails_at=None):
        self.name, self.log, self.fails_at = name, log, fails_at

    def on_begin(self, run):
        self.note("begin")

    def on_end(self, run):
        self.note("end")

    def note(self, moment):
        self.log.append(f"{moment} {self.name}")
        if moment == self.fails_at:
            raise RuntimeError(f"{self.name} fails at its {moment}")


def test_who_has_begun_is_told_of_the_end_where_another_cannot_begin(stylize):
    log = []
    watchers = [Told("a", log), Told("b", log), Told("c", log, "begin"), Told("d", log)]
    run = stylize(callbacks=watchers)
    with pytest.raises(RuntimeError, match="c fails at its begin"):
        run.run()
    assert log == ["begin a", "begin b", "begin c", "end b", "end a"]
    assert run.history == []


def test_one_that_fails_at_its_end_does_not_keep_the_others_from_theirs(stylize):
    log = []
    watchers = [Told("a", log), Told("b", log, "end"), Told("c", log)]
    run = stylize(callbacks=watchers, iterations=1)
    with pytest.raises(RuntimeError, match="b fails at its end"):
        run.run()
    assert log == ["begin a", "begin b", "begin c", "end c", "end b", "end a"]
    assert run.result().stopped == "finished" and len(run.history) == 2


def test_the_file_that_it_starts_from_is_part_of_its_identity(stylize, scene, tmp_path):
    path, other = tmp_path / "start.png", tmp_path / "other.png"
    images.save(scene, path)
    images.save(scene, other)
    for init in (str(path), f"{path}=0.5,noise=0.5"):
        before = stylize(init=init).identity
        assert stylize(init=init).identity == before
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        assert before["init"] == [{"path": str(path), "sha256": digest}]
        data = path.read_bytes()
        images.save(1 - scene, path)
        assert stylize(init=init).identity != before
        path.write_bytes(data)
        assert stylize(init=init).identity == before
    assert "init" not in stylize(init="content=0.5,noise=0.5").identity


def test_snapshots_need_not_stay_in_memory(stylize, tmp_path):
    options = {"iterations": 4, "snapshots": (1, 3), "optimizer": "adam"}
    kept = stylize(**options).run().snapshots
    out = tmp_path / "out.png"
    result = stylize(**options, callbacks=[Snapshots(out)], keep_snapshots=False).run()
    assert result.snapshots == {} and sorted(kept) == [1, 3]
    assert {path.name for path in tmp_path.iterdir()} == {"out-0001.png", "out-0003.png"}
    for iteration, image in kept.items():
        with Image.open(snapshot_path(out, iteration)) as written:
            np.testing.assert_array_equal(np.asarray(written), np.asarray(image))


@pytest.fixture
def copied(monkeypatch):
    """The shapes of the tensors that are copied to the host from here on."""
    kind, shapes = type(tf.constant(0.0)), []

    def noting(copy):
        def copying(self, *arguments, **options):
            shapes.append(tuple(self.shape))
            return copy(self, *arguments, **options)

        return copying

    for name in ("numpy", "__array__"):
        monkeypatch.setattr(kind, name, noting(getattr(kind, name)))
    return shapes


def test_nothing_is_copied_of_a_step_that_nobody_looks_at(stylize, copied):
    def pictures():
        return sum(shape[-3:] == (36, 48, 3) for shape in copied)

    bar = ProgressBar(io.StringIO())
    for step in stylize(optimizer="adam", iterations=6, callbacks=[bar], snapshots=(5,)):
        assert pictures() == (step.iteration >= 5)  # the snapshot's
    assert step.iteration == 6
    array = step.array
    assert step.array is array  # a second look costs nothing
    assert pictures() == 2


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_a_step_looked_at_late_shows_what_it_showed_then(stylize, optimizer):
    at_once = [step.array.copy() for step in stylize(optimizer=optimizer, iterations=4)]
    steps = list(run := stylize(optimizer=optimizer, iterations=4))
    run.run()
    assert len(steps) == len(at_once) == 5
    for step, array in zip(steps, at_once, strict=True):
        np.testing.assert_array_equal(step.array, array)
    assert np.abs(at_once[4] - at_once[0]).max() > 0.01


def test_the_loss_of_the_saved_picture_is_told_beside_that_of_the_best(stylize, tmp_path):
    run = stylize(optimizer="adam", learning_rate=0.1, iterations=6, style_weight=1e3)
    steps = list(run)
    best = min(steps, key=lambda step: step.terms["total"])
    assert best.array.min() < -0.02 and best.array.max() > 1.02  # which no file holds
    result = run.result()
    result.save(tmp_path / "out.png")
    manifest = json.loads((tmp_path / "out.json").read_text())
    saved = images.load(tmp_path / "out.png")[np.newaxis]
    expected = float(run.build_objective()(tf.constant(saved)).loss)
    assert manifest["total"] == best.terms["total"]
    assert manifest["saved_total"] == pytest.approx(expected, rel=1e-5)
    assert abs(manifest["saved_total"] / manifest["total"] - 1) > 1e-3


@pytest.mark.parametrize(
    ("average", "error"),
    [
        (None, MemoryError()),
        (0.9, tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")),
    ],
)
def test_a_picture_whose_loss_cannot_be_measured_is_there_all_the_same(
    stylize, workshop, monkeypatch, average, error
):
    """What has run out of memory may do so again: it is not tried at every look."""
    run = stylize(iterations=2, **({"average": average} if average else {}))
    rows = [step.row() for step in run]
    best, tries = run.best, []

    def fails(*arguments, **options):
        tries.append(arguments)
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(workshop, "objective", fails)
        with pytest.warns(UserWarning, match="result's loss cannot be measured"):
            result = run.result()
        assert run.result().manifest["saved_total"] is None and len(tries) == 1
    np.testing.assert_array_equal(result.array, best)
    assert result.manifest["total"] == min(row["total"] for row in rows)
    assert result.manifest["saved_total"] is None
