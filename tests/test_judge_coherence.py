"""CFSD against its formula in float64 NumPy, with all of F Fᵀ at once."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special
import tensorflow as tf

from nst_tf.errors import SettingsError
from nst_tf.judge import coherence
from nst_tf.judge.coherence import CoherenceJudge, structural_distance
from nst_tf.network import vgg
from nst_tf.network import weights as weights_module

draw = np.random.default_rng(0)


def directly(result: np.ndarray, content: np.ndarray) -> float:
    """The sum over 16384 rows of KL(softmax(F Fᵀ of the content) ‖ softmax(F Fᵀ of the result))."""
    scale = np.mean(content, dtype=np.float64)
    ours, theirs = (
        np.float64(maps).reshape(-1, maps.shape[-1]) / scale for maps in (result, content)
    )
    N = content.shape[-1]
    p, q = (scipy.special.softmax(F @ F.T / N / 256, axis=1) for F in (theirs, ours))
    return 16384 * scipy.special.rel_entr(p, q).sum(1).mean()


def maps(height: int, width: int, channels: int, size: float = 1.0) -> np.ndarray:
    """Positive and with a long tail: the largest feature of conv3_1 is 50 times the mean."""
    return size * np.exp(1.2 * draw.standard_normal((height, width, channels))).astype(np.float32)


@pytest.fixture(scope="module")
def judge():
    return CoherenceJudge(weights_module.load("mini"))


@pytest.mark.parametrize("entries", [1 << 20, 200, 1])
@pytest.mark.parametrize("size", [1.0, 40.0])
def test_any_block_of_rows_gives_the_formula(monkeypatch, entries, size):
    """63 rows at once, three at a time, one by one; of nearly uniform rows and of steep ones."""
    monkeypatch.setattr(coherence, "_ENTRIES", entries)
    content = maps(9, 7, 5)
    content[0, 0] *= size
    result = content + maps(9, 7, 5, 0.2)
    found = structural_distance(tf.constant(result), tf.constant(content))
    assert found == pytest.approx(directly(result, content), rel=1e-5)


def test_pictures(judge, scene, painting):
    """The features are conv3_1's after the ReLU."""
    model = vgg.build_model(["conv3_1"], weights_module.load("mini"))
    result, content = (np.asarray(model(x[np.newaxis])["conv3_1"][0]) for x in (painting, scene))
    found = judge.distance(painting, scene)
    assert found == pytest.approx(directly(result, content), rel=1e-5)
    assert found > 0.01


def test_the_released_codes_numbers_of_vgg19s_features():
    """There: features divided by N, the products' softmax, a sum over all rows (128 x 128 of them)
    of the content image's distribution times the logarithm of both's quotient."""
    content, result = maps(16, 16, 256), maps(16, 16, 256)
    content /= content.mean(dtype=np.float64)
    ours, theirs = (np.float64(F).reshape(-1, 256) / 256 for F in (result, content))
    q = np.exp(ours @ ours.T)
    p = np.exp(theirs @ theirs.T)
    p, q = p / p.sum(1, keepdims=True), q / q.sum(1, keepdims=True)
    total = np.sum(p * (np.log(p) - np.log(q)))
    found = structural_distance(tf.constant(result), tf.constant(content))
    assert found == pytest.approx(total * (128 * 128) / (16 * 16), rel=1e-5)


def test_the_photo_itself_has_none(judge, scene):
    assert judge.distance(scene, scene) == 0


def test_the_networks_scale_does_not_matter():
    content, result = maps(6, 5, 4), maps(6, 5, 4)
    found = structural_distance(tf.constant(100 * result), tf.constant(100 * content))
    once = structural_distance(tf.constant(result), tf.constant(content))
    assert found == pytest.approx(once, rel=1e-5)


def test_features_that_are_silent_are_all_alike():
    silent = tf.zeros([4, 4, 3])
    assert structural_distance(silent, silent) == 0


def test_what_cannot_be_compared(judge, scene):
    with pytest.raises(SettingsError, match="the result has 30x48 pixels"):
        judge.distance(scene[:, :30], scene)
    with pytest.raises(SettingsError, match="too few for conv3_1"):
        judge.distance(scene[:3], scene[:3])
    with pytest.raises(SettingsError, match=r"\[4, 4, 3\] and \[4, 2, 3\]"):
        structural_distance(tf.zeros([4, 4, 3]), tf.zeros([4, 2, 3]))
