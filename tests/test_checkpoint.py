"""A run that is put aside and taken up: whatever ended it, the picture that it would have made."""

from __future__ import annotations

import errno
import io
import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import killed_runs
import numpy as np
import pytest
import tensorflow as tf
from test_locks import held

from nst_tf import assets, files
from nst_tf.apps.main import main
from nst_tf.errors import FileError, Interrupted, SettingsError
from nst_tf.network.weights import Weights
from nst_tf.run import checkpoint as checkpoint_module
from nst_tf.run.descent import Limits
from nst_tf.run.schedule import Stage
from nst_tf.run.track import Track
from nst_tf.run.transfer import Callback, StyleTransfer
from nst_tf.run.workshop import Workshop
from nst_tf.watch.progress_bar import ProgressBar

SHALLOW = {"content_layers": {"conv1_2": 1.0}, "style_layers": {"conv1_1": 1.0}}
GATYS = {"preset": "gatys2016", "size": 32, "evaluations": 10, **SHALLOW}
#: Runs of every kind: solvers, scales, averages, targets found anew. Scales of 24 pixels have 21
#: times the evaluations.
RUNS = {
    # The sooner it is compiled, the better: it stands for the others where no time is to be lost.
    "small": {**GATYS, "optimizer": "adam", "average": 0.5, "min_scale": 24, "evaluations": 1},
    "lbfgs": GATYS,
    "adam": {**GATYS, "optimizer": "adam"},
    "gd": {**GATYS, "optimizer": "gd"},
    "crisp": {"preset": "crisp", "size": 48, "min_scale": 24, "evaluations": 1},
    "draft": {"preset": "draft", "size": 48, "min_scale": 24, "max_scale": 34, "evaluations": 1},
    "neighbours": {"preset": "neighbours", "size": 48, "min_scale": 32, "evaluations": 1},
    # What follows cannot be written into a file, or need not be killed as well.
    "keras": {**GATYS, "optimizer": tf.keras.optimizers.Nadam(0.02)},
    "strips": {**GATYS, "size": 48, "min_scale": 34, "evaluations": 1, "tile": 24},
    "protected": {**GATYS, "optimizer": "adam", "protect": np.array([[0, 0.5, 1]])},
}
LONG = [pytest.param(name, marks=pytest.mark.long) for name in RUNS if name != "small"]


class KilledError(Exception):
    """In the place of a SIGKILL."""


@pytest.fixture(scope="module")
def workshops():
    """Compiling is what takes the time."""
    return {}


@pytest.fixture(scope="module")
def stylize(tiny_weights, scene, painting, workshops):
    def run(name="small", content=scene, style=painting, **options):
        workshop = workshops.setdefault("crisp" if name == "draft" else name, Workshop())
        options = {"weights": tiny_weights, "workshop": workshop, **RUNS[name], **options}
        return StyleTransfer(content, style, **options)

    return run


@pytest.fixture(scope="module")
def straight(stylize):
    """What a run comes to that nothing ends; each is made once."""
    made = {}

    def result(name="small"):
        if name not in made:
            made[name] = stylize(name).run()
        return made[name]

    return result


def kill(at):
    """A callback that ends the run at an iteration, before anybody else is told of it."""

    def killing(step):
        if step.iteration == at:
            raise KilledError

    return killing


def killed(run):
    with pytest.raises(KilledError):
        run.run()


@pytest.fixture(scope="module")
def put_aside(stylize, straight, tmp_path_factory):
    folder, last = tmp_path_factory.mktemp("runs") / "aside", len(straight().history) - 4
    for at in (last - 1, last):
        killed(stylize(checkpoint=folder, callbacks=[kill(at)]))
    return folder


@pytest.fixture
def aside(put_aside, tmp_path):
    """The folder of a run that was put aside in the midst, with two iterations in it."""
    return Path(shutil.copytree(put_aside, tmp_path / "aside"))


def places(folder):
    return sorted(path.name for path in folder.iterdir() if path.is_dir())


def without_times(rows):
    return [{**row, "seconds": None} for row in rows]


def assert_same(result, other):
    """The same bytes, and what led to them."""
    assert result.array.tobytes() == other.array.tobytes()
    assert without_times(result.history) == without_times(other.history)
    told = ("stopped", "iterations", "evaluations", "total", "saved_total", "stages")
    assert [result.manifest[name] for name in told] == [other.manifest[name] for name in told]


