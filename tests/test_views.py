"""A painting seen in several ways: turned, mirrored, from further away."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from nst_tf.errors import SettingsError
from nst_tf.losses.objective import Objective
from nst_tf.network import vgg
from nst_tf.pictures import images
from nst_tf.pictures.views import views
from nst_tf.run.transfer import StyleTransfer

STYLE = {"conv1_1": 1.0, "conv2_1": 1.0}

draw = np.random.default_rng(0)


def test_every_way_with_every_other():
    painting = draw.random((6, 10, 3), np.float32)
    np.testing.assert_array_equal(views(painting), [painting])
    turned = views(painting, rotations=True)
    for number, way in enumerate(turned):
        np.testing.assert_array_equal(way, np.rot90(painting, number))
    np.testing.assert_array_equal(views(painting, mirrored=True)[1], painting[:, ::-1])
    every = views(painting, rotations=True, mirrored=True, sizes=(0.5,))
    assert [way.shape[:2] for way in every] == [(6, 10), (10, 6)] * 4 + [(3, 5), (5, 3)] * 4
    assert len({way.tobytes() for way in every}) == 16
    half = np.rot90(images.resize(painting, 3, 5)[:, ::-1], 3)
    np.testing.assert_array_equal(every[-1], half)


@pytest.fixture(scope="module")
def model(tiny_weights):
    return vgg.build_model([*STYLE, "conv2_2"], tiny_weights)


def objective(model, **options):
    return Objective(model, {"conv2_2": 1.0}, STYLE, **options)


def test_views_share_the_part_of_their_painting(model, scene, painting):
    """Three views of one painting and one of another are what four pictures with these weights
    are; in regions each painting's views are the target of its own."""
    image = tf.constant(scene)[tf.newaxis]
    seen = [painting, painting[::-1], painting[:32]]
    other = draw.random((40, 40, 3), np.float32)

    def style(**options):
        made = objective(model, **options)
        made.set_content(scene)
        return made

    one, two = style(), style()
    one.set_styles([seen, other], [3, 2])
    two.set_styles([*seen, other], [1, 1, 1, 2])
    assert float(one(image).terms["style"]) == pytest.approx(
        float(two(image).terms["style"]), rel=1e-5
    )
    mask = np.zeros((*scene.shape[:2], 2), np.float32)
    mask[..., 0] = 1
    regions, alone = style(regions=2), style()
    regions.set_regions(mask)
    regions.set_styles([seen, other])
    alone.set_styles(seen)
    assert float(regions(image).terms["style"]) == pytest.approx(
        float(alone(image).terms["style"]), rel=1e-5
    )


def test_a_painting_of_lines_is_turned_for_lines_the_other_way(tiny_weights):
    """Of horizontal stripes a vertical one is nothing; turned, it is all that is asked for."""
    stripes = np.zeros((32, 32, 3), np.float32)
    stripes[::4] = stripes[1::4] = 1
    options = {"size": 32, "style_layers": STYLE, "weights": tiny_weights, "evaluations": 1}
    options |= {"content_layers": {}, "preset": "gatys2016"}
    upright = np.ascontiguousarray(stripes.transpose(1, 0, 2))
    plain = StyleTransfer(upright, stripes, **options).build_objective()
    image = tf.constant(upright)[tf.newaxis]
    alone = float(plain(image).terms["style"])
    both = StyleTransfer(upright, stripes, rotations=True, **options).build_objective()
    # Half of its target's turns are the picture itself.
    assert float(both(image).terms["style"]) < 0.5 * alone


def test_what_cannot_be_seen_so_is_refused(tiny_weights, scene, painting):
    def run(**options):
        options = {"content_layers": {"conv1_1": 1.0}, "style_layers": STYLE, **options}
        return StyleTransfer(scene, painting, weights=tiny_weights, size=48, **options)

    with pytest.raises(SettingsError, match=r"stroke_sizes has 1\.0: use factors between 0 and 1"):
        run(stroke_sizes=(1.0,))
    with pytest.raises(SettingsError, match="pixels are too few"):
        run(stroke_sizes=(0.01,))
    message = "histogram knows one style image, seen one way: leave out mirrored and stroke_sizes"
    with pytest.raises(SettingsError, match=message):
        run(style_loss="histogram", mirrored=True, stroke_sizes=(0.5,))


def test_scales_begin_where_the_smallest_view_is_large_enough(tiny_weights, scene, painting):
    options = {"min_scale": 16, "size": 64, "weights": tiny_weights}
    options |= {"content_layers": {"conv4_1": 1.0}, "style_layers": {"conv4_1": 1.0}}
    near = StyleTransfer(scene, painting, **options).stages
    far = StyleTransfer(scene, painting, stroke_sizes=(0.25,), **options).stages
    assert min(near[0].shape(scene)) >= 8
    assert far == near[-len(far) :] and len(far) < len(near)
    assert all(min(stage.shapes(scene, painting)[1]) * 0.25 >= 8 for stage in far)
