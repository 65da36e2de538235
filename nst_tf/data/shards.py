"""A corpus of pictures in a few large files, TFRecords, which tf.data reads fast from anywhere."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import tensorflow as tf

from nst_tf import files, locks, reading
from nst_tf.errors import FileError, NSTError, OutputError, SettingsError
from nst_tf.pictures import folders, images
from nst_tf.recipe import sizes
from nst_tf.version import __version__

#: How files begin that are kept as they are, and what they are called there.
_KEPT = {b"\xff\xd8\xff": "jpeg", b"\x89PNG\r\n\x1a\n": "png"}
#: What a record says it is, and how shards' names end.
_KIND = "pictures in TFRecords"
_NUMBERED = r"-\d{5}-of-\d{5}\.tfrecord"
#: Pictures that are read ahead of those that are written.
_AHEAD = 64


class Shards(NamedTuple):
    """What a corpus consists of.

    Attributes:
      paths: of its files.
      pictures: how many are in them.
      failures: why others are not, by path.
    """

    paths: list[Path]
    pictures: int
    failures: dict[str, str]


def write_shards(
    pattern: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    name: str | os.PathLike[str],
    *,
    size: int | None = None,
    shard_bytes: int = 100 << 20,
    report: Callable[[int, int], object] = lambda _done, _total: None,
) -> Shards:
    """Pictures to TFRecord files of about one size, such as `photos-00000-of-00004.tfrecord`.

        nst_tf.data.write_shards("photos/*.jpg", "corpus/photos", size=512)
        nst_tf.data.crops("corpus/photos-*.tfrecord", size=256, batch=4)

    An example has the keys that data sets of pictures have: `image/encoded` (the file),
    `image/format` (jpeg or png), `image/height` and `image/width` (as it is seen, by its EXIF tag),
    `image/filename` and `image/key/sha256`. Beside the files, NAME.json says what is in them: the
    same call makes those anew that are not there, or were made of other pictures.

    Args:
      pattern: of the files, as `files` takes it.
      name: folder and beginning of the names.
      size: longer side in pixels that larger pictures are shrunk to, as JPEG (quality 95); None
        keeps every file as it is, but for kinds other than JPEG and PNG, which become PNG.
      shard_bytes: about how large a file is, counted by the pictures' own files.
      report: told how many pictures are done, and how many there are; what it raises ends the work.

    Returns:
      What is there now; pictures that cannot be read are left out, and said so.

    Raises:
      PictureError: no file matches.
      SettingsError: a size that cannot be used.
      OutputError: it cannot be written, another call writes there now, or NAME.json is something
        else's.
    """
    for what, number in (("size", size), ("shard_bytes", shard_bytes)):
        if number is not None and (not isinstance(number, int) or number < 1):
            raise SettingsError(f"{what} is {number!r}: use a number from 1")
    paths = folders.files(pattern)
    target = Path(name)
    files.make_folder(target.parent)
    parts = _parted(paths, shard_bytes)
    outputs = [
        target.with_name(f"{target.name}-{number:05}-of-{len(parts):05}.tfrecord")
        for number in range(len(parts))
    ]
    record = target.with_name(f"{target.name}.json")
    with locks.alone(target.parent), files.swept(target.parent):
        told = _told(record)
        done, pictures = 0, 0
        failures: dict[str, str] = {}
        made: dict[str, Any] = {}
        for part, output in zip(parts, outputs, strict=True):
            of = _identity(part, size)
            one = told.get(output.name, {})
            if one.get("of") != of or not output.is_file():
                wrong = _write(part, output, size, partial(_further, report, done, len(paths)))
                one = {"of": of, "pictures": len(part) - len(wrong), "failures": wrong}
                # What was told of files of other names is told until all of these are there.
                _tell(record, {**told, **made, output.name: one})
            made[output.name] = one
            done, pictures = done + len(part), pictures + one["pictures"]
            failures |= one["failures"]
            report(done, len(paths))
        for old in told.keys() - made.keys():  # a pattern would read their pictures, too
            if re.fullmatch(re.escape(target.name) + _NUMBERED, old):
                files.discard(target.with_name(old))
        _tell(record, made)
    return Shards(outputs, pictures, failures)


def _further(report: Callable[[int, int], object], before: int, total: int, done: int) -> None:
    report(before + done, total)


def _parted(paths: Sequence[str], most: int) -> list[list[str]]:
    """The files in their order, those of a shard together."""
    parts: list[list[str]] = []
    room = 0
    for path in paths:
        try:
            held = os.stat(path).st_size
        except OSError:  # it has gone since: said where it is read
            held = 0
        if held > room:
            parts.append([])
            room = most
        parts[-1].append(path)
        room -= held
    return parts


def _identity(paths: Sequence[str], size: int | None) -> str:
    """What tells a shard from others: its pictures as they lie there, and what becomes of them."""
    stamps = [
        (os.path.abspath(path), files.stamp(Path(path)), os.access(path, os.R_OK)) for path in paths
    ]
    return hashlib.sha256(repr((stamps, size)).encode()).hexdigest()


def _told(record: Path) -> dict[str, Any]:
    """What an earlier call has written of its shards.

    Raises:
      OutputError: what is there is something else.
    """
    if not record.exists():
        return {}
    try:
        told = reading.read_json(record)
        if told["kind"] != _KIND:
            raise ValueError(told["kind"])
        return {Path(name).name: dict(one) for name, one in told["shards"].items()}
    except (FileError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise OutputError(
            f"{record} is no record of shards: take it away, or name the shards otherwise"
        ) from error


def _tell(record: Path, shards: dict[str, Any]) -> None:
    told = {"kind": _KIND, "nst_tf": __version__, "shards": shards}
    files.write(record, json.dumps(told, indent=1))


def _write(
    paths: Sequence[str], output: Path, size: int | None, report: Callable[[int], object]
) -> dict[str, str]:
    """Writes one shard, whole or not at all; returns why pictures are not in it."""
    failures: dict[str, str] = {}
    with files.replacing(output) as part, tf.io.TFRecordWriter(str(part)) as writer:
        for number, (path, example) in enumerate(_examples(paths, size), 1):
            if isinstance(example, NSTError):
                failures[path] = str(example)
            else:
                writer.write(example)
            report(number)
    return failures


def _examples(paths: Sequence[str], size: int | None) -> Iterator[tuple[str, bytes | NSTError]]:
    """The examples in their order, made in parallel."""

    def made(path: str) -> tuple[str, bytes | NSTError]:
        try:
            return path, _example(path, size)
        except NSTError as error:
            return path, error

    with ThreadPoolExecutor() as pool:
        rest = iter(paths)
        ahead = [pool.submit(made, path) for path in itertools.islice(rest, _AHEAD)]
        try:
            while ahead:
                yield ahead.pop(0).result()
                ahead += [pool.submit(made, path) for path in itertools.islice(rest, 1)]
        finally:
            pool.shutdown(cancel_futures=True)


def _example(path: str, size: int | None) -> bytes:
    """One picture, which has been looked at whole: nobody finds a broken one later."""
    data, picture = images.read(path), images.load(path)
    height, width = picture.shape[:2]
    kind = next((kind for begin, kind in _KEPT.items() if data.startswith(begin)), None)
    if size is not None and max(height, width) > size:
        height, width = sizes.scaled((height, width), size)
        picture, kind = images.resize(picture, height, width), "jpeg"
        data = images.encode(picture, Path("shrunk.jpg"))
    elif kind is None:
        data, kind = images.encode(picture, Path("other.png")), "png"
    told: dict[str, bytes | int] = {
        "image/encoded": data,
        "image/format": kind.encode(),
        "image/height": height,
        "image/width": width,
        "image/filename": os.fsencode(Path(path).name),
        "image/key/sha256": hashlib.sha256(data).hexdigest().encode(),
    }
    features = tf.train.Features(feature={name: _feature(value) for name, value in told.items()})
    example: bytes = tf.train.Example(features=features).SerializeToString()
    return example


def _feature(value: bytes | int) -> Any:
    if isinstance(value, int):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
