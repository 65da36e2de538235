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
from nst_tf.pictures import images, initial
from nst_tf.run import record
from nst_tf.run.again import Manifest

ROOT = Path(nst_tf.__file__).parent

# What the package does nowhere

#: Modules that make objects of a file by running what stands in it.
MODULES = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
MODULES |= {"yaml", "tarfile", "xmlrpc", "code", "codeop", "ctypes"}
#: Functions that run text, or a shell.
RUNNERS = {"eval", "exec", "compile", "__import__", "breakpoint", "input"}
RUNNERS |= {f"builtins.{name}" for name in RUNNERS}
RUNNERS |= {"os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"}
#: Methods, of whatever, that unpack where an archive says or load what they find.
METHODS = {"extractall", "extract", "load_module", "mktemp"}
#: What may be called with a certain argument alone: NumPy's readers unpickle unless they are told
#: not to, and a template writes what it is given.
TOLD = {
    "numpy.load": ("allow_pickle", False),
    "numpy.lib.format.read_array": ("allow_pickle", False),
    "jinja2.Environment": ("autoescape", True),
}
#: Arguments of whatever function.
GIVEN = {("shell", True), ("allow_pickle", True), ("safe_mode", False)}


def faults(source: str) -> list[str]:
    """What of that a program does, by whichever name it calls it."""
    nodes = [*ast.walk(ast.parse(source))]
    imported, known = [], {"np": "numpy", "jinja2": "jinja2"}
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                root = alias.name.partition(".")[0]
                known[alias.asname or root] = alias.name if alias.asname else root
                imported.append(alias.name)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                known[alias.asname or alias.name] = f"{node.module}.{alias.name}"
                imported.append(f"{node.module}.{alias.name}")
    found = [name for name in imported if name.partition(".")[0] in MODULES or name in RUNNERS]
    calls = {id(node.func): node for node in nodes if isinstance(node, ast.Call)}
    for node in nodes:
        name = full_name(node, known)
        call = calls.get(id(node))
        given = {key.arg: getattr(key.value, "value", ...) for key in call.keywords} if call else {}
        if name in RUNNERS:
            found.append(name)
        if name in TOLD and given.get(TOLD[name][0]) is not TOLD[name][1]:
            found.append(f"{name} without {TOLD[name]}")
        if call and isinstance(node, ast.Attribute) and node.attr in METHODS:
            found.append(node.attr)
        found += [f"{key}={value}" for key, value in given.items() if (key, value) in GIVEN]
    return found


def full_name(node: ast.AST, known: dict[str, str]) -> str:
    """What a name, or an attribute of one, was imported as; of everything else nothing."""
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        return known.get(node.id, node.id)
    if isinstance(node, ast.Attribute) and (before := full_name(node.value, known)):
        return f"{before}.{node.attr}"
    return ""


def test_nothing_is_unpickled_executed_or_unpacked_anywhere():
    files = sorted(ROOT.rglob("*.py"))
    assert len(files) > 100
    wrong = {str(path): found for path in files if (found := faults(path.read_text()))}
    assert not wrong


@pytest.mark.parametrize(
    "program",
    [
        "import pickle",
        "from pickle import loads",
        "import pickle as p",
        "from yaml import load",
        "import os.path, marshal",
        "eval(text)",
        "exec(open(path).read())",
        "__import__(name)",
        "tar.extractall(folder)",
        "os.system('ls')",
        "from os import system",
        "import os as o; o.system('ls')",
        "from os import popen as p; p('ls')",
        "from subprocess import getoutput; getoutput('ls')",
        "run = eval; run(text)",
        "import builtins; builtins.exec(text)",
        "from builtins import eval as e; e(text)",
        "subprocess.run('ls', shell=True)",
        "np.load(path)",
        "np.load(path, allow_pickle=True)",
        "np.load(path, allow_pickle=unknown)",
        "np.lib.format.read_array(file)",
        "import numpy; numpy.load(path)",
        "from numpy import load; load(path)",
        "from numpy.lib import format as f; f.read_array(file)",
        "map(np.load, paths)",
        "jinja2.Environment()",
        "from jinja2 import Environment as E; E()",
        "tf.keras.models.load_model(path, safe_mode=False)",
    ],
)
def test_it_would_be_found(program):
    assert faults(program)


def test_what_is_harmless_is_not_found():
    assert not faults("model.compile('adam'); json.loads(text); np.load(p, allow_pickle=False)")
    assert not faults("import re, os.path; re.compile('a'); os.path.join('a', 'b'); input = 3")


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
def test_no_value_of_an_experiment_leads_out_of_its_folder(name, tmp_path, monkeypatch):
    """Names are taken of initial images that are there, and of weights; else they are refused."""
    monkeypatch.setattr(initial, "_is_file", lambda path: True)
    plans: dict[str, list[str]] = {"values": [], "weights": []}
    for sweep in SWEEPS:
        for kind, given in (("values", {"values": (name,)}), ("weights", {"weights": name})):
            try:
                plan = SWEEPS[sweep](
                    Inputs("photo.jpg", ("a.jpg", "b.jpg"), **{"weights": "mini", **given})
                )
            except SettingsError:
                continue
            plans[kind].append(sweep)
            for job in Folder(tmp_path, tmp_path / "logs").jobs(plan.cells):
                assert job.output.parent == tmp_path and "\0" not in job.output.name
                for path in job.watchers.outputs(job.settings, 9):
                    assert inside(path, tmp_path)
    assert plans == {"values": ["init"], "weights": [*SWEEPS]}


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
