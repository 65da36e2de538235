"""What the studio bears on this machine: many who look on, hostile files, a painter that is killed.

    python benchmarks/studio.py [--clients=50] [--files=200] [--kills=20] [--rounds=5]

- `watched`: one order alone and one that --clients pages look on at (each listens, and fetches
  every preview that it is told of), in turn; medians of the seconds in the manifests.
- `hostile`: --files uploads that are none, cut short, bombs or far too large; memory of the server
  before and after them.
- `killed`: SIGKILL to the painter in the midst of an order, --kills times: each must say so, and
  all earlier results stay.
- `begins`: from the command's start to the page's last byte; and the page's weight.

It ends by itself.
"""

from __future__ import annotations

import json
import os
import random
import signal
import statistics
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

from absl import app, flags

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from studio import Studio  # type: ignore[import-not-found]

from nst_tf import assets

_CLIENTS = flags.DEFINE_integer("clients", 50, "Who look on.")
_FILES = flags.DEFINE_integer("files", 200, "Uploads that are no pictures.")
_KILLS = flags.DEFINE_integer("kills", 20, "Of the painter.")
_ROUNDS = flags.DEFINE_integer("rounds", 5, "Of watched and alone.")
_SIZE = flags.DEFINE_integer("size", 256, "Of the pictures.")
_PARTS = flags.DEFINE_list("parts", ["begins", "watched", "hostile", "killed"], "What is tried.")


def order(studio: Studio, pair: list[str], **cells: str) -> str:
    """An order's ID."""
    how = {"preset": "draft", "size": str(_SIZE.value), **cells}
    told = studio.ask("api/orders", {"content": pair[0], "styles": [pair[1]], "cells": how})[1]
    number: str = told["id"]
    return number


class Onlooker(threading.Thread):
    """A page that looks on."""

    def __init__(self, address: str) -> None:
        super().__init__(daemon=True)
        self.address, self.ended, self.previews, self.events = address, False, 0, 0

    def run(self) -> None:
        with urllib.request.urlopen(self.address + "api/events") as stream:
            for line in stream:
                if self.ended:
                    return
                if line.startswith(b"data: "):
                    self.events += 1
                    told = json.loads(line[6:])
                    if "preview" in told:
                        path = f"api/orders/{told['id']}/preview?{told['preview']}"
                        urllib.request.urlopen(self.address + path).read()
                        self.previews += 1


def begins(folder: Path) -> None:
    """How soon the page is there."""
    times = []
    for number in range(5):
        begun = time.perf_counter()
        with Studio(folder / str(number)) as studio:
            page = studio.ask("")[1].decode()
            for name in ("studio.css", "main.js", "api.js", "make.js", "choose.js", "easel.js"):
                assert studio.ask(f"static/{name}")[0] == 200
            times.append(time.perf_counter() - begun)
            assert "Studio" in page
    weight = sum(path.stat().st_size for path in assets.STUDIO.iterdir())
    print(f"begins: page complete after {statistics.median(times):.2f} s; {weight / 1024:.0f} KiB")


def watched(studio: Studio, pair: list[str]) -> None:
    """What those who look on take of an order's time."""
    studio.wait(order(studio, pair), "done")  # which compiles
    times: dict[str, list[float]] = {"alone": [], "watched": []}
    previews = 0
    for number in range(_ROUNDS.value):
        for kind, count in (("alone", 1), ("watched", _CLIENTS.value)):
            crowd = [Onlooker(studio.address) for _ in range(count)]
            for one in crowd:
                one.start()
            time.sleep(1)
            done = studio.wait(order(studio, pair, seed=str(number)), "done")
            times[kind].append(done["seconds"])
            previews += sum(one.previews for one in crowd) * (kind == "watched")
            for one in crowd:
                one.ended = True
    medians = {kind: statistics.median(seconds) for kind, seconds in times.items()}
    ratio = medians["watched"] / medians["alone"]
    print(f"watched by {_CLIENTS.value}: {medians}, {ratio:.3f}; {previews} previews fetched")


def resident(number: int) -> float:
    """MiB of a process."""
    for line in Path(f"/proc/{number}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


def hostile(studio: Studio) -> None:
    """Files that are none."""
    import test_studio  # type: ignore[import-not-found]

    draw = random.Random(0)
    good = assets.SCENE.read_bytes()
    before = resident(studio.process.pid)
    codes: dict[int, int] = {}
    for number in range(_FILES.value):
        spoiled = bytearray(good)
        for _ in range(20):
            spoiled[draw.randrange(len(spoiled))] = draw.randrange(256)
        kinds = (
            good[: draw.randrange(10, len(good) - 10)],
            bytes(spoiled),
            test_studio.png(20_000 + number, 20_000),
            draw.randbytes(20_000),
            b"GIF89a" + draw.randbytes(5000),
            b"\xff\xd8\xff" + draw.randbytes(5000),
        )
        code, _told = studio.give(kinds[number % len(kinds)], f"{number}.png")
        codes[code] = codes.get(code, 0) + 1
    after = resident(studio.process.pid)
    assert studio.ask("api/state")[0] == 200
    print(f"hostile: {codes}; {before:.0f} MiB before, {after:.0f} after, {after - before:+.0f}")


def killed(studio: Studio, pair: list[str]) -> None:
    """A painter that is killed."""
    kept = order(studio, pair, size="64")
    studio.wait(kept, "done")
    messages = 0
    for number in range(_KILLS.value):
        painter = studio.painter()
        one = order(studio, pair, size="64", evaluations="3000", seed=str(number))
        while not (studio.order(one) or {}).get("iteration"):
            time.sleep(0.05)
        os.kill(painter, signal.SIGKILL)
        messages += "ended by signal 9" in studio.wait(one, "failed", "done")["note"]
    there = studio.ask(f"api/results/{kept}.png")[0] == 200
    print(f"killed: {messages} of {_KILLS.value} say so; the earlier result is there: {there}")


def main(_argv: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        if "begins" in _PARTS.value:
            begins(Path(folder))
        with Studio(Path(folder, "studio")) as studio:
            pair = [
                studio.give(path.read_bytes())[1]["id"] for path in (assets.SCENE, assets.PAINTING)
            ]
            studio.painter()
            if "watched" in _PARTS.value:
                watched(studio, pair)
            if "hostile" in _PARTS.value:
                hostile(studio)
            if "killed" in _PARTS.value:
                killed(studio, pair)


if __name__ == "__main__":
    app.run(main)
