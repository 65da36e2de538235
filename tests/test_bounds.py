"""Values kept in [0, 1]: what the projected solvers do at the bounds, against SciPy's L-BFGS-B."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from scipy import optimize
from test_optimizers import SCALES, SHAPE, START, descend, evaluation

from nst_tf import optimizers
from nst_tf.errors import SettingsError
from nst_tf.recipe import choices
from nst_tf.recipe.settings import Settings

#: A minimum of which two fifths of the values lie beyond the bounds.
BEYOND = tf.constant(np.random.default_rng(3).uniform(-0.4, 1.4, SHAPE), tf.float32)


def coupled(image):
    """An ill-conditioned quadratic whose values depend on their neighbours: its minimum in the box
    is not that of the plane with what is beyond cut off."""

    def loss(x):
        flat = tf.reshape(x - BEYOND, [-1])
        return 0.5 * (
            tf.reduce_sum(tf.reshape(SCALES, [-1]) * tf.square(flat))
            + 5 * tf.reduce_sum(tf.square(flat[1:] - flat[:-1]))
        )

    return evaluation(loss, image)


def scipys_minimum():
    def both(x):
        loss, gradient, _ = coupled(tf.constant(x.reshape(SHAPE), tf.float32))
        return float(loss), gradient.numpy().ravel().astype(np.float64)

    start = START.numpy().ravel()
    bounds = [(0, 1)] * start.size
    return optimize.minimize(both, start, jac=True, method="L-BFGS-B", bounds=bounds)


def test_lbfgs_finds_the_minimum_within_the_bounds_that_scipy_finds():
    wanted = scipys_minimum()
    assert np.mean((wanted.x == 0) | (wanted.x == 1)) > 0.2  # there is something to be bounded
    state, _, _ = descend(optimizers.create("lbfgs", bounded=True), coupled, 100)
    np.testing.assert_allclose(float(state.point.loss), wanted.fun, rtol=1e-4)
    np.testing.assert_allclose(np.ravel(state.point.image), wanted.x, atol=2e-2)
    # What is cut off once at the end is no minimum.
    free, _, _ = descend(optimizers.create("lbfgs"), coupled, 100)
    cut = coupled(tf.clip_by_value(free.point.image, 0.0, 1.0))
    assert float(cut.loss) > 1.01 * wanted.fun


@pytest.mark.parametrize("name", choices.OWN)
def test_no_iterate_leaves_the_bounds(name):
    solver = optimizers.create(name, bounded=True)
    state = solver.init(coupled, START)
    begun, touched = float(state.point.loss), False
    for _ in range(60):
        state = solver.step(coupled, state)
        image = state.point.image.numpy()
        assert image.min() >= 0
        assert image.max() <= 1
        touched |= bool(((image == 0) | (image == 1)).any())
    assert touched
    assert float(state.point.loss) < 0.7 * begun
    # The loss is that of the image itself, not of one that will be cut off.
    np.testing.assert_allclose(float(coupled(state.point.image).loss), float(state.point.loss))


@pytest.mark.parametrize("name", choices.OWN)
def test_far_from_the_bounds_they_change_nothing(name):
    target = tf.constant(np.random.default_rng(4).uniform(0.45, 0.55, SHAPE), tf.float32)

    def inner(image):
        return evaluation(lambda x: 0.5 * tf.reduce_sum(SCALES * tf.square(x - target)), image)

    ends = []
    for bounded in (False, True):
        solver = optimizers.create(name, bounded=bounded)
        state = solver.init(inner, tf.fill(SHAPE, 0.5))
        for _ in range(10):
            state = solver.step(inner, state)
        ends.append(state.point.image)
    np.testing.assert_allclose(*ends, atol=1e-6)


@pytest.mark.parametrize("name", ["tfp-lbfgs", "tfa.RectifiedAdam"])
def test_what_knows_no_bounds_says_so(name):
    with pytest.raises(SettingsError, match=rf"{name} knows no bounds: use lbfgs or adam or gd"):
        Settings(optimizer=name, bounded=True, evaluations=1)
    with pytest.raises(SettingsError, match="knows no bounds"):
        optimizers.create(name, bounded=True)
