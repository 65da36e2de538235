"""Winograd's algorithm against a convolution in float64 and TensorFlow's."""

import numpy as np
import pytest
import rounding
import tensorflow as tf

from nst_tf.network import winograd


def bound(channels):
    """Of the 36 values of a tile, of a product over the channels, and of its 36 results."""
    return rounding.of_sums(36, channels, 36)


@pytest.mark.parametrize("size", [(1, 1), (2, 7), (4, 4), (5, 9), (8, 3), (13, 16)])
def test_it_is_a_convolution(size):
    draw = np.random.default_rng(0)
    maps = draw.standard_normal((1, *size, 3)).astype(np.float32)
    kernel = draw.standard_normal((3, 3, 3, 5)).astype(np.float32)
    padded = np.pad(maps, [(0, 0), (1, 1), (1, 1), (0, 0)])
    expected = np.zeros((*size, 5))
    for row in range(3):
        for column in range(3):
            window = padded[0, row : row + size[0], column : column + size[1]].astype(np.float64)
            expected += window @ kernel[row, column].astype(np.float64)
    convolved = winograd.convolve(tf.constant(maps), tf.constant(winograd.transform_kernel(kernel)))
    rounding.assert_close(convolved, expected[np.newaxis], bound(3))


def test_sizes_may_be_unknown_when_it_is_compiled():
    draw = np.random.default_rng(1)
    kernel = draw.standard_normal((3, 3, 4, 4)).astype(np.float32)
    transformed = tf.constant(winograd.transform_kernel(kernel))
    compiled = tf.function(
        lambda maps: winograd.convolve(maps, transformed),
        input_signature=[tf.TensorSpec([1, None, None, 4])],
    )
    for size in ((6, 11), (9, 4)):
        maps = draw.standard_normal((1, *size, 4)).astype(np.float32)
        expected = tf.nn.conv2d(maps, kernel, 1, "SAME")
        rounding.assert_close(compiled(maps), expected, bound(4))
