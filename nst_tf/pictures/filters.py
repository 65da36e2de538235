"""Blur and warp with tensorflow-addons' conventions, in native TensorFlow on every version alike.

They are differentiable, to the pictures and to the flow, and take any shapes, also unknown ones.
"""

from __future__ import annotations

import math
import numbers
from typing import Any

import tensorflow as tf

from nst_tf.errors import SettingsError

PADDINGS = ("REFLECT", "CONSTANT", "SYMMETRIC")


def gaussian_filter2d(
    pictures: tf.Tensor,
    filter_shape: int | tuple[int, int] = (3, 3),
    sigma: float | tuple[float, float] = 1.0,
    padding: str = "REFLECT",
    constant_values: float = 0.0,
) -> tf.Tensor:
    """Blurs with a Gaussian, cut off at the filter's shape and scaled to sum to 1.

    Args:
      pictures: [height, width], [height, width, channels] or [batch, height, width, channels].
        What is no float is blurred in float32 and then cut off to its own type.
      filter_shape: height and width of the filter in pixels, or one number for both; an even one
        reaches further down and to the right.
      sigma: standard deviation in pixels, down and across, or one number for both.
      padding: beyond the border, `REFLECT` (the border itself is not repeated), `SYMMETRIC` (it
        is) or `CONSTANT`.
      constant_values: what `CONSTANT` pads with.

    Returns:
      The blurred pictures, of the same shape and type.

    Raises:
      SettingsError: an argument that cannot be used, or a filter that reaches across the picture.
    """
    sizes = _pair("filter_shape", filter_shape, numbers.Integral)
    sigmas = _pair("sigma", sigma, numbers.Real)
    if padding.upper() not in PADDINGS:
        raise SettingsError(f"padding is {padding!r}: use one of {', '.join(PADDINGS)}")
    pictures = tf.convert_to_tensor(pictures)
    rank = pictures.shape.rank
    if rank not in (2, 3, 4):
        raise SettingsError(f"pictures have the shape {pictures.shape}: use 2 to 4 dimensions")
    double = pictures.dtype == tf.float64
    blurred = tf.cast(pictures, tf.float64 if double else tf.float32)
    blurred = blurred[tf.newaxis] if rank == 3 else blurred
    blurred = blurred[tf.newaxis, ..., tf.newaxis] if rank == 2 else blurred
    # A Gaussian is the product of one down and one across: k + k multiplications, not k times k.
    for axis, size, deviation in ((1, sizes[0], sigmas[0]), (2, sizes[1], sigmas[1])):
        before = (size - 1) // 2
        reach = [[0, 0]] * 4
        reach[axis] = [before, size - 1 - before]
        _check_reach(padding.upper(), size, blurred.shape[axis])
        blurred = tf.pad(blurred, reach, padding, constant_values)
        offsets = tf.range(-before, size - before, dtype=blurred.dtype)
        kernel = tf.nn.softmax(-tf.square(offsets) / (2 * deviation**2))
        kernel = tf.reshape(kernel, [-1, 1, 1, 1] if axis == 1 else [1, -1, 1, 1])
        kernel = tf.tile(kernel, [1, 1, tf.shape(blurred)[3], 1])
        blurred = tf.nn.depthwise_conv2d(blurred, kernel, [1, 1, 1, 1], "VALID")
    blurred = tf.cast(tf.reshape(blurred, tf.shape(pictures)), pictures.dtype)
    return tf.ensure_shape(blurred, pictures.shape)


def dense_image_warp(pictures: tf.Tensor, flow: tf.Tensor) -> tf.Tensor:
    """Fetches every pixel from where the flow points back to.

    output[b, j, i] = pictures[b, j - flow[b, j, i, 0], i - flow[b, j, i, 1]], bilinear between
    pixels, and beyond the border as at the border.

    Args:
      pictures: float [batch, height, width, channels].
      flow: float [batch, height, width, 2], down and across, in pixels.

    Returns:
      The warped pictures, of the same shape and type.

    Raises:
      SettingsError: the shapes do not fit each other.
    """
    pictures, flow = tf.convert_to_tensor(pictures), tf.convert_to_tensor(flow)
    fitting = pictures.shape[:3].concatenate([2])
    if pictures.shape.rank != 4 or not fitting.is_compatible_with(flow.shape):
        raise SettingsError(
            f"pictures of shape {pictures.shape} and a flow of shape {flow.shape}: use [batch, "
            "height, width, channels] and [batch, height, width, 2]"
        )
    batch, height, width, channels = tf.unstack(tf.shape(pictures))
    dtype = flow.dtype
    rows = tf.cast(tf.range(height), dtype)[:, tf.newaxis] - flow[..., 0]
    columns = tf.cast(tf.range(width), dtype) - flow[..., 1]
    pixels = tf.reshape(pictures, [batch, height * width, channels])

    def row_at(top: tf.Tensor) -> tf.Tensor:
        return (1 - across) * at(top, left) + across * at(top, right)

    def at(row: tf.Tensor, column: tf.Tensor) -> tf.Tensor:
        return tf.gather(pixels, row * width + column, batch_dims=1)

    top, bottom, down = _between(rows, height, pictures.dtype)
    left, right, across = _between(columns, width, pictures.dtype)
    warped = (1 - down) * row_at(top) + down * row_at(bottom)
    return tf.ensure_shape(warped, pictures.shape)


def _between(at: tf.Tensor, size: tf.Tensor, dtype: tf.DType) -> tuple[tf.Tensor, ...]:
    """The pixels before and behind a position, and how far between them it lies, [..., 1]."""
    inside = tf.clip_by_value(at, 0, tf.cast(size - 1, at.dtype))
    before = tf.minimum(tf.cast(tf.floor(inside), tf.int32), tf.maximum(size - 2, 0))
    share = tf.cast(inside - tf.cast(before, at.dtype), dtype)
    return before, tf.minimum(before + 1, size - 1), share[..., tf.newaxis]


def _pair(name: str, value: Any, kind: type) -> tuple[Any, Any]:
    pair: tuple[Any, ...] = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    good = len(pair) == 2 and all(isinstance(number, kind) for number in pair)
    if not good or not all(0 < number < math.inf for number in pair):
        raise SettingsError(f"{name} is {value!r}: use a number above 0, or two of them")
    return pair[0], pair[1]


def _check_reach(padding: str, size: int, length: int | None) -> None:
    most = {"REFLECT": 1, "SYMMETRIC": 0}.get(padding)
    if most is not None and length is not None and size // 2 > length - most:
        raise SettingsError(
            f"a filter of {size} pixels is too large for {length} pixels with {padding} padding"
        )
