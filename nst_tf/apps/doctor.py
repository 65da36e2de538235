"""`nst-tf doctor`: whether all that runs need is there and works, else what to do about it."""

from __future__ import annotations

import json
from dataclasses import asdict

from absl import flags

from nst_tf.apps import command, health
from nst_tf.errors import one_line
from nst_tf.version import __version__

USAGE = """
nst-tf doctor [--json]

Looks at Python, packages, memory, weights (with their hashes), folders, optional parts and how to
install them, TensorFlow, devices, precision, threads, and paints a tiny picture in a few seconds.
It changes nothing, and works where TensorFlow is missing or broken, too.

Exit code 0 where runs should work, 1 where something is unfit; what is optional is only noted.
"""

_MARKS = {health.FIT: "ok", health.NOTE: "--", health.UNFIT: "NO"}


def define_flags() -> flags.FlagValues:
    """The command's flags, apart from absl's global ones."""
    values = flags.FlagValues()
    flags.DEFINE_boolean("json", False, "For programs: one object of JSON.", flag_values=values)
    return values


def main(argv: list[str]) -> int:
    """Runs the command on `argv`, the command's name and what follows; returns the exit code."""
    values = define_flags()
    command.parse(values, USAGE, argv, required=0, most=0)
    found = []
    for finding in health.findings():
        found.append(finding)
        if not values.json:
            text = one_line(finding.says)
            print(f"{_MARKS[finding.state]}  {finding.name:17} {text}", flush=True)
    unfit = [finding.name for finding in found if finding.state == health.UNFIT]
    if values.json:
        told = {"nst_tf": __version__, "fit": not unfit, "findings": [*map(asdict, found)]}
        print(json.dumps(told, indent=1))
    else:
        verdict = f"unfit: {', '.join(unfit)}" if unfit else "fit"
        print(f"nst_tf {__version__} here: {verdict}")
    return int(bool(unfit))
