"""What a grid of six runs takes, in units of the optimisation time of one of its runs.

    python benchmarks/grid.py --weights=mini --rounds=5

One call of the experiment `ratio` with six weights, from nothing to the last picture written:
compilation, targets, progress and files included. A run's own time is from its second iteration on,
which nothing is compiled in, scaled to all of its iterations.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
from absl import app, flags

from nst_tf import assets
from nst_tf.experiments.grid import Folder
from nst_tf.experiments.plan import Inputs
from nst_tf.experiments.sweeps import ratio
from nst_tf.run.jobs import Jobs

_WEIGHTS = flags.DEFINE_string("weights", "mini", "The network.")
_SIZE = flags.DEFINE_integer("size", 256, "Longer side of the pictures in pixels.")
_ROUNDS = flags.DEFINE_integer("rounds", 5, "Grids, one after the other.")


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"unexpected {argv[1]!r}")
    inputs = Inputs(
        str(assets.SCENE),
        (str(assets.PAINTING),),
        _WEIGHTS.value,
        changes={"size": _SIZE.value},
    )
    plan, ratios = ratio(inputs), []
    for _ in range(_ROUNDS.value):
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            manifests = Jobs(Folder(Path(folder)).jobs(plan.cells)).run()
            whole = time.perf_counter() - began
        alone = [_alone(manifest["history"]) for manifest in manifests.values()]
        ratios.append(whole / np.median(alone))
        print(f"{whole:6.1f} s for six, {np.median(alone):5.2f} s for one: {ratios[-1]:.2f}")
    print(f"median {np.median(ratios):.2f} of {len(ratios)}; six runs alone would be 6")


def _alone(history: list[dict[str, float]]) -> float:
    """Seconds of a run's evaluations, the rate being that of its second iteration onwards."""
    seconds = history[-1]["seconds"] - history[1]["seconds"]
    evaluations = history[-1]["evaluations"] - history[1]["evaluations"]
    return seconds / evaluations * history[-1]["evaluations"]


if __name__ == "__main__":
    app.run(main)
