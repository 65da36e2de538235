"""A program whose runs are killed: `killed_runs.py JOB.json`, for tests/test_checkpoint.py.

It imports TensorFlow once, and forks before that does anything: a process for each run, grid or
batch. One after the other is ended by SIGKILL at a random moment after it has kept an iteration;
what the last one comes to, which is left alone, is written down.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import numpy as np

from nst_tf import assets
from nst_tf.recipe import presets
from nst_tf.run.job import Job
from nst_tf.run.jobs import Engine, Jobs
from nst_tf.run.many import stylize_many
from nst_tf.run.transfer import StyleTransfer


def run(options: dict[str, Any], folder: Path) -> None:
    """One run, put aside at every step."""
    result = StyleTransfer(
        assets.SCENE,
        assets.PAINTING,
        weights="mini",
        checkpoint=folder,
        checkpoint_every=0,
        **options,
    ).run()
    np.save(folder.with_suffix(".npy"), result.array)
    folder.with_suffix(".json").write_text(json.dumps(result.history))


def grid(options: dict[str, Any], folder: Path, **how: Any) -> None:
    """Three runs as jobs, likewise."""
    jobs = [
        Job(
            f"beta-{beta}",
            presets.settings(**options).replace(style_weight=beta),
            str(assets.SCENE),
            (str(assets.PAINTING),),
            "mini",
            folder / f"beta-{beta}.png",
        )
        for beta in (1, 10, 100)
    ]
    Jobs(jobs, Engine(checkpoint_every=0), **how).run()


def batch(options: dict[str, Any], folder: Path | None) -> list[np.ndarray]:
    """Three photos by `stylize_many`, likewise; where there is a folder."""
    contents = [assets.SCENE, assets.PAINTING, *assets.TEXTURES.values()][:3]
    painted = stylize_many(
        contents,
        assets.PAINTING,
        weights="mini",
        checkpoints=folder,
        checkpoint_every=0,
        **options,
    )
    results = [one.result.array for one in painted if one.result]
    if folder:
        np.savez(folder.with_suffix(".npz"), *results)
    return results


KINDS = {"run": run, "grid": grid, "batch": batch}


def paint(job: dict[str, Any], folder: Path) -> None:
    """In a process of its own, which it ends."""
    code = 1
    try:
        KINDS[job["kind"]](job["options"], folder)
        code = 0
    except Exception:
        traceback.print_exc()
    finally:
        os._exit(code)


def kept(folder: Path) -> set[Path]:
    """The iterations that are there at this moment, while folders come and go."""
    try:
        return set(folder.rglob("iteration-*"))
    except FileNotFoundError:
        return set()


def kill_one(job: dict[str, Any], folder: Path, draw: random.Random) -> bool:
    """Ends it some time after it has kept an iteration or a few; whether there was one to end."""
    before = kept(folder)
    seen, wanted = set(before), draw.randint(1, job["most"])
    child = os.fork()
    if child == 0:
        paint(job, folder)
    while len(seen - before) < wanted:
        if os.waitpid(child, os.WNOHANG)[0]:
            return False
        time.sleep(0.001)
        seen |= kept(folder)
    time.sleep(draw.uniform(0, 0.02))
    os.kill(child, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def main(job: dict[str, Any]) -> int:
    folder, draw = Path(job["folder"]), random.Random(job["seed"])
    killed = 0
    for _ in range(job["times"]):
        killed += kill_one(job, folder, draw)
    child = os.fork()
    if child == 0:
        paint(job, folder)
    print(killed)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    sys.exit(main(json.loads(Path(sys.argv[1]).read_text())))
