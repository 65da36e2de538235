"""The Wasserstein distance between Gaussians, against SciPy's matrix root in float64."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import tensorflow as tf

from nst_tf.losses import statistics
from nst_tf.losses.objective import Objective
from nst_tf.losses.terms import of_maps
from nst_tf.losses.wasserstein import Wasserstein, fidelity
from nst_tf.network import vgg
from nst_tf.network import weights as weights_module
from nst_tf.network.feature_model import feature_model
from nst_tf.recipe import presets

STATISTIC = Wasserstein()
draw = np.random.default_rng(0)


def features(height, width, channels, scale=1.0):
    """Features as a network has them: correlated, of different sizes, at least 0."""
    mixed = draw.standard_normal((1, height, width, channels)) @ draw.random((channels, channels))
    return np.maximum(scale * mixed * np.geomspace(1, 0.05, channels) + 0.5, 0).astype(np.float32)


def moments(maps, mask=None):
    """Mean and covariance in float64."""
    flat = np.float64(maps).reshape(-1, maps.shape[-1])
    m = np.ones(len(flat)) if mask is None else np.float64(mask).reshape(-1)
    mean = m @ flat / m.sum()
    return mean, (flat - mean).T @ ((flat - mean) * m[:, None]) / m.sum()


def reference(one, other):
    """W² / E |a|² of two pairs of moments, as the formula stands there."""
    (m, C), (n, D) = one, other
    root = np.real(scipy.linalg.sqrtm(D))
    common = np.real(scipy.linalg.sqrtm(root @ C @ root))
    squared = np.sum((m - n) ** 2) + np.trace(C + D - 2 * common)
    return squared / (n @ n + np.trace(D))


def finished(maps, mask=None):
    return STATISTIC.finish(STATISTIC.measure(tf.constant(maps), mask))


def target(maps, mask=None):
    return statistics.prepare(STATISTIC, finished(maps, mask))


def distance(one, other):
    return float(STATISTIC.distance(finished(one), target(other))[0])


def value_and_gradient(maps, wanted):
    with tf.GradientTape() as tape:
        x = tf.constant(maps)
        tape.watch(x)
        value = STATISTIC.distance(STATISTIC.finish(STATISTIC.measure(x)), wanted)
    return float(value[0]), tape.gradient(value, x).numpy()


@pytest.mark.parametrize("channels", [1, 3, 24])
def test_against_scipy(channels):
    one, other = features(9, 11, channels), features(12, 7, channels, 2.0)
    expected = reference(moments(one), moments(other))
    assert expected > 0.02
    assert distance(one, other) == pytest.approx(expected, rel=1e-4)


def test_numbers_have_the_plain_formula():
    """Of one channel, (μ − μ')² + (σ − σ')²."""
    one, other = features(9, 11, 1), features(12, 7, 1, 1.5)
    expected = (one.mean() - other.mean()) ** 2 + (one.std() - other.std()) ** 2
    assert distance(one, other) == pytest.approx(expected / np.mean(other**2), rel=1e-4)


def test_a_mask_weighs_positions():
    one, other = features(8, 8, 5), features(8, 8, 5, 2.0)
    masks = [draw.random((1, 8, 8, 1)).astype(np.float32) for _ in range(2)]
    found = STATISTIC.distance(finished(one, masks[0]), target(other, masks[1]))
    expected = reference(moments(one, masks[0]), moments(other, masks[1]))
    assert abs(expected / reference(moments(one), moments(other)) - 1) > 1e-2
    assert float(found[0]) == pytest.approx(expected, rel=1e-4)


def test_several_styles_are_one_distribution():
    one, first, second = features(8, 8, 5), features(6, 6, 5, 2.0), features(6, 6, 5, 0.5)
    blended = statistics.blend(STATISTIC, [finished(first), finished(second)], [0.5, 0.5])
    found = STATISTIC.distance(finished(one), statistics.prepare(STATISTIC, blended))
    both = np.concatenate([first, second], axis=1)
    assert float(found[0]) == pytest.approx(reference(moments(one), moments(both)), rel=1e-4)


def test_a_batch_is_taken_picture_by_picture():
    """Also where the style images have ranks of their own."""
    ones = [features(6, 6, 7) for _ in range(2)]
    others = [features(6, 6, 7, 2.0), np.tile(features(3, 1, 7), (1, 2, 6, 1))]
    found = STATISTIC.distance(finished(np.concatenate(ones)), target(np.concatenate(others)))
    for index in range(2):
        expected = distance(ones[index], others[index])
        assert float(found[index]) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("positions", [1, 2, 5])
def test_fewer_positions_than_channels(positions):
    """Covariances without full rank: SciPy's root of one is rough, so the eigenvalues' it is."""
    one, other = features(positions, 1, 9), features(positions, 2, 9, 1.5)
    (m, C), (n, D) = moments(one), moments(other)
    values, axes = np.linalg.eigh(D)
    root = (axes * np.sqrt(np.maximum(values, 0))) @ axes.T
    common = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ C @ root), 0)).sum()
    expected = np.sum((m - n) ** 2) + np.trace(C) + np.trace(D) - 2 * common
    found, gradient = value_and_gradient(one, target(other))
    assert found == pytest.approx(expected / (n @ n + np.trace(D)), rel=1e-3)
    assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0
    # W² is homogeneous: in the direction of the features themselves it is known how it grows.
    step = 1e-2
    ends = [distance((1 + sign * step) * one, other) for sign in (1, -1)]
    slope = (ends[0] - ends[1]) / (2 * step)
    assert np.sum(gradient * one) == pytest.approx(slope, rel=0.01, abs=1e-3)


def test_the_gradient_is_that_of_finite_differences():
    one, other = features(6, 5, 8), features(7, 8, 8, 1.5)
    _, gradient = value_and_gradient(one, target(other))
    wanted = moments(other)
    for _ in range(5):
        direction = draw.standard_normal(one.shape)
        ends = [reference(moments(one + step * direction), wanted) for step in (1e-4, -1e-4)]
        assert np.sum(gradient * direction) == pytest.approx((ends[0] - ends[1]) / 2e-4, rel=1e-3)


def test_the_gradient_by_the_covariance_is_half_the_transport_map():
    """T C T = D, and T is symmetric; also of a root L that is not."""
    C, D = (moments(features(9, 9, 6, scale))[1] for scale in (1.0, 2.0))
    with tf.GradientTape() as tape:
        covariance = tf.constant(C[np.newaxis], tf.float32)
        tape.watch(covariance)
        value = fidelity(covariance, tf.constant(np.linalg.cholesky(D)[np.newaxis], tf.float32))
    root = np.real(scipy.linalg.sqrtm(D))
    assert float(value[0]) == pytest.approx(
        np.trace(np.real(scipy.linalg.sqrtm(root @ C @ root))), rel=1e-4
    )
    transport = 2 * np.float64(tape.gradient(value, covariance)[0])
    np.testing.assert_allclose(transport @ C @ transport, D, atol=1e-3 * np.abs(D).max())
    np.testing.assert_allclose(transport, transport.T, atol=1e-5 * np.abs(transport).max())


def test_nothing_is_left_at_the_style_itself():
    style = features(16, 16, 24)
    value, gradient = value_and_gradient(style, target(style))
    _, elsewhere = value_and_gradient(features(16, 16, 24), target(style))
    assert abs(value) < 1e-5
    assert np.isfinite(gradient).all()
    assert np.linalg.norm(gradient) < 0.02 * np.linalg.norm(elsewhere)


@pytest.mark.parametrize("one", [0.0, 3.0])
@pytest.mark.parametrize("other", [0.0, 2.0])
def test_features_that_are_the_same_everywhere(one, other):
    """No covariance at all on either side, or no feature."""
    flat, style = np.full((1, 4, 4, 3), one, np.float32), np.full((1, 4, 4, 3), other, np.float32)
    value, gradient = value_and_gradient(flat, target(style))
    assert value == pytest.approx((one - other) ** 2 / other**2 if other else 0.0)
    assert np.isfinite(gradient).all()
    _, gradient = value_and_gradient(flat, target(features(5, 5, 3)))
    assert np.isfinite(gradient).all() and np.abs(gradient).max() < 1


def test_rounding_of_no_covariance_is_not_amplified():
    """A picture of almost one colour: the map from its covariance to the style's has no limit."""
    colour = np.array([0.1, 0.09, 0.11, 0.07, 0.03])
    flat = (colour + 1e-6 * draw.standard_normal((1, 37, 41, 5))).astype(np.float32)
    _, gradient = value_and_gradient(flat, target(draw.random((1, 9, 9, 5)).astype(np.float32)))
    assert np.abs(gradient).max() * 37 * 41 < 2  # 0.6 of the means alone


