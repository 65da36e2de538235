"""Measured strip by strip, a picture has the loss and gradient that it has as a whole."""

import numpy as np
import pytest
import tensorflow as tf

from nst_tf.errors import SettingsError
from nst_tf.losses import strips
from nst_tf.losses.objective import Objective
from nst_tf.network import vgg
from nst_tf.recipe import choices
from nst_tf.run.transfer import StyleTransfer

CONTENT = {"conv4_2": 1.0, "block2_conv1:pre": 0.3}
STYLE = {"conv1_1": 0.2, "conv1_2:pre": 0.1, "conv2_1": 0.3, "conv3_1": 0.2, "conv5_1": 0.4}


def both(weights, size, tile=32, *, pooling="max", padding="zero", **options):
    """The evaluation of one image as a whole, and strip by strip."""
    draw = np.random.default_rng(sum(size))
    content, image = draw.random((2, *size, 3), np.float32)
    style = draw.random((70, 91, 3), np.float32)
    model = vgg.build_model([*CONTENT, *STYLE], weights, pooling=pooling, padding=padding)
    found = []
    for one in (None, tile):
        objective = Objective(model, CONTENT, STYLE, tv_weight=1e-4, tile=one, **options)
        objective.set_content(content)
        objective.set_styles([style])
        found.append(objective(tf.constant(image[np.newaxis])))
        assert objective.traces == 1
    return found


def assert_same(whole, stripped):
    for name, value in whole.terms.items():
        np.testing.assert_allclose(stripped.terms[name], value, rtol=1e-4, err_msg=name)
    error = tf.norm(stripped.gradient - whole.gradient) / tf.norm(whole.gradient)
    assert float(error) < 1e-5


# Strips have 16 rows or more: 131 rows are 8 of them, 33 are 2, in the second block 1.
@pytest.mark.parametrize("size", [(131, 77), (160, 64), (97, 50), (33, 200), (48, 16)])
def test_at_sizes_that_no_strip_divides(tiny_weights, size):
    assert_same(*both(tiny_weights, size))


@pytest.mark.slow
@pytest.mark.parametrize("style_loss", choices.STYLE_LOSSES)
@pytest.mark.parametrize("content_loss", choices.CONTENT_LOSSES)
def test_with_every_loss(tiny_weights, content_loss, style_loss):
    assert_same(*both(tiny_weights, (67, 49), content_loss=content_loss, style_loss=style_loss))


@pytest.mark.slow
@pytest.mark.parametrize("padding", choices.PADDINGS)
@pytest.mark.parametrize("pooling", choices.POOLINGS)
def test_with_every_pooling_and_padding(tiny_weights, pooling, padding):
    assert_same(*both(tiny_weights, (67, 49), pooling=pooling, padding=padding))


def test_a_whole_run_is_the_same(tiny_weights, scene, painting):
    settings = {"weights": tiny_weights, "size": 64, "evaluations": 10}
    whole, stripped = (
        StyleTransfer(scene, painting, tile=tile, **settings).run() for tile in ("off", 16)
    )
    np.testing.assert_allclose(stripped.array, whole.array, atol=1e-3)


def test_strips_are_chosen_where_memory_would_not_do(tiny_weights, monkeypatch):
    model = vgg.build_model(["conv1_2"], tiny_weights)  # 8 values a pixel
    for memory, expected in ((600, None), (540, 1024), (250, 512), (120, 256), (1, 256)):
        monkeypatch.setattr(strips, "_memory", lambda memory=memory: memory << 20)
        assert strips.tile_for("auto", model, 2000, 2000) == expected, memory
    assert strips.tile_for("off", model, 1000, 1000) is None
    assert strips.tile_for(300, model, 10, 10) == 300


@pytest.mark.parametrize("tile", ["big", 0, -512, True, 2.5, None])
def test_another_tile_is_refused(tiny_weights, scene, painting, tile):
    with pytest.raises(SettingsError, match=r"tile is .*use auto, off"):
        StyleTransfer(scene, painting, weights=tiny_weights, tile=tile)


def test_the_memory_is_this_machines():
    assert 1 << 28 < strips._memory() < 1 << 50
