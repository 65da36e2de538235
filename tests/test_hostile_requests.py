"""A served model among hostile requests: it refuses, answers, and lives.

In a process of its own, since what TensorFlow's kernels do not check ends the process.
"""

import json
import subprocess
import sys
from pathlib import Path

import hostile_requests
import pytest

PIXELS = ("serving_default", "fixed", "uint8", "grams", "style_loss", "content_loss")
FILES = ("image_bytes", "image_bytes_grams", "image_bytes_whole", "image_bytes_whole_grams")
#: What each takes of the two kinds without those that are the same but for the last step.
FEW = ("fixed", "uint8", "content_loss", "image_bytes_grams", "image_bytes_whole")


@pytest.mark.parametrize(
    ("seed", "of_pictures", "of_files", "signatures", "least"),
    [
        pytest.param(0, 240, 60, FEW, 600, id="some"),
        pytest.param(
            1, 4000, 4000, (*PIXELS, *FILES, "stylize"), 8000, id="all", marks=pytest.mark.long
        ),
    ],
)
def test_it_lives(exported, seed, of_pictures, of_files, signatures, least):
    command = [sys.executable, hostile_requests.__file__, str(exported), str(seed)]
    command += [str(of_pictures), str(of_files), *signatures]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, (done.returncode, lines[-1:], done.stderr[-2000:])

    told = [line for line in lines if "answered" in line]
    assert len(told) >= least
    wrong = [one for one in told if one["expected"] not in (None, one["answered"])]
    assert not wrong
    answered = [one for one in told if one["answered"]]
    refused = [one for one in told if not one["answered"]]
    # So that neither all nor nothing would do.
    assert min(len(answered), len(refused)) > least / 8
    assert all(one["finite"] for one in answered)
    # They take milliseconds.
    assert [one for one in refused if one["seconds"] > 2] == []
    assert lines[-1]["grown"] < hostile_requests.MEMORY
    print(f"{len(told)} tried, {len(refused)} refused, {len(answered)} answered")


def test_it_knows_nothing_of_the_package():
    assert "import nst_tf" not in Path(hostile_requests.__file__).read_text()
