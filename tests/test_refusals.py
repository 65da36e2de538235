"""What cannot be used is refused before TensorFlow is imported: at once, and in little memory."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from nst_tf import assets
from nst_tf.pictures import images

#: Runs command lines from standard input in one process, in which each is refused.
REFUSED = """
import contextlib, io, json, resource, sys
from nst_tf.apps.main import main
told = []
for line in json.load(sys.stdin):
    with contextlib.redirect_stderr(io.StringIO()) as said:
        code = main(line)
    told.append((code, "tensorflow" in sys.modules, said.getvalue()))
# In KiB, and the processor's time.
spent = resource.getrusage(resource.RUSAGE_SELF)
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]
print(json.dumps([told, int(peak), spent.ru_utime + spent.ru_stime]))
"""

GOOD = ["stylize", "photo.png", "painting.png"]
LINES = {
    "missing": (["stylize", "missing.jpg", "painting.png"], "cannot read missing.jpg"),
    "missing style": (["stylize", "photo.png", "missing.jpg"], "cannot read missing.jpg"),
    "missing mask": (["stylize", "photo.png", "painting.png:no.png"], "cannot read no.png"),
    "one of two": ([*GOOD, "missing.jpg"], "cannot read missing.jpg"),
    "no picture": (["stylize", "text.png", "painting.png"], "not a picture"),
    "cut short": (["stylize", "cut.png", "painting.png"], "cut short"),
    "too small": ([*GOOD, "--size=8"], "too few"),
    "protect": ([*GOOD, "--protect=missing.png"], "cannot read missing.png"),
    "init": ([*GOOD, "--init=missing.png"], "missing.png"),
    "one more": (["verify-export", "one", "two"], "unexpected 'two'; usage: nst-tf verify-export"),
    "any": (["doctor", "me"], "unexpected 'me'; usage: nst-tf doctor [--json]"),
    "flag": ([*GOOD, "--sise=3"], "sise"),
    "value": ([*GOOD, "--size=big"], "big"),
    "number": ([*GOOD, "--evaluations=0"], "evaluations is 0"),
    "layer": ([*GOOD, "--style_layers=conv9_9"], "conv9_9"),
    "preset": ([*GOOD, "--preset=none"], "none"),
    "tile": ([*GOOD, "--tile=big"], "tile is 'big'"),
    "blend": ([*GOOD, "--style_blend=1,2"], "2 weights"),
    "views": ([*GOOD, "--style_loss=sliced", "--mirrored"], "knows one style image"),
    "padding": ([*GOOD, "--style_loss=neighbours"], "knows no padding=mirror"),
    "folder": ([*GOOD, "-o", "missing/out.png"], "no directory"),
    "suffix": ([*GOOD, "-o", "out.xyz"], "suffixes"),
    "overwritten": ([*GOOD, "-o", "photo.png"], "one of the pictures to read"),
    "film": ([*GOOD, "--film=missing/film.webp"], "no directory"),
    "frames": ([*GOOD, "--film=film.webp", "--film_every=0"], "every of a film is 0"),
    "logs": ([*GOOD, "--logdir=text.png"], "no folder"),
    "weights": ([*GOOD, "--weights=missing.h5"], "no weights file missing.h5"),
    "zeros": ([*GOOD, "--weights=zeros.npz"], "kernel of conv1_1 is 0 everywhere"),
    "integers": ([*GOOD, "--weights=integers.npz"], "whole numbers (int8)"),
    "no loss": ([*GOOD, "--content_weight=0", "--style_weight=0", "--laplacian_weight=0"], "is 0"),
    "no style": ([*GOOD, "--style_layers=conv1_1=0"], "weights of style_layers are all 0"),
    "classical": ([*GOOD[:2], "missing.jpg", "--method=reinhard"], "cannot read missing.jpg"),
    "experiment": (["experiment", "ratio", "missing.jpg", "painting.png", "--out=e"], "missing"),
    "export": (["export", "--out=m", "--weights=missing.h5"], "no weights file missing.h5"),
    "judge": (["judge", "missing.jpg", "painting.png", "photo.png"], "cannot read missing.jpg"),
    "memory": ([*GOOD, "--max_memory=much"], "max_memory is 'much'"),
    "of a grid": (
        ["experiment", "ratio", "photo.png", "painting.png", "--out=e", "--max_memory=much"],
        "max_memory is 'much'",
    ),
    "of a judge": (
        ["judge", "--protocol=small", "--methods=gatys2016", "--out=j", "--max_memory=0"],
        "max_memory is '0'",
    ),
    "judged file": (["judge", "photo.png", "painting.png", "text.png"], "not a picture"),
    "judged": (["judge", "photo.png", "painting.png", "missing.png"], "none of the results"),
}


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    folder = tmp_path_factory.mktemp("refusals")
    picture = np.random.default_rng(0).random((24, 32, 3), np.float32)
    for name in ("photo.png", "painting.png"):
        images.save(picture, folder / name)
    (folder / "text.png").write_text("hello")
    (folder / "cut.png").write_bytes((folder / "photo.png").read_bytes()[:900])
    with np.load(assets.MINI) as mini:
        arrays = dict(mini)
    for name, kind in (("zeros", np.float16), ("integers", np.int8)):
        np.savez(
            folder / f"{name}.npz",
            **{key: np.zeros_like(array, kind) for key, array in arrays.items()},
        )
    there = sorted(folder.iterdir())
    lines = [line for line, _ in LINES.values()]
    done = subprocess.run(
        [sys.executable, "-c", REFUSED],
        input=json.dumps(lines),
        capture_output=True,
        text=True,
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    assert sorted(folder.iterdir()) == there
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", LINES)
def test_it_is_refused_before_tensorflow_is_there(told, name):
    code, tensorflow, text = told[0][list(LINES).index(name)]
    assert code == 2 and LINES[name][1] in text and text.count("\n") == 1, text
    assert not tensorflow


def test_all_of_them_take_little_memory_and_time(told):
    _, peak, seconds = told
    assert peak < 100 * 1024, f"{peak / 1024:.0f} MiB"
    assert seconds < 5, f"{seconds:.1f} s for {len(LINES)}"  # it takes less than one
