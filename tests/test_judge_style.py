"""Style gained: moments against np.cov, distances against sqrtm and the formula in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.linalg
import tensorflow as tf

from nst_tf.errors import PictureError, SettingsError
from nst_tf.judge import style
from nst_tf.judge.style import Moments, StyleJudge, wasserstein_distance
from nst_tf.network import vgg
from nst_tf.network import weights as weights_module
from nst_tf.recipe import presets

draw = np.random.default_rng(0)


def gaussian(channels: int = 6, rank: int | None = None, size: float = 1.0) -> Moments:
    factor = size * draw.standard_normal((channels, channels if rank is None else rank))
    mean = size * draw.standard_normal(channels)
    return Moments(tf.zeros([1, channels, channels]), mean, factor @ factor.T)


def squared_wasserstein(one: Moments, other: Moments) -> float:
    """As Dowson and Landau write it, with SciPy's matrix square roots."""
    root = scipy.linalg.sqrtm(one.covariance)
    common = scipy.linalg.sqrtm(root @ other.covariance @ root)
    spread = np.trace(one.covariance + other.covariance - 2 * np.real(common))
    return float(np.sum((one.mean - other.mean) ** 2) + spread)


def power(of: Moments) -> float:
    return float(of.mean @ of.mean + np.trace(of.covariance))


@pytest.fixture(scope="module")
def judge():
    return StyleJudge(weights_module.load("mini"))


@pytest.fixture(scope="module")
def pictures(scene, painting):
    """The photo, a painting of another size, and a result between them."""
    cut = painting[:40, :56]
    result = 0.5 * scene
    result[:40, :56] += 0.5 * cut
    return {"content": scene, "style": cut, "result": result}


@pytest.fixture(scope="module")
def measured(judge, pictures):
    return {name: judge.measure(picture) for name, picture in pictures.items()}


@pytest.fixture(scope="module")
def features(pictures):
    """Float64 [positions, channels] by picture and layer, from a model of the test's own."""
    layers = [f"conv{block}_1" for block in range(1, 6)]
    model = vgg.build_model(layers, weights_module.load("mini"))
    return {
        name: {
            layer: np.float64(maps).reshape(-1, maps.shape[-1])
            for layer, maps in model(picture[np.newaxis]).items()
        }
        for name, picture in pictures.items()
    }


@pytest.mark.parametrize("block", [1 << 15, 100])
def test_moments(judge, pictures, features, monkeypatch, block):
    """Whether they are summed up at once, or in blocks that do not divide the positions."""
    monkeypatch.setattr(style, "_BLOCK", block)
    found = judge.measure(pictures["style"])
    assert list(found) == ["conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1"]
    for layer, of in found.items():
        flat = features["style"][layer]
        np.testing.assert_allclose(of.mean, flat.mean(0), rtol=1e-5, atol=1e-5 * flat.mean())
        expected = np.cov(flat, rowvar=False, bias=True)
        atol = 1e-5 * np.abs(expected).max()
        np.testing.assert_allclose(of.covariance, expected, atol=atol, rtol=0)
        gram = flat.T @ flat / len(flat)
        np.testing.assert_allclose(of.gram[0], gram, atol=1e-5 * gram.max(), rtol=0)
        np.testing.assert_allclose(of.root @ of.root, of.covariance, atol=atol, rtol=0)


def test_gram_distance_is_the_presets_style_loss(judge, measured, features):
    expected = 0.0
    for layer, weight in presets.settings("gatys2016").style_layers.items():
        G, A = (
            flat.T @ flat / len(flat)
            for flat in (features["result"][layer], features["style"][layer])
        )
        expected += weight * np.mean((G - A) ** 2)
    found = judge.gram_distance(measured["result"], measured["style"])
    assert found == pytest.approx(expected, rel=1e-5)


def test_wasserstein_distance_against_sqrtm():
    """Layers of different width and size, each divided by the style's mean squared feature."""
    one = {"conv1_1": gaussian(5), "conv2_1": gaussian(8, size=30)}
    other = {"conv1_1": gaussian(5), "conv2_1": gaussian(8, size=40)}
    expected = sum(squared_wasserstein(one[key], other[key]) / power(other[key]) for key in one)
    assert wasserstein_distance(one, other) == pytest.approx(expected, rel=1e-9)


