"""Old paths work for one release, and say so; public ones work for good, without a word."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import nst_tf

FORMER = sorted(path.stem for path in (Path(nst_tf.__file__).parent / "former").glob("[a-z]*.py"))
STAY = ("film", "filters", "tensorboard")
#: What README's examples do.
PUBLIC = [
    f"import nst_tf; nst_tf.{name}"
    for name in ("data.pictures", "keras.PerceptualLoss", "export.saved_model", "film.Film",
                 "tensorboard.TensorBoard", "filters.gaussian_filter2d")
]  # fmt: skip
OLD = {
    name: f"import importlib; module = importlib.import_module('nst_tf.{name}')" for name in FORMER
}
WAYS = [
    "from nst_tf import images; images.load",
    "import nst_tf.images; nst_tf.images.load",
    "from nst_tf.images import load",
    "from nst_tf.transfer import StyleTransfer, stylize",
    "from nst_tf.callbacks import Callback, ProgressBar, Snapshots",
    "from nst_tf.losses import gram_matrix, style_loss, content_loss, total_variation",
]
SAME = (
    "import nst_tf.images, nst_tf.pictures.images; from nst_tf.images import load; "
    "assert nst_tf.images is nst_tf.pictures.images; assert load is nst_tf.pictures.images.load"
)

#: Runs each line as one that imports the package for the first time. All in one process: it is
#: TensorFlow, not the package, whose import takes seconds, and TensorFlow stays.
PROGRAM = """
import json, sys, traceback, warnings

told = {}
for line in json.loads(sys.argv[1]):
    for name in [name for name in sys.modules if name.partition(".")[0] == "nst_tf"]:
        del sys.modules[name]
    error, names = "", {"__name__": "__main__"}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            exec(compile(line, "the user's", "exec"), names)
        except BaseException:
            error = traceback.format_exc()
    ours = [warning for warning in caught if "nst_tf 0.2.0" in str(warning.message)]
    told[line] = {
        "error": error,
        "module": getattr(names.get("module"), "__name__", None),
        "warnings": [[w.category.__name__, str(w.message), w.filename, w.lineno] for w in ours],
    }
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def told():
    """By line: its error, what it warned of, and the name of the `module` that it imported."""
    lines = [*PUBLIC, *OLD.values(), *WAYS, SAME]
    command = [sys.executable, "-c", PROGRAM, json.dumps(lines)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("line", PUBLIC)
def test_what_is_public_is_reached_after_a_plain_import(told, line):
    assert not told[line]["error"] and not told[line]["warnings"]


@pytest.mark.parametrize("name", FORMER)
def test_every_old_path_is_the_new_module_and_says_so_once(told, name):
    said = told[OLD[name]]
    assert not said["error"]
    assert len(said["warnings"]) == (name not in STAY)
    new = said["module"]
    assert new.split(".")[-1] == name and (new.count(".") == 2 or name == "callbacks")


@pytest.mark.parametrize("line", WAYS)
def test_every_way_of_importing_works_and_the_warning_names_the_users_line(told, line):
    said = told[line]
    assert not said["error"]
    if "losses" not in line:
        assert said["warnings"]
        for category, message, *place in said["warnings"]:
            assert category == "DeprecationWarning" and message.startswith("nst_tf.")
            assert place == ["the user's", 1]


def test_the_same_module_whichever_path(told):
    assert not told[SAME]["error"]


def test_what_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'picture'"):
        nst_tf.picture  # noqa: B018
