"""Measured strip by strip, a picture has the loss and gradient that it has as a whole."""

import numpy as np
import pytest
import rounding
import tensorflow as tf

from nst_tf.errors import SettingsError
from nst_tf.losses import statistics
from nst_tf.losses.objective import Objective
from nst_tf.network import vgg
from nst_tf.recipe import choices
from nst_tf.run.transfer import StyleTransfer

CONTENT = {"conv4_2": 1.0, "block2_conv1:pre": 0.3}
STYLE = {"conv1_1": 0.2, "conv1_2:pre": 0.1, "conv2_1": 0.3, "conv3_1": 0.2, "conv5_1": 0.4}


def assert_same(weights, size, tile=32, *, pooling="max", padding="zero", **options):
    """The evaluation of a picture as a whole, and strip by strip.

    At one where no kink of the network makes more of the rounding than it is.
    """
    options_of_model = {"pooling": pooling, "padding": padding}
    image = rounding.smooth_picture(weights, size, **options_of_model)
    draw = np.random.default_rng(1000)
    content, style = draw.random(image.shape, np.float32), draw.random((70, 91, 3), np.float32)
    model = vgg.build_model([*CONTENT, *STYLE], weights, **options_of_model)
    evaluations = []
    for of in (None, tile):
        objective = Objective(model, CONTENT, STYLE, tv_weight=1e-4, tile=of, **options)
        objective.set_content(content)
        objective.set_styles([style])
        evaluations.append(objective(tf.constant(image[np.newaxis])))
        assert tf.config.functions_run_eagerly() or objective.traces == 1
    whole, stripped = evaluations
    for name, value in whole.terms.items():
        bound = rounding.of_terms(weights, name.partition("/")[2] or "conv5_1", image.size)
        rounding.assert_close(stripped.terms[name], value, bound, name)
    bound = rounding.of_smooth_gradient(weights, "conv5_1")
    rounding.assert_below(rounding.norm_error(stripped.gradient, whole.gradient), bound)


#: Strips have 16 rows or more: 131 rows are 8 of them, 33 are 2, in the second block 1.
SIZES = [(48, 16), (96, 64), (97, 50), (33, 200), (67, 49)]


def cases():
    """Every size and every form, in as many cases as the longest of the lists: no product of them.

    What one of them does to strips is no matter of the others, but of pooling and padding, which
    are of the same network; these lists are of 3 and of 2, so that each meets each.
    """
    named = {
        "pooling": choices.POOLINGS,
        "padding": choices.PADDINGS,
        # The small difference of large numbers has a bound and a test of its own.
        "style_loss": [name for name in statistics.STATISTICS if name != "wasserstein"],
        "content_loss": choices.CONTENT_LOSSES,
    }
    made = []
    for index in range(max(6, len(SIZES), *map(len, named.values()))):
        size = SIZES[index % len(SIZES)]
        options = {name: forms[index % len(forms)] for name, forms in named.items()}
        name = "-".join([f"{size[0]}x{size[1]}", *options.values()])
        made.append(pytest.param(size, options, id=name))
    return made


@pytest.mark.slow
@pytest.mark.parametrize(("size", "options"), cases())
@pytest.mark.usefixtures("without_graphs")
def test_at_sizes_that_no_strip_divides_with_every_form(tiny_weights, size, options):
    assert_same(tiny_weights, size, **options)


def test_with_the_default_forms(tiny_weights):
    assert_same(tiny_weights, (131, 77))


def test_a_whole_run_is_the_same(tiny_weights, scene, painting):
    """Each step moves the picture by about 0.02, and rounding may turn it by √ε (`of_gradient`).

    A change of 4e-6 of the picture has grown about sevenfold after ten steps.
    """
    settings = {"preset": "gatys2016", "weights": tiny_weights, "size": 64, "evaluations": 10}
    whole, stripped = (
        StyleTransfer(scene, painting, tile=tile, **settings).run() for tile in ("off", 16)
    )
    rounding.assert_close(stripped.array, whole.array, 1e-3)
    assert np.abs(whole.array - scene).max() > 0.02


@pytest.mark.parametrize("tile", ["big", 0, -512, True, 2.5, None])
def test_another_tile_is_refused(tiny_weights, scene, painting, tile):
    with pytest.raises(SettingsError, match=r"tile is .*use auto, off"):
        StyleTransfer(scene, painting, weights=tiny_weights, tile=tile)
