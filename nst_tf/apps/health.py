"""What `nst-tf doctor` looks at, one finding each; nothing here needs TensorFlow to be there.

What may end a process (TensorFlow built for another processor, a driver that does not fit) is tried
in one of its own, `self_test.py`.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from nst_tf import files, memory_at_hand
from nst_tf.apps import gpus, self_test
from nst_tf.errors import FileError, NSTError, in_bytes

#: How something is: as it should be; worth to know; such that runs would fail.
FIT, NOTE, UNFIT = "fit", "note", "unfit"

#: What must be there beside TensorFlow, by the names that pip knows it by.
PACKAGES = ("h5py", "numpy", "pillow", "tifffile", "tqdm", "absl-py", "typing_extensions")
#: The extras of the package: what each is for, and the modules that must be there for it.
EXTRAS = {
    "plot": ("nst-tf plot", ("matplotlib",)),
    "film": ("--film", ("av", "matplotlib")),
    "tensorboard": ("--logdir", ("tensorboard",)),
    "experiments": ("nst-tf experiment", ("matplotlib", "av", "jinja2")),
    "classical": ("--method=...", ("scipy",)),
    "judge": ("nst-tf judge", ("scipy", "matplotlib", "av", "jinja2", "skimage", "ot")),
    "tfp": ("--optimizer=tfp-lbfgs", ("tensorflow_probability", "tf_keras")),
    "serve": ("requests that warm up a server", ("tensorflow_serving", "requests")),
    "studio": ("the page to paint with", ("starlette", "uvicorn")),
    "beam": ("many machines, by Apache Beam", ("apache_beam",)),
    "onnx": ("SavedModels for ONNX", ("tf2onnx", "onnxruntime")),
    "notebook": ("the notebook", ("ipykernel", "matplotlib")),
}
#: Of VGG19's file, by which keras.applications knows it.
KERAS_MD5 = "253f8cb515780f3b799900260a226db6"
#: Of TensorFlow: the oldest that is supported.
OLDEST = (2, 15, 1)
#: Bytes: TensorFlow itself takes half of it.
LEAST_MEMORY = 1 << 30
#: Seconds until what is tried counts as hanging: a hundred times what it should take.
PATIENCE = 600
#: How far a gradient in float32 may be from a difference of losses, which are not straight.
TOLERANCE = 0.03


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
      name: of it.
      state: `FIT`, `NOTE` or `UNFIT`.
      says: what was found, in words, and what to do where there is something to do.
      facts: the same as plain values.
    """

    name: str
    state: str
    says: str
    facts: dict[str, Any] = field(default_factory=dict)


def findings() -> Iterator[Finding]:
    """All of them, one after the other as they are found; whatever goes wrong is one, too."""
    looks: dict[str, Callable[[], Iterator[Finding]]] = {
        "Python": _python,
        "packages": _packages,
        "memory": _memory,
        "weights": _weights,
        "folders": _folders,
        "optional parts": _extras,
        "TensorFlow": _tensorflow,
    }
    for name, look in looks.items():
        try:
            yield from look()
        except Exception as error:  # of a doctor even what nobody has thought of is a finding
            yield Finding(name, UNFIT, f"cannot be looked at: {type(error).__name__}: {error}")


def _python() -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    facts = {"version": version, "executable": sys.executable}
    state = FIT if sys.version_info >= (3, 10) else UNFIT
    yield Finding("Python", state, f"{version}, {sys.executable}", facts)


def _packages() -> Iterator[Finding]:
    there: dict[str, str | None] = {}
    for name in PACKAGES:
        try:
            there[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            there[name] = None
    missing = [name for name, version in there.items() if version is None]
    said = ", ".join(f"{name} {version}" for name, version in there.items() if version)
    if missing:
        said += f"; missing: pip install {' '.join(missing)}"
    yield Finding("packages", UNFIT if missing else FIT, said, {"versions": there})


def _memory() -> Iterator[Finding]:
    count = memory_at_hand.available()
    said, state = f"{in_bytes(count)} at hand", FIT
    if count < LEAST_MEMORY:
        said, state = f"{said}: end other programs, or give the container more", UNFIT
    yield Finding("memory", state, said, {"bytes": count})


def _weights() -> Iterator[Finding]:
    from nst_tf.network import weights

    for name, path in weights.found().items():
        facts: dict[str, Any] = {"path": str(path)}
        if name == "imagenet" and not path.is_file():
            said = f"not at {path}: --weights=imagenet downloads 80 MB there"
            yield Finding("weights imagenet", NOTE, said, facts)
            continue
        try:
            network = weights.load(path)
        except NSTError as error:
            yield Finding(f"weights {name}", UNFIT, str(error), facts)
            continue
        known = weights.recognise(network)
        facts |= {"network": known, "sha256": network.sha256, "file_sha256": network.file_sha256}
        kind = "a network of one's own" if known is None else known
        said = f"{kind}, sha256 {network.sha256}, {path}"
        state = FIT
        if name == "mini" and known != "mini":
            said, state = f"{said}: changed, install nst_tf anew", UNFIT
        elif name == "imagenet" and _md5(path) != KERAS_MD5:
            said = (
                f"{said}: not the file that Keras has; it will load that anew, or delete this one"
            )
            state = NOTE
        yield Finding(f"weights {name}", state, said, facts)


def _md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def _folders() -> Iterator[Finding]:
    from nst_tf.network import weights

    cache = weights.found()["imagenet"].parent
    try:
        files.check_folder(cache)
        yield Finding("Keras' cache", FIT, f"{cache} can be written", {"path": str(cache)})
    except FileError as error:
        said = f"{error}: downloads will not be kept; set KERAS_HOME to another folder"
        yield Finding("Keras' cache", NOTE, said, {"path": str(cache)})
    try:
        folder = tempfile.gettempdir()
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"x" * (1 << 20))
        yield Finding("temporary files", FIT, f"{folder} can be written", {"path": folder})
    except OSError as error:
        said = f"cannot be written: {error.strerror}; set TMPDIR to a folder with room"
        yield Finding("temporary files", UNFIT, said)


