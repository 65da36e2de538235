"""Files to batches of pictures or crops, batches to feature maps and Gram matrices."""

from __future__ import annotations

import numbers
import os
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf

from nst_tf.data.sources import are_records, encoded, photos
from nst_tf.errors import SettingsError
from nst_tf.losses.gram import gram_matrix
from nst_tf.pictures import images
from nst_tf.pictures.crops import Crops
from nst_tf.pictures.folders import files
from nst_tf.pictures.images import Picture

#: A dataset to another, for `tf.data.Dataset.apply`.
Transformation = Callable[[tf.data.Dataset], tf.data.Dataset]


def pictures(
    pattern: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    size: int | tuple[int, int] | None,
    *,
    crop: bool = True,
) -> tf.data.Dataset:
    """Picture files as float32 RGB in [0, 1], read in parallel, in the order of their names; those
    that TFRecord files hold (`write_shards`), in the order that they have there.

    Files are read as `stylize` reads them (`images.load`): EXIF orientation, ICC profiles and
    transparency are taken care of. That happens in Python, so the dataset itself cannot be saved
    into a SavedModel; a served model decodes files with its signature `image_bytes`, in the same
    rule: to the same pixels, to rounding, where a file has no colour profile.

    Args:
      pattern: of the files (`files`): pictures, or TFRecords by their suffix (`photos`).
      size: in pixels. With `crop` the side of a square, or (height, width): the largest middle
        part of that shape, scaled. Without, the longer side; there alone None, which keeps every
        picture's own size.
      crop: whether all pictures get one shape and so can be batched.

    Returns:
      A dataset of [height, width, 3]. A file that is no picture raises a tf.errors.UnknownError
      that names it, when its turn comes; `.ignore_errors()` leaves such files out.

    Raises:
      PictureError: no file matches.
      SettingsError: a size that cannot be used.
    """
    paths = files(pattern)
    sides = size if isinstance(size, tuple) else (size, size)
    if len(sides) != 2 or not all(map(_is_size, sides)) or (crop and None in sides):
        own = "; crop=False keeps every picture's own" if size is None else ""
        raise SettingsError(f"size is {size!r}: use a number of pixels such as 256{own}")
    if not crop and isinstance(size, tuple):
        raise SettingsError(f"size is {size}: without crop, use one number for the longer side")

    held = are_records(paths)

    def read(given: bytes) -> np.ndarray:
        picture = given if held else os.fsdecode(given)
        if crop:
            return images.cover(images.load(picture), *sides)  # type: ignore[arg-type]
        return images.load(picture, size)  # type: ignore[arg-type]

    def load(given: tf.Tensor) -> tf.Tensor:
        picture = tf.numpy_function(read, [given], tf.float32)
        return tf.ensure_shape(picture, [*(sides if crop else (None, None)), 3])

    if held:
        return _parallel(load)(tf.data.TFRecordDataset(paths).map(encoded))
    # As bytes: a name need not be UTF-8.
    return _parallel(load)(
        tf.data.Dataset.from_tensor_slices([os.fsencode(path) for path in paths])
    )


def crops(
    pattern: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | Mapping[str, Picture],
    size: int,
    batch: int,
    *,
    seed: int = 0,
    flip: bool = True,
    least: int = 1,
    first: int = 0,
) -> tf.data.Dataset:
    """Batches of random parts of photos without an end, for a network that learns to paint.

    Every photo has its turn before any has another. Files are decoded in parallel, when they are
    first wanted, and kept, up to 1 GiB. The same seed gives the same batches, whichever is the
    first.

        batches = nst_tf.data.crops("photos/*.jpg", size=256, batch=4)
        model.fit(batches.map(lambda batch: (batch, batch)), steps_per_epoch=1000)

    Args:
      pattern: of the files, or another source, as `photos` takes it; or what `photos` gave.
      size: pixels of a crop's side; what it shows is as large, or up to twice as large.
      batch: how many crops are in one.
      seed: of the random numbers.
      flip: whether one in two is mirrored.
      least: how many photos there must be.
      first: how many batches are left out, which work that goes on has seen.

    Returns:
      A dataset of float32 RGB in [0, 1], [batch, size, size, 3].

    Raises:
      PictureError: no file matches, there are fewer than `least`, or some are no pictures: they are
        named.
      SettingsError: a size or batch that cannot be used.
    """
    for name, number in (("size", size), ("batch", batch)):
        if number is None or not _is_size(number):
            raise SettingsError(f"{name} is {number!r}: use a number such as 128 or 4")
    given = pattern if isinstance(pattern, Mapping) else photos(pattern)
    drawn = Crops(list(given.values()), size, seed=seed, flip=flip, least=least)

    def cut(number: tf.Tensor) -> tf.Tensor:
        crop = tf.numpy_function(drawn, [number], tf.uint8)
        return tf.ensure_shape(crop, [size, size, 3])

    auto, counted = tf.data.AUTOTUNE, tf.data.Dataset.range(first * batch, tf.int64.max)
    return (
        counted.map(cut, num_parallel_calls=auto)
        .batch(batch, drop_remainder=True)
        .map(lambda crops: tf.cast(crops, tf.float32) / 255)
        .prefetch(auto)
    )


def _is_size(side: object) -> bool:
    if side is None:
        return True
    whole = isinstance(side, numbers.Integral) and not isinstance(side, bool)
    return whole and 1 <= int(side) <= images.MAX_SIZE  # type: ignore[call-overload]


def features(extractor: tf.keras.Model) -> Transformation:
    """Batches of pictures to `{layer: feature map [batch, height, width, channels]}`.

    Args:
      extractor: a `FeatureExtractor`. In tf.data it runs on the processor.

    Returns:
      What `dataset.apply` takes; batches are worked on in parallel and prefetched.
    """
    return _parallel(lambda batch: extractor(batch))


def grams(extractor: tf.keras.Model) -> Transformation:
    """Batches of pictures to `{layer: mean Gram matrix, float32 [batch, channels, channels]}`.

    Otherwise as `features`.
    """
    return _parallel(
        lambda batch: {name: gram_matrix(maps) for name, maps in extractor(batch).items()}
    )


def _parallel(function: Callable[[tf.Tensor], object]) -> Transformation:
    auto = tf.data.AUTOTUNE
    return lambda dataset: dataset.map(function, num_parallel_calls=auto).prefetch(auto)
