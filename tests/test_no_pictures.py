"""Networks of a batch of none, whatever the size that it is said to have."""

import numpy as np
import pytest
import tensorflow as tf

from nst_tf.network import no_pictures

draw = np.random.default_rng(0)

LEAST = 4


@pytest.fixture(scope="module")
def network():
    """A function of pictures that halves twice, and keeps no shape to itself."""
    kernels = [draw.random((3, 3, depth, 4)).astype(np.float32) for depth in (3, 4)]

    def maps_of(pictures):
        first = tf.nn.relu(tf.nn.conv2d(pictures, kernels[0], 1, "SAME"))
        half = tf.nn.max_pool2d(first, 2, 2, "VALID")
        second = tf.nn.relu(tf.nn.conv2d(half, kernels[1], 1, "SAME"))
        return {"1": first, "2": second, "4": tf.nn.max_pool2d(second, 2, 2, "VALID")}

    return maps_of


@pytest.mark.parametrize("jit_compile", [None, True])
def test_of_none_and_of_some_maps_have_the_same_sides(network, jit_compile):
    of_any = tf.function(
        no_pictures.allowed(network, LEAST),
        input_signature=[tf.TensorSpec([None, None, None, 3])],
        jit_compile=jit_compile,
    )
    sides = (
        [(4, 4), (5, 7), (13, 4), (31, 22)] if jit_compile else [(n, 43 - n) for n in range(4, 40)]
    )
    for height, width in sides:
        some = draw.random((2, height, width, 3)).astype(np.float32)
        given = of_any(some)
        for key, maps in network(some).items():
            np.testing.assert_allclose(given[key], maps, rtol=1e-5)
        for key, maps in of_any(some[:0]).items():
            assert maps.shape == (0, *given[key].shape[1:])


def test_none_cost_nothing_whatever_they_are_said_to_be(network):
    seen = []

    def watched(pictures):
        tf.numpy_function(lambda shape: seen.append(tuple(shape)), [tf.shape(pictures)], [])
        return network(pictures)

    of_any = tf.function(
        no_pictures.allowed(watched, LEAST),
        input_signature=[tf.TensorSpec([None, None, None, 3])],
    )
    assert of_any(tf.zeros([0, 2**20 + 3, 1030, 3]))["4"].shape == (0, 2**18, 257, 4)
    assert of_any(tf.zeros([3, 8, 9, 3]))["4"].shape == (3, 2, 2, 4)
    assert seen == [(1, LEAST, LEAST, 3), (3, 8, 9, 3)]


def test_a_known_shape_stays_known(network):
    of_one = tf.function(
        no_pictures.allowed(network, LEAST),
        input_signature=[tf.TensorSpec([None, 9, 11, 3])],
    )
    outputs = of_one.get_concrete_function().structured_outputs
    assert outputs["4"].shape.as_list() == [None, 2, 2, 4]
    assert of_one(tf.zeros([0, 9, 11, 3]))["2"].shape == (0, 4, 5, 4)
