"""What a picture costs, at three sizes of a corpus: for the plan of docs/scale.md.

    python benchmarks/scale.py --photos=DIR [--counts=60,240,960]

Three commands, each on so many copies of the photos: `shards` (512 px), `beam grams` (mini, 256 px,
DirectRunner) and `batch --stylizer` (width 1/4, 512 px). Seconds of the whole command, start
included, and bytes that it leaves. From the two smaller ones, seconds = start + pictures x each;
what that foretells of the largest is compared with what it took.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from absl import app, flags

import nst_tf
from nst_tf.pictures import folders

_PHOTOS = flags.DEFINE_string("photos", None, "A folder of photos.", required=True)
_COUNTS = flags.DEFINE_list("counts", ["60", "240", "960"], "Pictures of the three corpora.")
_JSON = flags.DEFINE_string("json", None, "Also write the numbers here.")


def commands(photos: Path, out: Path, stylizer: Path) -> dict[str, list[object]]:
    """What is measured, by name."""
    return {
        "shards": ["shards", photos, f"--out={out}/photos", "--size=512", "--quiet"],
        "beam grams": [
            *("beam", "grams", photos, f"--out={out}/photos", "--weights=mini", "--size=256"),
        ],
        "one pass": [
            *("batch", photos, f"--stylizer={stylizer}", f"--out={out}", "--size=512", "--quiet"),
            "--names={content}.jpg",
        ],
    }


def measured(arguments: list[object], out: Path) -> tuple[float, int]:
    """Seconds of a command, and bytes that it leaves."""
    line = [sys.executable, "-m", "nst_tf.apps.main", *map(str, arguments)]
    begun = time.perf_counter()
    silent = subprocess.DEVNULL
    subprocess.run(line, check=True, stdout=silent, stderr=silent)
    seconds = time.perf_counter() - begun
    return seconds, sum(path.stat().st_size for path in out.rglob("*") if path.is_file())


def main(_argv: list[str]) -> None:
    given = folders.files(_PHOTOS.value)
    counts = [int(count) for count in _COUNTS.value]
    found: dict[str, list[tuple[float, int]]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        stylizer = Path(scratch, "stylizer.keras")
        nst_tf.Stylizer(["painting"]).save(stylizer)
        for count in counts:
            photos = Path(scratch, f"photos{count}")
            photos.mkdir()
            for number in range(count):
                shutil.copy(given[number % len(given)], photos / f"{number:06}.jpg")
            for name in commands(photos, Path(scratch), stylizer):
                with tempfile.TemporaryDirectory(dir=scratch) as out:
                    line = commands(photos, Path(out), stylizer)[name]
                    found.setdefault(name, []).append(measured(line, Path(out)))
    few, more, largest = counts
    for name, rows in found.items():
        (first, _), (second, _), (last, size) = rows
        each = (second - first) / (more - few)
        start = first - few * each
        foretold = start + largest * each
        off = last / foretold - 1
        print(
            f"{name:10}: {first:.1f}, {second:.1f}, {last:.1f} s; start {start:.1f} s and "
            f"{1000 * each:.1f} ms a picture; foretold {foretold:.1f} s, off by {off:+.1%}; "
            f"{size / largest / 1024:.1f} KiB a picture"
        )
    if _JSON.value:
        Path(_JSON.value).write_text(json.dumps({"counts": counts, **found}, indent=1))


if __name__ == "__main__":
    app.run(main)
