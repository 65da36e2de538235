"""A program whose runs are killed: `killed_runs.py JOB.json`, for tests/test_checkpoint.py.

It imports TensorFlow once, and forks before that does anything: a process for each run. One after
the other is ended by SIGKILL at a random moment after it has kept an iteration; what the last one
comes to, which is left alone, is written down.
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
from nst_tf.run.transfer import StyleTransfer


def paint(job: dict[str, Any], folder: Path) -> None:
    """A run in a process of its own, put aside at every step; it ends the process."""
    code = 1
    try:
        run = StyleTransfer(
            assets.SCENE,
            assets.PAINTING,
            weights="mini",
            checkpoint=folder,
            checkpoint_every=0,
            **job["options"],
        )
        result = run.run()
        np.save(folder.with_suffix(".npy"), result.array)
        folder.with_suffix(".json").write_text(json.dumps(result.history))
        code = 0
    except Exception:
        traceback.print_exc()
    finally:
        os._exit(code)


def kill_one(job: dict[str, Any], folder: Path, draw: random.Random) -> bool:
    """Ends a run some time after it has kept an iteration or two; whether there was one to end."""
    before = set(folder.glob("iteration-*"))
    seen, wanted = set(before), draw.choice([1, 2])
    child = os.fork()
    if child == 0:
        paint(job, folder)
    while len(seen - before) < wanted:
        if os.waitpid(child, os.WNOHANG)[0]:
            return False
        time.sleep(0.001)
        seen |= set(folder.glob("iteration-*"))
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
