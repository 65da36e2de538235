"""One pass of a stylizer against the optimiser: how good, and how fast.

    python benchmarks/one_pass.py PAINTING STYLIZER.keras ... --photos=HELD_OUT --json=FILE
    python benchmarks/one_pass.py PAINTING STYLIZER.keras --photos=HELD_OUT --measure=speed

`loss` is the yardstick of Johnson, Alahi and Fei-Fei, arXiv:1603.08155, figure 5: the total loss
of what one pass paints of photos that it never learnt from, and after how many evaluations of loss
and gradient L-BFGS is as low. It minimises the very same function of the same size, from white
noise, as theirs, and from the photo, from which the package begins. Where it is not as low within
--evaluations, the table says as many.

`speed`: seconds of the default preset's whole run at 512 pixels (building included, TensorFlow's
import not), of one pass at 512, and of one at 256, in turn; medians.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf
from absl import app, flags

import nst_tf
from nst_tf.pictures import folders, images
from nst_tf.run.transfer import StyleTransfer

_PHOTOS = flags.DEFINE_string("photos", None, "Photos that were held out.", required=True)
_MEASURE = flags.DEFINE_enum("measure", "loss", ["loss", "speed"], "What is measured.")
_STYLE = flags.DEFINE_string("style", None, "The stylizer's style; by default the painting's name.")
_SIZE = flags.DEFINE_integer("size", 256, "Of `loss`: longer side of the photos in pixels.")
_STYLE_SIZE = flags.DEFINE_integer("style_size", 384, "The painting's in the training.")
_WEIGHTS = flags.DEFINE_string("weights", "mini", "The network of the loss.")
_PRESET = flags.DEFINE_string("preset", "crisp", "Whose loss it is.")
_EVALUATIONS = flags.DEFINE_integer("evaluations", 100, "Of the optimiser, from each start.")
_REPEATS = flags.DEFINE_integer("repeats", 5, "Of `speed`.")
_JSON = flags.DEFINE_string("json", None, "Also write the numbers here.")

_STARTS = ("noise", "content")
#: Evaluations whose losses are shown.
_AFTER = (1, 5, 10, 20, 30, 50, 100)


def optimised(photo: np.ndarray, painting: str, start: str) -> tuple[StyleTransfer, np.ndarray]:
    """A run of one scale, and the least loss so far after each of its evaluations."""
    run = StyleTransfer(
        photo,
        painting,
        preset=_PRESET.value,
        weights=_WEIGHTS.value,
        size=_SIZE.value,
        style_size=_STYLE_SIZE.value,
        min_scale=None,
        init=start,
        optimizer="lbfgs",
        iterations=None,
        evaluations=_EVALUATIONS.value,
        grain="free",
    )
    losses = np.full(_EVALUATIONS.value, np.inf)
    for step in run:
        losses[step.evaluations - 1 :] = np.minimum(
            losses[step.evaluations - 1 :], step.terms["total"]
        )
    return run, losses


def reached(losses: np.ndarray, loss: float) -> int:
    """After how many evaluations the optimiser is as low."""
    there = np.flatnonzero(losses <= loss)
    return int(there[0]) + 1 if there.size else len(losses)


def yardstick(painting: str, stylizers: Mapping[str, Any], photos: Sequence[str]) -> list[dict]:
    rows: list[dict] = []
    for path in photos:
        photo = images.load(path, _SIZE.value)
        traces = {}
        for start in _STARTS:
            run, traces[start] = optimised(photo, painting, start)
        objective = run.build_objective()
        pictures = {"the photo": photo}
        for name, stylizer in stylizers.items():
            styles = stylizer.shares({_STYLE.value or Path(painting).stem: 1.0})
            pictures[name] = stylizer.paint(photo, styles=styles)
        for name, picture in pictures.items():
            loss = float(objective(tf.constant(picture[np.newaxis]))[0])
            counts = {f"from {start}": reached(traces[start], loss) for start in _STARTS}
            rows.append({"photo": Path(path).name, "picture": name, "loss": loss, **counts})
            print("  ".join(map(str, rows[-1].values())), flush=True)
        for start, losses in traces.items():
            after = {count: losses[count - 1] for count in _AFTER if count <= len(losses)}
            print(f"  from {start}:", *(f"{n}: {loss:.4f}" for n, loss in after.items()))
            rows.append({"photo": Path(path).name, "picture": start, "losses": losses.tolist()})
    for name in stylizers:
        for start in _STARTS:
            reached_after = [row[f"from {start}"] for row in rows if row["picture"] == name]
            quarters = np.percentile(reached_after, [0, 25, 50, 75, 100])
            told = ", ".join(f"{value:.0f}" for value in quarters)
            print(f"{name}: as low after N evaluations from {start}: {told} (quartiles)")
    return rows


def speed(stylizer: nst_tf.Stylizer, painting: str, photo: str) -> dict[str, float]:
    large, small = images.load(photo, 512), images.load(photo, 256)

    def run() -> None:
        nst_tf.stylize(large, painting, weights=_WEIGHTS.value, size=512)

    ways = {
        "the default at 512 px": (run, 1),
        "one pass at 512 px": (lambda: stylizer.paint(large), 20),
        "one pass at 256 px": (lambda: stylizer.paint(small), 20),
    }
    for paint, _ in ways.values():
        paint()
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(_REPEATS.value):
        for name, (paint, times) in ways.items():
            began = time.perf_counter()
            for _ in range(times):
                paint()
            seconds[name].append((time.perf_counter() - began) / times)
    found = {name: float(np.median(of)) for name, of in seconds.items()}
    for name, value in found.items():
        print(f"{name}: {value:.3f} s")
    whole, at_512, at_256 = found.values()
    print(f"one pass is {whole / at_512:.0f} times as fast; {1 / at_256:.1f} pictures/s at 256 px")
    return found


def main(argv: list[str]) -> None:
    if len(argv) < 3:
        raise app.UsageError("name a painting and a stylizer")
    painting, photos = argv[1], folders.files([_PHOTOS.value])
    stylizers = {path: nst_tf.Stylizer.load(path) for path in argv[2:]}
    if _MEASURE.value == "loss":
        found: Any = yardstick(painting, stylizers, photos)
    else:
        found = speed(stylizers[argv[2]], painting, photos[0])
    if _JSON.value:
        Path(_JSON.value).write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    app.run(main)
