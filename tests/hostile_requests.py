"""Requests that a served model must survive, and which of them it is to answer.

Run as a script, `python hostile_requests.py VERSION SEED PICTURES FILES [SIGNATURE ...]`, it sends
them and prints a line of JSON for each: before it is sent, since what aborts the process says no
more. It knows nothing of nst_tf.
"""

from __future__ import annotations

import io
import json
import resource
import struct
import sys
import time
import zlib
from typing import Any, NamedTuple

import numpy as np
import served
import tensorflow as tf
from PIL import Image

#: Of the model that is asked: the side of `fixed`, and the least of all.
SIZE, LEAST = 48, 16
#: How much larger the process may become, in bytes.
MEMORY = 2**30

#: For one pixel or all: not finite, not in [0, 1], rounding, denormal.
VALUES = (
    *(np.nan, np.inf, -np.inf, -1, -0.5, 256, 255, 2, 1e38, -1e38, 3.4e38),
    *(1.01, -0.01, 1.0001, -0.0001, 1e-40, 1e-45, -1e-45, -0.0),
)
TYPES = (np.float64, np.float16, np.int32, np.int64, np.uint8, np.bool_, np.complex64)


class Request(NamedTuple):
    """What is sent: `answered` is whether it is to be answered, None where either will do."""

    what: str
    signature: str
    given: dict[str, Any]
    answered: bool | None


def pictures(draw, inputs, count):
    """Requests of pixels for signatures by name, from good ones with nothing or something wrong."""
    names = [name for name in inputs if not any("bytes" in key for key in inputs[name])]
    for number in range(count):
        name = names[number % len(names)]
        given = {key: _batch(draw, name) for key in inputs[name]}
        if len(given) == 2 and draw.random() < 0.6:
            given["others"] = given["pictures"].copy()
        described = [f"{value.dtype}{list(value.shape)}" for value in given.values()]
        yield Request(f"{number} {' '.join(described)}", name, given, _good(name, given))


def _batch(draw, name):
    side = SIZE if name == "fixed" else None
    shape = [int(draw.integers(0, 4)), *(side or int(draw.integers(16, 33)) for _ in "hw"), 3]
    if draw.random() < 0.35:
        shape = _odd(draw, shape)
    whole = name == "uint8"
    batch = draw.integers(0, 256, shape, np.uint8) if whole else draw.random(shape, np.float32)
    batch = np.asarray(batch, np.uint8 if whole else np.float32)
    if draw.random() < 0.4 and batch.size and not whole:
        at = draw.integers(batch.size) if draw.random() < 0.7 else slice(None)
        batch.reshape(-1)[at] = draw.choice(VALUES)
    if draw.random() < 0.05:
        with np.errstate(all="ignore"):
            batch = batch.astype(draw.choice(TYPES))
    return batch


def _odd(draw, shape):
    """A shape of up to five axes, of no or few pixels, or of no picture and endless sides."""
    kind = draw.integers(4)
    if kind == 0:
        return [int(draw.choice([0, 1, 3, 16, 17])) for _ in range(draw.integers(0, 6))]
    if kind == 1:
        return [*shape[:3], int(draw.choice([0, 1, 2, 4, 5]))]
    if kind == 2:
        shape[draw.integers(1, 3)] = int(draw.choice([0, 1, 2, 15, 49]))
        return shape
    shape[draw.integers(1, 4)] = int(draw.choice([2**20, 2**31 - 1, 2**31, 2**33]))
    return [0, *shape[1:]]