def test_wasserstein_distance_of_pictures_against_sqrtm(measured):
    """Covariances as they come are nearly singular, and sqrtm then right to a few digits; a
    thousandth of the mean variance on both diagonals keeps it well."""
    one, other = (
        {
            layer: Moments(
                of.gram,
                of.mean,
                of.covariance + 1e-3 * np.eye(len(of.mean)) * np.trace(of.covariance),
            )
            for layer, of in measured[name].items()
        }
        for name in ("result", "style")
    )
    expected = sum(squared_wasserstein(one[key], other[key]) / power(other[key]) for key in one)
    assert wasserstein_distance(one, other) == pytest.approx(expected, rel=1e-5)


def test_wasserstein_distance_of_singular_covariances():
    """A Gaussian and itself s times as wide: (s − 1)² tr C, which small eigenvalues do not blur."""
    one = gaussian(64, rank=2)
    wide = Moments(one.gram, one.mean, 1.001**2 * one.covariance)
    found = wasserstein_distance({"conv1_1": wide}, {"conv1_1": one})
    expected = 0.001**2 * np.trace(one.covariance) / power(one)
    assert found == pytest.approx(expected, rel=1e-4)
    assert wasserstein_distance({"conv1_1": one}, {"conv1_1": one}) == 0


def test_wasserstein_distance_from_nothing_is_1_a_layer(measured):
    nothing = {
        layer: Moments(of.gram, 0 * of.mean, 0 * of.covariance)
        for layer, of in measured["style"].items()
    }
    assert wasserstein_distance(nothing, measured["style"]) == pytest.approx(5, rel=1e-9)
    assert wasserstein_distance(measured["style"], nothing) == 0  # to which no layer responds


def test_gained(judge, measured):
    """The two scales, of both distances."""
    content, painted = measured["content"], measured["style"]
    found = judge.gained(measured["result"], content, painted)
    for gain, distance in (
        (found.gram, judge.gram_distance),
        (found.wasserstein, wasserstein_distance),
    ):
        ours, start = distance(measured["result"], painted), distance(content, painted)
        assert gain.share == pytest.approx(1 - ours / start, rel=1e-9)
        assert gain.nepers == pytest.approx(np.log(start) - np.log(ours), rel=1e-9)
        assert 0 < gain.share < 1


def test_the_photo_gained_nothing_and_the_painting_everything(judge, pictures, measured):
    content, painted = measured["content"], measured["style"]
    again = judge.measure(pictures["content"])
    assert judge.gained(again, content, painted) == ((0, 0), (0, 0))
    itself = judge.gained(judge.measure(pictures["style"]), content, painted)
    most = -math.log(style.ROUNDING)
    for gain in itself:
        assert gain.share == 1
        assert gain.nepers == pytest.approx(most, rel=1e-12)
    # and where there is no way to go, there is no share of it
    for gain in judge.gained(measured["result"], painted, painted):
        assert math.isnan(gain.share) and math.isnan(gain.nepers)


def test_farther_than_the_photo_is_below_0():
    assert style.gained(3.0, 2.0) == pytest.approx((-0.5, math.log(2 / 3)))
    with pytest.raises(SettingsError, match="distances are -1 and 2: give numbers of 0 or more"):
        style.gained(-1.0, 2.0)
    with pytest.raises(SettingsError, match="nan"):
        style.gained(1.0, math.nan)


def test_ratio_of_logarithms():
    """As benchmarks/judge.py has it: ln(start / theirs) / ln(start / best)."""
    start, theirs, best = 100.0, 20.0, 4.0
    found = style.ratio_of_logarithms(
        style.gained(theirs, start).nepers, style.gained(best, start).nepers
    )
    assert found == pytest.approx(np.log(start / theirs) / np.log(start / best))
    assert math.isnan(style.ratio_of_logarithms(1.0, 0.0))


def test_what_cannot_be_measured(judge):
    with pytest.raises(SettingsError, match="8x20 pixels are too few for conv5_1"):
        judge.measure(np.zeros((20, 8, 3), np.float32))
    with pytest.raises(PictureError):
        judge.measure(np.full((20, 20, 3), np.nan, np.float32))
