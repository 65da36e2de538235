"""`nst-tf plot`: the loss curves of one or more runs, from the .json beside each picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from absl import flags

from nst_tf import reading
from nst_tf.apps import command
from nst_tf.errors import FileError, NSTError
from nst_tf.recipe.settings import strength_factors

USAGE = """
nst-tf plot RUN.json [RUN.json ...] -o CURVES.png

Draws total, content and style loss, each with its weight, against evaluations. With several runs,
the total loss of each. Needs matplotlib (pip install 'nst_tf[plot]').
"""


_TERMS = ("content", "style", "tv")


def define_flags() -> flags.FlagValues:
    """The command's flags, apart from absl's global ones."""
    values = flags.FlagValues()
    flags.DEFINE_string(
        "output",
        "loss.png",
        "Where the plot goes: .png, .svg or .pdf.",
        short_name="o",
        flag_values=values,
    )
    return values


def main(argv: list[str]) -> int:
    """Runs the command on `argv`, the command's name and what follows; returns the exit code."""
    values = define_flags()
    paths = command.parse(values, USAGE, argv, required=1)
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise NSTError("plots need matplotlib: pip install 'nst_tf[plot]'") from error

    runs = {path: _read(Path(path)) for path in paths}
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot()
    for path, run in runs.items():
        history = run["history"]
        evaluations = [row["evaluations"] for row in history]
        label = "total" if len(runs) == 1 else Path(path).stem
        axes.plot(evaluations, [row["total"] for row in history], label=label)
        if len(runs) == 1:
            factors = strength_factors(run["settings"].get("strength", 0.5))
            for term, factor in factors.items():
                weight = factor * run["settings"].get(f"{term}_weight", 0)
                if weight and term in history[0]:
                    curve = [weight * row[term] for row in history]
                    axes.plot(evaluations, curve, label=f"{term} (weighted)", linewidth=1)
    axes.set(xlabel="evaluations", ylabel="loss", yscale="log")
    axes.grid(True, which="both", alpha=0.2)
    axes.legend()
    try:
        figure.savefig(values.output, dpi=144)
    except (OSError, ValueError) as error:
        raise FileError(f"cannot write {values.output}: {error}") from error
    print(values.output)
    return 0


def _read(path: Path) -> dict[str, Any]:
    try:
        run = reading.read_json(path)
        for term in _TERMS:
            float(run["settings"][f"{term}_weight"])
        for row in run["history"]:
            [float(row[key]) for key in ("evaluations", "total", *_TERMS)]
        if not run["history"]:
            raise ValueError("no history")
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise NSTError(f"{path} is not the .json of a run") from error
    return dict(run)
