"""What goes wrong from outside while a run goes on: disks, folders, numbers. Nothing is lost."""

from __future__ import annotations

import ast
import errno
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from pictures import black_ink_only
from PIL import Image

import nst_tf
from nst_tf import assets, files
from nst_tf.apps import command, gpus
from nst_tf.apps.main import main
from nst_tf.errors import FileError, OutputError
from nst_tf.recipe import presets
from nst_tf.run.job import Job
from nst_tf.run.jobs import Jobs
from nst_tf.run.transfer import StyleTransfer
from nst_tf.run.workshop import Workshop
from nst_tf.watch.progress_bar import JobsBar

SMALL = ["--size=32", "--iterations=3", "--weights=mini", "--optimizer=adam", "--quiet"]
SMALL += ["--preset=gatys2016", "--content_layers=conv2_1", "--style_layers=conv1_1"]


def stylize(out: Path, *flags: str) -> int:
    return main(
        ["stylize", str(assets.SCENE), str(assets.PAINTING), "-o", str(out), *SMALL, *flags]
    )


@pytest.fixture
def refuge(tmp_path, monkeypatch):
    """Where results go that cannot be where they were wanted."""
    folder = tmp_path / "refuge"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def during(monkeypatch):
    """Lets something happen in the middle of a run."""

    def at_step_two(action):
        steps = StyleTransfer.__iter__

        def watched(run):
            for step in steps(run):
                if step.iteration == 2:
                    action()
                yield step

        monkeypatch.setattr(StyleTransfer, "__iter__", watched)

    return at_step_two


