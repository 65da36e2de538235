"""What the doctor says of a machine that is fit, and of one where something is wrong."""

from __future__ import annotations

import configparser
import importlib.util
import inspect
import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import tensorflow as tf

from nst_tf import assets, memory_at_hand
from nst_tf.apps import health, self_test
from nst_tf.apps.health import FIT, NOTE, UNFIT, Finding
from nst_tf.apps.main import main

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def setup_cfg() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser


def names(requirements: str) -> list[str]:
    """Of what setup.cfg requires in a field, without versions and comments."""
    lines = (line.partition("#")[0].strip() for line in requirements.splitlines())
    return [re.split(r"[<>=\[]", line)[0] for line in lines if line and not line.startswith("%")]


def by_name(look, *arguments) -> dict[str, Finding]:
    return {finding.name: finding for finding in look(*arguments)}


# What is looked at


def test_it_looks_at_what_the_package_requires(setup_cfg):
    required = set(names(setup_cfg["options"]["install_requires"])) - {"tensorflow"}
    assert set(health.PACKAGES) == required
    oldest = ".".join(map(str, health.OLDEST))
    assert f"tensorflow>={oldest}" in setup_cfg["options"]["install_requires"]


def test_it_knows_every_optional_part(setup_cfg):
    """But those for who works on the package, and the old stack's."""
    extras = dict(setup_cfg.items("options.extras_require"))  # with what one takes of another
    assert set(health.EXTRAS) == set(extras) - {"bench", "test", "addons"}
    modules = {
        "scikit-image": "skimage",
        "pot": "ot",
        "tensorflow-serving-api": "tensorflow_serving",
    }
    for name, (_, wanted) in health.EXTRAS.items():
        own = {modules.get(one.lower(), one.replace("-", "_")) for one in names(extras[name])}
        assert own <= set(wanted), name


def test_a_part_that_is_missing_is_noted_with_how_to_install_it(monkeypatch):
    there = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "av" else there(name)
    )
    found = by_name(health._extras)
    assert found["[film]"].state == found["[experiments]"].state == NOTE
    assert "av missing; pip install 'nst_tf[film]'" in found["[film]"].says


def test_a_package_that_is_missing_is_unfit(monkeypatch):
    monkeypatch.setattr(health, "PACKAGES", ("numpy", "no-such-thing"))
    (found,) = health._packages()
    assert found.state == UNFIT and found.says.endswith("missing: pip install no-such-thing")


def test_too_little_memory_is_unfit(monkeypatch):
    for count, state in ((health.LEAST_MEMORY - 1, UNFIT), (health.LEAST_MEMORY, FIT)):
        monkeypatch.setattr(memory_at_hand, "available", lambda count=count: count)
        (found,) = health._memory()
        assert found.state == state and found.facts == {"bytes": count}


def test_weights_are_known_by_their_hashes(monkeypatch, tmp_path, tiny_weights):
    cached = tmp_path / "models" / "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5"
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.delenv("NST_TF_WEIGHTS", raising=False)
    found = by_name(health._weights)
    assert found["weights imagenet"].state == NOTE and len(found) == 2
    mini = found["weights mini"]
    assert mini.state == FIT and mini.facts["network"] == "mini"
    assert mini.facts["sha256"] in mini.says and len(mini.facts["file_sha256"]) == 64

    cached.parent.mkdir()
    cached.write_bytes(b"cut short")
    for path, state in (
        (tmp_path / "gone.npz", UNFIT),
        (tmp_path / "models", UNFIT),
        (assets.MINI, FIT),
    ):
        monkeypatch.setenv("NST_TF_WEIGHTS", str(path))
        found = by_name(health._weights)
        assert found["weights imagenet"].state == UNFIT
        assert found["weights $NST_TF_WEIGHTS"].state == state
    monkeypatch.setenv("NST_TF_WEIGHTS", "mini")
    assert len(by_name(health._weights)) == 2


