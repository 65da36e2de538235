"""Palettes against a linear program of SciPy's, foreign colours against all pairs of colours."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import scipy.optimize
from scipy.spatial.distance import cdist
from skimage.color import rgb2lab

from nst_tf.errors import NSTError, SettingsError
from nst_tf.judge import palette as palettes
from nst_tf.judge.palette import palette, palette_distance, share_outside
from nst_tf.pictures import images

draw = np.random.default_rng(0)


def flat(*colours: tuple[float, float, float]) -> np.ndarray:
    """Stripes of as many colours, each as broad as the others."""
    return np.repeat(np.array([colours], np.float32), 12, axis=0).repeat(4, axis=1)


def lab_of(picture: np.ndarray) -> np.ndarray:
    """Lab of every pixel of a picture in 8 bits, [count, 3]."""
    return rgb2lab(images.to_uint8(picture)).reshape(-1, 3)


def emd(ours: palettes.Palette, theirs: palettes.Palette) -> float:
    """min Σ T_ij D_ij with row sums ours and column sums theirs: the definition, as a program."""
    distances = cdist(ours.colours, theirs.colours)
    rows, columns = distances.shape
    sums = [
        *np.kron(np.eye(rows), np.ones((1, columns))),
        *np.kron(np.ones((1, rows)), np.eye(columns)),
    ]
    shares = [*ours.shares, *theirs.shares]
    # the last one follows from the others
    solved = scipy.optimize.linprog(distances.ravel(), A_eq=sums[:-1], b_eq=shares[:-1])
    assert solved.success
    return float(solved.fun)


def test_palette_distance_against_a_linear_program(scene, painting):
    scene, painting = scene[::2], painting[::2]
    ours, theirs = palette(scene), palette(painting)
    assert min(len(ours.shares), len(theirs.shares)) > 5
    expected = emd(ours, theirs)
    assert palette_distance(scene, painting) == pytest.approx(expected, abs=1e-5)
    assert palette_distance(painting, scene) == pytest.approx(expected, abs=1e-5)


def test_known_distances():
    black, white, red = flat((0, 0, 0)), flat((1, 1, 1)), flat((1, 0, 0))
    assert palette_distance(black, white) == pytest.approx(100, abs=0.01)
    expected = np.linalg.norm(lab_of(red)[0] - lab_of(black)[0])
    assert palette_distance(red, black) == pytest.approx(expected, abs=1e-6)
    # half of the pixels have to go to white
    assert palette_distance(flat((0, 0, 0), (1, 1, 1)), white) == pytest.approx(50, abs=0.01)


def test_the_painting_itself_and_its_pixels_in_another_order(painting):
    shuffled = draw.permutation(painting.reshape(-1, 3)).reshape(painting.shape)
    for same in (painting, shuffled):
        assert palette_distance(same, painting) == pytest.approx(0, abs=1e-9)
        assert share_outside(same, painting) == 0
    assert share_outside(painting[:20, 10:40], painting) == 0


def test_a_palette_keeps_every_pixel(painting):
    """Shares sum to 1, and the mean colour is the picture's."""
    found = palette(painting)
    assert found.shares.sum() == pytest.approx(1, abs=1e-12)
    mean = found.shares @ found.colours
    np.testing.assert_allclose(mean, lab_of(painting).mean(0), atol=1e-9)
    assert len(palette(painting, cell=1e9).shares) == 1
    # in cells that hold one colour each it is the picture itself
    finest = palette(painting, cell=1e-6)
    assert len(finest.shares) == len(np.unique(images.to_uint8(painting).reshape(-1, 3), axis=0))


def test_pixels_go_to_the_mean_of_their_cell(painting):
    cell = 10.0
    lab = lab_of(painting)
    _, index, counts = np.unique(
        np.round(lab / cell), axis=0, return_inverse=True, return_counts=True
    )
    index = index.ravel()
    expected = np.array([lab[index == k].mean(0) for k in range(len(counts))])
    found = palette(painting)
    np.testing.assert_allclose(found.colours, expected, atol=1e-9)
    np.testing.assert_allclose(found.shares, counts / counts.sum(), atol=1e-12)


def test_share_outside_against_all_pairs(scene, painting):
    nearest = cdist(lab_of(scene), lab_of(painting)).min(1)
    for reach in (2.0, 5.0):
        expected = np.mean(nearest > reach)
        assert 0.01 < expected < 0.99
        assert share_outside(scene, painting, reach) == pytest.approx(expected, abs=1e-12)
    assert share_outside(scene, painting) == share_outside(scene, painting, 5.0)


def test_half_of_the_pixels_are_foreign():
    gray = flat((0.5, 0.5, 0.5))
    assert share_outside(flat((0.5, 0.5, 0.5), (0, 1, 0)), gray) == 0.5
    assert share_outside(flat((0.51, 0.5, 0.5)), gray) == 0


def test_a_cell_has_a_size(painting):
    with pytest.raises(SettingsError, match="cell is 0"):
        palette(painting, cell=0)


@pytest.mark.parametrize("module, library", [("skimage.color", "scikit-image"), ("ot", "POT")])
def test_without_what_it_needs(monkeypatch, painting, module, library):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(NSTError, match=rf"needs {library}: pip install 'nst_tf\[judge\]'"):
        palette_distance(painting, painting)
