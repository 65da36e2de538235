"""What SECURITY.md promises: nothing is unpickled or executed, no name leads out of a folder."""

from __future__ import annotations

import ast
import html
import json
import os
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
from voting import run

import nst_tf
from nst_tf.errors import ExportError, NSTError, PictureError, SettingsError, WeightsError
from nst_tf.experiments.grid import Folder
from nst_tf.experiments.plan import Inputs
from nst_tf.experiments.sweeps import SWEEPS
from nst_tf.export import serving
from nst_tf.judge import vote
from nst_tf.judge.comparison import Comparison
from nst_tf.judge.methods import Method
from nst_tf.judge.protocol import Protocol
from nst_tf.network import weights as weights_module
from nst_tf.page import Page, Row, plot
from nst_tf.pictures import images
from nst_tf.run import record
from nst_tf.run.again import Manifest

ROOT = Path(nst_tf.__file__).parent

# What the package does nowhere

#: Modules that make objects of a file by running what stands in it.
MODULES = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
MODULES |= {"yaml", "tarfile", "xmlrpc", "code", "codeop", "ctypes"}
#: Builtins that run text.
BUILTINS = {"eval", "exec", "compile", "__import__", "breakpoint", "input"}
#: Methods that unpack where an archive says, or run a shell, of whatever or of a module.
METHODS = {"extractall", "extract", "load_module", "mktemp"}
SHELLS = {"os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"}
#: Functions of NumPy's that unpickle unless they are told not to.
NUMPY = {"load", "read_array"}


