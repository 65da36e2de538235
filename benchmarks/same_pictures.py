"""Whether two versions of the package make the same pictures, byte by byte.

    python benchmarks/same_pictures.py --weights=mini,VGG19.h5 --out=before.json     # at one commit
    python benchmarks/same_pictures.py --weights=mini,VGG19.h5 --against=before.json # at another

Runs three presets with three optimizers, the picture as a whole and strip by strip, in float32 and,
with the first preset, in half precision; the settings say 64 pixels of the bundled pictures, or of
--content and --style. Prints a line a run: the SHA-256 of the PNG's pixels and the losses.
With --against it says what differs, by how many gray levels, and exits with 1 if anything does.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
from absl import app, flags
from PIL import Image

import nst_tf
from nst_tf import assets

_WEIGHTS = flags.DEFINE_list("weights", ["mini"], "Networks.")
_PRESETS = flags.DEFINE_list("presets", ["gatys2016", "gatys2015", "l2-distance"], "Recipes.")
_OPTIMIZERS = flags.DEFINE_list("optimizers", ["lbfgs", "adam", "gd"], "How the image descends.")
_TILES = flags.DEFINE_list("tiles", ["off", "32"], "How the picture is measured.")
_HALVES = flags.DEFINE_list("halves", ["mixed_float16", "mixed_bfloat16"], "Half precisions.")
_CONTENT = flags.DEFINE_string("content", str(assets.SCENE), "The content image.")
_STYLE = flags.DEFINE_string("style", str(assets.PAINTING), "The style image.")
_SIDE = flags.DEFINE_integer("side", 128, "The pictures are cut to squares of so many pixels.")
_EVALUATIONS = flags.DEFINE_integer("evaluations", 20, "Of each run.")
_OUT = flags.DEFINE_string("out", None, "Write the outcome here.")
_AGAINST = flags.DEFINE_string("against", None, "Compare with the outcome written here.")


def square(path: str) -> np.ndarray:
    """The middle of a picture, uint8 [side, side, 3]."""
    with Image.open(path) as image:
        width, height = image.size
        side = min(width, height)
        left, top = (width - side) // 2, (height - side) // 2
        part = image.convert("RGB").crop((left, top, left + side, top + side))
        return np.asarray(part.resize((_SIDE.value, _SIDE.value), Image.Resampling.LANCZOS))


def run(weights: str, preset: str, optimizer: str, tile: str, dtype: str) -> dict[str, Any]:
    """The PNG's pixels and the losses of one run."""
    result = nst_tf.stylize(
        square(_CONTENT.value),
        square(_STYLE.value),
        preset=preset,
        optimizer=optimizer,
        weights=weights,
        size=_SIDE.value,
        evaluations=_EVALUATIONS.value,
        tile=int(tile) if tile.isdecimal() else tile,
        dtype=dtype,
    )
    pixels = np.asarray(result.image)
    return {
        "sha256": hashlib.sha256(pixels.tobytes()).hexdigest(),
        "pixels": pixels.ravel().tolist(),
        "losses": [row["total"] for row in result.history],
    }


def compare(before: dict[str, Any], after: dict[str, Any]) -> tuple[bool, str]:
    """Whether two runs agree, pixel by pixel and in their losses to 1e-6, and what differs."""
    old, new = (np.asarray(run["pixels"], int) for run in (before, after))
    if len(before["losses"]) != len(after["losses"]) or old.shape != new.shape:
        return False, "another number of iterations or pixels"
    levels = np.abs(old - new)
    losses = float(np.abs(np.divide(before["losses"], after["losses"]) - 1).max())
    if not levels.any():
        return losses <= 1e-6, "the same" + (f" pixels, losses to {losses:.0e}" if losses else "")
    return False, (
        f"{(levels > 0).mean():.2%} of the values by up to {levels.max()} gray levels; "
        f"losses by up to {losses:.1e}"
    )


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"unexpected {argv[1]!r}")
    whole = [
        (*run, "float32")
        for run in itertools.product(
            _WEIGHTS.value, _PRESETS.value, _OPTIMIZERS.value, _TILES.value
        )
    ]
    halves = [
        (weights, _PRESETS.value[0], "lbfgs", "off", dtype)
        for weights in _WEIGHTS.value
        for dtype in _HALVES.value
    ]
    against = json.loads(Path(_AGAINST.value).read_text()) if _AGAINST.value else {}
    outcome, different = {}, 0
    for names in [*whole, *halves]:
        name = " ".join((Path(names[0]).stem, *names[1:]))
        outcome[name] = run(*names)
        line = f"{name:55} {outcome[name]['sha256'][:12]} {outcome[name]['losses'][-1]:.7g}"
        if name in against:
            same, words = compare(against[name], outcome[name])
            different += not same
            line += f"  {words}"
        print(line, flush=True)
    if _OUT.value:
        Path(_OUT.value).write_text(json.dumps(outcome))
    if against:
        print(f"{different} of {len(outcome)} differ")
    sys.exit(int(different > 0))


if __name__ == "__main__":
    app.run(main)