def test_the_file_that_keras_has_is_known(monkeypatch, tmp_path):
    """By the hash that stands in Keras; another network in its place is noted."""
    assert health.KERAS_MD5 in inspect.getsource(inspect.getmodule(tf.keras.applications.VGG19))
    cached = tmp_path / "models" / "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5"
    cached.parent.mkdir()
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    with h5py.File(cached, "w") as file:
        for name, array in np.load(assets.MINI, allow_pickle=False).items():
            file[name] = array
    found = by_name(health._weights)["weights imagenet"]
    assert found.state == NOTE and "not the file that Keras has" in found.says
    monkeypatch.setattr(health, "KERAS_MD5", health._md5(cached))
    assert by_name(health._weights)["weights imagenet"].state == FIT


def test_folders_that_cannot_be_written(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    found = by_name(health._folders)
    assert found["Keras' cache"].state == NOTE and "KERAS_HOME" in found["Keras' cache"].says
    assert found["temporary files"].state == UNFIT and "TMPDIR" in found["temporary files"].says


def test_what_nobody_has_thought_of_is_a_finding(monkeypatch):
    def broken():
        raise RuntimeError("never seen")

    for name in ("_weights", "_memory", "_tensorflow"):
        monkeypatch.setattr(health, name, broken)
    found = {finding.name: finding for finding in health.findings()}
    for name in ("weights", "memory", "TensorFlow"):
        assert found[name].state == UNFIT
        assert found[name].says == "cannot be looked at: RuntimeError: never seen"
    assert found["Python"].state == FIT


# TensorFlow, in a process of its own


@pytest.mark.parametrize(
    ("module", "says"),
    [
        ("raise ModuleNotFoundError(\"No module named 'tensorflow'\")", "No module named"),
        ("raise ImportError('libcudart.so: cannot open')", "libcudart.so: cannot open"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGILL)", "ended by SIGILL"),
        ("import os; os.abort()", "ended by SIGABRT"),
        ("import os; os._exit(0)", "ended without a word"),
        ("import sys; sys.exit('no')", "no"),
        ("import time; time.sleep(60)", "no end after 2 seconds"),
    ],
)
def test_a_broken_tensorflow_is_told_and_breaks_nothing(monkeypatch, tmp_path, module, says):
    (tmp_path / "tensorflow").mkdir()
    (tmp_path / "tensorflow" / "__init__.py").write_text(module)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(health, "PATIENCE", 2 if "sleep" in module else 600)
    (found,) = health._tensorflow()
    assert found.name == "TensorFlow" and found.state == UNFIT
    assert says in found.says and "pip install" in found.says


TOLD = {
    "tensorflow": {"tensorflow": "2.21.0", "keras": "3.15.1"},
    "machine": {
        "devices": ["CPU"],
        "processor": "one",
        "system": "Linux",
        "threads": 4,
        "operations": 2,
        "onednn": None,
        "deterministic": False,
        "engine": "winograd",
        "dtype": "float32",
    },
    "self-test": {"falls": True, "same": True, "gradient_error": 0.001, "seconds": 3.0},
}


def test_a_process_that_ends_halfway_has_told_the_rest(monkeypatch):
    for count, part in enumerate(("TensorFlow", "devices", "self-test")):
        told = dict(list(TOLD.items())[:count])
        monkeypatch.setattr(health, "_tried", lambda told=told: (told, "ended by SIGSEGV"))
        *before, last = health._tensorflow()
        assert all(finding.state == FIT for finding in before)
        assert last.name == part and last.state == UNFIT and "ended by SIGSEGV" in last.says


@pytest.mark.parametrize(
    ("part", "changes", "name", "state", "says"),
    [
        ("self-test", {}, "self-test", FIT, "the loss falls"),
        ("self-test", {"falls": False}, "self-test", UNFIT, "the loss does not fall"),
        ("self-test", {"gradient_error": 0.5}, "self-test", UNFIT, "wrong by 50.0%"),
        ("self-test", {"gradient_error": math.nan}, "self-test", UNFIT, "the gradient is wrong"),
        ("self-test", {"same": False}, "self-test", NOTE, "--deterministic"),
        ("tensorflow", {"tensorflow": "2.9.0"}, "TensorFlow", UNFIT, "2.15.1 at least"),
        ("tensorflow", {"tensorflow": "2.15.1"}, "TensorFlow", FIT, "2.15.1"),
        ("tensorflow", {"tensorflow": "3.0.0-rc1"}, "TensorFlow", FIT, "3.0.0-rc1"),
    ],
)
def test_what_is_said_of_what_was_told(monkeypatch, part, changes, name, state, says):
    told = {**TOLD, part: {**TOLD[part], **changes}}
    monkeypatch.setattr(health, "_tried", lambda: (told, ""))
    found = by_name(health._tensorflow)
    assert found[name].state == state and says in found[name].says


def test_the_test_of_itself_passes_here():
    told = self_test.tried()
    assert told["falls"] and told["same"] and told["gradient_error"] < health.TOLERANCE / 2


def test_a_wrong_gradient_would_be_found(monkeypatch):
    """One that is 10 % too long, and one of which a tenth points elsewhere."""

    class Run:
        """One with the loss Σ G², whose gradient is spoiled."""

        content = np.full((8, 8, 3), 0.5, np.float32)

        def __init__(self, spoil):
            self.spoil = spoil

        def build_objective(self):
            return lambda image: (tf.reduce_sum(image**2), self.spoil(2 * image), {})

    assert self_test._gradient_error(Run(lambda gradient: gradient)) < 1e-3
    assert self_test._gradient_error(Run(lambda gradient: 1.1 * gradient)) > health.TOLERANCE
    turned = Run(lambda gradient: gradient * [1.0, -1.0, 1.0])
    assert self_test._gradient_error(turned) > health.TOLERANCE


# The command


def test_the_exit_code_says_whether_it_is_fit(monkeypatch, capsys):
    findings = [Finding("one", FIT, "good", {"a": 1}), Finding("two", NOTE, "so\x1b[2J so")]
    monkeypatch.setattr(health, "findings", lambda: iter(findings))
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert "ok  one" in out and "--  two" in out and "fit" in out and "\x1b" not in out
    findings.append(Finding("three", UNFIT, "bad"))
    assert main(["doctor"]) == 1
    assert "unfit: three" in capsys.readouterr().out
    assert main(["doctor", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["fit"] is False and told["findings"][0]["facts"] == {"a": 1}
    assert [finding["name"] for finding in told["findings"]] == ["one", "two", "three"]
    assert main(["doctor", "me"]) == 2


WITHOUT = """
import sys
from nst_tf.apps.main import main
code = main(["doctor", "--json"])
assert not {"tensorflow", "keras"} & set(sys.modules), "imported here"
sys.exit(code)
"""


def told_by_a_process(**environment) -> tuple[int, dict]:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, json.loads(done.stdout)


def test_without_tensorflow_the_rest_is_told(tmp_path):
    (tmp_path / "tensorflow.py").write_text("raise ImportError('not for this processor')")
    paths = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    code, told = told_by_a_process(PYTHONPATH=paths)
    states = {finding["name"]: finding["state"] for finding in told["findings"]}
    assert code == 1 and not told["fit"] and states["TensorFlow"] == UNFIT
    assert states["Python"] == states["weights mini"] == FIT


@pytest.mark.slow
def test_this_machine_is_fit():
    code, told = told_by_a_process()
    unfit = [finding for finding in told["findings"] if finding["state"] == UNFIT]
    assert code == 0 and told["fit"] and not unfit, unfit
    (tried,) = (finding for finding in told["findings"] if finding["name"] == "self-test")
    assert tried["facts"]["falls"] and tried["facts"]["same"]
