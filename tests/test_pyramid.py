"""Adam on a Laplacian pyramid, beside a pyramid and an Adam that keep their coefficients."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from nst_tf import optimizers
from nst_tf.optimizers import pyramid
from nst_tf.optimizers.pyramid import Pyramid

draw = np.random.default_rng(0)
#: Odd, even, and down to a single row.
SHAPES = [(1, 9, 14, 3), (1, 5, 7, 3), (1, 3, 4, 3), (1, 2, 2, 3)]
COUNT = len(SHAPES)


def enlarging(before: int, after: int) -> np.ndarray:
    """The matrix of linear interpolation from `before` values to `after`, pixels being areas."""
    matrix = np.zeros((after, before))
    for row in range(after):
        at = np.clip((row + 0.5) * before / after - 0.5, 0, before - 1)
        low = int(at)
        high = min(low + 1, before - 1)
        matrix[row, low] += 1 - (at - low)
        matrix[row, high] += at - low
    return matrix


def enlarge(maps, shape):
    rows, columns = (enlarging(maps.shape[axis], shape[axis]) for axis in (1, 2))
    return np.einsum("ia,jb,nabc->nijc", rows, columns, maps)


def reduced_gradient(gradient, shape):
    """The transpose of `enlarge`."""
    rows, columns = (enlarging(shape[axis], gradient.shape[axis]) for axis in (1, 2))
    return np.einsum("ia,jb,nijc->nabc", rows, columns, gradient)


def analysis(image):
    """What each level adds to what the coarser ones say, the finest first."""
    levels = []
    for _ in range(COUNT - 1):
        smaller = image[:, ::2, ::2]
        levels.append(image - enlarge(smaller, image.shape))
        image = smaller
    return [*levels, image]


def synthesis(levels):
    image = levels[-1]
    for level in reversed(levels[:-1]):
        image = level + enlarge(image, level.shape)
    return image


def test_levels_have_half_the_size_of_the_one_before():
    levels = pyramid.levels_like(tf.zeros(SHAPES[0]), COUNT)
    assert [tuple(level.shape) for level in levels] == SHAPES


def test_a_pyramid_is_its_image():
    """Taken apart here, put together there."""
    image = draw.uniform(size=SHAPES[0])
    levels = [tf.constant(level, tf.float32) for level in analysis(image)]
    np.testing.assert_allclose(pyramid.synthesis(levels), image, atol=1e-6)
    assert np.abs(levels[1]).max() > 0.1


def test_steps_are_adams_on_the_coefficients():
    target, scales = draw.uniform(size=(2, *SHAPES[0]))
    start = draw.uniform(size=SHAPES[0])

    def evaluate(image):
        difference = image - tf.constant(target, tf.float32)
        weighted = tf.constant(scales, tf.float32) * difference
        return 0.5 * tf.reduce_sum(weighted * difference), weighted, {}

    solver = optimizers.create("pyramid", 0.01)
    assert isinstance(solver, Pyramid)
    solver = Pyramid(0.01, COUNT)
    state = solver.init(evaluate, tf.constant(start, tf.float32))

    levels = analysis(start)
    first, second = [np.zeros(shape) for shape in SHAPES], [np.zeros(shape) for shape in SHAPES]
    for t in range(1, 8):
        state = solver.step(evaluate, state)
        gradient = scales * (synthesis(levels) - target)
        for at in range(COUNT):
            if at:
                gradient = reduced_gradient(gradient, SHAPES[at])
            first[at] = 0.9 * first[at] + 0.1 * gradient
            second[at] = 0.999 * second[at] + 0.001 * gradient**2
            length = 0.01 * np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
            levels[at] = levels[at] - length * first[at] / (np.sqrt(second[at]) + 1e-7)
        np.testing.assert_allclose(state.point.image, synthesis(levels), atol=2e-5)
    assert int(state.evaluations) == 8
    assert np.abs(state.point.image - start).max() > 0.05


@pytest.mark.parametrize("shape", [SHAPES[0], (1, 18, 28, 3)])
def test_another_size_keeps_the_moments(shape):
    """At the same size as they are: a new look for neighbours is no new beginning for Adam."""

    def evaluate(image):
        return tf.reduce_sum(image), tf.ones_like(image), {}

    solver = Pyramid(levels=COUNT)
    state = solver.step(evaluate, solver.init(evaluate, tf.zeros(SHAPES[0])))
    anew = solver.resize(evaluate, state, tf.ones(shape))
    share = SHAPES[0][1] * SHAPES[0][2] / (shape[1] * shape[2])
    for level, before in zip(anew.memory, state.memory, strict=True):
        assert int(level.steps) == 1
        if share == 1:
            np.testing.assert_allclose(level.first, before.first, rtol=1e-5)
            np.testing.assert_allclose(level.second, before.second, rtol=1e-5)
        assert float(tf.reduce_max(level.first)) > 0
    assert tuple(anew.memory[1].first.shape[1:3]) == (-(-shape[1] // 2), -(-shape[2] // 2))
