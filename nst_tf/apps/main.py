"""The command `nst-tf`: picks the app that its first argument names."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from nst_tf.apps import command

#: Each is a module of this package with `main(argv) -> exit code`.
APPS = {
    "stylize": "paint a photo in the style of one or more paintings",
    "batch": "many photos, many paintings: folders, or a table",
    "train": "a network that paints in one pass, for your paintings",
    "paint": "photos in one pass, by such a network",
    "studio": "a page to paint with, on this machine",
    "experiment": "the figures that people make of the algorithm, each with a page",
    "judge": "measure how good results are; compare methods on many pairs",
    "vote": "a page that asks people which of two results is better, and the count",
    "rerun": "make a result again from its .json, and see whether it is the same",
    "beam": "batches and styles of corpora on many machines, by Apache Beam",
    "shards": "a corpus of pictures in a few TFRecord files",
    "grams": "the styles of a corpus, for nst-tf nearest",
    "nearest": "which pictures of a corpus are nearest in style",
    "plot": "draw the loss curves of a finished run",
    "export": "write the feature model as a SavedModel",
    "verify-export": "check a SavedModel in a process that has only TensorFlow",
    "doctor": "whether all that runs need is there and works",
}

_USAGE = """nst-tf COMMAND ...: neural style transfer

Commands (each has its own --help):
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `nst-tf` with the arguments after the program's name; returns the exit code."""
    argv = sys.argv[1:] if argv is None else list(argv)
    if argv[:1] in (["-h"], ["--help"], ["help"]):
        print(_USAGE + "\n".join(f"  {name:15} {what}" for name, what in APPS.items()))
        return 0
    if not argv:
        print(f"nst-tf: name a command: {', '.join(APPS)}, or --help", file=sys.stderr)
        return command.BAD_INPUT
    if argv[0] == "--version":
        from nst_tf.version import __version__

        print(f"nst-tf {__version__}")
        return 0
    if argv[0] not in APPS:
        print(f"nst-tf: no command {argv[0]!r}: use one of {', '.join(APPS)}", file=sys.stderr)
        return command.BAD_INPUT
    return command.run(argv[0], _app, argv[1:])


def _app(argv: list[str]) -> int:
    app = importlib.import_module(f"nst_tf.apps.{argv[0].replace('-', '_')}")
    code: int = app.main(argv)
    return code


if __name__ == "__main__":
    sys.exit(main())