def test_it_is_as_large_in_every_network_and_layer():
    """Features times a factor, in either picture's network: nothing changes."""
    one, other = features(8, 8, 5), features(8, 8, 5, 1.5)
    for factor in (1e-3, 1e3):
        found = distance(np.float32(factor) * one, np.float32(factor) * other)
        assert found == pytest.approx(distance(one, other), rel=1e-3)
    assert distance(np.zeros_like(one), other) == pytest.approx(1, rel=1e-5)
    assert STATISTIC.width_factor(4.0) == 1


@pytest.fixture(scope="module")
def model():
    settings = presets.settings("gatys2016")
    weights = weights_module.load("mini")
    return feature_model(weights, settings, wanted=list(settings.style_layers))


@pytest.mark.parametrize("layer", ["conv1_1", "conv4_1", "conv5_1"])
def test_features_of_pictures(model, scene, painting, layer):
    """Float32 is enough, also where two pictures are near to each other."""
    near = np.clip(0.9 * painting + 0.1 * painting[::-1], 0, 1)
    by_picture = [model(tf.constant(p[np.newaxis]))[layer].numpy() for p in (scene, near, painting)]
    *ones, style = by_picture
    for one in ones:
        (m, C), (n, D) = moments(one), moments(style)
        values, axes = np.linalg.eigh(D)
        root = axes * np.sqrt(np.maximum(values, 0))
        values, axes = np.linalg.eigh(root.T @ C @ root)
        values = np.sqrt(np.maximum(values, 0))
        power = n @ n + np.trace(D)
        expected = np.sum((m - n) ** 2) + np.trace(C) + np.trace(D) - 2 * values.sum()
        found, gradient = value_and_gradient(one, target(style))
        assert found == pytest.approx(expected / power, rel=1e-3, abs=2e-6)
        kept = values > 1e-7 * values[-1]
        half = (root @ axes[:, kept]) / np.sqrt(values[kept])
        flat = np.float64(one).reshape(-1, len(m)) - m
        exact = flat - (flat @ half) @ half.T + m - n
        cosine = np.sum(exact * gradient.reshape(flat.shape))
        assert cosine > 0.999 * np.linalg.norm(exact) * np.linalg.norm(gradient)


