"""Spots that outweigh all else within a stylizer are told of, and nothing else is."""

import numpy as np
import tensorflow as tf
from stylizers import stirred

from nst_tf import assets
from nst_tf.pictures import images
from nst_tf.stylizer import base, blobs
from nst_tf.stylizer.borders import mirrored

PHOTOS = [images.load(assets.SCENE, size) for size in (96, 128)]


def test_none_of_the_packages_own():
    stylizer = base.load(assets.STYLIZER)
    found = blobs.spikes(stylizer, PHOTOS[:1])
    assert set(found) == set(stylizer.paintings)
    assert 0 < max(found.values()) < blobs.SPIKE
    assert blobs.warning(stylizer, PHOTOS[:1]) is None


def test_a_style_that_leaves_but_a_peak():
    """Of two, the one whose offsets take away all but the highest of a channel."""
    stylizer, photo = stirred(("calm", "spotted")), PHOTOS[1]
    assert blobs.warning(stylizer, [photo]) is None
    first = stylizer.down[0]
    bare = first.normalisation(
        first.convolution(mirrored(photo[np.newaxis] - 0.5, first.reach)), np.float32([[0, 1]])
    )
    offsets = first.normalisation.beta.numpy()
    offsets[1] -= 0.95 * bare.numpy().max((0, 1, 2))
    first.normalisation.beta.assign(offsets)
    found = blobs.spikes(stylizer, [photo])
    assert found["calm"] < blobs.SPIKE < found["spotted"]
    text = blobs.warning(stylizer, [photo])
    assert "spotted (" in text and "calm" not in text


def test_the_share_of_a_spike():
    """Against NumPy in float64; of a channel that is the same everywhere there is none."""
    maps = np.random.default_rng(0).normal(size=(2, 9, 7, 4)).astype(np.float32)
    maps[1, 3, 3, 2] = 9
    squares = (maps - maps.mean((1, 2), keepdims=True, dtype=np.float64)) ** 2
    expected = (squares.max((1, 2)) / squares.sum((1, 2))).max()
    assert 0.4 < expected < 0.8
    np.testing.assert_allclose(blobs.spike(tf.constant(maps)), expected, rtol=1e-5)
    assert float(blobs.spike(tf.ones([1, 4, 4, 1]))) == 0
