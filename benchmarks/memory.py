"""Peak memory of whole runs, each in a fresh process, and what was foreseen of it.

    python benchmarks/memory.py --weights=VGG19.h5 size=512 size=1024,tile=256 preset=neighbours

Every argument is a run: settings, and `engine`, `dtype`, `tile`, by name, joined by commas; `style`
is the painting's size, `regions` a number of masks, `weights` a network of its own. Two evaluations
where nothing else is said; `min_scale=None` for the last scale alone. Prints the process' peak of
resident memory and what `StyleTransfer.outlook` said of it before.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from absl import app, flags

_WEIGHTS = flags.DEFINE_string("weights", "mini", "The network.")
_JSON = flags.DEFINE_string("json", None, "Also write the table here.")
_ONE = flags.DEFINE_bool("one", False, "Internal: measure in this very process.")

#: What is measured where nothing is named.
RUNS = (
    *(f"size=512,engine={engine}" for engine in ("winograd", "direct", "keras")),
    *("size=256", "size=1024", "size=1024,tile=256"),
    *("size=512,dtype=mixed_bfloat16", "size=512,dtype=mixed_float16"),
    *(f"size=512,optimizer={name},evaluations=4" for name in ("adam", "pyramid", "tfp-lbfgs")),
    *("size=256,evaluations=24", "size=256,style=768", "size=512,regions=3"),
    *("size=512,style_loss=sliced", "size=512,style_loss=histogram"),
    *(f"preset={name},size=512" for name in ("gatys2015", "crisp", "neighbours", "draft")),
)


def measure(words: dict[str, Any]) -> dict[str, float]:
    """Bytes at the peak of a run, and as foreseen."""
    import numpy as np

    import nst_tf

    size, regions = words["size"], words.pop("regions", 0)
    draw = np.random.default_rng(0)
    content, style = (
        draw.random((side, side, 3), np.float32) for side in (size, words.pop("style", size))
    )
    masks = [np.zeros((size, size), np.float32) for _ in range(regions)]
    for at, mask in enumerate(masks):
        mask[at * size // regions : (at + 1) * size // regions] = 1
    words = {"preset": "gatys2016", "evaluations": 2, "style_size": style.shape[0], **words}
    run = nst_tf.StyleTransfer(
        content,
        [nst_tf.Masked(style, mask) for mask in masks] or [style],
        keep_snapshots=False,
        **words,
    )
    run.run()
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return {"peak": peak, "foreseen": run.outlook.peak}


def _value(text: str) -> int | float | str | None:
    if text == "None":
        return None
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def main(argv: list[str]) -> None:
    runs = argv[1:] or RUNS
    if _ONE.value:
        words = dict(word.split("=", 1) for word in runs[0].split(","))
        given = {"weights": _WEIGHTS.value, "size": "512", "tile": "off", **words}
        print(json.dumps(measure({name: _value(text) for name, text in given.items()})))
        return
    table = []
    print("| run | peak | foreseen | ratio |\n| --- | --- | --- | --- |")
    for run in runs:
        command = [sys.executable, __file__, "--one", f"--weights={_WEIGHTS.value}", run]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
        if done.returncode:
            print(f"| `{run}` | failed (exit {done.returncode}) | | |", flush=True)
            continue
        bytes_of = json.loads(done.stdout.splitlines()[-1])
        table.append({"run": run, **bytes_of})
        peak, foreseen = bytes_of["peak"], bytes_of["foreseen"]
        row = f"{peak / 2**30:.2f} GiB | {foreseen / 2**30:.2f} GiB | {foreseen / peak:.2f}"
        print(f"| `{run}` | {row} |", flush=True)
    if _JSON.value:
        Path(_JSON.value).write_text(json.dumps(table, indent=1))


if __name__ == "__main__":
    app.run(main)