def test_the_distance_falls_on_the_way_to_the_style(model, scene, painting):
    shares = (0, 0.25, 0.5, 0.75, 1)
    pictures = [(1 - share) * scene + share * painting for share in shares]
    maps = [model(tf.constant(picture[np.newaxis]))["conv3_1"].numpy() for picture in pictures]
    falls = [distance(one, maps[-1]) for one in maps]
    assert falls == sorted(falls, reverse=True) and falls[0] > 0.1


def test_strips_find_the_same(tiny_weights, scene, painting):
    layers = {"conv1_1": 1.0, "conv2_1": 1.0}
    model = vgg.build_model(["conv2_2", *layers], tiny_weights)
    evaluations = []
    for tile in (None, 32):
        made = Objective(model, {}, layers, style_loss="wasserstein", tile=tile)
        made.set_styles([painting, 0.5 * painting[:40]])
        evaluations.append(made(tf.constant(scene)[tf.newaxis]))
    whole, strips = evaluations
    for name, value in whole.terms.items():
        assert float(strips.terms[name]) == pytest.approx(float(value), rel=1e-4), name
    scale = np.abs(whole.gradient).max()
    assert scale > 0
    np.testing.assert_allclose(strips.gradient, whole.gradient, atol=1e-3 * scale)


def test_a_target_takes_the_place_of_the_last_one(tiny_weights, scene, painting):
    """Prepared ones have the same shapes whatever the style image's size and rank."""
    layers = {"conv1_1": 1.0, "conv5_1": 1.0}
    made = Objective(vgg.build_model([*layers], tiny_weights), {}, layers, style_loss="wasserstein")
    made.set_styles([painting[:16, :16]])
    image = tf.constant(painting)[tf.newaxis]
    assert float(made(image).loss) > 1e-3
    made.set_styles([painting])
    assert abs(float(made(image).loss)) < 1e-5
    assert made.traces == 1


def test_pictures_one_for_one(tiny_weights, scene, painting):
    """As Keras' losses and served models take it: the target is prepared there too."""
    settings = presets.settings("gatys2016", style_loss="wasserstein")
    model = feature_model(tiny_weights, settings, wanted=list(settings.style_layers))
    maps, targets = (model(picture[np.newaxis]) for picture in (scene, painting))
    terms = of_maps(["style"], maps, targets, settings)
    for name, found in terms.items():
        key = name.removeprefix("style/")
        expected = distance(maps[key].numpy(), targets[key].numpy())
        assert float(found[0]) == pytest.approx(expected, rel=1e-4)


def test_half_precision_is_measured_in_float32():
    one, other = features(9, 11, 6, 300.0), features(9, 11, 6, 200.0)
    halves = [tf.constant(maps, tf.float16) for maps in (one, other)]
    single = [half.numpy().astype(np.float32) for half in halves]
    found = STATISTIC.distance(finished(halves[0]), target(halves[1]))
    assert float(found[0]) == pytest.approx(distance(*single), rel=1e-6)
