"""Training a stylizer: its course, that it learns, that it goes on, and what it refuses."""

import json
import os
import signal
import subprocess
import sys
import time
import types
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import nst_tf
from nst_tf import assets, locks
from nst_tf.apps.main import main
from nst_tf.errors import DivergenceError, FileError, OutputError, PictureError, SettingsError
from nst_tf.pictures import images
from nst_tf.stylizer import apprentice, training
from nst_tf.stylizer.callbacks import Guard, Stop
from nst_tf.stylizer.course import Course, Stage

#: Few layers, near the pixels, and a narrow network.
LOSS = {"content_layers": {"conv2_1": 1.0}, "style_layers": {"conv1_1": 1.0, "conv2_1": 1.0}}
SMALL = Course(overrides=LOSS, width=1 / 16, sizes=(32,), steps=6, batch=2, style_size=48)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Ten photos and two paintings."""
    folder = tmp_path_factory.mktemp("training")
    (folder / "photos").mkdir()
    scene, draw = images.load(assets.SCENE, 128), np.random.default_rng(0)
    for number in range(10):
        top, left = draw.integers(0, 16, 2)
        photo = scene[top : top + 64, left : left + 80] * draw.uniform(0.5, 1)
        images.save(photo, folder / "photos" / f"{number}.png")
    painting = images.load(assets.PAINTING, 64)
    images.save(painting, folder / "one.png")
    images.save(painting[..., ::-1], folder / "two.png")
    return folder


def trained(folder, out, course=SMALL, **options):
    paintings = [folder / "one.png", folder / "two.png"]
    return training.train(paintings, folder / "photos", out, course, **options)


def test_stages_take_about_as_long():
    course = Course(sizes=(128, 256), steps=1000, base="none")
    assert list(course.stages()) == [Stage(128, 0, 800), Stage(256, 800, 1000)]
    assert [course.share(step) for step in (0, 400, 800, 900, 1000)] == [0, 0.25, 0.5, 0.75, 1]
    assert list(Course(steps=1, base="none").stages()) == [Stage(128, 0, 1)]


class Cut(Stop):
    """Ends a training in the midst of a step, before it is put aside, as if it were killed."""

    def on_train_batch_end(self, batch, logs=None):
        if int(self.model.optimizer.iterations) == 4:
            raise KeyboardInterrupt


def test_it_goes_on_to_the_same_weights(folder, tmp_path):
    """Cut in the midst of a step, after that which was put aside."""
    whole = trained(folder, tmp_path / "whole", sheet_every=2)
    with pytest.raises(KeyboardInterrupt):
        trained(folder, tmp_path / "cut", checkpoint_every=0, stop=Cut(), sheet_every=2)
    again = trained(folder, tmp_path / "cut", sheet_every=2)
    for ours, theirs in zip(again.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    records = [
        json.loads((tmp_path / name / "training.json").read_text()) for name in ("whole", "cut")
    ]
    steps, held_out = (
        [[row[key] for row in record["history"]] for record in records]
        for key in ("step", "held_out")
    )
    assert steps == [[2, 4, 6]] * 2
    np.testing.assert_allclose(*held_out, rtol=1e-3)
    assert [row["size"] for row in records[0]["history"]] == [32, 32, 32]
    names = sorted(path.name for path in (tmp_path / "cut" / "sheets").iterdir())
    assert names == [f"step-00000{step}.jpg" for step in (2, 4, 6)]
    # Of one that has come to its end, the same once more, at once.
    stop = Stop()
    stop.ask()
    done = trained(folder, tmp_path / "cut", stop=stop)
    np.testing.assert_array_equal(done.get_weights()[0], again.get_weights()[0])
    # What is saved is the network alone, and the averages of its weights.
    path = tmp_path / "whole" / "stylizer.keras"
    assert path.stat().st_size < 4 * whole.count_params() + 300_000
    loaded = nst_tf.Stylizer.load(path)
    photo = images.load(assets.SCENE, 40)[np.newaxis]
    np.testing.assert_array_equal(loaded(photo), whole(photo))
    assert loaded.paintings == ["one", "two"]
    # Other words, another training.
    for course, name in ((Course(steps=7), "overrides"), (SMALL, "paintings")):
        with pytest.raises(
            FileError, match=f"holds another training: {name} was .*; name another fol"
        ):
            training.train([folder / "one.png"], folder / "photos", tmp_path / "cut", course)


@pytest.mark.slow
def test_it_learns_each_painting(folder, tmp_path):
    """Twenty steps, by the loss of photos that it never saw; and each style is its own."""
    course = Course(
        overrides=LOSS,
        width=1 / 16,
        sizes=(32,),
        steps=24,
        batch=2,
        style_size=48,
        learning_rate=0.01,
    )
    stylizer = trained(folder, tmp_path, course, sheet_every=4)
    history = json.loads((tmp_path / "training.json").read_text())["history"]
    assert history[-1]["held_out"] < 0.9 * history[0]["held_out"]
    photo = images.load(folder / "photos" / "0.png")
    one, two = (stylizer.paint(photo, styles=style) for style in np.eye(2))
    assert np.abs(one - two).mean() > 0.002
    mean = [images.load(folder / f"{name}.png").mean((0, 1)) for name in ("one", "two")]
    ours = (one - two).mean((0, 1))
    assert ours @ (mean[0] - mean[1]) > 0  # towards their colours


def test_averages_are_there_for_a_while():
    """Those that Keras itself puts in at the end."""
    model = tf.keras.Sequential([tf.keras.Input((2,)), tf.keras.layers.Dense(3)])
    optimizer = apprentice.optimizer(20, 0.1)
    model.compile(optimizer, "mse")
    for goal in (1, 5, -2):
        model.train_on_batch(np.ones((1, 2)), np.full((1, 3), goal))
    then = model.get_weights()
    with apprentice.averaged(model):
        averages = model.get_weights()
    np.testing.assert_array_equal(model.get_weights()[0], then[0])
    optimizer.finalize_variable_values(model.trainable_variables)
    for ours, theirs, raw in zip(averages, model.get_weights(), then, strict=True):
        np.testing.assert_array_equal(ours, theirs)
        assert not np.array_equal(ours, raw)


def test_a_loss_that_is_no_number_ends_it():
    guard = Guard()
    guard.set_model(types.SimpleNamespace(optimizer=types.SimpleNamespace(iterations=7)))
    guard.on_train_batch_end(0, {"loss": 1.0})
    with pytest.raises(DivergenceError, match="not finite after 7 steps"):
        guard.on_train_batch_end(1, {"loss": float("nan")})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps is 0: use a whole number from 1"),
        ({"batch": 2.5}, "batch is 2.5"),
        ({"sizes": ()}, r"sizes are \[\]: use some from 32"),
        ({"sizes": (16,)}, "use some from 32"),
        ({"learning_rate": 0}, "learning_rate is 0: use one such as 0.002"),
    ],
)
def test_a_course_that_cannot_be(options, message):
    with pytest.raises(SettingsError, match=message):
        Course(**options)


def test_what_cannot_be_trained_on_is_said_before(folder, tmp_path):
    with pytest.raises(PictureError, match="too few photos to learn from, 2: give 8 at least"):
        training.train([folder / "one.png"], folder / "*.png", tmp_path, SMALL)
    with pytest.raises(SettingsError, match="two paintings are called one"):
        training.train([folder / "one.png"] * 2, folder / "photos", tmp_path, SMALL)
    with locks.alone(tmp_path), pytest.raises(OutputError, match="is in use by another run"):
        trained(folder, tmp_path)
    (tmp_path / "training.json").write_text("[1]")
    with pytest.raises(FileError, match="is not the record of a training"):
        training.train([folder / "one.png"], folder / "photos", tmp_path, SMALL)


def test_the_commands(folder, tmp_path, capfd):
    photos = f"--photos={folder / 'photos'}"
    layers = "--content_layers=conv2_1", "--style_layers=conv1_1,conv2_1"
    flags = ("--sizes=32", "--batch=2", "--width=0.0625", "--style_size=48", "--steps=2", *layers)
    paintings = [str(folder / "one.png"), str(folder / "two.png")]
    command = ["train", *paintings, photos, f"--out={tmp_path}", *flags, "--quiet"]
    pytest.importorskip("tensorboard")
    assert main([*command, "--sheet_every=1", f"--logdir={tmp_path / 'logs'}"]) == 0
    (events,) = (tmp_path / "logs").iterdir()
    points = [
        (event.step, value.tag)
        for event in tf.compat.v1.train.summary_iterator(str(events))
        for value in event.summary.value
    ]
    assert points == [(1, "held_out"), (2, "held_out")]
    file = tmp_path / "stylizer.keras"
    assert capfd.readouterr().out == f"{file}\n"
    stylizer, photo = nst_tf.Stylizer.load(file), folder / "photos" / "1.png"
    bad = tmp_path / "bad.png"
    bad.write_text("no")
    paint = ["paint", f"--stylizer={file}", "--strength=0.5", "--styles=two=3,one"]
    out = tmp_path / "painted"
    assert main([*paint, str(photo), str(bad), "-o", str(out)]) == 2
    said = capfd.readouterr()
    assert said.out == f"{out / '1.png'}\n" and "bad.png is not a picture" in said.err
    expected = stylizer.paint(photo, 0.5, [0.25, 0.75])
    np.testing.assert_array_equal(
        images.to_uint8(images.load(out / "1.png")), images.to_uint8(expected)
    )
    for wrong, message in (
        (["--styles=three"], "no style 'three': use one of one, two"),
        (["--strength=2"], "--strength=2: use a number from 0 to 1"),
        ([f"-o={folder / 'photos'}"], "would be painted over: name another folder"),
        ([f"--stylizer={bad}"], "bad.png is no stylizer that can be read"),
        ([f"--stylizer={tmp_path / 'nowhere'}"], "nowhere"),
    ):
        assert main([*paint, str(photo), *wrong]) == 2
        assert message in capfd.readouterr().err


@pytest.mark.slow
def test_a_photo_that_breaks_off_is_named(folder, tmp_path, capfd):
    """Whose head can be read, when its turn has come."""
    photos = tmp_path / "photos"
    photos.mkdir()
    scene = images.load(assets.SCENE, 64)
    for number in range(9):
        images.save(scene, photos / f"{number}.jpg")
    whole = (photos / "0.jpg").read_bytes()
    learnt, _ = training.split(nst_tf.data.files(photos), 0)
    for path in learnt:
        Path(path).write_bytes(whole[:-900])
    command = ["train", str(folder / "one.png"), f"--photos={photos}", f"--out={tmp_path / 'out'}"]
    layers = ["--content_layers=conv1_1", "--style_layers=conv1_1", "--width=0.0625"]
    assert main([*command, *layers, "--sizes=32", "--style_size=48"]) == 2
    said = capfd.readouterr().err
    assert "cut short" in said or "truncated" in said or "broken" in said, said
    assert "photos/" in said and "Traceback" not in said


@pytest.mark.long
def test_killed_it_goes_on(folder, tmp_path):
    """By SIGKILL and by SIGTERM, wherever it is, to the loss of the one that was left alone."""
    flags = ["--sizes=32,48", "--batch=2", "--width=0.125", "--style_size=48", "--steps=30"]
    flags += ["--content_layers=conv2_1", "--style_layers=conv1_1,conv2_1", "--sheet_every=10"]
    held_out = []
    for name, kills in (("whole", 0), ("killed", 2)):
        out = tmp_path / name
        command = [sys.executable, "-m", "nst_tf.apps.main", "train", str(folder / "one.png")]
        command += [f"--photos={folder / 'photos'}", f"--out={out}", "--checkpoint_every=0", *flags]
        for kill in range(kills + 1):
            seen = set(out.glob("checkpoints/ckpt-*.index"))
            process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
            while kill < kills and process.poll() is None:
                if len(set(out.glob("checkpoints/ckpt-*.index")) - seen) > 1:
                    os.kill(process.pid, signal.SIGTERM if kill else signal.SIGKILL)
                    break
                time.sleep(0.05)
            code = process.wait()
            assert code == ((143 if kill else -signal.SIGKILL) if kill < kills else 0)
        held_out.append(json.loads((out / "training.json").read_text())["history"][-1]["held_out"])
    assert held_out[1] == pytest.approx(held_out[0], rel=1e-3)


def test_in_half_precision(folder, tmp_path):
    """As in float32 but for rounding; what is loaded computes in float32."""
    histories = []
    for precision in ("float32", "mixed_bfloat16"):
        out = tmp_path / precision
        made = trained(folder, out, precision=precision, sheet_every=2, dtype="float32")
        histories.append(json.loads((out / "training.json").read_text())["history"])
    ours, theirs = ([row["held_out"] for row in history] for history in histories)
    np.testing.assert_allclose(ours, theirs, rtol=0.05)
    assert ours != theirs
    loaded = nst_tf.Stylizer.load(tmp_path / "mixed_bfloat16" / "stylizer.keras")
    assert (made.compute_dtype, loaded.compute_dtype) == ("bfloat16", "float32")
    for here, there in zip(loaded.get_weights(), made.get_weights(), strict=True):
        np.testing.assert_array_equal(here, there)
    with pytest.raises(SettingsError, match="precision"):
        trained(folder, tmp_path / "other", precision="mixed_float16")
