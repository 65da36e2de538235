"""A corpus of hostile files, and a process of its own that reads them all.

    python hostile.py FOLDER SEED COUNT

makes the whole corpus by a seed, COUNT of it with all that is not a variation, and reads each file
as what its name begins with. A line for every one: its name, and as JSON what it was answered, the
seconds of the processor, and the most memory that this process has had so far, in MiB. No file
needs TensorFlow.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import resource
import signal
import socket
import struct
import sys
import time
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from PIL import Image, ImageCms

from nst_tf import reading
from nst_tf.apps import plot
from nst_tf.errors import NSTError
from nst_tf.export import card
from nst_tf.judge import vote
from nst_tf.network import weights
from nst_tf.pictures import images, masks, proof

#: A name, whose first word says how it is read, and what is in the file.
File = tuple[str, bytes]
READERS: dict[str, Callable[[str], Any]] = {
    "picture": lambda path: images.load(path, 16),
    "mask": lambda path: masks.read(path, 8, 8),
    "profile": lambda path: proof.soft_proof(np.zeros((2, 2, 3), np.float32), path),
    "weights": weights.load,
    "json": reading.read_json,
    "run": lambda path: plot._read(Path(path)),
    "votes": lambda path: vote.read_answers(Path(path)),
    "card": lambda path: card.read(Path(path).parent),
}
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "HSV", "I", "I;16", "F")
#: What stands in JSON where something else should.
OTHERS: tuple[Any, ...] = (None, [], {}, "x", -1, 1e999, 10**400, True, [[{}]])
#: Formats that Pillow would write by other programs, or only as a stub of a reader.
LEFT_OUT = {"EPS", "GRIB", "BUFR", "HDF5", "WMF"}


def picture(mode: str) -> Image.Image:
    """Noise: what is cut off is missed by every decoder."""
    draw, size = np.random.default_rng(len(mode)), (24, 17)
    if mode == "F":
        return Image.fromarray(draw.random(size[::-1], np.float32))
    if mode.startswith("I"):
        kind = np.int32 if mode == "I" else np.uint16
        return Image.fromarray(draw.integers(0, 65536, size[::-1]).astype(kind))
    image = Image.fromarray(draw.integers(0, 256, (*size[::-1], 3)).astype(np.uint8))
    if mode == "LAB":
        return Image.frombytes("LAB", size, image.tobytes())
    return image.convert("P").convert("PA") if mode == "PA" else image.convert(mode)


def written(image: Image.Image, kind: str, **options: Any) -> bytes:
    """A file of an image; of no bytes where Pillow does not write it so."""
    buffer = io.BytesIO()
    # Some writers have no check of a mode, and fail as they happen to.
    with contextlib.suppress(Exception), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image.save(buffer, kind, **options)
        return buffer.getvalue()
    return b""


def whole() -> Iterator[File]:
    """Every mode in every format that Pillow writes it in."""
    Image.init()
    for kind in sorted(set(Image.SAVE) - LEFT_OUT):
        for mode in MODES:
            if data := written(picture(mode), kind):
                yield f"picture-{mode.replace(';', '')}.{kind.lower()}", data


def extras(draw: random.Random) -> Iterator[File]:
    """EXIF, XMP and ICC profiles that are cut, turned or noise."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "maker"
    good = {"exif": exif.tobytes(), "icc_profile": images.SRGB_ICC, "xmp": b"<x:xmpmeta/>" * 9}
    for number in range(90):
        name, kind = draw.choice(list(good)), draw.choice(["JPEG", "PNG", "TIFF", "WEBP"])
        worse = draw.choice([cut(good[name], draw.random()), flipped(good[name], draw), b"noise"])
        if data := written(picture("RGB"), kind, **{name: worse}):
            yield f"picture-{name}-{number}.{kind.lower()}", data


