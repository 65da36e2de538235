"""`nst-tf verify-export`: whether a SavedModel gives what the Python model gives."""

from __future__ import annotations

import sys

from absl import flags

from nst_tf import assets
from nst_tf.apps import command

USAGE = """
nst-tf verify-export saved_models/NAME [flags]

Loads the newest version in a process that has only TensorFlow, runs every signature on a photo and
prints the largest relative error of each against the Python model in float32, or against the
stylizer of --stylizer=FILE.
"""


def define_flags() -> flags.FlagValues:
    """The command's flags, apart from absl's global ones."""
    values = flags.FlagValues()
    flags.DEFINE_string(
        "weights",
        "auto",
        "The network that was exported, as for nst-tf export.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "stylizer", None, "The file of the stylizer that was exported.", flag_values=values
    )
    flags.DEFINE_string("picture", None, "A photo; the bundled one by default.", flag_values=values)
    flags.DEFINE_string(
        "python",
        None,
        "The Python that loads it, such as one that has another TensorFlow; this one by default.",
        flag_values=values,
    )
    flags.DEFINE_float(
        "tolerance", None, "Exit code 1 where an error is larger than this.", flag_values=values
    )
    return values


def main(argv: list[str]) -> int:
    """Runs the command on `argv`, the command's name and what follows; returns the exit code."""
    values = define_flags()
    arguments = command.parse(values, USAGE, argv, required=1, most=1)
    if values.stylizer:
        known = ("stylizer", "picture", "python", "tolerance")
        command.refuse_others(values, known, "--stylizer")

    command.import_tensorflow()
    from nst_tf.export import verify
    from nst_tf.stylizer import shipping

    model, picture = arguments[0], values.picture or assets.SCENE
    python = values.python or sys.executable
    if values.stylizer:
        errors = shipping.verify(model, picture, values.stylizer, python)
    else:
        errors = verify.verify(model, picture, values.weights, python)
    for name, error in errors.items():
        print(f"{name:20} largest relative error {error:.1e}")
    return int(values.tolerance is not None and max(errors.values()) > values.tolerance)