def _good(name, given):
    """Whether every input is a batch of pictures, and two of them fit each other."""
    for value in given.values():
        if value.dtype != (np.uint8 if name == "uint8" else np.float32):
            return False
        if value.ndim != 4 or value.shape[3] != 3 or min(value.shape[1:3]) < LEAST:
            return False
        if max(value.shape[0], 1) * value.shape[1] * value.shape[2] > 2**24:
            return False
        if name == "fixed" and value.shape[1:3] != (SIZE, SIZE):
            return False
        if value.size and not (value.min() >= -1e-3 and value.max() <= 1.001) and name != "uint8":
            return False  # as NaN is neither
    if len(given) == 2:
        a, b = (value.shape for value in given.values())
        return a[:3] == b[:3] if name == "content_loss" else a[0] == b[0]
    return True


def good_files():
    """Files of every kind that is served, by name."""
    draw = np.random.default_rng(0)
    photo = Image.fromarray(draw.integers(0, 256, (6, 8, 3), np.uint8)).resize((40, 30))
    few, exif = photo.quantize(16), Image.Exif()
    exif[274] = 6
    return {
        "jpeg": _encoded(photo, "JPEG", exif=exif),
        "progressive": _encoded(photo, "JPEG", progressive=True),
        "gray.jpeg": _encoded(photo.convert("L"), "JPEG"),
        "cmyk.jpeg": _encoded(photo.convert("CMYK"), "JPEG"),
        "png": _encoded(photo, "PNG"),
        "palette.png": _encoded(few, "PNG", bits=4, transparency=3),
        "alpha.png": _encoded(photo.convert("RGBA"), "PNG"),
        "bits.png": _encoded(photo.convert("1"), "PNG"),
        "deep.png": tf.io.encode_png(draw.integers(0, 2**16, (30, 40, 3), np.uint16)).numpy(),
        "gif": _encoded(few, "GIF", transparency=3),
        "film.gif": _encoded(few, "GIF", save_all=True, append_images=[few.rotate(180)] * 3),
        "bmp": _encoded(photo, "BMP"),
        "palette.bmp": _encoded(few, "BMP"),
    }


