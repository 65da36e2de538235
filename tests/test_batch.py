"""Batches: the same pictures as runs alone, each made once, whatever goes wrong with the others."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import quick
import stylizers

import nst_tf
from nst_tf import assets, page
from nst_tf.apps import batch as app
from nst_tf.apps import command
from nst_tf.pictures import images
from nst_tf.run.workshop import Workshop

QUICK = (*quick.FLAGS, "--quiet")
SETTINGS = {"preset": "gatys2016", "weights": "mini", **quick.SETTINGS}


@pytest.fixture
def folder(tmp_path, scene):
    """Two photos, of two shapes, and one that is none."""
    photos = tmp_path / "photos"
    photos.mkdir()
    images.save(scene[:36, :48], photos / "wide.png")
    images.save(scene[:48, :36], photos / "tall.png")
    (photos / "broken.png").write_bytes(b"no picture")
    return tmp_path


def batch(*arguments, code=0):
    assert command.run("batch", app.main, [str(argument) for argument in arguments]) == code


def stamps(folder):
    """When each file of the pictures was written."""
    made = [path for kind in ("*.png", "*.json") for path in folder.rglob(kind)]
    return {
        path: path.stat().st_mtime_ns
        for path in made
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
    }


def test_every_photo_in_every_painting_the_same_as_alone(folder, capsys):
    out, texture = folder / "out", assets.TEXTURES["bricks"]
    styles = f"--styles={assets.PAINTING},{texture}"
    arguments = (folder / "photos", styles, f"--out={out}", *QUICK)
    batch(*arguments, code=1)
    workshop = Workshop()
    for name in ("wide", "tall"):
        for style in (assets.PAINTING, texture):
            alone = nst_tf.stylize(
                folder / "photos" / f"{name}.png", style, workshop=workshop, **SETTINGS
            )
            made = images.load(out / f"{name}--{style.stem}.png")
            np.testing.assert_array_equal(images.to_uint8(made), images.to_uint8(alone.array))
    # What could not be made is told, with the reason, and is no reason to leave the rest.
    with (out / "failures.csv").open(newline="") as file:
        failed = list(csv.DictReader(file))
    assert [line["output"] for line in failed] == [
        f"broken--{style.stem}.png" for style in (assets.PAINTING, texture)
    ]
    assert all("broken.png is not a picture" in line["reason"] for line in failed)
    assert "broken--painting.png could not be made" in capsys.readouterr().err
    with (out / "results.csv").open(newline="") as file:
        table = {line["output"]: line for line in csv.DictReader(file)}
    assert len(table) == 4
    told = json.loads((out / "tall--painting.json").read_text())
    assert float(table["tall--painting.png"]["total"]) == told["total"]
    assert [table["tall--painting.png"][side] for side in ("width", "height")] == ["27", "36"]
    page = (out / "index.html").read_text()
    shown = re.findall(r'<img loading="lazy" src="([^"]+)"', page)
    assert len(shown) == 6 and all((out / path).is_file() for path in shown)

    # Again: nothing is made anew. Mended: what was missing alone.
    before = stamps(out)
    batch(*arguments, code=1)
    assert stamps(out) == before
    images.save(np.full([40, 40, 3], 0.5, np.float32), folder / "photos" / "broken.png")
    batch(*arguments)
    after = stamps(out)
    assert {path: after[path] for path in before} == before and len(after) == len(before) + 4
    assert not (out / "failures.csv").exists()


def test_pictures_are_made_where_no_page_can_be(folder, capsys, monkeypatch):
    monkeypatch.setattr(page, "available", lambda: False)
    out = folder / "out"
    styles = f"--styles={assets.PAINTING}"
    batch(folder / "photos" / "wide.png", styles, f"--out={out}", *QUICK)
    said = capsys.readouterr()
    assert "pip install 'nst_tf[experiments]'" in said.err and "results.csv" in said.out
    assert (out / "wide--painting.png").is_file() and not (out / "index.html").exists()


def test_what_is_done_is_known_by_what_it_was_made_of(folder, monkeypatch):
    """Not by its name, nor by where the photo lies."""
    out = folder / "out"
    common = (f"--styles={assets.PAINTING}", f"--out={out}", "--names={content}", *QUICK)
    batch(folder / "photos" / "wide.png", *common)
    before = stamps(out)
    monkeypatch.chdir(folder / "photos")
    (folder / "photos" / "wide.png").rename(folder / "wide.png")
    batch("../wide.png", *common)
    assert stamps(out) == before
    batch("../wide.png", *common, "--strength=0.7")  # another picture of the same name
    changed = stamps(out)
    assert changed.keys() == before.keys() and not set(changed.items()) & set(before.items())


def test_a_table_says_for_each_picture_how_it_is_made(folder):
    out = folder / "out"
    (folder / "table.csv").write_text(
        "content,style,size,preset,who,seed,init\n"
        f"photos/wide.png,{assets.PAINTING},40,gatys2016,ann,3,noise\n"
        f"photos/tall.png,{assets.PAINTING};{assets.TEXTURES['bricks']},,,bob,,\n"
    )
    batch(folder / "table.csv", f"--out={out}", *QUICK, "--names={who}/{content}.jpg")
    ann = json.loads((out / "ann" / "wide.json").read_text())
    bob = json.loads((out / "bob" / "tall.json").read_text())
    assert [ann["settings"][name] for name in ("size", "seed", "init")] == [40, 3, "noise"]
    assert [bob["settings"][name] for name in ("size", "seed")] == [36, 0]
    assert [len(told["styles"]) for told in (ann, bob)] == [1, 2]
    assert images.load(out / "ann" / "wide.jpg").shape == (30, 40, 3)


def test_a_dry_run_lists_and_writes_nothing(folder, capsys):
    out = folder / "out"
    common = (f"--styles={assets.PAINTING}", f"--out={out}", *QUICK)
    batch(folder / "photos" / "tall.png", *common)
    before, _ = stamps(out), capsys.readouterr()
    batch(folder / "photos", *common, "--dry_run", code=1)
    said = capsys.readouterr().out
    assert "tall--painting.png: 27x36, done" in said
    assert re.search(r"wide--painting.png: 36x27, about \d+ s", said)
    assert re.search(r"broken--painting.png: cannot be made: .*broken.png", said)
    assert "3 pictures: 1 to make, 1 done, 1 that cannot be made" in said
    assert stamps(out) == before
    batch(folder / "photos" / "wide.png", *common, "--dry_run", f"--out={folder}/new")
    assert not (folder / "new").exists()


def test_what_has_not_the_memory_is_a_failure_of_its_own(folder):
    """As is whatever TensorFlow runs out of in the midst of a run."""
    out = folder / "out"
    lines = [f"photos/{name}.png,{assets.PAINTING},{size}" for name, size in SIZES]
    (folder / "table.csv").write_text("\n".join(["content,style,size", *lines]))
    batch(folder / "table.csv", f"--out={out}", *QUICK, "--max_memory=3GiB", code=1)
    assert (out / "tall--painting.png").is_file() and not (out / "wide--painting.png").exists()
    assert "takes about" in (out / "failures.csv").read_text()


SIZES = (("wide", 30_000), ("tall", 36))


def test_in_one_pass_by_a_stylizer(folder, capsys):
    out, network = folder / "out", folder / "s.keras"
    stylizer = stylizers.stirred(["night", "wave"])
    stylizer.save(network)
    common = (folder / "photos", f"--stylizer={network}", f"--out={out}", "--quiet")
    batch(*common, "--size=40", code=1)
    photo = images.load(folder / "photos" / "wide.png", 40)
    for name, shares in (("night", [1.0, 0.0]), ("wave", [0.0, 1.0])):
        made = images.load(out / f"wide--{name}.png")
        wanted = stylizer.paint(photo, styles=shares)
        np.testing.assert_array_equal(images.to_uint8(made), images.to_uint8(wanted))
    before = stamps(out)
    batch(*common, "--size=40", code=1)
    assert stamps(out) == before
    capsys.readouterr()
    batch(*common, "--size=40", "--dry_run", code=1)
    assert "6 pictures: 0 to make, 4 done, 2 that cannot be made" in capsys.readouterr().out
    batch(*common, "--size=40", "--strength=0.5", "--styles=night=1+wave=3", code=1)
    half = stylizer.paint(photo, 0.5, [1.0, 3.0])
    made = images.load(out / "wide--night=1+wave=3.png")
    np.testing.assert_array_equal(images.to_uint8(made), images.to_uint8(half))
    batch(*common, "--styles=moon", code=1)
    assert "no style 'moon'" in (out / "failures.csv").read_text()


def begun(arguments):
    command_line = [sys.executable, "-m", "nst_tf.apps.main", "batch", *map(str, arguments)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(command_line, **quiet, start_new_session=True)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.long)])
def test_killed_at_three_moments_nothing_is_lost_or_done_twice(folder, scene, workers):
    """Before the first picture is there, between two, and in the midst of the last."""
    (folder / "photos" / "broken.png").unlink()
    for number in range(4):
        images.save(np.roll(scene[:36, :48], number, 1), folder / "photos" / f"{number}.png")
    out, wanted = folder / "out", folder / "wanted"
    longer = [*QUICK, "--evaluations=30", "--checkpoint_every=0", f"--styles={assets.PAINTING}"]
    arguments = [folder / "photos", f"--out={out}", f"--workers={workers}", *longer]

    def pictures():
        return {path.name: path.read_bytes() for path in out.glob("*--*.png")}

    kept: dict[object, int] = {}
    for enough in (0, 2, 5):
        process = begun(arguments)
        try:
            while len(list(out.glob("*--*.json"))) < enough or not list(out.glob(".*.aside/*")):
                assert process.poll() is None, "it ended before it was killed"
                time.sleep(0.005)
            os.killpg(process.pid, signal.SIGKILL)
        finally:
            process.kill()
            process.wait()
        now = stamps(out)
        assert now.items() >= kept.items()  # what was done is not done again
        kept = {path: when for path, when in now.items() if path.with_suffix(".json") in now}
        for path in kept:
            assert path.suffix == ".json" or images.load(path).shape == (27, 36, 3)
    batch(*arguments)
    assert stamps(out).items() >= kept.items()
    batch(folder / "photos", f"--out={wanted}", *longer)
    for path in wanted.glob("*--*.png"):
        assert (out / path.name).read_bytes() == path.read_bytes(), path.name
    assert {path.name for path in out.iterdir()} == {path.name for path in wanted.iterdir()}
    assert len(pictures()) == 6
