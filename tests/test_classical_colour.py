"""Colour transfer against the papers' formulas and against what the map has to do."""

import numpy as np
import pytest

from nst_tf.classical import colour
from nst_tf.errors import SettingsError

draw = np.random.default_rng(0)


def mixed(shape, spread, mean):
    """A picture whose channels are correlated, well inside [0, 1]."""
    noise = draw.uniform(-1, 1, (*shape, 3)) @ draw.uniform(-1, 1, (3, 3))
    return np.clip(np.asarray(mean) + spread * noise, 0.02, 0.98)


CONTENT = mixed((20, 30), 0.1, (0.3, 0.5, 0.4))
STYLE = mixed((25, 15), 0.12, (0.6, 0.4, 0.5))
FLAT = np.full((6, 7, 3), (0.2, 0.4, 0.7))
GRAY = np.repeat(draw.random((20, 20, 1)), 3, -1)
BLACK = np.zeros((5, 5, 3))


def covariance(picture):
    return np.cov(picture.reshape(-1, 3), rowvar=False, bias=True)


def test_the_map_of_gaussians_gives_the_covariance():
    A, B = covariance(CONTENT), covariance(STYLE)
    T = colour.gaussian_map(A, B)
    np.testing.assert_allclose(T @ A @ T, B, rtol=0, atol=1e-12)
    np.testing.assert_allclose(T, T.T, rtol=0, atol=1e-12)
    assert np.linalg.eigvalsh(T).min() > 0


def test_the_map_of_gaussians_moves_colours_least():
    """tr(T A) is the correlation of a colour and where it goes: no other map of A to B has more."""
    A, B = covariance(CONTENT), covariance(STYLE)
    best = np.trace(colour.gaussian_map(A, B) @ A)
    cholesky = np.linalg.cholesky(B) @ np.linalg.inv(np.linalg.cholesky(A))
    np.testing.assert_allclose(cholesky @ A @ cholesky.T, B, atol=1e-12)
    assert best > np.trace(cholesky @ A) + 1e-6


def test_commuting_covariances_have_the_root_of_their_quotient():
    T = colour.gaussian_map(np.diag([1.0, 4.0, 9.0]), np.diag([4.0, 1.0, 36.0]))
    np.testing.assert_allclose(T, np.diag([2.0, 0.5, 2.0]), atol=1e-12)


def test_monge_kantorovich_has_the_moments_of_the_style():
    # Small enough deviations that nothing is clipped.
    style = 0.5 + 0.3 * (STYLE - STYLE.mean((0, 1)))
    result = colour.monge_kantorovich(CONTENT, style)
    assert result.min() > 0 and result.max() < 1
    np.testing.assert_allclose(result.mean((0, 1)), style.mean((0, 1)), atol=1e-6)
    np.testing.assert_allclose(covariance(np.float64(result)), covariance(style), atol=1e-7)


def test_moments_of_the_unclipped_map():
    (mean, A), (target, B) = colour.moments(CONTENT), colour.moments(STYLE)
    moved = (CONTENT - mean) @ colour.gaussian_map(A, B) + target
    np.testing.assert_allclose(moved.mean((0, 1)), STYLE.mean((0, 1)), rtol=0, atol=1e-8)
    np.testing.assert_allclose(covariance(moved), covariance(STYLE), rtol=0, atol=1e-8)


@pytest.mark.parametrize("method", [colour.reinhard, colour.monge_kantorovich])
@pytest.mark.parametrize("picture", [CONTENT, FLAT, GRAY])
def test_a_picture_in_its_own_colours_stays(method, picture):
    # Black counts as half a level of 8 bits in the logarithm.
    np.testing.assert_allclose(method(picture, picture), picture, rtol=0, atol=0.5 / 255 + 1e-6)


@pytest.mark.parametrize("method", [colour.reinhard, colour.monge_kantorovich])
@pytest.mark.parametrize("content", [CONTENT, FLAT, GRAY, BLACK, BLACK[:1, :1]])
@pytest.mark.parametrize("style", [STYLE, FLAT, GRAY, BLACK])
def test_pictures_without_colour_give_pictures(method, content, style):
    result = method(content, style)
    assert result.dtype == np.float32
    assert result.shape == content.shape
    assert np.isfinite(result).all() and result.min() >= 0 and result.max() <= 1


def test_a_flat_picture_takes_the_mean():
    result = colour.monge_kantorovich(FLAT, STYLE)
    np.testing.assert_allclose(result, np.broadcast_to(STYLE.mean((0, 1)), FLAT.shape), atol=1e-6)


def test_a_gray_picture_gives_rounding_no_colour():
    """Across the grays nothing varies that could be stretched."""
    near = np.float32(GRAY) + np.float32(1e-7) * draw.choice([-1, 1], GRAY.shape)
    near = np.clip(near, 0, 1)
    for method in (colour.reinhard, colour.monge_kantorovich):
        apart = np.float64(method(near, STYLE)) - method(GRAY, STYLE)
        assert np.abs(apart).max() < 1e-3


def test_reinhard_against_the_paper_pixel_by_pixel():
    def lab(rgb):
        r, g, b = rgb
        L = np.log10(0.3811 * r + 0.5783 * g + 0.0402 * b)
        M = np.log10(0.1967 * r + 0.7244 * g + 0.0782 * b)
        S = np.log10(0.0241 * r + 0.1288 * g + 0.8444 * b)
        return (L + M + S) / np.sqrt(3), (L + M - 2 * S) / np.sqrt(6), (L - M) / np.sqrt(2)

    def rgb(lab):
        l, a, b = lab[0] / np.sqrt(3), lab[1] / np.sqrt(6), lab[2] / np.sqrt(2)  # noqa: E741
        L, M, S = 10 ** (l + a + b), 10 ** (l + a - b), 10 ** (l - 2 * a)
        return (
            4.4679 * L - 3.5873 * M + 0.1193 * S,
            -1.2186 * L + 2.3809 * M - 0.1624 * S,
            0.0497 * L - 0.2439 * M + 1.2045 * S,
        )

    source = np.array([lab(pixel) for pixel in CONTENT.reshape(-1, 3)])
    target = np.array([lab(pixel) for pixel in STYLE.reshape(-1, 3)])
    moved = (source - source.mean(0)) / source.std(0) * target.std(0) + target.mean(0)
    expected = np.clip([rgb(pixel) for pixel in moved], 0, 1).reshape(CONTENT.shape)
    np.testing.assert_allclose(colour.to_lab(CONTENT).reshape(-1, 3), source, rtol=0, atol=1e-12)
    # The paper's inverse of the matrix has four digits: a gray comes back 1 % too blue.
    np.testing.assert_allclose(colour.reinhard(CONTENT, STYLE), expected, rtol=0, atol=5e-3)


def test_reinhard_has_the_moments_of_the_style_in_its_space():
    style = 0.5 + 0.3 * (STYLE - STYLE.mean((0, 1)))
    result = colour.to_lab(np.float64(colour.reinhard(CONTENT, style)))
    np.testing.assert_allclose(result.mean((0, 1)), colour.to_lab(style).mean((0, 1)), atol=1e-6)
    np.testing.assert_allclose(result.std((0, 1)), colour.to_lab(style).std((0, 1)), atol=1e-6)


@pytest.mark.parametrize("method", [colour.reinhard, colour.monge_kantorovich])
def test_what_is_no_picture_is_refused(method):
    with pytest.raises(SettingsError, match=r"content has the shape \[4, 4\]"):
        method(np.zeros((4, 4)), STYLE)
    with pytest.raises(SettingsError, match="style has values"):
        method(CONTENT, STYLE * 255)
