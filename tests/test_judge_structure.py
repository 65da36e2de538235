"""SSIM against TensorFlow's, edges' Chamfer distance against all pairs of edges."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import tensorflow as tf
from scipy.spatial.distance import cdist

from nst_tf.errors import NSTError, SettingsError
from nst_tf.judge import structure

draw = np.random.default_rng(0)


def step(at: int) -> np.ndarray:
    """Black to the left of a column, white from there on."""
    picture = np.zeros((40, 60, 3), np.float32)
    picture[:, at:] = 1
    return picture


@pytest.fixture(scope="module")
def result(scene):
    noise = 0.05 * draw.standard_normal(scene.shape)
    return np.clip(0.8 * scene + 0.1 + noise, 0, 1).astype(np.float32)


def test_ssim_against_tensorflow(result, scene):
    ours, theirs = (
        tf.constant(picture @ np.float32([0.2126, 0.7152, 0.0722]))[tf.newaxis, ..., tf.newaxis]
        for picture in (result, scene)
    )
    expected = float(tf.image.ssim(ours, theirs, 1.0, filter_size=11, filter_sigma=1.5)[0])
    assert 0.3 < expected < 0.9
    assert structure.ssim(result, scene) == pytest.approx(expected, abs=1e-5)


def test_the_photo_itself_is_perfect(scene):
    assert structure.ssim(scene, scene) == 1
    assert structure.edge_distance(scene, scene) == (0, 0)


def test_ssim_is_of_the_luminance_alone():
    """Colours of equal luminance have the same structure."""
    red = np.zeros((20, 20, 3), np.float32)
    red[:10, :, 0] = 0.8
    gray = np.repeat(red @ np.float32([[0.2126], [0.7152], [0.0722]]), 3, -1)
    assert structure.ssim(gray, red) == pytest.approx(1, abs=1e-6)


def test_edge_distance_against_all_pairs(result, scene):
    ours, theirs = (np.argwhere(structure.edges(picture)) for picture in (result, scene))
    distances = cdist(theirs, ours) / np.hypot(*scene.shape[:2])
    found = structure.edge_distance(result, scene)
    assert found.lost == pytest.approx(distances.min(1).mean(), rel=1e-9)
    assert found.added == pytest.approx(distances.min(0).mean(), rel=1e-9)
    assert found.lost != found.added


def test_an_edge_that_moved_by_five_pixels():
    found = structure.edge_distance(step(25), step(30))
    assert found == pytest.approx((5 / np.hypot(40, 60),) * 2)


def test_an_edge_that_came_and_one_that_went():
    """Far from the edge that both have: 30 pixels, for half of those of the picture with both."""
    one, both = step(15), step(15)
    both[:, 45:] = 0
    far = 15 / np.hypot(40, 60)
    found = structure.edge_distance(both, one)
    assert found.lost == pytest.approx(0, abs=1e-9)
    assert found.added == pytest.approx(far, rel=0.05)
    back = structure.edge_distance(one, both)
    assert back == (found.added, found.lost)


def test_pictures_without_edges():
    flat = np.full((40, 60, 3), 0.5, np.float32)
    assert structure.edge_distance(flat, flat) == (0, 0)
    assert structure.edge_distance(flat, step(30)) == (1, 0)
    assert structure.edge_distance(step(30), flat) == (0, 1)


def test_edges_are_where_brightness_jumps():
    found = structure.edges(step(30))
    assert set(np.argwhere(found)[:, 1]) <= {29, 30}
    assert found[5:-5].any(1).all()


@pytest.mark.parametrize("measure", [structure.ssim, structure.edge_distance])
def test_what_cannot_be_compared(measure, scene):
    with pytest.raises(SettingsError, match="the result has 64x30 pixels, the content image 64x"):
        measure(scene[:30], scene)


def test_ssim_needs_one_window():
    small = np.zeros((10, 30, 3), np.float32)
    with pytest.raises(SettingsError, match="30x10 pixels are too few for SSIM"):
        structure.ssim(small, small)


def test_without_scikit_image(monkeypatch, scene):
    for module in ("skimage.metrics", "skimage.feature"):
        monkeypatch.setitem(sys.modules, module, None)
    for measure in (structure.ssim, structure.edge_distance):
        with pytest.raises(NSTError, match=r"needs scikit-image: pip install 'nst_tf\[judge\]'"):
            measure(scene, scene)
