"""The recipes of CONTRIBUTING.md, followed as printed in a copy of the package."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import nst_tf
from nst_tf import assets

TEXT = (Path(__file__).parent.parent / "CONTRIBUTING.md").read_text()
PACKAGE = Path(nst_tf.__file__).parent


def recipe(title: str) -> dict[str, list[str]]:
    """The code blocks of a section by their language."""
    section = TEXT.split(f"## {title}\n")[1].split("\n## ")[0]
    blocks: dict[str, list[str]] = {}
    for language, block in re.findall(r"^```(\w+)\n(.*?)^```$", section, re.M | re.S):
        blocks.setdefault(language, []).append(block)
    return blocks


def change(text: str, hunk: list[str]) -> str:
    """`text` with a hunk's lines changed: they must be there, and only once."""
    lines = text.splitlines()
    old, new = ([line[1:] for line in hunk if line[0] in kept] for kept in (" -", " +"))
    places = [at for at in range(len(lines)) if lines[at : at + len(old)] == old]
    assert len(places) == 1, f"not once in the file: {old}"
    lines[places[0] : places[0] + len(old)] = new
    return "\n".join(lines) + "\n"


def hunks(diff: str) -> list[tuple[str, list[str]]]:
    """The changes of a diff with their files: after what is added, another one begins."""
    found: list[tuple[str, list[str]]] = []
    for line in diff.splitlines():
        if line.startswith("--- "):
            name, before = line[4:], "+"
            continue
        if before == "+" and line[0] != "+":
            found.append((name, []))
        found[-1][1].append(line)
        before = line[0]
    return found


@pytest.fixture
def follow(tmp_path, tiny_weights):
    """A function that follows a recipe; then one that runs Python there."""
    shutil.copytree(PACKAGE, tmp_path / "nst_tf", ignore=shutil.ignore_patterns("__pycache__"))
    tiny_weights.save(tmp_path / "tiny.npz")

    def python(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def made(title: str):
        blocks = recipe(title)
        for block in blocks["python"]:
            path = tmp_path / block.split("\n")[0].removeprefix("# ")
            assert not path.exists()
            path.write_text(block)
        for name, hunk in hunks("".join(blocks["diff"])):
            path = tmp_path / name
            path.write_text(change(path.read_text(), hunk))
        return python

    return made


#: Before a program: two pictures of 32 x 32 pixels, and a run of 3 evaluations.
RUN = """
import json
import numpy as np
import nst_tf
from nst_tf import assets
from nst_tf.network.weights import Weights
from nst_tf.pictures import images
from nst_tf.recipe import layers

arrays = np.load("tiny.npz")
tiny = Weights(
    {name: arrays[f"{name}/kernel"] for name in layers.NAMES},
    {name: arrays[f"{name}/bias"] for name in layers.NAMES},
    "tiny",
)
content, style = (images.load(path, 64)[:32, :32] for path in (assets.SCENE, assets.PAINTING))


def run(**options):
    options = {"size": 32, "style_size": 32, "evaluations": 3, **options}
    return nst_tf.stylize(content, style, preset="gatys2016", weights=tiny, **options)
"""


@pytest.mark.slow
def test_a_style_statistic(follow):
    python = follow("Add a style statistic")
    program = """
whole, strips = (run(style_loss="mean", content_layers={}, tile=tile) for tile in ("off", 16))
from nst_tf.losses import statistics
mean = statistics.named("mean")
maps, zeros = np.random.default_rng(0).random((1, 4, 5, 3)), np.zeros((1, 4, 5, 3))
far = float(mean.distance(*(mean.finish(mean.measure(a)) for a in (maps, zeros)))[0])
print(json.dumps({
    "far": far, "expected": float(np.mean(np.mean(maps, (0, 1, 2)) ** 2)),
    "whole": [row["style"] for row in whole.history],
    "strips": [row["style"] for row in strips.history],
    "apart": float(np.abs(whole.array - strips.array).max()),
}))
"""
    told = json.loads(python("-c", RUN + program))
    assert told["far"] == pytest.approx(told["expected"], rel=1e-5)
    assert told["whole"][-1] < 0.9 * told["whole"][0]
    assert told["strips"] == pytest.approx(told["whole"], rel=1e-3)
    assert told["apart"] < 1e-3


@pytest.mark.slow
def test_an_optimizer(follow):
    python = follow("Add an optimizer")
    program = """
from nst_tf import optimizers
solver, result = optimizers.create("momentum", 0.5), run(optimizer="momentum")
class Bowl:
    # x² / 2 of one number, whose path is known
    def __call__(self, image):
        return 0.5 * image[0, 0, 0, 0] ** 2, image, {}
import tensorflow as tf
state, path = solver.init(Bowl(), tf.ones([1, 1, 1, 1])), []
for _ in range(3):
    state = solver.step(Bowl(), state)
    path.append(float(state.point.image[0, 0, 0, 0]))
print(json.dumps({"path": path, "total": [row["total"] for row in result.history]}))
"""
    told = json.loads(python("-c", RUN + program))
    # V = -0.5; then 0.9 V - 0.5 x
    assert told["path"] == pytest.approx([0.5, -0.2, -0.73], abs=1e-6)
    assert len(told["total"]) == 3 and told["total"] == sorted(told["total"], reverse=True)


@pytest.mark.slow
def test_an_experiment(follow, tmp_path):
    python = follow("Add an experiment")
    command = ["experiment", "pooling", str(assets.SCENE), str(assets.PAINTING), "--out=out"]
    tiny = ["--weights=mini", "--size=32", "--optimizer=adam", "--evaluations=2", "--quiet"]
    lines = json.dumps([["experiment", "--help"], [*command, *tiny]])
    program = "import json, sys; from nst_tf.apps.main import main\n"
    program += "sys.exit(max(map(main, json.loads(sys.argv[1]))))"
    assert "the network's pooling" in python("-c", program, lines)
    manifests = {
        path.stem: json.loads(path.read_text()) for path in tmp_path.glob("out/**/pooling-*.json")
    }
    poolings = {name: made["settings"]["pooling"] for name, made in manifests.items()}
    assert poolings == {f"pooling-{name}": name for name in ("max", "avg", "l2")}
    assert len({made["total"] for made in manifests.values()}) == 3
    assert "How the network pools" in (tmp_path / "out" / "index.html").read_text()


@pytest.mark.parametrize(
    "title", ["Add a style statistic", "Add an optimizer", "Add an experiment"]
)
def test_a_recipe_passes_the_checks(title, tmp_path):
    ruff = shutil.which(
        "ruff", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    )
    if ruff is None:
        pytest.skip("no ruff")
    rules = Path(__file__).parent.parent / "ruff.toml"
    (block,) = recipe(title)["python"]
    (tmp_path / "made.py").write_text(block)
    for command in (["check", "--no-cache"], ["format", "--check", "--no-cache"]):
        done = subprocess.run(
            [ruff, *command, "--config", rules, tmp_path / "made.py"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_change_that_fits_nowhere_or_twice_is_found_out():
    assert change("one\ntwo\n", [" one", "-two", "+three"]) == "one\nthree\n"
    for text in ("one\n", "two\ntwo\n"):
        with pytest.raises(AssertionError, match="not once"):
            change(text, ["-two", "+three"])
