"""Peak memory of one evaluation of loss and gradient, each in a fresh process.

    python benchmarks/memory.py --weights=VGG19.h5 --sizes=256,512,1024,2048,4096 --json=FILE

Prints the peak resident memory, less what the process had before the evaluation, as a whole and
strip by strip. Sizes at which the whole picture would not fit are left out with --whole_up_to.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from absl import app, flags

_WEIGHTS = flags.DEFINE_string("weights", "mini", "The network.")
_SIZES = flags.DEFINE_list("sizes", ["256", "512", "1024", "2048"], "Heights and widths in pixels.")
_TILES = flags.DEFINE_list("tiles", ["off", "1024", "512"], "How the picture is measured.")
_ENGINE = flags.DEFINE_string("engine", "auto", "How the network is computed.")
_WHOLE_UP_TO = flags.DEFINE_integer("whole_up_to", 2048, "The largest size measured as a whole.")
_JSON = flags.DEFINE_string("json", None, "Also write the table here.")
_ONE = flags.DEFINE_bool("one", False, "Internal: measure in this very process.")


def peak() -> int:
    """Peak resident memory of this process so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
        1 if sys.platform == "darwin" else 1024
    )


def measure(size: int, tile: str) -> dict[str, float]:
    """Gibibytes before and at the peak of an evaluation."""
    import numpy as np
    import tensorflow as tf

    from nst_tf.run.transfer import StyleTransfer

    picture = np.random.default_rng(0).random((size, size, 3), np.float32)
    run = StyleTransfer(
        picture,
        picture[:256, :256],
        preset="gatys2016",
        weights=_WEIGHTS.value,
        size=size,
        style_size=256,
        tile=int(tile) if tile.isdecimal() else tile,
        engine=_ENGINE.value,
    )
    before = peak()
    run.build_objective()(tf.constant(picture[np.newaxis])).gradient.numpy()
    return {"before": before / 2**30, "peak": peak() / 2**30}


def main(argv: list[str]) -> None:
    if _ONE.value:
        print(json.dumps(measure(int(_SIZES.value[0]), _TILES.value[0])))
        return
    table = []
    for size in map(int, _SIZES.value):
        for tile in _TILES.value:
            if tile == "off" and size > _WHOLE_UP_TO.value:
                continue
            if tile.isdecimal() and int(tile) >= size:
                continue
            command = [sys.executable, __file__, "--one", f"--weights={_WEIGHTS.value}"]
            done = subprocess.run(
                [*command, f"--engine={_ENGINE.value}", f"--sizes={size}", f"--tiles={tile}"],
                stdout=subprocess.PIPE,
                check=False,
            )
            if done.returncode:
                print(f"{size:5} px  tile {tile:5}  failed (exit {done.returncode})", flush=True)
                continue
            gibibytes = json.loads(done.stdout.splitlines()[-1])
            table.append({"size": size, "tile": tile, **gibibytes})
            print(
                f"{size:5} px  tile {tile:5}  peak {gibibytes['peak']:6.2f} GiB, "
                f"{gibibytes['before']:.2f} before",
                flush=True,
            )
    if _JSON.value:
        Path(_JSON.value).write_text(json.dumps(table, indent=1))


if __name__ == "__main__":
    app.run(main)
