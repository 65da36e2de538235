"""Sorted projections and sorted channels, against NumPy and SciPy's transport in one dimension."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from nst_tf.errors import SettingsError
from nst_tf.losses import quantiles, statistics
from nst_tf.losses.histogram import Histograms
from nst_tf.losses.sliced import SlicedWasserstein, directions_of

STATISTICS = [SlicedWasserstein(), Histograms()]
draw = np.random.default_rng(0)


def features(height, width, channels, scale=1.0):
    maps = scale * draw.standard_normal((1, height, width, channels)) + draw.random(channels)
    return np.maximum(maps, 0).astype(np.float32)


def transport(one, other, masses=(None, None)):
    """∫ (q − q')² dt of two rows of numbers, over intervals where both quantiles stand still."""
    rows, ends = [], []
    for values, mass in zip((one, other), masses, strict=True):
        mass = np.ones(len(values)) if mass is None else np.float64(mass)
        order = np.argsort(values, kind="stable")
        rows.append(np.float64(values)[order])
        ends.append(np.cumsum(mass[order]) / mass.sum())
    borders = np.unique(np.concatenate([[0], *ends]).clip(0, 1))
    middles = (borders[1:] + borders[:-1]) / 2
    q, p = (
        row[np.minimum(np.searchsorted(end, middles), len(row) - 1)]
        for row, end in zip(rows, ends, strict=True)
    )
    return np.sum(np.diff(borders) * (q - p) ** 2)


def reference(statistic, one, other, masks=(None, None)):
    flat, its = (np.float64(maps).reshape(-1, maps.shape[-1]) for maps in (one, other))
    masses = [None if mask is None else mask.reshape(-1) for mask in masks]
    power = np.average(np.sum(its**2, 1), weights=masses[1])
    if isinstance(statistic, SlicedWasserstein):
        directions = directions_of(flat.shape[1], statistic.directions, statistic.seed)
        scale = flat.shape[1] / len(directions)
    else:
        directions, scale = np.eye(flat.shape[1]), 1.0
    rows = [transport(flat @ v, its @ v, masses) for v in directions]
    return scale * np.sum(rows) / power


def finished(statistic, maps, mask=None):
    return statistic.finish(statistic.measure(tf.constant(maps), mask))


def distance(statistic, one, other):
    return float(statistic.distance(finished(statistic, one), finished(statistic, other))[0])


def value_and_gradient(statistic, maps, wanted):
    with tf.GradientTape() as tape:
        x = tf.constant(maps)
        tape.watch(x)
        value = statistic.distance(statistic.finish(statistic.measure(x)), wanted)
    return float(value[0]), tape.gradient(value, x).numpy()


@pytest.mark.parametrize("positions", [1, 7, 1024, 1500, 5000])
def test_means_of_equal_shares(positions):
    """Whatever the number of values: more or fewer than shares, divided by them or not."""
    values = draw.standard_normal(positions).astype(np.float32)
    repeated = np.repeat(np.sort(values.astype(np.float64)), quantiles.COUNT)
    expected = repeated.reshape(quantiles.COUNT, positions).mean(1)
    found = quantiles.means(tf.constant(values[np.newaxis, np.newaxis]))[0, 0]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    weighted = quantiles.means(
        tf.constant(values[np.newaxis, np.newaxis]), tf.fill([1, positions], 0.3)
    )[0, 0]
    np.testing.assert_allclose(weighted, expected, atol=1e-6)


def test_their_mean_difference_is_scipys_distance():
    """SciPy's is ∫ |q − q'| dt; with 64 and 256 values no share has more than one."""
    one, other = draw.standard_normal(64), 0.5 * draw.standard_normal(256) + 0.3
    q, p = (
        quantiles.means(tf.constant(values[np.newaxis, np.newaxis], tf.float32))
        for values in (one, other)
    )
    expected = scipy.stats.wasserstein_distance(one, other)
    assert float(tf.reduce_mean(tf.abs(q - p))) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("statistic", STATISTICS)
@pytest.mark.parametrize(
    "sizes", [((8, 8), (16, 8), 1e-5), ((9, 11), (12, 7), 5e-3), ((40, 50), (60, 70), 5e-3)]
)
def test_against_numpy(statistic, sizes):
    """Of two sizes; exact where every share is of one value, and near to it elsewhere."""
    *sizes, error = sizes
    one, other = features(*sizes[0], 6), features(*sizes[1], 6, 2.0)
    expected = reference(statistic, one, other)
    assert expected > 0.05
    assert distance(statistic, one, other) == pytest.approx(expected, rel=error)


@pytest.mark.parametrize("statistic", STATISTICS)
def test_a_mask_weighs_positions(statistic):
    """Also one that leaves half of the positions out."""
    one, other = features(8, 8, 5), features(8, 8, 5, 2.0)
    masks = [draw.random((1, 8, 8, 1)).astype(np.float32) for _ in range(2)]
    masks[1] *= masks[1] > 0.5
    found = statistic.distance(
        finished(statistic, one, masks[0]), finished(statistic, other, masks[1])
    )
    expected = reference(statistic, one, other, masks)
    assert abs(expected / reference(statistic, one, other) - 1) > 1e-2
    assert float(found[0]) == pytest.approx(expected, rel=5e-3)
    nothing = finished(statistic, one, tf.zeros([1, 8, 8, 1]))
    assert not np.any(nothing.values) and not np.any(nothing.power)


@pytest.mark.parametrize("statistic", STATISTICS)
def test_the_gradient_is_that_of_finite_differences(statistic):
    # No two values are equal: where several are, as zeros behind a ReLU, there is no derivative.
    one = features(8, 4, 4) + draw.random((1, 8, 4, 4)).astype(np.float32)
    other = features(8, 8, 4, 1.5)
    _, gradient = value_and_gradient(statistic, one, finished(statistic, other))
    for _ in range(5):
        direction = draw.standard_normal(one.shape)
        ends = [reference(statistic, one + step * direction, other) for step in (1e-5, -1e-5)]
        assert np.sum(gradient * direction) == pytest.approx(
            (ends[0] - ends[1]) / 2e-5, rel=5e-3, abs=1e-4
        )


@pytest.mark.parametrize("statistic", STATISTICS)
def test_nothing_is_left_at_the_style_itself(statistic):
    """Nor at its positions in another order, nor at the same picture twice."""
    style = features(16, 16, 8)
    wanted = finished(statistic, style)
    value, gradient = value_and_gradient(statistic, style, wanted)
    assert value == 0 and not gradient.any()
    shuffled = draw.permutation(style.reshape(256, 8)).reshape(style.shape)
    for same in (shuffled, np.concatenate([style, style], 1)):
        assert distance(statistic, same, style) < 1e-6
    assert distance(statistic, features(16, 16, 8), style) > 1e-4


def test_channels_that_go_together_are_told_by_slices_alone():
    """The same histograms in every channel, once together, once apart."""
    values = draw.random((1, 16, 16, 1)).astype(np.float32)
    together = np.concatenate([values, values], 3)
    apart = np.concatenate([values, draw.permutation(values.reshape(-1)).reshape(values.shape)], 3)
    sliced, histograms = (distance(statistic, apart, together) for statistic in STATISTICS)
    assert histograms < 1e-6 and sliced > 1e-2


def test_what_gram_matrices_cannot_tell():
    """Strong in few places and weak in many, with the same mean and mean square."""
    few = np.zeros((1, 10, 10, 1), np.float32)
    few[0, :, 0] = 3
    few[0, :, 1] = 1
    mean, square = few.mean(), np.square(few).mean()
    spread = np.sqrt(square - mean**2)
    many = np.full_like(few, mean - spread)
    many[0, ::2] = mean + spread
    statistic = statistics.named("wasserstein")
    ends = [statistic.finish(statistic.measure(tf.constant(maps))) for maps in (few, many)]
    assert float(statistic.distance(ends[0], statistic.prepare(ends[1]))[0]) < 1e-5
    for statistic in STATISTICS:
        assert distance(statistic, few, many) > 0.1


@pytest.mark.parametrize("channels", [1, 3, 64, 100])
def test_directions(channels):
    """Unit vectors, at right angles within a basis, the same every time."""
    found = directions_of(channels, 64, 0)
    assert found.shape == (64, channels)
    products = found @ found.T
    np.testing.assert_allclose(np.diag(products), 1)
    first = min(channels, 64)
    np.testing.assert_allclose(products[:first, :first], np.eye(first), atol=1e-12)
    directions_of.cache_clear()
    np.testing.assert_array_equal(directions_of(channels, 64, 0), found)
    if channels > 1:
        assert not np.allclose(directions_of(channels, 64, 1), found)


def test_a_shift_is_as_far_by_slices_as_it_is():
    """N · mean (v·s)² is |s|²: exactly so where directions are whole bases."""
    style = features(12, 12, 16)
    shift = np.float32(draw.standard_normal(16))
    expected = np.sum(shift**2) / np.mean(np.sum(style**2, 3))
    assert distance(SlicedWasserstein(), style + shift, style) == pytest.approx(expected, rel=1e-3)
    assert distance(Histograms(), style + shift, style) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("statistic", STATISTICS)
def test_it_is_as_large_in_every_network_and_layer(statistic):
    one, other = features(8, 8, 5), features(8, 8, 5, 1.5)
    for factor in (1e-3, 1e3):
        found = distance(statistic, np.float32(factor) * one, np.float32(factor) * other)
        assert found == pytest.approx(distance(statistic, one, other), rel=1e-3)
    assert statistic.width_factor(4.0) == 1


@pytest.mark.parametrize("statistic", STATISTICS)
def test_features_without_any(statistic):
    """Of a style image without features, and of one position."""
    nothing = np.zeros((1, 4, 4, 3), np.float32)
    for one, other in ((nothing, features(4, 4, 3)), (features(1, 1, 3), nothing)):
        value, gradient = value_and_gradient(statistic, one, finished(statistic, other))
        assert np.isfinite(value) and np.isfinite(gradient).all()


@pytest.mark.parametrize("statistic", STATISTICS)
def test_a_batch_is_taken_picture_by_picture(statistic):
    ones = [features(6, 6, 4) for _ in range(2)]
    others = [features(6, 6, 4, 2.0) for _ in range(2)]
    found = statistic.distance(
        *(finished(statistic, np.concatenate(maps)) for maps in (ones, others))
    )
    for index in range(2):
        expected = distance(statistic, ones[index], others[index])
        assert float(found[index]) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("statistic", STATISTICS)
def test_styles_are_not_blended(statistic):
    ends = [finished(statistic, features(4, 4, 3)) for _ in range(2)]
    with pytest.raises(SettingsError, match="cannot be blended"):
        statistics.blend(statistic, ends, [0.5, 0.5])
