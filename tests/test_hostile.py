"""Hostile files: what is refused is refused in one line of ours, soon, and in little memory."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import hostile
import numpy as np
import pytest
from PIL import Image

from nst_tf import memory_at_hand, reading
from nst_tf.apps import command
from nst_tf.errors import FileError, NSTError, PictureError, WeightsError
from nst_tf.network import weights
from nst_tf.pictures import encoded, images, proof

GIB = 1 << 30


def alone(*arguments: object) -> str:
    """What a Python process of its own prints; it must live to its end."""
    paths = {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **paths})
    assert done.returncode == 0, f"{done.returncode} {done.stdout[-500:]} {done.stderr[-2000:]}"
    return done.stdout


@pytest.mark.parametrize("count", [150, pytest.param(3000, marks=pytest.mark.long)])
def test_a_corpus(tmp_path, count):
    """None ends the process, waits, prints, raises another's error, or takes 2 s or 1 GiB."""
    lines = alone(hostile.__file__, tmp_path, 0, count).splitlines()
    rows = {name: json.loads(answer) for name, answer in (line.split("\t") for line in lines)}
    assert len(rows) == count + 13 * (len(hostile.READERS) - 1)
    said = {name: row[0] for name, row in rows.items()}
    assert not {name: words for name, words in said.items() if words.startswith("foreign")}
    assert not {name: row[1] for name, row in rows.items() if row[1] > 2}
    assert max(row[2] for row in rows.values()) < 1024
    assert all(words.isprintable() for words in said.values())
    # What says that it is large is refused, or is not; of the others some can be read.
    for words in ("pipe", "device", "x134217728.png", "slow", "flat", "frames", "bomb", "pickle"):
        asked = {name: answer for name, answer in said.items() if words in name}
        assert asked and all(answer.startswith("refused") for answer in asked.values()), asked
    assert 0.02 < np.mean([answer == "read" for answer in said.values()]) < 0.5


@pytest.mark.slow
def test_a_large_jpeg_that_is_to_be_small(tmp_path):
    """It took 4.7 GiB."""
    Image.new("L", (13000, 13000), 128).save(tmp_path / "a.jpg")
    script = (
        "import sys, hostile; from nst_tf.pictures import images\n"
        "made = images.load(sys.argv[1], 512)\n"
        "assert made.shape == (512, 512, 3) and abs(made - 128 / 255).max() < 0.01\n"
        "print(hostile.peak())"
    )
    assert float(alone("-c", script, tmp_path / "a.jpg")) < 1024


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_what_is_large_is_reduced_first(monkeypatch, kind):
    """To nearly the same, and to the same shape."""
    rows, columns = np.mgrid[:300, :400] / 40
    picture = np.stack([np.sin(rows), np.cos(columns), np.sin(rows + columns)], -1) * 100 + 128
    buffer = io.BytesIO()
    Image.fromarray(picture.astype(np.uint8)).save(buffer, kind, quality=95)
    whole = images.load(buffer.getvalue(), 40)
    monkeypatch.setattr(encoded, "_LARGE", 1000)
    opened = encoded.decoded(buffer.getvalue(), "it", 40, "white")
    assert 80 <= opened.width < 160
    reduced = images.load(buffer.getvalue(), 40)
    assert reduced.shape == whole.shape
    assert 0 < np.abs(reduced - whole).max() < 0.03
    assert images.load(buffer.getvalue()).shape == (300, 400, 3)


MEASURE = """
import sys
import hostile
from PIL import Image
from nst_tf.pictures import encoded, images
mode, size = sys.argv[1], int(sys.argv[2]) or None
Image.init()
image = Image.new(mode, (3000, 2500))
asked = []
encoded.check_memory = lambda what, needed: asked.append(needed)
images.load(Image.new(mode, (8, 8)), size and 4)
image.load()
before = hostile.peak()
images.load(image, size)
print(hostile.peak() - before, asked[-1 - bool(size)] / 2**20)
"""


@pytest.mark.parametrize(("mode", "size"), [("RGB", 0), ("RGBA", 64), ("L", 64), ("I;16", 64)])
def test_the_memory_that_is_asked_for_is_what_is_taken(mode, size):
    """The image itself is there before: up to 4 bytes for each of 7.5 million pixels."""
    taken, asked = map(float, alone("-c", MEASURE, mode, size).split())
    assert 0.8 * asked < taken + 30 and taken < 1.1 * asked, (taken, asked)


def test_memory_that_is_not_there(monkeypatch, tmp_path):
    images.save(np.zeros((40, 50, 3)), tmp_path / "a.png")
    monkeypatch.setattr(memory_at_hand, "available", lambda: 2000)
    for picture in (tmp_path / "a.png", Image.new("RGB", (9, 99))):
        with pytest.raises(PictureError, match="of memory, and 2 KiB are at hand"):
            images.load(picture)
    monkeypatch.setattr(memory_at_hand, "available", lambda: GIB)
    for picture in (tmp_path / "a.png", np.zeros((40, 50, 3))):
        with pytest.raises(PictureError, match="at 90000x72000 pixels is too large"):
            images.load(picture, 90_000)


