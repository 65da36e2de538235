"""The same seed on the same machine gives the same bytes, and a manifest says by which machine."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import nst_tf
from nst_tf.apps import run_flags, stylize
from nst_tf.pictures import images
from nst_tf.recipe import choices, presets
from nst_tf.run import computer, record
from nst_tf.run.workshop import Workshop

TINY = {"size": 32, "evaluations": 4, "seed": 3}
#: The fewer layers there are, the sooner they are compiled.
SHALLOW = {"content_layers": {"conv2_1": 1.0}, "style_layers": {"conv1_1": 1.0, "conv2_1": 1.0}}

WAYS = {
    **{f"preset {name}": {"preset": name} for name in presets.PRESETS},
    **{
        f"optimizer {name}": {"preset": "gatys2016", "optimizer": name, "init": "noise", **SHALLOW}
        for name in choices.OPTIMIZERS
    },
    **{f"dtype {name}": {"preset": "crisp", "dtype": name} for name in choices.DTYPES[1:]},
    **{
        f"engine {name}": {"preset": "gatys2016", "engine": name, **SHALLOW}
        for name in choices.ENGINES[1:]
    },
    **{
        f"style {name}": {"preset": "gatys2016", "style_loss": name, "init": "noise", **SHALLOW}
        for name in choices.DISTRIBUTIONS
    },
    "strips": {"preset": "gatys2016", "tile": 16, **SHALLOW},
    "average, bounded, palette": {
        "preset": "gatys2016",
        "optimizer": "adam",
        "average": 0.5,
        "bounded": True,
        "colours": "palette",
        "rotations": True,
        "stroke_sizes": (0.75,),
        **SHALLOW,
    },
}


@pytest.fixture
def made(tiny_weights, scene, painting):
    """A function from what a run is told to its result, compiled on its own."""

    def run(way, **more):
        # Several where a preset has such.
        scales = {"min_scale": 16} if presets.PRESETS[way["preset"]].min_scale else {}
        options = {"weights": tiny_weights, "workshop": Workshop(), **TINY, **scales, **way, **more}
        return nst_tf.stylize(scene[:40], painting, **options)

    return run


def same(one, other) -> bool:
    """Whether two runs gave the same bytes and went the same way."""
    without = [
        [
            {name: value for name, value in row.items() if name != "seconds"}
            for row in result.history
        ]
        for result in (one, other)
    ]
    assert (one.array.tobytes() == other.array.tobytes()) == (
        one.manifest["result_sha256"] == other.manifest["result_sha256"]
    )
    return one.array.tobytes() == other.array.tobytes() and without[0] == without[1]


#: Those that the plain suite has: what could draw, sum or meet in another order, each once.
SAMPLE = {
    *(f"optimizer {name}" for name in choices.OPTIMIZERS),
    *("preset crisp", "preset neighbours", "dtype mixed_float16", "style sliced", "strips"),
    "average, bounded, palette",
}


@pytest.mark.parametrize(
    "way", [pytest.param(way, marks=() if way in SAMPLE else pytest.mark.long) for way in WAYS]
)
@pytest.mark.usefixtures("without_graphs")
def test_two_runs_give_the_same_bytes(made, way):
    """Step by step, without a graph and with few layers, which takes a tenth of the time."""
    little = {**SHALLOW, "evaluations": None, "iterations": 1, "size": 24, "min_scale": None}
    first, second = made(WAYS[way], **little), made(WAYS[way], **little)
    assert same(first, second)
    assert first.history[-1]["step_length"] > 0


@pytest.mark.long
@pytest.mark.parametrize("way", WAYS)
def test_and_so_do_two_that_are_compiled_each_on_its_own(made, way):
    assert same(made(WAYS[way]), made(WAYS[way]))


def test_one_that_is_compiled_anew_gives_the_same_bytes_and_another_seed_others(made):
    way = WAYS["optimizer adam"]
    first = made(way)
    assert same(first, made(way)) and not same(first, made(way, seed=4))


PROCESS = """
import json, sys, nst_tf
from nst_tf import assets
result = nst_tf.stylize(
    assets.SCENE, assets.PAINTING, size=64, weights="mini", evaluations=8, seed=3,
    **json.loads(sys.argv[1])
)
print(result.manifest["result_sha256"], result.manifest["machine"]["threads"])
"""


@pytest.mark.long
@pytest.mark.parametrize(
    "way",
    [
        {"preset": "crisp", "min_scale": 32},
        {"preset": "neighbours", "min_scale": 32},
        {"preset": "gatys2015", "optimizer": "lbfgs"},
        {"preset": "gatys2016", "optimizer": "adam", "dtype": "mixed_bfloat16"},
    ],
)
def test_two_processes_of_several_threads_give_the_same_bytes(way):
    """Whose threads meet each time in another order."""
    command = [sys.executable, "-c", PROCESS, json.dumps(way)]
    told = [
        subprocess.run(
            command,
            env={**os.environ, "TF_NUM_INTRAOP_THREADS": "3"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        for _ in range(2)
    ]
    assert told[0] == told[1] and told[0][1] == "3"


def test_the_hash_is_that_of_the_pixels_that_any_program_reads(made, tmp_path):
    result = made(WAYS["optimizer adam"])
    result.save(tmp_path / "out.png")
    with Image.open(tmp_path / "out.png") as image:
        pixels = image.convert("RGB").tobytes()
    written = json.loads((tmp_path / "out.json").read_text())
    assert written["result_sha256"] == hashlib.sha256(pixels).hexdigest()
    beyond = np.linspace(-1, 2, 60, dtype=np.float32).reshape(4, 5, 3)
    assert record.pixels_sha256(beyond) == record.pixels_sha256(np.clip(beyond, 0, 1))
    images.save(beyond, tmp_path / "out.tiff", bits=16)
    assert written["machine"] == computer.machine() and written["versions"] == computer.versions()


def test_what_differs_of_two_machines_is_named():
    before = {
        "nst_tf": "0.2.0",
        "versions": {"tensorflow": "2.20.0", "numpy": "2.0.0", "gone": "1"},
        "machine": {"processor": "one", "threads": 4, "devices": ["CPU"], "onednn": None},
    }
    now = {
        "nst_tf": "0.2.0",
        "versions": {"tensorflow": "2.21.0", "numpy": "2.0.0", "new": "1"},
        "machine": {"processor": "one", "threads": 8, "devices": ["H", "H"], "onednn": None},
    }
    assert computer.differences(before, before) == []
    assert computer.differences(before, now) == [
        "tensorflow 2.20.0, now 2.21.0",
        "threads 4, now 8",
        "devices CPU, now H + H",
    ]
    assert computer.differences({}, now) == ["nst_tf None, now 0.2.0"]


def test_what_the_machine_says(monkeypatch):
    told = computer.machine()
    assert told["devices"] == ["CPU"] or tf.config.list_physical_devices("GPU")
    assert told["processor"] and told["operations"] >= 1
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "5")
    monkeypatch.setenv(computer.DETERMINISTIC, "1")
    monkeypatch.setattr(tf.config.threading, "get_intra_op_parallelism_threads", lambda: 0)
    told = computer.machine()
    assert told["threads"] == 5 and told["deterministic"]
    monkeypatch.setattr(tf.config.threading, "get_intra_op_parallelism_threads", lambda: 7)
    assert computer.machine()["threads"] == 7


def test_the_flag_asks_tensorflow_and_the_processes_that_share_the_work(monkeypatch):
    asked = []
    monkeypatch.setattr(tf.config.experimental, "enable_op_determinism", lambda: asked.append(1))
    monkeypatch.delenv(computer.DETERMINISTIC, raising=False)
    values = stylize.define_flags()
    values(["stylize"])
    run_flags.determine(values)
    assert not asked and computer.DETERMINISTIC not in os.environ
    values(["stylize", "--deterministic"])
    monkeypatch.setenv(computer.DETERMINISTIC, "0")  # so that it is as before, after the test
    run_flags.determine(values)
    assert asked and os.environ[computer.DETERMINISTIC] == "1"