def _extras() -> Iterator[Finding]:
    for name, (purpose, modules) in EXTRAS.items():
        missing = [module for module in modules if importlib.util.find_spec(module) is None]
        facts = {"for": purpose, "missing": missing}
        said = f"for {purpose}"
        if missing:
            said += f": {', '.join(missing)} missing; pip install 'nst_tf[{name}]'"
        yield Finding(f"[{name}]", NOTE if missing else FIT, said, facts)


def _tensorflow() -> Iterator[Finding]:
    told, ended = _tried()
    for part, find in zip(self_test.PARTS, (_versions, _machine, _run), strict=True):
        if part not in told:
            name = {"tensorflow": "TensorFlow", "machine": "devices"}.get(part, part)
            yield Finding(name, UNFIT, f"{ended}; {_advice(part)}", {"ended": ended})
            return
        yield from find(told[part])


def _advice(part: str) -> str:
    if part == "tensorflow":
        return "pip install --force-reinstall tensorflow, on a processor that it is built for"
    return (
        "TensorFlow is there, but does not work here: its drivers, or the environment, may be why"
    )


def _tried() -> tuple[dict[str, dict[str, Any]], str]:
    """What a process of its own tells, by part; and how it ended where it told less than all."""
    root = str(Path(files.__file__).parent.parent)
    paths = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    quiet = {"TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "3")}
    command = [sys.executable, "-m", self_test.__name__]
    environment = {**os.environ, **quiet, "PYTHONPATH": paths}
    try:
        # This ends the process, too, whichever signal ends ours.
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        out, errors = done.stdout, done.stderr
        if done.returncode < 0:
            errors = f"ended by {signal.Signals(-done.returncode).name}"
    except subprocess.TimeoutExpired as error:
        out = (error.stdout or b"").decode(errors="replace")
        errors = f"no end after {PATIENCE} seconds"
    lines = [json.loads(line) for line in out.splitlines() if line.startswith('{"part": ')]
    ended = (errors.strip().splitlines() or ["ended without a word"])[-1]
    return {line.pop("part"): line for line in lines}, ended


def _versions(told: dict[str, Any]) -> Iterator[Finding]:
    version = str(told["tensorflow"])
    numbers = tuple(int(part) for part in version.split(".")[:3] if part.isdecimal())
    oldest = ".".join(map(str, OLDEST))
    said = f"{version}, Keras {told['keras']}"
    if numbers < OLDEST:
        said = f"{said}: too old, {oldest} at least; pip install 'tensorflow>={oldest}'"
    yield Finding("TensorFlow", UNFIT if numbers < OLDEST else FIT, said, told)


def _machine(told: dict[str, Any]) -> Iterator[Finding]:
    devices, processor = told["devices"], told["processor"]
    said, state = f"{', '.join(devices)}; {processor}, {told['system']}", FIT
    if line := gpus.missing(lambda: devices != ["CPU"]):
        said, state = f"{said}; {line}", NOTE
    facts = {name: told[name] for name in ("devices", "processor", "system")}
    yield Finding("devices", state, said, facts)
    said = f"{told['dtype']}, engine {told['engine']} (what auto takes here)"
    yield Finding("precision", FIT, said, {name: told[name] for name in ("dtype", "engine")})
    names = ("threads", "operations", "onednn", "deterministic")
    said = f"{told['threads']} of an operation, {told['operations']} operations at a time"
    yield Finding("threads", FIT, said, {name: told[name] for name in names})


def _run(told: dict[str, Any]) -> Iterator[Finding]:
    error = told["gradient_error"]
    wrong = [] if told["falls"] else ["the loss does not fall"]
    if not error < TOLERANCE:  # nor NaN
        wrong.append(f"the gradient is wrong by {error:.1%}")
    state = UNFIT if wrong else FIT if told["same"] else NOTE
    if not told["same"]:
        wrong.append("two runs differ in their last bits: see --deterministic")
    right = f"the loss falls, the gradient is right to {error:.2%}, two runs are the same"
    yield Finding("self-test", state, f"{'; '.join(wrong) or right} ({told['seconds']} s)", told)
