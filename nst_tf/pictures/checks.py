"""What a batch of pictures must be, looked at before a network sees it.

A network gives numbers for nearly everything: of NaN through max pooling and rectifiers, of one
channel, of 0-255. Outside of a graph what is wrong raises our PictureError; a graph carries the
check with it, also into a SavedModel, and raises InvalidArgument with the same text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from nst_tf.errors import PictureError, SettingsError
from nst_tf.recipe import layers

#: What rounding may add to [0, 1].
_ROUNDING = 1e-3

#: How far beyond [0, 1] a picture may be that a network or an optimiser made. Of one in [-1, 1] or
#: [0, 2], or less the mean by the deviation, hardly any is as near.
OVERSHOOT = 0.25

#: How far what a network makes that has learnt nothing yet, which training will bring to [0, 1].
UNTRAINED = 9.0


def once(value: tf.Tensor, condition: tf.Tensor, *said: Any) -> tf.Tensor:
    """`value`, which nothing can use where the condition does not hold.

    Args:
      value: any tensor.
      condition: bool [].
      *said: the error's text: strings, and tensors whose values it names.

    Raises:
      PictureError: outside of a graph, the condition does not hold.
    """
    if tf.executing_eagerly():
        if not condition:
            words = (part.numpy() if isinstance(part, tf.Tensor) else part for part in said)
            raise PictureError(" ".join(map(str, words)))
        return value
    with tf.control_dependencies([tf.debugging.Assert(condition, list(said), summarize=32)]):
        return tf.identity(value)


def shaped(pictures: tf.Tensor, least: int, most: int, size: int | None = None) -> tf.Tensor:
    """The pictures, if they are [batch, height, width, 3], `least` pixels or more a side.

    Args:
      pictures: of any type and, whatever a signature declares, of any shape.
      least: the smallest height and width.
      most: the most pixels of all of them together; of none, their size counts as that of one.
      size: the only height and width, in place of that.
    """
    shape = tf.shape(pictures, tf.int64)  # of no pictures, a side may be of any length
    side = r"\d+" if size is None else size
    # As text: TensorFlow believes the rank that a signature declares, and would fold a check of it;
    # a server feeds what it is sent.
    text = tf.strings.format("{}", shape, summarize=-1)
    fits = tf.strings.regex_full_match(text, rf"\[\d+ {side} {side} 3\]")
    sizes = (
        f"of at least {least} x {least} pixels" if size is None else f"of {size} x {size} pixels"
    )
    pictures = once(
        pictures,
        fits & (tf.reduce_min(shape[1:3]) >= least),
        f"pictures are [batch, height, width, 3], {sizes}; these are",
        shape,
    )
    sides = tf.cast(shape[:3], tf.float64)
    pixels = tf.reduce_prod(sides[1:]) * tf.reduce_prod(tf.maximum(sides[:1], 1))
    said = f"pictures have at most {most} pixels together: send fewer at a time; these are"
    return once(pictures, pixels <= most, said, shape)


def in_unit(pictures: tf.Tensor) -> tf.Tensor:
    """Float pictures [batch, height, width, 3], if their values are in [0, 1]."""
    fits = _inside(pictures, _ROUNDING)
    return _all(pictures, fits, "in [0, 1] (the signature uint8 takes 0-255)")


def paired(pictures: tf.Tensor, others: tf.Tensor, same_size: bool) -> tf.Tensor:
    """The pictures, if there is one of `others` for each, and if asked of the same size."""
    ours, theirs = (tf.shape(batch)[: 3 if same_size else 1] for batch in (pictures, others))
    fits, what = tf.reduce_all(ours == theirs), "one size" if same_size else "one number"
    return once(pictures, fits, f"pictures and others are of {what}; these are", ours, theirs)


def as_floats(pictures: Any) -> tf.Tensor:
    """Pictures of a float type; uint8 and uint16 are converted from full scale.

    Raises:
      PictureError: they are of another type.
    """
    pictures = tf.convert_to_tensor(pictures)
    if pictures.dtype in (tf.uint8, tf.uint16):
        return tf.cast(pictures, tf.float32) / pictures.dtype.max
    if not pictures.dtype.is_floating:
        raise PictureError(
            f"pictures are of type {pictures.dtype.name}: use uint8, uint16 or a float type"
        )
    return pictures


def of_scale(
    pictures: Any, needs: Sequence[layers.Layer], overshoot: float = OVERSHOOT
) -> tuple[tf.Tensor, tf.Tensor]:
    """Pictures for a model in Python: float, about [0, 1], of a size that the model takes.

    Beside them which are, bool [batch], for where XLA leaves out the error of a graph.

    Args:
      pictures: a tensor or array [batch, height, width, 3], as `as_floats` takes it.
      needs: the layers that they must be large enough for.
      overshoot: how far floats may be beyond [0, 1].

    Raises:
      PictureError: they are none.
      SettingsError: they are too small.
    """
    pictures = as_floats(pictures)
    if not pictures.shape.is_compatible_with([None, None, None, 3]):
        raise PictureError(
            f"pictures are [batch, height, width, 3]; these are {pictures.shape.as_list()}"
        )
    height, width = pictures.shape[1:3] if pictures.shape.rank else (None, None)
    if height is not None and width is not None:
        layers.check_size(height, width, needs)
    else:
        shape, least = tf.shape(pictures), layers.smallest_size(needs)
        said = f"pictures are of at least {least} x {least} pixels; these are"
        pictures = once(pictures, tf.reduce_min(shape[1:3]) >= least, said, shape)
    scale = f"and as floats in about [0, 1], at most {overshoot:g} beyond"
    fits = _inside(pictures, overshoot)
    return _all(pictures, fits, scale), fits


def listed(files: tf.Tensor) -> tf.Tensor:
    """Files, if they are a list [batch]."""
    shape = tf.shape(files)
    text = tf.strings.format("{}", shape, summarize=-1)
    fits = tf.strings.regex_full_match(text, r"\[\d+\]")
    return once(files, fits, "image_bytes are files [batch]; these are", shape)


def _inside(pictures: tf.Tensor, overshoot: float) -> tf.Tensor:
    """Which float pictures [batch, height, width, 3] have no value further beyond [0, 1], bool
    [batch]."""
    low, high = (tf.cast(end, pictures.dtype) for end in (-overshoot, 1 + overshoot))
    return tf.reduce_all((pictures >= low) & (pictures <= high), (1, 2, 3))  # of NaN neither holds


def _all(pictures: tf.Tensor, fits: tf.Tensor, scale: str) -> tf.Tensor:
    wrong = tf.where(~fits)[:, 0]
    return once(
        pictures,
        tf.equal(tf.size(wrong), 0),
        f"pictures are finite, {scale}; those at these places of the batch, from 0, are not:",
        wrong,
    )


def alike(made: tf.Tensor, others: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Pictures and their targets, of one shape.

    Raises:
      SettingsError: they have two; where a graph tells that only when it runs, a
        tf.errors.InvalidArgumentError of the same words.
    """
    text = "targets of another shape than the pictures that are compared with them"
    if not made.shape.is_compatible_with(others.shape):
        raise SettingsError(
            f"{text}, {list(others.shape)} and {list(made.shape)}: make both of one size, "
            "[batch, height, width, 3]"
        )
    same = tf.debugging.assert_equal(
        tf.shape(others), tf.shape(made), f"{text}: make both of one size"
    )
    with tf.control_dependencies([same] if same is not None else []):
        return tf.identity(made), others
