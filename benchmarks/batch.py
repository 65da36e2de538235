"""One command for many pictures against a command for each: time, and memory that does not grow.

    python benchmarks/batch.py --photos=DIR --styles=ONE,TWO [--preset=draft] [--workers=2]

Paints --count photos in both paintings by `nst-tf batch`, once, and some of these pictures by
single commands, half of them before and half after it, of which the median stands for each.
The batch's own optimisation is the sum of the seconds in its manifests, of several workers divided
by their number. Memory is what batch and workers have resident when four pictures are there, and
the most from then on.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from absl import app, flags

from nst_tf.pictures import folders

_PHOTOS = flags.DEFINE_string("photos", None, "A folder of photos.", required=True)
_STYLES = flags.DEFINE_list("styles", None, "Paintings.", required=True)
_COUNT = flags.DEFINE_integer("count", 24, "How many photos.")
_SIZE = flags.DEFINE_integer("size", 256, "Longer side of the pictures in pixels.")
_WEIGHTS = flags.DEFINE_string("weights", "mini", "The network.")
_PRESET = flags.DEFINE_string("preset", "crisp", "The recipe.")
_WORKERS = flags.DEFINE_integer("workers", 1, "Of the batch.")
_SINGLES = flags.DEFINE_integer("singles", 6, "Single commands, of which the median counts.")
_JSON = flags.DEFINE_string("json", None, "Also write the numbers here.")


_SILENT: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def command(*arguments: object) -> list[str]:
    """A command of the package, quiet and with what both ways have in common."""
    how = (f"--size={_SIZE.value}", f"--weights={_WEIGHTS.value}", f"--preset={_PRESET.value}")
    return [sys.executable, "-m", "nst_tf.apps.main", *map(str, arguments), *how, "--quiet"]


def singles(photos: list[str], out: Path) -> list[float]:
    """Seconds of a single command for each of these photos."""
    seconds = []
    for number, photo in enumerate(photos):
        style = _STYLES.value[number % len(_STYLES.value)]
        begun = time.perf_counter()
        target = out / f"single-{number}.png"
        subprocess.run(command("stylize", photo, style, "-o", target), check=True, **_SILENT)
        seconds.append(time.perf_counter() - begun)
    return seconds


def resident(process: int) -> int:
    """Bytes that a process and those that it began have in memory."""
    total = 0
    try:
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                total += int(line.split()[1]) << 10
        for task in Path(f"/proc/{process}/task").iterdir():
            total += sum(map(resident, map(int, (task / "children").read_text().split())))
    except (OSError, ValueError):
        pass  # it has ended
    return total


def batch(photos: list[str], out: Path) -> dict[str, float]:
    """Paints all of them."""
    begun = time.perf_counter()
    styles = f"--styles={','.join(_STYLES.value)}"
    arguments = (*photos, styles, f"--out={out}", f"--workers={_WORKERS.value}")
    process = subprocess.Popen(command("batch", *arguments), **_SILENT)
    early, most, last = 0, 0, 0
    while process.poll() is None:
        now, there = resident(process.pid), len(list(out.glob("*--*.json")))
        early = max(early, now) if there <= 4 else early
        most, last = (max(most, now), now) if there > 4 and now else (most, last)
        time.sleep(0.1)
    assert process.returncode == 0, "the batch failed"
    seconds = time.perf_counter() - begun
    told = [json.loads(path.read_text())["seconds"] for path in out.glob("*--*.json")]
    assert len(told) == len(photos) * len(_STYLES.value)
    return {
        "pictures": len(told),
        "batch_s": seconds,
        "own_s": sum(told) / _WORKERS.value,
        "after_4_mib": early / 2**20,
        "most_later_mib": most / 2**20,
    }


def main(_: list[str]) -> None:
    photos = folders.files(_PHOTOS.value)[: _COUNT.value]
    few = photos[:: max(1, len(photos) // _SINGLES.value)][: _SINGLES.value]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        before = singles(few[: len(few) // 2], out)
        told = batch(photos, out / "batch")
        each = statistics.median(before + singles(few[len(few) // 2 :], out))
    told |= {
        "single_s": each,
        "of_singles": told["batch_s"] / (each * told["pictures"]),
        "of_own": told["batch_s"] / told["own_s"],
        "memory": told["most_later_mib"] / told["after_4_mib"],
    }
    cores = os.cpu_count()
    print(
        f"{_PRESET.value} by {_WEIGHTS.value}, {_SIZE.value} px, {_WORKERS.value} workers, {cores=}"
    )
    for name, number in told.items():
        print(f"{name:16} {number:10.3f}")
    if _JSON.value:
        Path(_JSON.value).write_text(json.dumps(told, indent=1))


if __name__ == "__main__":
    app.run(main)