def _encoded(image, kind, **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def promising(files, kind, width, height):
    """A good file whose header promises another size."""
    file = files[kind]
    if kind == "png":
        header = b"IHDR" + struct.pack(">II", width, height) + file[24:29]
        return file[:12] + header + struct.pack(">I", zlib.crc32(header)) + file[33:]
    if kind == "bmp":
        return file[:18] + struct.pack("<II", width, height) + file[26:]
    if kind == "gif":
        at = _image_of(file) + 5
        return file[:at] + struct.pack("<HH", width % 2**16, height % 2**16) + file[at + 4 :]
    at = file.index(b"\xff\xc0" if kind == "jpeg" else b"\xff\xc2") + 5
    return file[:at] + struct.pack(">HH", height % 2**16, width % 2**16) + file[at + 4 :]


def film(side, frames):
    """A GIF of few bytes and as many large frames."""
    file = _encoded(Image.new("P", (side, side)), "GIF")
    at = _image_of(file)
    return file[:at] + file[at:-1] * frames + b";"


def scanned(progressive, times):
    """A progressive JPEG file with its last scan as many times more."""
    at = progressive.rindex(b"\xff\xda")
    return progressive[:at] + progressive[at:-2] * times + progressive[at:]


def _image_of(gif):
    """Where a GIF of Pillow's describes its first image."""
    at = 13 + 3 * (2 << gif[10] % 8)
    while gif[at] == 0x21:  # an extension: here each is one block
        at += 2
        while gif[at]:
            at += 1 + gif[at]
        at += 1
    assert gif[at] == 0x2C
    return at


def files(draw, count):
    """(what, file, whether it is good): whole, cut, promising, damaged; `count` of the last."""
    good = good_files()
    for name, file in good.items():
        yield name, file, True
    yield "nothing", b"", False
    yield "zeros", bytes(1000), False
    yield "text", b"GIF of a cat", False
    for begin in (b"\0", b"\xff\xd8\xff", b"\x89PNG", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM"):
        yield f"{begin!r} alone", begin, False
    yield "scans", scanned(good["progressive"], 1000), False
    yield "film", film(1500, 300), True
    yield "too large a film", film(6000, 2), False
    for kind in ("jpeg", "progressive", "png", "gif", "bmp"):
        for side in (30_000, 65_535, 2**31 - 1, 2**31, 2**32 - 1, 0):
            for width, height in ((side, side), (1, side), (side, 40)):
                what = f"{kind} of {width} x {height}"
                few = 0 < width % 2**16 * (height % 2**16) <= 2**25
                # Of a JPEG that ends early the rest is gray.
                fine = None if few and kind in ("jpeg", "progressive") else False
                yield what, promising(good, kind, width, height), fine
    for name, file in good.items():
        for percent in range(5, 100, 5):
            yield f"{percent} % of {name}", file[: len(file) * percent // 100], None
    names = list(good)
    for number in range(count):
        damaged = bytearray(good[names[number % len(names)]])
        for _ in range(draw.integers(1, 6)):
            # Half of them where headers are.
            at = draw.integers(min(len(damaged), 64) if draw.random() < 0.5 else len(damaged))
            damaged[at] ^= 1 << int(draw.integers(8))
        yield f"{number} damaged {names[number % len(names)]}", bytes(damaged), None


def requests_of_files(draw, inputs, count):
    """Every file for one of the signatures in turn that take some; and no list of files."""
    good = good_files()["png"]
    names = [name for name in inputs if any("bytes" in key for key in inputs[name])]
    for number, (what, file, fine) in enumerate(files(draw, count)):
        name = names[number % len(names)]
        if name == "stylize":
            given = {"content_bytes": file, "style_bytes": good, "steps": np.int32(0)}
        elif "whole" in name:
            given = {"image_bytes": [file]}
        else:
            given = {"image_bytes": [file, good][: 1 + number // len(names) % 2]}
        yield Request(what, name, given, fine)
    for name in names:
        if name == "stylize":
            for steps in (-1, 10_001, 2**31 - 1, -(2**31)):
                given = {"content_bytes": good, "style_bytes": good, "steps": np.int32(steps)}
                yield Request(f"{steps} steps", name, given, False)
            for odd in ({"steps": np.int32([0])}, {"steps": np.int64(0)}, {"style_bytes": [good]}):
                yield Request(f"odd {[*odd]}", name, {**given, "steps": np.int32(0), **odd}, False)
        else:
            for what, value in (("a file", good), ("a table", [[good]])):
                yield Request(what, name, {"image_bytes": value}, False)


def main(version, seed, of_pictures, of_files, *signatures):
    model, draw = served.Served(version), np.random.default_rng(int(seed))
    inputs = {name: keys for name, keys in model.inputs.items() if name in signatures}
    good = good_files()["png"]
    for name, keys in inputs.items():  # what the first call compiles is not the next one's time
        of = {"steps": np.int32(0), "image_bytes": [good], "pictures": None, "others": None}
        batch = np.zeros([1, SIZE, SIZE, 3], np.uint8 if name == "uint8" else np.float32)
        model(
            name, **{key: batch if of.get(key, good) is None else of.get(key, good) for key in keys}
        )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for request in (
        *pictures(draw, inputs, int(of_pictures)),
        *requests_of_files(draw, inputs, int(of_files)),
    ):
        told = {"what": f"{request.signature}: {request.what}", "expected": request.answered}
        print(json.dumps(told), flush=True)
        start = time.perf_counter()
        try:
            outputs = model(request.signature, **request.given)
            numbers = [one for one in outputs.values() if not isinstance(one, bytes)]
            told["answered"] = True
            told["finite"] = all(bool(np.isfinite(one).all()) for one in numbers)
        except tf.errors.InvalidArgumentError as error:
            told["answered"], told["message"] = False, str(error).split("\n")[0]
        told["seconds"] = time.perf_counter() - start
        print(json.dumps(told), flush=True)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(json.dumps({"grown": grown * 1024}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
