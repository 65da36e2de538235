"""Mean and standard deviation of every channel, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from nst_tf.losses import statistics
from nst_tf.losses.moments import MeanVariance
from nst_tf.losses.wasserstein import Wasserstein

STATISTIC = MeanVariance()
draw = np.random.default_rng(0)


def features(height, width, channels, scale=1.0):
    maps = scale * draw.standard_normal((1, height, width, channels)) + draw.random(channels)
    return np.maximum(maps, 0).astype(np.float32)


def reference(one, other, masks=(None, None)):
    found = []
    for maps, mask in zip((one, other), masks, strict=True):
        flat = np.float64(maps).reshape(-1, maps.shape[-1])
        m = np.ones(len(flat)) if mask is None else np.float64(mask).reshape(-1)
        mean = m @ flat / m.sum()
        found.append((mean, np.sqrt(m @ (flat - mean) ** 2 / m.sum())))
    (mean, deviation), (its_mean, its_deviation) = found
    squares = np.sum((mean - its_mean) ** 2 + (deviation - its_deviation) ** 2)
    return squares / np.sum(its_mean**2 + its_deviation**2)


def finished(maps, mask=None):
    return STATISTIC.finish(STATISTIC.measure(tf.constant(maps), mask))


def distance(one, other):
    return float(STATISTIC.distance(finished(one), finished(other))[0])


def value_and_gradient(maps, wanted):
    with tf.GradientTape() as tape:
        x = tf.constant(maps)
        tape.watch(x)
        value = STATISTIC.distance(STATISTIC.finish(STATISTIC.measure(x)), wanted)
    return float(value[0]), tape.gradient(value, x).numpy()


def test_against_numpy():
    one, other = features(9, 11, 6), features(12, 7, 6, 1.5)
    assert reference(one, other) > 0.05
    assert distance(one, other) == pytest.approx(reference(one, other), rel=1e-4)


def test_a_mask_weighs_positions():
    one, other = features(9, 11, 6), features(9, 11, 6, 1.5)
    masks = [draw.random((1, 9, 11, 1)).astype(np.float32) for _ in range(2)]
    found = STATISTIC.distance(finished(one, masks[0]), finished(other, masks[1]))
    expected = reference(one, other, masks)
    assert abs(expected / reference(one, other) - 1) > 1e-2
    assert float(found[0]) == pytest.approx(expected, rel=1e-4)


def test_several_styles_are_one_distribution():
    one, first, second = features(8, 8, 5), features(6, 6, 5, 2.0), features(6, 6, 5, 0.5)
    blended = statistics.blend(STATISTIC, [finished(first), finished(second)], [0.5, 0.5])
    found = float(STATISTIC.distance(finished(one), blended)[0])
    both = np.concatenate([first, second], axis=1)
    assert found == pytest.approx(reference(one, both), rel=1e-4)


def test_it_is_wasserstein_between_channels_without_correlation():
    """Values that no two channels share: covariances are diagonal."""
    signs = np.array([[1, 1, 1], [-1, 1, -1], [1, -1, -1], [-1, -1, 1]], np.float32)
    one = (signs * [1, 2, 3] + 4).reshape(1, 2, 2, 3).astype(np.float32)
    other = (signs * [2, 2, 1] + [3, 5, 4]).reshape(1, 2, 2, 3).astype(np.float32)
    statistic = Wasserstein()
    ends = [statistic.finish(statistic.measure(tf.constant(maps))) for maps in (one, other)]
    expected = float(statistic.distance(ends[0], statistic.prepare(ends[1]))[0])
    assert distance(one, other) == pytest.approx(expected, rel=1e-4)
    assert expected == pytest.approx((2 + 5) / (9 + 25 + 16 + 4 + 4 + 1), rel=1e-4)


def test_the_gradient_is_that_of_finite_differences():
    one, other = features(6, 5, 8), features(7, 8, 8, 1.5)
    _, gradient = value_and_gradient(one, finished(other))
    for _ in range(5):
        direction = draw.standard_normal(one.shape)
        ends = [reference(one + step * direction, other) for step in (1e-4, -1e-4)]
        assert np.sum(gradient * direction) == pytest.approx((ends[0] - ends[1]) / 2e-4, rel=1e-3)


def test_nothing_is_left_at_the_style_itself():
    style = features(16, 16, 8)
    value, gradient = value_and_gradient(style, finished(style))
    assert value == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(gradient, 0, atol=1e-7)


@pytest.mark.parametrize("one", [0.0, 3.0])
@pytest.mark.parametrize("other", [0.0, 2.0])
def test_features_that_are_the_same_everywhere(one, other):
    flat, style = np.full((1, 4, 4, 3), one, np.float32), np.full((1, 4, 4, 3), other, np.float32)
    value, gradient = value_and_gradient(flat, finished(style))
    assert value == pytest.approx((one - other) ** 2 / other**2 if other else 0.0)
    assert np.isfinite(gradient).all()
    _, gradient = value_and_gradient(flat[:, :1, :1], finished(features(5, 5, 3)))
    assert np.isfinite(gradient).all()


def test_it_is_as_large_in_every_network_and_layer():
    one, other = features(8, 8, 5), features(8, 8, 5, 1.5)
    for factor in (1e-3, 1e3):
        found = distance(np.float32(factor) * one, np.float32(factor) * other)
        assert found == pytest.approx(distance(one, other), rel=1e-3)
    assert distance(np.zeros_like(one), other) == pytest.approx(1, rel=1e-5)
    assert STATISTIC.width_factor(4.0) == 1


def test_half_precision_is_measured_in_float32():
    one, other = features(40, 40, 6, 300.0), features(40, 40, 6, 200.0)
    halves = [tf.constant(maps, tf.float16) for maps in (one, other)]
    single = [half.numpy().astype(np.float32) for half in halves]
    found = STATISTIC.distance(*map(finished, halves))
    assert float(found[0]) == pytest.approx(reference(*single), rel=1e-4)