def faults(source: str) -> list[str]:
    """What of that a program does."""
    found = []
    for node in ast.walk(ast.parse(source)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        found += [name for name in names if name.partition(".")[0] in MODULES]
        if not isinstance(node, ast.Call):
            continue
        given = {key.arg: getattr(key.value, "value", ...) for key in node.keywords}
        called = node.func
        if isinstance(called, ast.Name) and called.id in BUILTINS:
            found.append(called.id)
        if isinstance(called, ast.Attribute):
            if called.attr in METHODS or ast.unparse(called) in SHELLS:
                found.append(called.attr)
            of_numpy = ast.unparse(called.value) in ("np", "np.lib.format", "np.lib")
            if called.attr in NUMPY and of_numpy and given.get("allow_pickle") is not False:
                found.append(f"{called.attr} without allow_pickle=False")
            if called.attr == "Environment" and given.get("autoescape") is not True:
                found.append("Environment without autoescape=True")
        found += [
            f"{name}={value}"
            for name, value in given.items()
            if (name, value) in {("shell", True), ("allow_pickle", True), ("safe_mode", False)}
        ]
    return found


def test_nothing_is_unpickled_executed_or_unpacked_anywhere():
    files = sorted(ROOT.rglob("*.py"))
    assert len(files) > 100
    wrong = {str(path): found for path in files if (found := faults(path.read_text()))}
    assert not wrong


@pytest.mark.parametrize(
    "program",
    [
        "import pickle",
        "from yaml import load",
        "import os.path, marshal",
        "eval(text)",
        "exec(open(path).read())",
        "__import__(name)",
        "tar.extractall(folder)",
        "os.system('ls')",
        "subprocess.run('ls', shell=True)",
        "np.load(path)",
        "np.load(path, allow_pickle=True)",
        "np.load(path, allow_pickle=unknown)",
        "np.lib.format.read_array(file)",
        "jinja2.Environment()",
        "tf.keras.models.load_model(path, safe_mode=False)",
    ],
)
def test_it_would_be_found(program):
    assert faults(program)


def test_what_is_harmless_is_not_found():
    assert not faults("model.compile('adam'); json.loads(text); np.load(p, allow_pickle=False)")


class Payload:
    """Once unpickled, it has written a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("ending", ["npz", "npy", "h5", "png", "json"])
def test_a_pickle_in_any_file_is_left_where_it_is(tmp_path, ending):
    ran, path = tmp_path / "ran", tmp_path / f"file.{ending}"
    array = np.array([Payload(ran)], dtype=object)
    if ending == "npz":
        np.savez(path, **{"conv1_1/kernel": array, "conv1_1/bias": array})
    else:
        path.write_bytes(pickle.dumps(Payload(ran)))
    with pytest.raises(WeightsError):
        weights_module.load(path)
    with pytest.raises(PictureError):
        images.load(path)
    for read in (vote.read_answers, Manifest.read):
        with pytest.raises(NSTError):
            read(path)
    assert not ran.exists()
    pickle.loads(pickle.dumps(Payload(ran)))
    assert ran.exists()  # it would have been seen


# Names that come out of data

#: What a name may be that is to lead somewhere else.
EVIL = [
    *("..", ".", "../../evil", "/evil", "a/../../../evil", "..\\..\\evil", "~/evil", "a\0b"),
    *(
        "evil\n",
        "-rf",
        "%2e%2e%2fevil",
        "\u2025/evil",
        "C:\\evil",
        "$(evil)",
        "`evil`",
        "file:///e",
    ),
]


def inside(path: Path, folder: Path) -> bool:
    """Whether a path stays in a folder, as the system takes it."""
    within = os.path.normpath(os.path.join(folder, path))
    return within.startswith(f"{os.path.normpath(folder)}{os.sep}")


def test_inside_is_inside():
    assert inside(Path("/a/b/c"), Path("/a/b")) and not inside(Path("/a/b/../c"), Path("/a/b"))


@pytest.mark.parametrize("name", EVIL)
def test_a_row_of_results_writes_in_the_folder_of_the_comparison(name, tmp_path):
    """Whose name a user took from somewhere: NAME=DIR."""
    results = tmp_path / "theirs"
    results.mkdir()
    images.save(np.zeros((32, 32, 3)), results / "c--s.png")
    protocol = Protocol("mine", 32, (Path("c.png"),), (Path("s.png"),))
    comparison = Comparison(protocol, [Method(name, results=results)], tmp_path / "out", {})
    (judging,) = comparison.judgings()
    assert inside(judging.output, tmp_path / "out")


@pytest.mark.parametrize("name", EVIL)
@pytest.mark.parametrize("sweep", SWEEPS)
def test_a_value_of_an_experiment_names_a_file_in_its_folder(sweep, name, tmp_path):
    """Whatever is varied: where a value is taken for a name at all, it is one of a file there."""
    inputs = Inputs("photo.jpg", ("a.jpg", "b.jpg"), "mini", values=(name,))
    try:
        plan = SWEEPS[sweep](inputs)
    except SettingsError:
        return
    for job in Folder(tmp_path, tmp_path / "logs").jobs(plan.cells):
        assert job.output.parent == tmp_path and "\0" not in job.output.name
        for path in job.watchers.outputs(job.settings, 9):
            assert inside(path, tmp_path)


@pytest.mark.parametrize("name", EVIL)
def test_the_name_of_a_served_model_is_plain(name, tmp_path):
    """It goes into a configuration and a compose file."""
    try:
        checked = serving.check_name(tmp_path / name.replace("\0", "_"))
    except ExportError:
        return
    assert checked.replace("-", "").replace("_", "").isalnum()


def test_a_manifest_leads_a_page_to_no_other_file(tmp_path):
    """Neither to one whose hash it does not know, nor to what has no end."""
    secret = tmp_path / "secret.png"
    images.save(np.full((8, 8, 3), 0.5), secret)
    os.mkfifo(tmp_path / "pipe")
    identity = record.identity_of(str(secret))
    for path, sha256, there in (
        (str(secret), identity["sha256"], True),
        (str(secret), "0" * 64, False),
        (str(tmp_path / "pipe"), "0" * 64, False),
        ("/dev/zero", "0" * 64, False),
        ("a\0b", "0" * 64, False),
        (["a"], "0" * 64, False),
        (None, "0" * 64, False),
        (True, "0" * 64, False),
        (0, "0" * 64, False),
        (10**400, "0" * 64, False),
    ):
        assert vote._is_there({"path": path, "sha256": sha256}) is there


def test_a_saved_model_leads_a_loss_to_no_picture(tmp_path):
    images.save(np.full((32, 32, 3), 0.5), tmp_path / "secret.png")
    loss = nst_tf.keras.StyleLoss(
        "mini", style=str(tmp_path / "secret.png"), style_layers={"conv1_1": 1.0}
    )
    config = loss.get_config()
    assert "secret" not in json.dumps(config)
    again = nst_tf.keras.StyleLoss.from_config(config)
    assert again.get_config()["style"] == config["style"]
    for style in (str(tmp_path / "secret.png"), [str(tmp_path / "secret.png")], ["/dev/zero"], 5):
        with pytest.raises(SettingsError, match="does not hold"):
            nst_tf.keras.StyleLoss.from_config({**config, "style": style})


# What is written for a browser

SCRIPT = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"
#: What a browser would fetch.
LOADS = re.compile(r"""(?:src|href|url)\s*[=(]\s*["']?(?:https?:)?//""")


def test_no_name_is_run_by_a_page(tmp_path):
    pytest.importorskip("jinja2")
    pytest.importorskip("matplotlib")
    curve = plot(SCRIPT, SCRIPT, SCRIPT, {SCRIPT: ([1.0, 2.0], [1.0, 2.0])})
    page = Page(
        SCRIPT, [SCRIPT], [Row(SCRIPT, [])], [SCRIPT], [curve], [[SCRIPT], [SCRIPT]], SCRIPT
    )
    page.write(tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    assert html.escape(SCRIPT) in text.replace("&#39;", "&#x27;")
    assert "<script>alert" not in text and "<img src=x" not in text
    assert not LOADS.search(text)

    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        images.save(np.zeros((8, 8, 3)), tmp_path / name / "<script>alert(1)<br>.png")
    pairs = vote.find_pairs(tmp_path / "one", tmp_path / "two").pairs
    vote.write_page(
        tmp_path / "vote.html", vote.draw(pairs, 0, 0), (SCRIPT, "two"), missing=[SCRIPT]
    )
    text = (tmp_path / "vote.html").read_text()
    assert "<script>alert" not in text and "<img src=x" not in text
    assert not LOADS.search(text)


def test_what_answers_say_does_not_reach_the_terminal_raw(tmp_path, capsys):
    answers = {"methods": ["\x1b[2Jone\nsecond line", "two"], "sitting": "a", "answers": []}
    (tmp_path / "a.json").write_text(json.dumps(answers))
    assert run("--count", tmp_path / "a.json") == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out and "\\x1b[2Jone second line" in out


# What the promises say


def test_every_test_that_is_promised_is_there():
    """SECURITY.md names a test for each of its promises."""
    text = (ROOT.parent / "SECURITY.md").read_text()
    named = {part for part in text.split("`") if part.startswith("tests/")}
    assert len(named) >= 5
    assert all((ROOT.parent / name).is_file() for name in named)