def bombs(frames: int) -> Iterator[File]:
    """Small files that are, or say that they are, large."""
    for suffix, promise in (
        ("png", _png_of),
        ("bmp", _bmp_of),
        ("gif", _gif_of),
        ("jpg", _jpeg_of),
    ):
        for width, height in ((1, 1 << 27), (1 << 27, 1), (13000, 13000), (1 << 30, 1 << 30)):
            yield f"picture-{width}x{height}.{suffix}", promise(width, height)
    packed = zlib.compress(bytes(50 << 20), 9)
    yield "picture-profile.png", _png((b"iCCP", b"x\0\0" + packed))
    yield "picture-words.png", _png((b"zTXt", b"x\0\0" + packed))
    yield "picture-many-words.png", _png(*[(b"tEXt", b"x\0" + bytes(1 << 20))] * 70)
    yield "picture-flat.tif", written(Image.new("1", (12000, 12000)), "TIFF", compression="group4")
    # What Pillow decodes in Python, for minutes.
    yield "picture-slow.qoi", b"qoif" + struct.pack(">II", 9000, 3000) + b"\4\0" + b"\xfd" * 500_000
    yield "picture-slow.ppm", b"P3 5000 5000 255\n" + b"1 " * 100_000
    made = [Image.new("L", (2, 2), number % 256) for number in range(frames)]
    for kind in ("GIF", "PNG", "WEBP", "TIFF"):
        some = made[1 : 50 if kind == "TIFF" else None]  # Pillow takes minutes for more
        yield (
            f"picture-frames.{kind.lower()}",
            written(made[0], kind, save_all=True, append_images=some),
        )
    yield from bombs_of_weights()
    long = b"[" + b"[]," * (10 << 20) + b"[]]"
    for kind in ("json", "run", "votes"):
        yield f"{kind}-deep.json", b"[" * 100_000
        yield f"{kind}-long.json", long
        yield f"{kind}-longer.json", long + bytes(8 << 20)
        yield f"{kind}-number.json", b"9" * 1_000_000
        yield f"{kind}-bytes.json", bytes(range(256))


def bombs_of_weights() -> Iterator[File]:
    """Likewise, called weights."""
    yield "weights-bomb.npz", _npz(_npy("(100000000,)", b""), 400)
    yield "weights-promise.npz", _npz(_npy("(1000000000000,)", b""))
    yield "weights-pickle.npz", _npz(_npy("(1,)", b"cos\n", "|O"))
    yield "weights-pickle-alone.npz", b"\x80\x04cposix\nsystem\n."
    file = io.BytesIO()
    with h5py.File(file, "w") as made_by_h5py:
        shape = (3, 3, 10**6, 10**4)
        made_by_h5py.create_dataset("conv1_1/kernel", shape, "f4", chunks=True, compression=9)
        made_by_h5py.create_dataset("conv1_1/bias", (64,), "f4", external=[("/etc/passwd", 0, 256)])
    yield "weights-bomb.h5", file.getvalue()


def of_ours() -> Iterator[File]:
    """What is not a picture, whole."""
    arrays = {"conv1_1/kernel": np.zeros((3, 3, 3, 4)), "conv1_1/bias": np.zeros(4)}
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    yield "weights-small.npz", file.getvalue()
    file = io.BytesIO()
    with h5py.File(file, "w") as made:
        for name, array in arrays.items():
            made[name] = array
    yield "weights-small.h5", file.getvalue()
    yield "profile-srgb.icc", ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    yield "mask-half.png", written(picture("L"), "PNG")
    row = {"iteration": 1, "evaluations": 2, "total": 1.0, "content": 1.0, "style": 1.0, "tv": 0.0}
    settings = {"content_weight": 1.0, "style_weight": 1.0, "tv_weight": 0.0}
    yield "run-one.json", json.dumps({"settings": settings, "history": [row, row]}).encode()
    answer = {"pair": "p", "repeat": False, "left": "a", "style": "b"}
    votes = {"sitting": "x", "methods": ["a", "b"], "answers": [answer]}
    yield "votes-one.json", json.dumps(votes).encode()


def wrong(files: dict[str, bytes], draw: random.Random) -> Iterator[File]:
    """Files cut every 5 %, with bits turned, by another's suffix, and JSON with other values."""
    for name, data in files.items():
        stem, suffix = name.rsplit(".", 1)
        for percent in range(0, 100, 5):
            yield f"{stem}-cut-{percent}.{suffix}", cut(data, percent / 100)
        for number in range(12 if name.startswith("picture") else 100):
            yield f"{stem}-turned-{number}.{suffix}", flipped(data, draw)
        if name.startswith("picture"):
            yield f"{stem}-{suffix}-as.{draw.choice(['png', 'jpg', 'tif', 'h5', 'txt'])}", data
        if suffix == "json":
            for number, other in enumerate(OTHERS):
                for key, value in _replaced(json.loads(data), other):
                    changed = json.dumps(value).encode()
                    yield f"{stem}-other-{number}-{key}.json", changed


def cut(data: bytes, share: float) -> bytes:
    return data[: int(share * len(data))]


