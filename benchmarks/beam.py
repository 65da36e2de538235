"""Gram matrices by Beam's DirectRunner against a loop of equal batches: what Beam costs.

    python benchmarks/beam.py --photos=DIR [--weights=mini] [--count=200] [--repeats=5]

Both read --count pictures (--broken of them broken), crop them to --size pixels square, and measure
Gram matrices in batches of --batch. In turn, Beam, loop, Beam, loop, ...; medians; both build and
compile the network every time. What both make is compared, and the dead letters are shown.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import apache_beam as beam
import numpy as np
from absl import app, flags
from apache_beam.options.pipeline_options import PipelineOptions

from nst_tf.beam import Failure, Grams, ReadPictures
from nst_tf.beam.features import PictureModel
from nst_tf.errors import NSTError
from nst_tf.pictures import folders, images

_PHOTOS = flags.DEFINE_string("photos", None, "A folder of photos.", required=True)
_WEIGHTS = flags.DEFINE_string("weights", "mini", "The network.")
_LAYERS = flags.DEFINE_list(
    "layers", ["conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1"], "Of Gram matrices."
)
_COUNT = flags.DEFINE_integer("count", 200, "How many pictures.")
_BROKEN = flags.DEFINE_integer("broken", 5, "How many of them are no pictures.")
_SIZE = flags.DEFINE_integer("size", 256, "Of the crops.")
_BATCH = flags.DEFINE_integer("batch", 8, "Pictures of a batch.")
_REPEATS = flags.DEFINE_integer("repeats", 5, "Of both.")
_JSON = flags.DEFINE_string("json", None, "Also write the numbers here.")


def by_beam(paths: list[str], folder: str | None = None) -> Any:
    """Measures by a pipeline; keeps what it makes in a folder, where there is one."""

    def keep(made: tuple[str, dict[str, np.ndarray]]) -> None:
        name, grams = made
        np.savez(f"{folder}/{Path(name).name}.npz", **grams)  # type: ignore[arg-type]

    def tell(failure: Failure) -> None:
        Path(f"{folder}/{Path(failure.name).name}.txt").write_text(failure.reason)

    pipeline = beam.Pipeline(options=PipelineOptions([]))
    read = pipeline | beam.Create(paths) | ReadPictures(_SIZE.value, crop=True)
    made = read.good | Grams(_LAYERS.value, _WEIGHTS.value, max_batch_size=_BATCH.value)
    if folder:
        made.good | "Keep" >> beam.Map(keep)
        (read.failed, made.failed) | beam.Flatten() | "Tell" >> beam.Map(tell)
    result = pipeline.run()
    result.wait_until_finish()
    return result


def by_loop(paths: list[str], model: Any) -> dict[str, dict[str, np.ndarray]]:
    """Likewise, in a loop."""
    made: dict[str, dict[str, np.ndarray]] = {}
    names: list[str] = []
    batch: list[np.ndarray] = []

    def measure() -> None:
        if batch:
            grams = model(np.stack(batch))
            for place, name in enumerate(names):
                made[name] = {layer: values[place] for layer, values in grams.items()}
        names.clear()
        batch.clear()

    for path in paths:
        try:
            batch.append(images.cover(images.load(path), _SIZE.value, _SIZE.value))
            names.append(path)
        except NSTError:
            continue
        if len(batch) == _BATCH.value:
            measure()
    measure()
    return made


def spoiled(folder: str) -> list[str]:
    """The pictures, some of them broken, spread among the others."""
    given = folders.files(_PHOTOS.value)
    paths = []
    for number in range(_COUNT.value):
        data = Path(given[number % len(given)]).read_bytes()
        broken = number % (_COUNT.value // max(1, _BROKEN.value)) == 1 and _BROKEN.value
        name = f"broken{number}.jpg" if broken else f"{number}.jpg"
        Path(folder, name).write_bytes(data[: len(data) // 3] if broken else data)
        paths.append(f"{folder}/{name}")
    return paths


def main(_: list[str]) -> None:
    with tempfile.TemporaryDirectory() as photos, tempfile.TemporaryDirectory() as kept:
        paths = spoiled(photos)
        model = PictureModel(_LAYERS.value, _WEIGHTS.value, grams=True).load_model()
        wanted = by_loop(paths, model)
        by_beam(paths, kept)
        apart = 0.0
        for name, grams in wanted.items():
            found = np.load(f"{kept}/{Path(name).name}.npz")
            for layer, gram in grams.items():
                apart = max(apart, float(np.abs(found[layer] - gram).max() / np.abs(gram).max()))
        letters = {path.stem: path.read_text() for path in Path(kept).glob("*.txt")}
        print(f"{len(wanted)} pictures, largest difference {apart:.1e} of the largest value")
        for name, reason in sorted(letters.items()):
            print(f"dead letter {name}: {reason.replace(photos, '')}")
        times: dict[str, list[float]] = {"beam": [], "loop": []}
        for _turn in range(_REPEATS.value):
            for name, work in (("beam", lambda: by_beam(paths)), ("loop", lambda: again(paths))):
                begun = time.perf_counter()
                work()
                times[name].append(time.perf_counter() - begun)
        medians = {name: statistics.median(seconds) for name, seconds in times.items()}
        ratio = medians["beam"] / medians["loop"]
        print(
            f"{_WEIGHTS.value}, {_SIZE.value} px, batches of {_BATCH.value}: {medians}, {ratio:.3f}"
        )
    told = {"pictures": len(wanted), "letters": len(letters), "apart": apart, "ratio": ratio}
    if _JSON.value:
        Path(_JSON.value).write_text(json.dumps({**told, **times}, indent=1))


def again(paths: list[str]) -> None:
    """The loop with a model of its own, which the pipeline builds and compiles, too."""
    by_loop(paths, PictureModel(_LAYERS.value, _WEIGHTS.value, grams=True).load_model())


if __name__ == "__main__":
    app.run(main)
