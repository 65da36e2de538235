"""SavedModels in the layout of TF Serving: NAME/VERSION/, each version whole or not there."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from nst_tf.errors import ExportError


def latest(model: Path) -> Path:
    """The folder of the newest version of a model, or `model` itself where it is a version.

    Raises:
      ExportError: no SavedModel is there.
    """
    if (model / "saved_model.pb").is_file():
        return model
    numbers = _numbers(model, folders=True)
    if not numbers:
        raise ExportError(f"no SavedModel in {model}: name the folder that nst-tf export wrote")
    return next(
        path
        for path in model.iterdir()
        if path.is_dir() and path.name.isdecimal() and int(path.name) == max(numbers)
    )


def write(model: Path, save: Callable[[Path], None]) -> Path:
    """Lets `save` fill a new version of `model`, and returns its folder.

    The version is the next free number. It is written under another name that no server takes for
    a version, and renamed when it is complete; an existing one is never touched.

    Raises:
      ExportError: it cannot be written.
    """
    try:
        model.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(prefix=".building-", dir=model))
    except OSError as error:
        raise ExportError(f"cannot write to {model}: {error.strerror}") from error
    try:
        save(building)
        building.chmod(0o755)  # a server may run as somebody else
        while True:
            version = model / str(max(_numbers(model), default=0) + 1)
            try:
                os.rename(building, version)
                return version
            except OSError:
                if not version.exists():
                    raise
    except OSError as error:
        raise ExportError(f"cannot write to {model}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _numbers(model: Path, folders: bool = False) -> list[int]:
    if not model.is_dir():
        return []
    taken = [path for path in model.iterdir() if path.name.isdecimal()]
    return [int(path.name) for path in taken if path.is_dir() or not folders]