@pytest.fixture
def disk(tmp_path):
    """A disk of 256 KB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("only the superuser can mount one")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill(disk: Path) -> None:
    with (disk / "others").open("wb") as file:
        while True:
            try:
                os.write(file.fileno(), bytes(1024))
            except OSError:
                return


def kept(refuge: Path, error: str, name: str = "out.png") -> Path:
    """The picture in the refuge, which the error names; it and its manifest are whole."""
    (picture,) = refuge.glob(f"nst-tf-*/{name}")
    assert f"the result is kept as {picture}" in error and error.count("\n") == 1
    whole(picture)
    return picture


def whole(picture: Path) -> None:
    with Image.open(picture) as image:
        image.load()
    assert json.loads(picture.with_suffix(".json").read_text())["iterations"] >= 2


# The disk.


class Full:
    """A disk on which the write number `number` fails, and the later ones if it stays so."""

    def __init__(self, folder: Path, number: int, stays: bool) -> None:
        self.folder, self.number, self.stays, self.count, self.fsync = (
            folder,
            number,
            stays,
            0,
            os.fsync,
        )

    def __call__(self, file: int) -> None:
        if Path(os.readlink(f"/proc/self/fd/{file}")).parent == self.folder:
            self.count += 1
            if self.count == self.number or (self.stays and self.count > self.number):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.fsync(file)


#: A snapshot, the picture, its manifest, the proof, the manifest with it, the sheet.
WRITES = 6


@pytest.mark.parametrize("stays", [False, True])
@pytest.mark.parametrize("number", range(1, WRITES + 2))
def test_the_disk_is_full_at_every_write(tmp_path, refuge, monkeypatch, capsys, number, stays):
    folder = tmp_path / "results"
    folder.mkdir()
    out, sheet = folder / "out.png", folder / "sheet.png"
    profile = tmp_path / "printer.icc"
    profile.write_bytes(black_ink_only())
    full = Full(folder, number, stays)
    monkeypatch.setattr(os, "fsync", full)
    code = stylize(out, "--snapshots=2", f"--sheet={sheet}", f"--proof={profile}")
    error = capsys.readouterr().err
    if number > WRITES:  # there are no more
        assert (code, full.count, error) == (0, WRITES, "")
        return
    assert code == 2 and "No space left on device" in error and error.count("\n") == 1
    assert not list(folder.glob(".*")), "half a file is left"
    for path in folder.glob("*.png"):
        with Image.open(path) as image:
            image.load()
    if "the result is kept as" in error:
        kept(refuge, error)
    else:
        whole(out)


def test_a_full_disk(disk, refuge, during, capsys):
    during(lambda: fill(disk))
    assert stylize(disk / "out.png") == 2
    kept(refuge, capsys.readouterr().err)
    assert {path.name for path in disk.iterdir()} == {"others"}
    assert stylize(disk / "out.png") == 2  # and now it is known before
    assert "are free there: make room" in capsys.readouterr().err


def test_a_disk_that_can_only_be_read(disk, refuge, during, capsys):
    remount = ["mount", "-o", "remount,ro", str(disk)]
    during(lambda: subprocess.run(remount, check=True))
    assert stylize(disk / "out.png") == 2
    kept(refuge, capsys.readouterr().err)
    assert stylize(disk / "out.png") == 2
    assert "no permission in" in capsys.readouterr().err


def test_a_folder_that_vanishes(tmp_path, refuge, during, capsys):
    folder = tmp_path / "results"
    folder.mkdir()
    during(lambda: shutil.rmtree(folder))
    assert stylize(folder / "out.png") == 2
    said = capsys.readouterr().err
    kept(refuge, said)
    assert "is older" not in said


def test_an_older_picture_is_not_taken_for_the_result(tmp_path, refuge, during, capsys):
    out = tmp_path / "out.png"
    assert stylize(out) == 0
    before = out.read_bytes()
    during(lambda: (tmp_path / "out.json").unlink() or (tmp_path / "out.json").mkdir())
    assert stylize(out, "--init=noise") == 2  # a picture without its manifest would be half of it
    error = capsys.readouterr().err
    assert kept(refuge, error).read_bytes() != out.read_bytes() == before
    assert f"what is at {out} is older" in error
    (tmp_path / "out.json").rmdir()


def test_what_is_older_is_said(tmp_path, refuge):
    path = tmp_path / "a.txt"
    files.write(path, "old")

    def write(where):
        if where == path:
            raise FileError("the disk is full")
        files.write(where, "new")

    with pytest.raises(FileError, match=f"is kept as .*a.txt; what is at {path} is older"):
        files.or_elsewhere(write, path)
    assert path.read_text() == "old"
    (there,) = refuge.glob("*/a.txt")
    assert there.read_text() == "new"


def test_without_a_temporary_folder_it_is_the_users_own(tmp_path, monkeypatch):
    """As where its disk is full, which is when Python has none either."""

    def none():
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", none)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(FileError, match="is kept as"):
        files.or_elsewhere(lambda where: files.write(where, "new"), tmp_path / "gone" / "a.txt")
    (there,) = tmp_path.glob("nst-tf-*/a.txt")
    assert there.read_text() == "new"


def test_where_nothing_can_be_written_the_error_is_the_first_one(tmp_path, refuge):
    def write(where):
        raise FileError(f"cannot write {where}: full")

    with pytest.raises(FileError, match=f"^cannot write {tmp_path / 'a'}: full$"):
        files.or_elsewhere(write, tmp_path / "a")
    assert not list(refuge.iterdir())


def test_a_classical_picture_is_kept_as_well(tmp_path, refuge, monkeypatch, capsys):
    folder = tmp_path / "results"
    folder.mkdir()
    monkeypatch.setattr(os, "fsync", Full(folder, 1, True))
    line = ["stylize", str(assets.SCENE), str(assets.PAINTING), "-o", str(folder / "out.png")]
    assert main([*line, "--size=32", "--method=reinhard", "--quiet"]) == 2
    (picture,) = refuge.glob("*/out.png")
    assert f"kept as {picture}" in capsys.readouterr().err and not list(folder.iterdir())


def job(out: Path) -> Job:
    settings = presets.settings(
        "gatys2016", size=32, iterations=2, optimizer="adam",
        content_layers={"conv2_1": 1.0}, style_layers={"conv1_1": 1.0},
    )  # fmt: skip
    return Job(out.stem, settings, str(assets.SCENE), (str(assets.PAINTING),), "mini", out)


@pytest.mark.parametrize("keep_going", [False, True])
def test_a_picture_of_a_grid_is_kept_as_well(tmp_path, refuge, monkeypatch, keep_going):
    """And no other is made, for which there would be as little room."""
    out = tmp_path / "grid" / "one.png"
    jobs = [job(out), job(out.with_stem("two"))]
    how: Any = {"keep_going": keep_going, "workshop": Workshop()}
    with monkeypatch.context() as patch, pytest.raises(OutputError) as caught:
        patch.setattr(os, "fsync", Full(out.parent, 1, True))
        Jobs(jobs, **how).run()
    kept(refuge, f"{caught.value}\n", "one.png")
    assert not list(out.parent.glob("*two*"))
    assert list(Jobs(jobs, **how).run()) == ["one", "two"]  # the same command goes on
    assert {path.stem for path in out.parent.iterdir()} == {"one", "two"}
    with monkeypatch.context() as patch, pytest.raises(OutputError, match="free there: make room"):
        patch.setattr(shutil, "disk_usage", lambda _folder: shutil._ntuple_diskusage(1, 1, 1))
        Jobs([replace(jobs[0], output=out.with_stem("three"))], **how).run()


def test_a_picture_in_whose_midst_a_grid_was_stopped_is_kept_as_well(tmp_path, refuge, monkeypatch):
    class Stopping(JobsBar):
        def update(self, name: str, done: int, loss: float | None) -> None:
            if done == 2:
                jobs.stop()

    one = job(tmp_path / "grid" / "one.png")
    one = replace(one, settings=one.settings.replace(iterations=9))
    monkeypatch.setattr(os, "fsync", Full(one.output.parent, 1, True))
    with Stopping([one], shown=False) as bar:
        jobs = Jobs([one], observer=bar)
        with pytest.raises(OutputError) as caught:
            jobs.run()
    kept(refuge, f"{caught.value}\n", "one.png")
    assert list(one.aside.iterdir())


@pytest.mark.filterwarnings("always:.*was written by another")
def test_two_runs_to_one_file(tmp_path, during, capsys):
    """The last one wins, and says so."""
    out = tmp_path / "out.png"
    during(lambda: out.write_bytes(b"another's"))
    assert stylize(out) == 0
    error = capsys.readouterr().err
    assert f"{out} was written by another during this run" in error
    whole(out)


def test_whatever_else_ends_a_run_its_picture_is_saved(tmp_path, during, capsys):
    def out_of_memory():
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")

    during(out_of_memory)
    assert stylize(tmp_path / "out.png") == 2
    assert "out of memory" in capsys.readouterr().err
    whole(tmp_path / "out.png")


# The processor and its clock.


@pytest.mark.parametrize(
    ("visible", "devices", "maker", "words"),
    [
        ("0", [], None, "CUDA_VISIBLE_DEVICES=0 asks for one"),
        ("", ["nvidia0"], None, None),
        ("-1", ["nvidia0"], None, None),
        (None, ["nvidia3", "nvidiactl"], "NVIDIA", "there is one"),
        (None, ["nvidiactl", "kfd"], "AMD", None),
        (None, ["null"], None, None),
    ],
)
def test_a_gpu_that_is_not_there(monkeypatch, tmp_path, visible, devices, maker, words):
    for name in devices:
        (tmp_path / name).touch()
    monkeypatch.setattr(gpus, "_DEVICES", tmp_path)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert gpus.maker() == maker
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda _kind: [])
    line = command.missing_gpu()
    assert line is None if words is None else line is not None and words in line
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda _kind: ["a GPU"])
    assert command.missing_gpu() is None


def test_no_duration_depends_on_the_time_of_day():
    """`time.time` goes back where a clock is set; perf_counter and monotonic never do."""
    asked = set()
    for path in Path(nst_tf.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                asked.add((node.value.id, node.attr))
            if isinstance(node, ast.ImportFrom) and node.module in ("time", "datetime"):
                asked |= {(node.module, name.name) for name in node.names}
    assert ("time", "perf_counter") in asked  # it would be found
    assert not asked & {("time", "time"), ("datetime", "datetime"), ("datetime", "now")}