def test_only_files_are_read(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "endless.png").symlink_to("/dev/zero")
    for path, words in (
        (tmp_path / "pipe.png", "pipe.png is a pipe, not a file"),
        (tmp_path / "endless.png", "endless.png is a device, not a file"),
        (tmp_path, "is a directory, not a file"),
        ("https://example.org/a.jpg", "https://example.org/a.jpg is a URL, not a file: download"),
        (Path("https://example.org/a.jpg"), "is a URL"),
        ("c:/a.jpg", "cannot read c:/a.jpg: No such file"),
    ):
        for read, error in (
            (reading.read, FileError),
            (images.load, PictureError),
            (weights.load, WeightsError),
        ):
            with pytest.raises(error) as caught:
                read(path)
            assert words in str(caught.value)


def test_a_file_object_without_an_end(monkeypatch):
    monkeypatch.setattr(reading, "MOST", 3 << 20)
    with Path("/dev/zero").open("rb") as file, pytest.raises(PictureError, match="than 3 MiB"):
        images.load(file)


def test_a_file_is_read_no_further_than_it_said(tmp_path):
    with (tmp_path / "large").open("wb") as file:
        file.truncate(reading.MOST + 1)
    with pytest.raises(FileError, match="is too large: it holds 512 MiB, and may have 512 MiB"):
        reading.read(tmp_path / "large")
    (tmp_path / "small").write_bytes(b"12345")
    assert reading.read(tmp_path / "small", 5) == b"12345"
    with pytest.raises(FileError, match="too large"):
        reading.read(tmp_path / "small", 4)


@pytest.mark.parametrize("name", ["large.npz", "large.h5"])
def test_a_weights_file_has_an_end(tmp_path, name):
    """Larger than any VGG19, with all that training adds: nothing of it is read."""
    with (tmp_path / name).open("wb") as file:
        file.truncate(100 << 30)
    began = time.process_time()
    with pytest.raises(WeightsError, match=r"it holds 100\.0 GiB, and may have 2\.0 GiB"):
        weights.load(tmp_path / name)
    assert time.process_time() - began < 1
    with pytest.raises(FileError, match="too large"):
        reading.sha256(tmp_path / name)


def test_a_file_that_becomes_a_pipe(tmp_path, monkeypatch):
    """Between the look at it and its opening, which would wait for who writes to it."""
    (tmp_path / "file").write_bytes(b"12345")
    regular = os.stat(tmp_path / "file")
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setattr(reading, "_status", lambda path: regular)
    signal.alarm(60)
    try:
        for read in (reading.read, reading.sha256, weights.load):
            with pytest.raises(NSTError, match="is a pipe, not a file"):
                read(tmp_path / "pipe")
    finally:
        signal.alarm(0)


def test_names_are_shown_and_not_obeyed():
    assert str(NSTError("no \x1b[2Jfile\r\n\x07 caf\u00e9 \u202egnp.jpg")) == (
        r"no \x1b[2Jfile \x07 café \u202egnp.jpg"
    )


def test_nor_are_those_in_a_warning(capsys):
    def warn(_argv):
        warnings.warn("no \x1b[2Jfile\nmore", stacklevel=1)
        return 0

    assert command.run("stylize", warn, []) == 0
    assert capsys.readouterr().err == "nst-tf stylize: no \\x1b[2Jfile more\n"


def test_a_profile_whose_words_are_no_letters(tmp_path):
    data = bytearray(images.SRGB_ICC)
    data[12:16] = b"\xd2tr\xa0"  # the kind of device
    (tmp_path / "a.icc").write_bytes(data)
    with pytest.raises(FileError, match=r"a\.icc is not an ICC profile"):
        proof.Printer(tmp_path / "a.icc")


def test_nothing_is_unpickled_nor_advised_to_be(tmp_path):
    np.savez(tmp_path / "a.npz", **{"conv1_1/kernel": np.array([{}, print])})
    (tmp_path / "b.npz").write_bytes(b"\x80\x04cposix\nsystem\n.")
    for name, words in (("a.npz", "holds Python objects, not numbers"), ("b.npz", "not a zip")):
        with pytest.raises(WeightsError, match=words) as caught:
            weights.load(tmp_path / name)
        assert "allow_pickle" not in str(caught.value)


def test_weights_that_unpack_to_more_than_a_network_has(tmp_path):
    bombs = {name: data for name, data in hostile.bombs_of_weights() if "bomb" in name}
    assert len(bombs) == 2
    for name, data in bombs.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(WeightsError, match=r"unpack to|in another file"):
            weights.load(tmp_path / name)
