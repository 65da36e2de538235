"""Where photos come from: files, TFRecords that hold them, data sets of tensorflow-datasets."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError

from nst_tf.errors import PictureError, SettingsError, in_bytes
from nst_tf.pictures.folders import files
from nst_tf.pictures.images import Picture

#: What a name of a data set begins with.
_DATA_SETS = "tfds:"
#: Bytes of records that are held.
_MOST = 2 << 30
#: What TFRecord files are called.
_RECORDS = re.compile(r"\.tfrecords?(-\d+-of-\d+)?$")
#: Where an example has its picture, the first that is there.
_KEYS = ("image/encoded", "image")


def photos(
    source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
) -> dict[str, Picture]:
    """The photos of a source, by name.

    Args:
      source: files, by pattern (`files`). Of a TFRecord file (`.tfrecord`, or with a number behind
        it, `.tfrecord-00001-of-00004`) it is what its examples hold as `image/encoded`, else as
        `image`. `tfds:NAME` is the split `train` of a data set of tensorflow-datasets, which
        fetches it where it is not there.

    Returns:
      Of files their paths; of records the files that they hold, of a data set arrays, of either at
      most as many as 2 GiB hold: `images.load` takes each.

    Raises:
      PictureError: there is none, or a record holds none.
      SettingsError: there is no tensorflow-datasets, or it knows no such data set.
    """
    if isinstance(source, str) and source.startswith(_DATA_SETS):
        held = enumerate(_of_data_set(source.removeprefix(_DATA_SETS)))
        found = _within((f"{source}#{number}", picture) for number, picture in held)
    else:
        paths = files(source)
        records = [path for path in paths if _RECORDS.search(path)]
        found = {path: path for path in paths if not _RECORDS.search(path)}
        found |= _within(
            (f"{path}#{number}", picture)
            for path in records
            for number, picture in enumerate(_of_records(path))
        )
    if not found:
        raise PictureError(f"{source} holds no photo")
    return found


def are_records(paths: Sequence[str]) -> bool:
    """Whether files are TFRecords, by their suffix.

    Raises:
      PictureError: some are, and others are not.
    """
    records = [path for path in paths if _RECORDS.search(path)]
    if records and len(records) < len(paths):
        other = next(path for path in paths if path not in records)
        raise PictureError(f"{records[0]} holds pictures, {other} is one: read them apart")
    return bool(records)


def encoded(record: tf.Tensor) -> tf.Tensor:
    """The picture file that an example holds, as bytes; empty where it holds none."""
    one = tf.io.FixedLenFeature([], tf.string, "")
    held = tf.io.parse_single_example(record, dict.fromkeys(_KEYS, one))
    first, second = (held[key] for key in _KEYS)
    return tf.where(tf.strings.length(first) > 0, first, second)


def _within(pictures: Iterable[tuple[str, bytes | np.ndarray]]) -> dict[str, Picture]:
    """As many of the named pictures as may be held."""
    found: dict[str, Picture] = {}
    left = _MOST
    for name, picture in pictures:
        left -= picture.nbytes if isinstance(picture, np.ndarray) else len(picture)
        if left < 0:
            warnings.warn(
                f"only the first {len(found)} photos are taken, as many as {in_bytes(_MOST)} hold: "
                f"not {name} and what follows",
                stacklevel=3,
            )
            break
        found[name] = picture
    return found


def _of_records(path: str) -> Iterator[bytes]:
    try:
        for number, record in enumerate(tf.data.TFRecordDataset(path).as_numpy_iterator()):
            held = tf.train.Example.FromString(record).features.feature
            values = next((held[key].bytes_list.value for key in _KEYS if key in held), ())
            if not values:
                raise PictureError(
                    f"{path}: record {number} holds no {' or '.join(_KEYS)}, but "
                    f"{', '.join(sorted(held)) or 'nothing'}"
                )
            yield values[0]
    except tf.errors.OpError as error:
        raise PictureError(f"{path} is no TFRecord file, or is cut short") from error
    except DecodeError as error:
        raise PictureError(f"{path}: its records are no tf.train.Example") from error


def _of_data_set(name: str) -> Iterator[np.ndarray]:
    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise SettingsError(
            f"{_DATA_SETS}{name} needs tensorflow-datasets: pip install tensorflow-datasets"
        ) from error
    try:
        examples = tfds.as_numpy(tfds.load(name, split="train"))
    except Exception as error:  # a name that it does not know, a download that fails
        reason = " ".join(str(error).split())[:200]
        raise SettingsError(f"no data set {name!r} of tensorflow-datasets: {reason}") from error
    for example in examples:
        if "image" not in example:
            raise PictureError(f"{_DATA_SETS}{name} holds no image, but {', '.join(example)}")
        yield example["image"]
