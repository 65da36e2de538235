"""Old paths work for one release, and say so; public ones work for good, without a word."""

import subprocess
import sys
from pathlib import Path

import pytest

import nst_tf

FORMER = sorted(path.stem for path in (Path(nst_tf.__file__).parent / "former").glob("[a-z]*.py"))
STAY = ("film", "filters", "tensorboard")


def python(*lines: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-W", "always::DeprecationWarning", "-c", "\n".join(lines)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_what_is_public_is_reached_after_a_plain_import():
    """What README's examples do, each in a process that has imported nothing else."""
    for name in ("data.pictures", "keras.PerceptualLoss", "export.saved_model", "film.Film",
                 "tensorboard.TensorBoard", "filters.gaussian_filter2d"):  # fmt: skip
        done = python("import nst_tf", f"nst_tf.{name}")
        assert done.returncode == 0, done.stderr
        assert "nst_tf 0.2.0" not in done.stderr


def test_every_old_path_is_the_new_module_and_says_so_once():
    lines = ["import importlib, sys, warnings"]
    for name in FORMER:
        lines += [
            "with warnings.catch_warnings(record=True) as caught:",
            "    warnings.simplefilter('always')",
            f"    module = importlib.import_module('nst_tf.{name}')",
            "ours = [str(w.message) for w in caught if 'nst_tf 0.2.0' in str(w.message)]",
            f"print('{name}', module.__name__, len(ours), sep=',')",
        ]
    done = python(*lines)
    assert done.returncode == 0, done.stderr
    rows = [line.split(",") for line in done.stdout.splitlines()]
    assert [row[0] for row in rows] == FORMER
    for name, new, warned in rows:
        assert int(warned) == (name not in STAY), name
        assert new.split(".")[-1] == name and (new.count(".") == 2 or name == "callbacks")


@pytest.mark.parametrize(
    "line",
    [
        "from nst_tf import images; images.load",
        "import nst_tf.images; nst_tf.images.load",
        "from nst_tf.images import load",
        "from nst_tf.transfer import StyleTransfer, stylize",
        "from nst_tf.callbacks import Callback, ProgressBar, Snapshots",
        "from nst_tf.losses import gram_matrix, style_loss, content_loss, total_variation",
    ],
)
def test_every_way_of_importing_works_and_the_warning_names_the_users_line(line):
    done = python(line)
    assert done.returncode == 0, done.stderr
    if "losses" not in line:
        assert "<string>:1: DeprecationWarning: nst_tf." in done.stderr


def test_the_same_module_whichever_path():
    done = python(
        "import nst_tf.images, nst_tf.pictures.images",
        "assert nst_tf.images is nst_tf.pictures.images",
        "from nst_tf.images import load",
        "assert load is nst_tf.pictures.images.load",
    )
    assert done.returncode == 0, done.stderr


def test_what_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'picture'"):
        nst_tf.picture  # noqa: B018