@pytest.mark.parametrize("name", ["small", *LONG])
def test_it_goes_on_to_the_same_picture(stylize, straight, tmp_path, name):
    """Ended at 20 random moments, each a step or two after the one before."""
    wanted = straight(name)
    moments = random.Random(name).choices(range(len(wanted.history)), k=20)
    for at in sorted(moments):
        killed(stylize(name, checkpoint=tmp_path, callbacks=[kill(at)]))
    assert_same(stylize(name, checkpoint=tmp_path).run(), wanted)


def killed_processes(folder, times, **job):
    """Ends processes so often, and lets the last one come to its end."""
    job |= {"folder": str(folder / "aside"), "times": times}
    (folder / "job.json").write_text(json.dumps(job))
    done = subprocess.run(
        [sys.executable, killed_runs.__file__, folder / "job.json"],
        capture_output=True,
        text=True,
        timeout=300 + 120 * times,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == times


@pytest.mark.parametrize("times", [2, pytest.param(20, marks=pytest.mark.long)])
def test_killed_grids_go_on_to_the_same_pictures(tmp_path, times):
    """Likewise, in any of three pictures; nothing is left over."""
    options = {**GATYS, "optimizer": "adam", "evaluations": max(8, 4 * times), **SHALLOW}
    killed_processes(tmp_path, kind="grid", seed=0, times=times, options=options, most=8)
    killed_runs.grid(options, tmp_path / "wanted", workshop=Workshop())
    names = {path.name for path in (tmp_path / "wanted").iterdir()}
    assert names == {path.name for path in (tmp_path / "aside").iterdir()} and len(names) == 6
    for path in (tmp_path / "wanted").glob("*.png"):
        assert path.read_bytes() == (tmp_path / "aside" / path.name).read_bytes()


@pytest.mark.long
def test_killed_batches_go_on_to_the_same_pictures(tmp_path):
    """Of three photos, by one call."""
    options = {**GATYS, "optimizer": "adam", "evaluations": 80, **SHALLOW}
    killed_processes(tmp_path, kind="batch", seed=0, times=20, options=options, most=8)
    with np.load(tmp_path / "aside.npz") as made:
        for one, name in zip(killed_runs.batch(options, None), made, strict=True):
            assert one.tobytes() == made[name].tobytes()


@pytest.mark.parametrize("name", ["small", *LONG[: list(RUNS).index("neighbours")]])
def test_killed_runs_go_on_to_the_same_picture(tmp_path, name):
    """Processes that SIGKILL ends at random moments, twice; NST_TF_KILLS=20 for 20 times."""
    times = int(os.environ.get("NST_TF_KILLS", "2"))
    # Long enough for all of them. Each compiles anew: of few layers there is little to compile.
    options = {**RUNS[name], "evaluations": RUNS[name]["evaluations"] * max(1, times // 2)}
    few = {"style_layers": {"conv1_1": 1.0}}
    options |= few if name == "neighbours" else SHALLOW
    killed_processes(tmp_path, kind="run", seed=name, times=times, options=options, most=2)
    wanted = StyleTransfer(assets.SCENE, assets.PAINTING, weights="mini", **options).run()
    assert np.load(tmp_path / "aside.npy").tobytes() == wanted.array.tobytes()
    history = json.loads((tmp_path / "aside.json").read_text())
    assert without_times(history) == without_times(wanted.history)


def test_seconds_and_processor_time_add_up(stylize, straight, tmp_path):
    first = stylize(checkpoint=tmp_path, callbacks=[kill(20)])
    killed(first)
    rows = first.history
    again = stylize(checkpoint=tmp_path)
    result = again.run()
    assert result.history[:21] == rows[:21]
    seconds = [row["seconds"] for row in result.history]
    assert seconds == sorted(seconds) and seconds[21] > seconds[20] > 0
    shorter = stylize(checkpoint=tmp_path).run()  # which has nothing left to do
    assert shorter.history == result.history
    assert shorter.manifest["cpu_seconds"] >= result.manifest["cpu_seconds"]


def test_what_is_done_is_there_again_at_once(stylize, straight, tmp_path):
    told = []
    stylize(checkpoint=tmp_path).run()
    result = stylize(checkpoint=tmp_path, callbacks=[told.append]).run()
    assert_same(result, straight())
    assert [step.iteration for step in told] == [len(straight().history) - 1]


def test_no_step_is_told_to_nobody(stylize, tmp_path):
    """Where a run is ended while it tells a step, it tells that one again."""
    told = []
    killed(stylize(checkpoint=tmp_path, callbacks=[lambda step: told.append(step), kill(3)]))
    run = stylize(checkpoint=tmp_path, callbacks=[lambda step: told.append(step), kill(6)])
    killed(run)
    assert [step.iteration for step in told] == [0, 1, 2, 3, 3, 4, 5, 6]
    assert told[3].pixels.numpy().tobytes() == told[4].pixels.numpy().tobytes()


def test_the_bar_begins_where_the_run_goes_on(stylize, aside):
    stream = io.StringIO()
    bar = ProgressBar(stream)
    run = stylize(checkpoint=aside, callbacks=[bar])
    next(steps := iter(run))
    share = run.share
    assert share > 0.5
    assert bar._bar.n == bar._bar.initial == share  # no step at a speed that nothing has
    next(steps)
    assert bar._bar.n > bar._bar.initial == share


def test_snapshots_and_the_share_done_go_on_as_well(stylize, tmp_path):
    wanted = stylize(snapshots=(2, 5, 30)).run().snapshots
    killed(stylize(snapshots=(2, 5, 30), checkpoint=tmp_path, callbacks=[kill(24)]))

    shares = []

    class Share(Callback):
        def on_step(self, run, step):
            shares.append(run.share)

    run = stylize(snapshots=(2, 5, 30), checkpoint=tmp_path, callbacks=[Share()])
    found = run.run().snapshots
    assert list(found) == list(wanted) == [2, 5, 30]
    for iteration, image in wanted.items():
        assert found[iteration].tobytes() == image.tobytes()
        assert found[iteration].info.keys() == image.info.keys()
    assert shares == sorted(shares) and 0.5 < shares[0] < 1 == shares[-1]


@pytest.mark.parametrize("how", ["Ctrl-C", "stop", "break"])
def test_who_ends_a_run_can_go_on(stylize, straight, tmp_path, how):
    def interrupt(step):
        if step.iteration == 4:
            raise KeyboardInterrupt

    run = stylize(checkpoint=tmp_path, callbacks=[interrupt] if how == "Ctrl-C" else [])
    if how == "Ctrl-C":
        with pytest.raises(Interrupted):
            run.run()
    else:
        for step in run:
            if step.iteration == 4:
                if how == "break":
                    break
                run.stop()
    assert places(tmp_path) == ["iteration-00000004"]
    assert_same(stylize(checkpoint=tmp_path).run(), straight())


def test_it_is_kept_as_often_as_was_asked(stylize, tmp_path, monkeypatch):
    """A clock that goes on by a second a step."""
    now, kept = [100.0], []
    monkeypatch.setattr(checkpoint_module.time, "monotonic", lambda: now[0])
    write = checkpoint_module._write
    monkeypatch.setattr(
        checkpoint_module, "_write", lambda place, at: (kept.append(at.iteration), write(place, at))
    )

    def tick(step):
        now[0] += 1

    run = stylize(checkpoint=tmp_path, checkpoint_every=7, callbacks=[tick])
    result = run.run()
    last = result.history[-1]["iteration"]
    assert kept == [*range(7, last, 7), last]
    assert places(tmp_path) == [f"iteration-{iteration:08}" for iteration in kept[-2:]]


CHANGES = {
    "another number": ({"evaluations": 2}, "evaluations was 1, is 2"),
    "a layer's weight": ({"style_layers": {"conv1_1": 0.5}}, "style_layers.conv1_1 was 1.0, is"),
    "another size": ({"size": 33}, "size was 32, is 33"),
    "another photo": ({"content": assets.PAINTING}, "content was with sha256 "),
    "another painting": ({"style": assets.SCENE}, r"styles\[0\] was with sha256 "),
    "one more": ({"style": [assets.PAINTING] * 2}, r"styles\[0\] was .*styles\[1\] was None, is"),
    "another network": ({"weights": "mini"}, r"weights was tiny with sha256 .*, is mini"),
    "a term": ({"terms": [tf.reduce_sum]}, r"terms\[0\].name was None, is"),
    "other stages": ({"stages": [Stage(Limits(3))]}, r"stages\[0\].limits.iterations was None"),
    "another dtype": ({"dtype": "mixed_bfloat16"}, "dtype was float32, is mixed_bfloat16"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_another_run_is_refused_by_name(stylize, aside, what):
    changes, words = CHANGES[what]
    with pytest.raises(SettingsError, match=words):
        stylize(checkpoint=aside, **changes)


def test_another_version_is_refused_by_name(stylize, aside):
    path = aside / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "nst_tf": "0.0.7"}))
    with pytest.raises(SettingsError, match=r"nst_tf was 0\.0\.7, is "):
        stylize(checkpoint=aside)


def test_the_same_pictures_elsewhere_are_the_same_run(stylize, tmp_path):
    killed(stylize(content=assets.SCENE, checkpoint=tmp_path / "aside", callbacks=[kill(2)]))
    moved = shutil.copy(assets.SCENE, tmp_path / "moved.jpg")
    assert stylize(content=moved, checkpoint=tmp_path / "aside").checkpoint.iteration == 2
    data = Path(moved).read_bytes()
    assert stylize(content=data, checkpoint=tmp_path / "aside").checkpoint.iteration == 2


def damage(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("what", ["descent.data-00000-of-00001", "descent.index", "gone", "empty"])
def test_where_the_last_one_is_damaged_it_goes_on_from_the_one_before(
    stylize, straight, aside, what
):
    before, last = (aside / name for name in places(aside))
    if what == "gone":
        shutil.rmtree(last)
        last.mkdir()
    elif what == "empty":
        for path in last.iterdir():
            path.write_bytes(b"")
    else:
        damage(last / what)
    run = stylize(checkpoint=aside, checkpoint_every=0)
    told = []
    with pytest.warns(UserWarning, match=f"{last} is damaged .*: going on from the iteration kept"):
        for step in run:
            told.append(step.iteration)
    assert f"iteration-{told[0]:08}" == before.name
    assert_same(run.result(), straight())
    kept = [f"iteration-{iteration:08}" for iteration in told[-2:]]
    assert places(aside) == kept


def test_where_all_are_damaged_it_says_so(stylize, aside):
    for name in places(aside):
        damage(aside / name / "descent.index")
    with (
        pytest.raises(FileError, match=r"nothing in the checkpoint .*: delete the folder"),
        pytest.warns(UserWarning, match="is damaged"),
    ):
        stylize(checkpoint=aside).run()
    (aside / "run.json").write_text('{"nst_tf"')
    with pytest.raises(FileError, match=r"cannot read .*run\.json.*: delete the folder"):
        stylize(checkpoint=aside)


def test_no_damage_goes_unseen(aside):
    """A bit flipped anywhere, a file cut anywhere: it is said, or nothing of it was anything."""
    place = aside / places(aside)[-1]
    sound = Track()
    checkpoint_module._read(place, sound)
    draw, seen = random.Random(0), 0
    for path in sorted(place.iterdir()):
        data = path.read_bytes()
        flips = [draw.randrange(8 * len(data)) for _ in range(150)]
        cuts = [len(data) * percent // 100 for percent in range(0, 100, 5)]
        spoilt = [data[:cut] for cut in cuts]
        for bit in flips:
            spoilt.append(bytearray(data))
            spoilt[-1][bit // 8] ^= 1 << bit % 8
        for bad in spoilt:
            path.write_bytes(bad)
            track = Track()
            try:
                checkpoint_module._read(place, track)
            except checkpoint_module._IterationError:
                seen += 1
                continue
            assert track.history == sound.history and track.begun == sound.begun
            for leaf, other in zip(track.leaves, sound.leaves, strict=True):
                np.testing.assert_array_equal(leaf, other)
        path.write_bytes(data)
    assert seen > 300  # of 340; what is left was padding


def test_half_a_checkpoint_is_none(stylize, straight, aside):
    """What a process leaves that is killed while it writes: the next one does away with it."""
    last, half = aside / places(aside)[-1], files.part_beside(aside / "iteration-00000099")
    shutil.copytree(last, half)
    (half / "descent.index").unlink()
    files.part_beside(aside / "run.json").write_text('{"nst_tf"')
    assert_same(stylize(checkpoint=aside).run(), straight())
    assert not list(aside.glob(".*"))


@pytest.mark.parametrize("error", ["disk", "TensorFlow"])
def test_where_it_cannot_be_written_the_run_goes_on(stylize, straight, aside, monkeypatch, error):
    before = places(aside)

    def full(*_):
        if error == "disk":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")

    monkeypatch.setattr(tf.train.Checkpoint, "write", full)
    with pytest.warns(UserWarning, match=r"cannot write .*\(No space left on device\): the run go"):
        result = stylize(checkpoint=aside, checkpoint_every=0).run()
    assert_same(result, straight())
    assert places(aside) == before and not list(aside.glob(".*"))


def test_what_is_no_folder_for_it_is_refused(stylize, tmp_path):
    (tmp_path / "photo.jpg").write_bytes(b"")
    with pytest.raises(FileError, match=r"other files than a checkpoint's, such as photo\.jpg"):
        stylize(checkpoint=tmp_path)
    with pytest.raises(FileError, match="is no folder"):
        stylize(checkpoint=tmp_path / "photo.jpg")
    with pytest.raises(SettingsError, match="checkpoint is 3: give the path of a folder"):
        stylize(checkpoint=3)
    for every in (-1, float("nan"), "often"):
        with pytest.raises(SettingsError, match="checkpoint_every is "):
            stylize(checkpoint=tmp_path / "new", checkpoint_every=every)
    assert not (tmp_path / "new").exists()


def test_a_folder_has_one_run_at_a_time(stylize, straight, tmp_path):
    """Of this process or another, for as long as that lives."""
    one, other = (iter(stylize(checkpoint=tmp_path, checkpoint_every=0)) for _ in range(2))
    for _ in range(3):
        next(one)
    with pytest.raises(FileError, match=f"{tmp_path} is in use by another run: wait"):
        next(other)
    one.close()
    with held(tmp_path) as process:
        with pytest.raises(FileError, match="is in use by another run"):
            stylize(checkpoint=tmp_path).run()
        process.kill()
        process.wait()
        told = []
        result = stylize(checkpoint=tmp_path, callbacks=[told.append]).run()
    assert_same(result, straight())
    assert told[0].iteration == 2
    assert not list(tmp_path.glob(".*"))


@pytest.mark.filterwarnings("always:.*is damaged")  # in words that are looked at below
def test_the_command_goes_on(tmp_path, capsys, monkeypatch):
    def line(name, *flags):
        return main(
            [
                "stylize",
                str(assets.SCENE),
                str(assets.PAINTING),
                "-o",
                str(tmp_path / f"{name}.png"),
                *("--preset=gatys2016", "--size=32", "--iterations=6", "--weights=mini"),
                *("--optimizer=adam", "--content_layers=conv1_2", "--style_layers=conv1_1"),
                *("--quiet", *flags),
            ]
        )

    aside = f"--checkpoint={tmp_path / 'aside'}"
    assert line("wanted") == 0
    step, seen = checkpoint_module.Checkpoint.after_step, []

    def after_step(self, track):
        step(self, track)
        seen.append(int(track.progress.iteration))
        if seen == [0, 1, 2, 3]:
            raise KilledError

    monkeypatch.setattr(checkpoint_module.Checkpoint, "after_step", after_step)
    with pytest.raises(KilledError):
        line("made", aside)
    capsys.readouterr()
    assert line("made", aside) == 0
    assert "aside: goes on after iteration 3\n" in capsys.readouterr().out
    assert (tmp_path / "made.png").read_bytes() == (tmp_path / "wanted.png").read_bytes()
    damage(tmp_path / "aside" / "iteration-00000006" / "descent.index")
    assert line("made", aside) == 0
    assert "nst-tf stylize: " in (said := capsys.readouterr().err)
    assert "iteration-00000006 is damaged" in said and "UserWarning" not in said
    assert line("made", aside, "--seed=3") == 2
    assert "of another run: seed was 0, is 3" in capsys.readouterr().err
    assert line("made", "--checkpoint_every=3") == 2
    assert "--checkpoint_every is of a --checkpoint" in capsys.readouterr().err
    assert line("made", aside, "--method=quilting") == 2
    assert "knows no --checkpoint" in capsys.readouterr().err


def test_a_network_is_told_by_its_numbers(stylize, aside, tiny_weights):
    """Wherever it lies."""
    elsewhere = Weights(tiny_weights.kernels, tiny_weights.biases, "/elsewhere/tiny.npz")
    assert stylize(checkpoint=aside, weights=elsewhere).checkpoint.iteration is not None


def test_of_two_runs_that_are_made_for_one_folder_the_second_is_refused(stylize, scene, tmp_path):
    """Also where nothing was there yet as both were made."""
    first = stylize(checkpoint=tmp_path / "one")
    second = stylize(content=scene[::-1], checkpoint=tmp_path / "one")
    first.run()
    with pytest.raises(SettingsError, match="is of another run: content"):
        second.run()