def flipped(data: bytes, draw: random.Random) -> bytes:
    """With some bits turned, half of them in the head, where formats say what follows."""
    turned = bytearray(data)
    for _ in range(draw.randint(1, 8)):
        end = len(turned) if draw.random() < 0.5 else min(64, len(turned))
        turned[draw.randrange(end)] ^= 1 << draw.randrange(8)
    return bytes(turned)


def special(folder: Path) -> Iterator[str]:
    """Paths of what is no file, or none with an end, for each reader."""
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(folder / "socket"))
    (folder / "device").symlink_to("/dev/zero")
    (folder / "loop").symlink_to("loop")
    (folder / "gone").symlink_to("nowhere")
    (folder / "\x1b[31mred\x07").mkdir()
    with (folder / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    names = ["pipe", "socket", "device", "loop", "gone", "\x1b[31mred\x07", "sparse", "none"]
    paths = [str(folder / name) for name in names]
    return iter([*paths, "https://example.org/a.jpg", "a\0b", "a" * 300, "/dev/zero", "/proc/kmsg"])


def _replaced(value: Any, other: Any) -> Iterator[tuple[str, Any]]:
    """A JSON value with one part after the other replaced."""
    parts = value.items() if isinstance(value, dict) else enumerate(value)
    for key, part in [*parts]:
        changed = {**value} if isinstance(value, dict) else [*value]
        changed[key] = other
        yield str(key), changed
        if isinstance(part, (dict, list)):
            for name, deeper in _replaced(part, other):
                changed = {**value} if isinstance(value, dict) else [*value]
                changed[key] = deeper
                yield f"{key}.{name}", changed


def _png(*chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG of one pixel with chunks before its pixels."""
    data = written(Image.new("RGB", (1, 1)), "PNG")
    made = (
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )
    return data[:33] + b"".join(made) + data[33:]


def _png_of(width: int, height: int) -> bytes:
    data = bytearray(_png())
    data[16:24] = struct.pack(">II", width, height)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    return bytes(data)


def _bmp_of(width: int, height: int) -> bytes:
    data = bytearray(written(Image.new("RGB", (1, 1)), "BMP"))
    data[18:26] = struct.pack("<ii", width, height)
    return bytes(data)


def _gif_of(width: int, height: int) -> bytes:
    data = bytearray(written(Image.new("L", (1, 1)), "GIF"))
    data[6:10] = struct.pack("<HH", min(width, 65535), min(height, 65535))
    return bytes(data)


def _jpeg_of(width: int, height: int) -> bytes:
    data = bytearray(written(Image.new("L", (1, 1)), "JPEG"))
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", min(height, 65535), min(width, 65535))
    return bytes(data)


def _npz(data: bytes, megabytes: int = 0) -> bytes:
    """An archive of one array, and of as many zeros behind."""
    file = io.BytesIO()
    with (
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("conv1_1/kernel.npy", "w", force_zip64=True) as member,
    ):
        member.write(data)
        for _ in range(megabytes):
            member.write(bytes(1_000_000))
    return file.getvalue()


def _npy(shape: str, data: bytes, kind: str = "<f4") -> bytes:
    head = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}}}\n".encode()
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(head)) + head + data


def corpus(folder: Path, seed: int, count: int) -> Iterator[tuple[str, str]]:
    """Readers and paths: what is bad in a way of its own, and variations up to as many in all."""
    draw = random.Random(seed)
    good = dict(whole()) | dict(of_ours())
    variations = [*good.items(), *extras(draw), *wrong(good, draw)]
    draw.shuffle(variations)
    first = [*bombs(10_000 if count >= 2000 else 100)]
    for name, data in [*first, *variations][:count]:
        (folder / name).write_bytes(data)
        yield name.split("-")[0], str(folder / name)
        (folder / name).unlink()
    for path in special(folder):
        for reader in set(READERS) - {"card"}:
            yield reader, path


def peak() -> float:
    """The most memory that this process has had, in MiB."""
    # What the system counts for a process begins with what its parent had.
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main(folder: Path, seed: int, count: int) -> None:
    limit, start = 60, time.process_time()
    for reader, path in corpus(folder, seed, count):
        print(f"{reader} {path!a}", end="\t", flush=True)
        start = time.process_time()
        signal.alarm(limit)  # which ends the process: a pipe may be waited for in C
        try:
            READERS[reader](path)
            said = "read"
        except NSTError as error:
            said = f"refused: {error}"
        except Exception as error:
            said = f"foreign: {type(error).__name__}: {error}"
        signal.alarm(0)
        seconds = time.process_time() - start
        print(json.dumps([said, round(seconds, 3), round(peak())]), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
