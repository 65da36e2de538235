"""The paths that modules had before 0.2.0: each file here stands for the module that it names.

`nst_tf/__init__.py` adds this folder to the package's path. It goes with the release after 0.2.0;
`nst_tf.film`, `nst_tf.tensorboard` and `nst_tf.filters`, which users import by these names, stay.
"""

from __future__ import annotations

import importlib
import os
import sys
import warnings


def stands_for(new: str, old: str, *, stays: bool = False) -> None:
    """Puts the module `new` in the place of `old`, which is being imported.

    Args:
      new: the module's path now.
      old: its path before, of the file that calls this.
      stays: whether the old path is one that users go on importing; else it is deprecated.
    """
    if not stays:
        deprecated(f"{old} is {new}")
    sys.modules[old] = importlib.import_module(new)


def deprecated(what: str) -> None:
    """Warns whoever imports the file that calls this, however many layers of import lie between."""
    frame, folder = sys._getframe(1), os.path.dirname(__file__)
    while frame.f_back is not None and (
        frame.f_code.co_filename.startswith(folder)
        or frame.f_globals.get("__name__", "").startswith("importlib")
        or frame.f_globals.get("__name__") == "nst_tf"
    ):
        frame = frame.f_back
    warnings.warn_explicit(
        f"{what} since nst_tf 0.2.0; the old path goes with the next release",
        DeprecationWarning,
        frame.f_code.co_filename,
        frame.f_lineno,
        frame.f_globals.get("__name__"),
        frame.f_globals.setdefault("__warningregistry__", {}),
    )
