"""Two processes that want one folder, or write to one file, at one moment."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nst_tf import assets, files, locks
from nst_tf.apps.main import main
from nst_tf.errors import FileError, OutputError
from nst_tf.run import output

ROOT = Path(__file__).parent.parent

HOLDING = """
import sys, time
from pathlib import Path
from nst_tf import locks
with locks.alone(Path(sys.argv[1])):
    print("has it", flush=True)
    time.sleep(600)
"""


@contextlib.contextmanager
def another(program: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """A Python of its own, which does not load TensorFlow; ended with the block at the latest."""
    process = subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@contextlib.contextmanager
def held(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A folder that another process has."""
    with another(HOLDING, folder) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "has it\n"
        yield process


def refused(folder: Path) -> None:
    with pytest.raises(OutputError, match=f"^{folder} is in use by another run: wait"):
        locks.alone(folder).__enter__()


def test_it_is_found_out_before_anything_is_begun(tmp_path, capsys):
    pair = [str(assets.SCENE), str(assets.PAINTING)]
    (aside := tmp_path / "aside").mkdir()
    with held(aside):
        lines = [
            ["stylize", *pair, f"--output={tmp_path}/out.png", f"--checkpoint={aside}"],
            ["experiment", "ratio", *pair, f"--out={aside}"],
            ["judge", "--protocol=small", "--methods=reinhard", f"--out={aside}"],
        ]
        for line in lines:
            assert main(line) == 2
            error = capsys.readouterr().err
            assert f"{aside} is in use by another run" in error and error.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["aside"]
    locks.check(tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_the_second_is_refused_for_as_long_as_the_first_one_lives(tmp_path, end):
    with held(tmp_path) as process:
        refused(tmp_path)
        process.send_signal(end)
        process.wait()
        with locks.alone(tmp_path):
            refused(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_file_that_its_owner_does_away_with_is_no_lock(tmp_path, monkeypatch):
    """Opened before, locked after: another file has its name by then, or none."""
    lock, first = locks._lock, locks.alone(tmp_path)
    first.__enter__()

    def late(file: int, folder: Path) -> None:
        monkeypatch.setattr(locks, "_lock", lock)
        first.__exit__(None, None, None)
        lock(file, folder)

    monkeypatch.setattr(locks, "_lock", late)
    with locks.alone(tmp_path):
        assert (tmp_path / ".lock").exists()
        refused(tmp_path)


def test_where_nothing_can_be_locked_it_is_said(tmp_path, monkeypatch):
    def unable(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.flock", unable)
    with (
        pytest.warns(UserWarning, match=f"{tmp_path} cannot be locked .No locks available"),
        locks.alone(tmp_path),
        locks.turn(tmp_path),  # which only ever matters for an instant
    ):
        pass
    with pytest.raises(OutputError, match=r"cannot write .*gone.*No such file"):
        locks.alone(tmp_path / "gone").__enter__()


def test_a_turn_is_waited_for(tmp_path):
    with another(HOLDING.replace("alone", "turn").replace("600", "0.5"), tmp_path) as process:
        assert process.stdout is not None
        process.stdout.readline()
        began = time.monotonic()
        with locks.turn(tmp_path):
            assert time.monotonic() - began > 0.1


# A picture and its manifest.

SAVING = """
import sys
from pathlib import Path
import numpy as np
from nst_tf.run import output
path, level = Path(sys.argv[1]), float(sys.argv[2])
picture = np.full((8, 8, 3), level, np.float32)
for number in range(10_000):
    output.save(picture, {"level": level}, path)
    if number == 0:
        print("begun", flush=True)
assert "tensorflow" not in sys.modules
"""


def level(path: Path) -> float:
    with Image.open(path) as image:
        return round(float(np.asarray(image).max()) / 255, 1)


def test_no_manifest_lies_beside_another_runs_picture(tmp_path):
    """Two processes write to one file as often as they can, until they are killed."""
    path, seen = tmp_path / "out.png", set()
    with another(SAVING, path, 0.2) as one, another(SAVING, path, 0.8) as other:
        for process in (one, other):
            assert process.stdout is not None
            assert process.stdout.readline() == "begun\n"
        until = time.monotonic() + 30
        while time.monotonic() < until and (len(seen) < 2 or time.monotonic() < until - 28):
            # What both files were at one moment: both were the same before and after.
            before = path.with_suffix(".json").exists() and files.stamp(path.with_suffix(".json"))
            with contextlib.suppress(OSError, ValueError):
                told = json.loads(path.with_suffix(".json").read_text())["level"]
                shown = level(path)
                if before and before == files.stamp(path.with_suffix(".json")):
                    assert told == shown
                    seen.add(told)
        one.kill()
        other.kill()
    assert seen == {0.2, 0.8}
    if path.with_suffix(".json").exists():
        assert json.loads(path.with_suffix(".json").read_text())["level"] == level(path)


def state(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_where_one_cannot_be_written_both_stay_what_they_were(tmp_path, monkeypatch, number):
    """The manifest, the picture, the old manifest that goes, the picture's place."""
    path, picture = tmp_path / "out.png", np.zeros((8, 8, 3), np.float32)
    output.save(picture, {"level": 0}, path)
    before, fsync, rename, replace, count = (
        state(tmp_path),
        os.fsync,
        Path.rename,
        Path.replace,
        [0],
    )

    def full(*arguments: object) -> None:
        count[0] += 1
        if count[0] == number:
            raise OSError(28, "No space left on device")
        fsync(*arguments)

    def kept(self: Path, target: Path) -> Path:
        if number == 3 and self.suffix == ".json":
            raise PermissionError(13, "Permission denied")
        return rename(self, target)

    def taken(self: Path, target: Path) -> Path:
        if number == 4 and target == path:
            raise PermissionError(1, "Permission denied")  # as where another's file is, in /tmp
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", full)
    monkeypatch.setattr(Path, "rename", kept)
    monkeypatch.setattr(Path, "replace", taken)
    with pytest.raises(FileError, match=r"cannot write .*(No space left|Permission denied)"):
        output.save(1 + picture, {"level": 1}, path)
    assert state(tmp_path) == before


def test_a_manifest_that_is_a_link_stays_one(tmp_path):
    path, there = tmp_path / "out.png", tmp_path / "there.json"
    path.with_suffix(".json").symlink_to(there)
    for level in (0, 1):
        output.save(np.full((8, 8, 3), level, np.float32), {"level": level}, path)
        assert path.with_suffix(".json").is_symlink()
        assert json.loads(there.read_text()) == {"level": level}
    output.Output(path, (8, 8)).begin()
    assert path.with_suffix(".json").is_symlink() and not there.exists()


@pytest.mark.parametrize("moment", ["before", "between", "after"])
def test_a_process_that_is_killed_leaves_no_manifest_of_another_picture(tmp_path, moment):
    """As the two take their places, one after the other."""
    path, picture = tmp_path / "out.png", np.zeros((8, 8, 3), np.float32)
    output.save(picture, {"level": 0.0}, path)
    program = f"""
import os, signal, sys
from pathlib import Path
import numpy as np
from nst_tf.run import output
replace, moments = Path.replace, iter(["before", "between"])
def killing(self, target):
    if next(moments) == {moment!r}:
        os.kill(os.getpid(), signal.SIGKILL)
    replace(self, target)
Path.replace = killing
output.save(np.ones((8, 8, 3), np.float32), {{"level": 1.0}}, Path(sys.argv[1]))
"""
    with another(program, path) as process:
        process.wait()
    assert level(path) == {"before": 0.0, "between": 1.0, "after": 1.0}[moment]
    beside = path.with_suffix(".json")
    assert beside.exists() == (moment == "after")
    output.save(picture, {"level": 0.0}, path)
    assert json.loads(beside.read_text()) == {"level": 0.0} and level(path) == 0.0
