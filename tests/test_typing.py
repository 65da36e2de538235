"""What type checkers and editors see of the package, installed in either way."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from nst_tf.recipe import overrides
from nst_tf.recipe.settings import Settings

ROOT = Path(__file__).parent.parent

PROGRAM = '''\
"""A user's program, of what the package gives to others."""

from pathlib import Path

import numpy as np
from PIL import Image

import nst_tf
from nst_tf.data import pictures
from nst_tf.keras import ContentLoss, GramMatrix, PerceptualLoss, StyleLoss


class Watch(nst_tf.Callback):
    def on_step(self, run: nst_tf.StyleTransfer, step: nst_tf.Step) -> None:
        print(step.iteration, step.terms["total"], run.share)


def paint(photo: Path, painting: Image.Image, mask: np.ndarray) -> Image.Image:
    film = nst_tf.film.Film("film.webp", curve=True)
    styles = [nst_tf.Masked(painting, mask), "other.jpg"]
    result = nst_tf.stylize(photo, styles, size=64, tv_weight=0.1, callbacks=[film, Watch()])
    return result.image


def step_by_step(settings: nst_tf.Settings) -> nst_tf.Result:
    run = nst_tf.StyleTransfer("photo.jpg", "painting.jpg", settings=settings)
    for step in run:
        if step.evaluations > 10:
            break
    run.result().save("out.png")
    return run.result()


features = nst_tf.FeatureExtractor(["conv1_1", "conv4_2"], "mini", dtype=None, pooling="avg")
losses = [
    ContentLoss(),
    StyleLoss(style="painting.jpg", style_size=256),
    PerceptualLoss(preset="crisp", style=np.zeros((32, 32, 3)), tv_weight=1.0, name="look"),
]
batches = pictures("photos/*.jpg", size=64).batch(4).apply(nst_tf.data.grams(features))
grams = GramMatrix()
try:
    history = step_by_step(nst_tf.PRESETS["gatys2016"].replace(size=64, iterations=3)).history
    print(paint(Path("photo.jpg"), Image.new("RGB", (64, 64)), np.zeros((64, 64))).size)
    nst_tf.export.saved_model.export("saved_models/mini", weights="mini")
except nst_tf.NSTError as error:
    print(error)
'''

#: README's, to which TensorFlow is without types, whatever a checker says of that.
README = "\n".join(
    re.findall(r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(), re.M | re.S)
).replace("tensorflow as tf\n", "tensorflow as tf  # type: ignore[import-untyped,unused-ignore]\n")

#: Each has one mistake: the line that a type checker must complain about.
MISTAKES = [
    'nst_tf.stylize("a.jpg", "b.jpg", sise=3)',
    'nst_tf.StyleTransfer("a.jpg", "b.jpg", size="large")',
    "nst_tf.FeatureExtractor(tv_weight=1.0)",
    "nst_tf.keras.ContentLoss(style_weight=1.0)",
    'nst_tf.PRESETS["crisp"].replace(stile_weight=1.0)',
    'nst_tf.stylise("a.jpg", "b.jpg")',
]


def test_overrides_are_the_fields_of_settings():
    fields = {field.name: str(field.type) for field in dataclasses.fields(Settings)}
    written = {
        name: kind if isinstance(kind, str) else kind.__forward_arg__
        for name, kind in overrides.Changes.__annotations__.items()
    }
    assert written == fields
    assert fields.keys() - overrides.Overrides.__annotations__.keys() == {"preset"}


@pytest.fixture(scope="module", params=["wheel", "editable"])
def installed(request, tmp_path_factory) -> Path:
    """The Python of an environment that the package is installed in, in one of the two ways, beside
    what this environment has."""
    if not all(map(importlib.util.find_spec, ("pip", "setuptools"))):
        pytest.skip("no pip or setuptools to install the package with")
    folder = tmp_path_factory.mktemp(request.param)
    source = folder / "source"
    shutil.copytree(ROOT / "nst_tf", source / "nst_tf", ignore=shutil.ignore_patterns("__pyc*"))
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(ROOT / name, source)
    environment = folder / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    python = environment / "bin" / "python"
    inside = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
    packages = subprocess.run([python, "-c", inside], capture_output=True, text=True, check=True)
    others = Path(packages.stdout.strip()) / "others.pth"
    others.write_text(sysconfig.get_paths()["purelib"])
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-index"]
    how = ["--editable"] if request.param == "editable" else []
    plain = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [*pip, "--no-deps", "--no-build-isolation", "--force-reinstall", *how, source],
        capture_output=True,
        text=True,
        env=plain,
    )
    assert done.returncode == 0, done.stderr
    return python


def checker(name: str, python: Path, folder: Path) -> list[str | Path]:
    """The command of a type checker, less the file to check."""
    if name == "mypy":
        cache = folder / "cache"
        strict = [sys.executable, "-m", "mypy", "--strict"]
        return [*strict, "--python-executable", python, "--cache-dir", cache]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    command = shutil.which("pyright", path=path)
    # Node.js, which it takes, comes with the extra "nodejs"; without, it wants to fetch it.
    if command is None or subprocess.run([command, "--version"], check=False).returncode:
        pytest.skip("no pyright here: pip install pyright")
    return [command, "--pythonpath", python]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mypy", "pyright"])
def test_a_users_program_is_clean_and_mistakes_are_found(name, installed, tmp_path):
    command = checker(name, installed, tmp_path)
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "readme.py").write_text(README)
    (tmp_path / "mistakes.py").write_text("\n".join(["import nst_tf", *MISTAKES]) + "\n")
    plain = {
        key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "MYPYPATH")
    }

    def check(file: str) -> str:
        done = subprocess.run(
            [*command, file], cwd=tmp_path, env=plain, capture_output=True, text=True
        )
        assert done.returncode in (0, 1), done.stderr
        return done.stdout

    for file in ("program.py", "readme.py"):
        clean = check(file)
        assert "Success" in clean if name == "mypy" else "0 errors, 0 warnings" in clean, clean
    wrong = check("mistakes.py")
    for line in range(2, 2 + len(MISTAKES)):
        assert f"mistakes.py:{line}:" in wrong, (MISTAKES[line - 2], wrong)
