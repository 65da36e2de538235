"""How good another network's pastiches are, with VGG19 as the judge.

    python benchmarks/judge.py --teacher=VGG19.h5 --weights=mini,random --photos=DIR --paintings=DIR

For every pair of held-out pictures a pastiche is made with VGG19 and one with the other network,
with the same preset, size and evaluations. With S and C VGG19's own style and content loss:

    style gained  [ln S(start) - ln S(theirs)] / [ln S(start) - ln S(VGG19's)]
    content kept  C(theirs) / C(VGG19's)

Pastiches are kept in --out, by the network's hash, so that VGG19's are made once and an interrupted
call goes on. Beside them a sheet of every pair: content | style | VGG19's | theirs.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf
from absl import app, flags

from nst_tf.network import weights as weights_module
from nst_tf.network.weights import Weights
from nst_tf.pictures import images
from nst_tf.run.transfer import StyleTransfer

_TEACHER = flags.DEFINE_string("teacher", None, "VGG19's weights.", required=True)
_WEIGHTS = flags.DEFINE_list("weights", ["mini", "random"], "Networks to judge.")
_PHOTOS = flags.DEFINE_string("photos", None, "Folder of photos.", required=True)
_PAINTINGS = flags.DEFINE_string("paintings", None, "Folder of paintings.", required=True)
_OUT = flags.DEFINE_string("out", "judged", "Where pastiches and the table go.")
_PAIRS = flags.DEFINE_integer("pairs", 18, "Pairs to judge.")
_SIZE = flags.DEFINE_integer("size", 256, "Longer side in pixels.")
_EVALUATIONS = flags.DEFINE_integer("evaluations", 200, "Of every run.")


def held_out(folder: str, every: int) -> list[Path]:
    """The pictures that `scripts/distill_mini.py` never trains on: every so manieth by name."""
    return sorted(path for path in Path(folder).iterdir() if path.is_file())[::every]


def pastiche(photo: Path, painting: Path, weights: Weights, path: Path) -> np.ndarray:
    """The pastiche of a pair with the given network, from `path` where it was made before."""
    if path.is_file():
        return images.load(path)
    run = StyleTransfer(
        photo,
        painting,
        preset="gatys2016",
        weights=weights,
        size=_SIZE.value,
        evaluations=_EVALUATIONS.value,
    )
    run.run().save(path)
    return images.load(path)


def main(argv: list[str]) -> None:
    out = Path(_OUT.value)
    out.mkdir(parents=True, exist_ok=True)
    networks = {"vgg19": weights_module.load(_TEACHER.value)}
    networks |= {Path(name).stem: weights_module.load(name) for name in _WEIGHTS.value}
    photos, paintings = held_out(_PHOTOS.value, 10), held_out(_PAINTINGS.value, 8)
    table: dict[str, list[dict[str, Any]]] = {name: [] for name in networks if name != "vgg19"}
    for index in range(_PAIRS.value):
        photo, painting = photos[index % len(photos)], paintings[index % len(paintings)]
        pair = f"{photo.stem}-{painting.stem}"
        judge = StyleTransfer(
            photo,
            painting,
            preset="gatys2016",
            weights=networks["vgg19"],
            size=_SIZE.value,
            evaluations=1,
        )
        made = {
            name: pastiche(
                photo, painting, network, out / f"{pair}-{name}-{network.sha256[:8]}.png"
            )
            for name, network in networks.items()
        }
        sheet = images.side_by_side([judge.content, *judge.styles, *made.values()])
        images.save(sheet, out / f"{pair}.jpg")
        objective = judge.build_objective()
        terms = {
            name: {
                term: float(value)
                for term, value in objective(tf.constant(picture[np.newaxis])).terms.items()
            }
            for name, picture in {"start": judge.content, **made}.items()
        }
        start, best = terms["start"]["style"], terms["vgg19"]["style"]
        for weights in table:
            theirs = terms[weights]
            gained = np.log(start / theirs["style"]) / np.log(start / best)
            kept = theirs["content"] / terms["vgg19"]["content"]
            table[weights].append({"pair": pair, "gained": gained, "content": kept})
            print(f"{pair}  {weights:8}  gained {gained:.2f}  content {kept:.2f}", flush=True)
    for weights, rows in table.items():
        gains = [float(row["gained"]) for row in rows]
        keeps = [float(row["content"]) for row in rows]
        print(
            f"{weights}: style gained median {np.median(gains):.3f}, worst {min(gains):.3f}; "
            f"content median {np.median(keeps):.3f}; {len(rows)} pairs"
        )
    (out / "table.json").write_text(json.dumps(table, indent=1, default=float))


if __name__ == "__main__":
    app.run(main)
