"""What keeps the content image beside its features: self-similarity, the Laplacian, detail."""

from __future__ import annotations

import numpy as np
import pytest
import rounding
import tensorflow as tf
from scipy import ndimage
from scipy.spatial import distance

import nst_tf.keras
from nst_tf.export import saved_model
from nst_tf.losses import terms
from nst_tf.losses.border import mirrored
from nst_tf.losses.laplacian import laplacian, laplacian_loss
from nst_tf.losses.objective import Objective
from nst_tf.losses.self_similarity import self_similarity, structure_loss
from nst_tf.network import weights
from nst_tf.network.feature_model import feature_model
from nst_tf.pictures import images
from nst_tf.recipe import presets
from nst_tf.run import schedule
from nst_tf.run.transfer import StyleTransfer

draw = np.random.default_rng(0)

KEPT = {
    "content_layers": {"conv2_1": 0.5},
    "structure_layers": {"conv1_2": 2.0, "conv2_1": 1.0},
    "style_layers": {"conv1_1": 1.0},
    "structure_weight": 3.0,
    "laplacian_weight": 0.7,
    "content_loss": "relative",
    "grain": "free",  # the picture is looked at as the losses leave it
}


def of_scipy(maps):
    """The self-similarity of [height, width, channels], in float64."""
    places = np.asarray(maps, np.float64).reshape(-1, maps.shape[-1])
    distances = distance.cdist(places, places, "cosine")
    return distances / distances.sum(axis=0)


def test_self_similarity_is_scipys_cosine_distances_by_column():
    maps = draw.random((2, 5, 7, 6), np.float32)
    found = self_similarity(tf.constant(maps))
    for one, picture in zip(found, maps, strict=True):
        rounding.assert_close(one, of_scipy(picture), rounding.of_sums(6, 6, 35))


def test_places_of_large_maps_are_the_means_of_cells():
    maps = draw.random((1, 64, 96, 5), np.float32)
    cells = maps.reshape(32, 2, 32, 3, 5).mean(axis=(1, 3))
    found = self_similarity(tf.constant(maps))[0]
    assert found.shape == (32 * 32, 32 * 32)
    rounding.assert_close(found, of_scipy(cells), rounding.of_sums(64, 96, 5, 5, 1024))


def test_cells_share_out_positions_that_lie_across_their_edges():
    maps = draw.random((1, 48, 2, 3), np.float32)
    fine = np.repeat(maps, 2, axis=1).reshape(1, 32, 3, 2, 3).mean(axis=2)
    found = self_similarity(tf.constant(maps))[0]
    rounding.assert_close(found, of_scipy(fine[0]), rounding.of_sums(48, 3, 3, 64))


def test_structure_does_not_see_what_all_places_have_in_common():
    maps = draw.random((1, 6, 6, 4), np.float32)
    turn, _ = np.linalg.qr(draw.normal(size=(4, 4)))
    other = 5 * maps @ turn.astype(np.float32)
    mixed = draw.permutation(maps.reshape(-1, 4)).reshape(maps.shape)
    target = self_similarity(tf.constant(maps))
    bound = rounding.of_sums(4, 4, 4, 36)
    assert float(structure_loss(self_similarity(tf.constant(other)), target)[0]) < bound
    assert float(structure_loss(self_similarity(tf.constant(mixed)), target)[0]) > 0.1


def test_black_maps_have_no_structure_and_a_finite_gradient():
    maps = tf.zeros([1, 4, 4, 3])
    with tf.GradientTape() as tape:
        tape.watch(maps)
        loss = structure_loss(self_similarity(maps), tf.fill([1, 16, 16], 1 / 16))
    assert np.isfinite(loss).all()
    assert np.isfinite(tape.gradient(loss, maps)).all()


def test_the_laplacian_is_scipys_of_the_averaged_grey_picture():
    image = draw.random((1, 24, 32, 3), np.float32)
    grey = image[0].astype(np.float64).mean(axis=-1).reshape(6, 4, 8, 4).mean(axis=(1, 3))
    expected = ndimage.laplace(grey, mode="reflect")
    found = laplacian(tf.constant(image))
    rounding.assert_close(found[0, ..., 0], expected, rounding.of_sums(3, 16, 5))


def test_the_laplacian_sees_lines_and_neither_colour_nor_light():
    image = draw.random((1, 16, 16, 3), np.float32)
    target = laplacian(tf.constant(image))
    turned = tf.constant(image[..., ::-1] + 0.2)
    bound = rounding.of_sums(3, 16, 5, 16)
    assert float(laplacian_loss(laplacian(turned), target)[0]) < bound
    flat = tf.fill([1, 16, 16, 3], 0.5)
    lost = laplacian_loss(laplacian(flat), target)
    assert float(lost[0]) == pytest.approx(np.square(target).mean() / 0.04, rel=1e-5)


def test_the_smallest_picture_has_a_laplacian():
    found = laplacian(tf.constant(draw.random((2, 3, 2, 3), np.float32)))
    np.testing.assert_array_equal(found, np.zeros((2, 1, 1, 1)))  # one cell and its own border


@pytest.fixture(scope="module")
def objective(tiny_weights, scene, painting):
    settings = presets.settings("crisp", **KEPT)
    made = Objective.from_settings(settings, feature_model(tiny_weights, settings))
    made.set_content(scene)
    made.set_styles([painting])
    return made


@pytest.fixture
def image(scene):
    return tf.constant(0.6 * scene + 0.4 * draw.random(scene.shape, np.float32))[tf.newaxis]


def test_the_total_is_the_sum_of_all_kinds_with_their_weights(objective, image):
    found = {name: float(value) for name, value in objective(image).terms.items()}
    assert found["structure"] == pytest.approx(
        2 * found["structure/conv1_2"] + found["structure/conv2_1"], rel=1e-6
    )
    expected = (
        presets.settings("crisp").content_weight * found["content"]
        + 3 * found["structure"]
        + 0.7 * found["laplacian"]
        + presets.settings("crisp").style_weight * found["style"]
    )
    assert min(found["structure"], found["laplacian"]) > 0.01
    assert found["total"] == pytest.approx(expected, rel=1e-6)


def test_at_the_content_image_nothing_of_it_is_lost(objective, scene, tiny_weights):
    found = objective(tf.constant(scene)[tf.newaxis]).terms
    assert float(found["laplacian"]) < 1e-9
    assert float(found["structure"]) < rounding.of_maps(tiny_weights)


def test_the_gradient_is_that_of_finite_differences(objective, image):
    direction = tf.constant(draw.normal(size=image.shape), tf.float32)
    direction /= tf.norm(direction)
    slope = float(tf.reduce_sum(objective(image).gradient * direction))
    step = 0.02
    ends = [float(objective(image + sign * step * direction).loss) for sign in (1, -1)]
    assert slope == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=0.02)


def test_in_strips_and_in_sizes_it_is_the_same(objective, image, scene, painting, tiny_weights):
    settings = presets.settings("crisp", **KEPT)
    model = feature_model(tiny_weights, settings)
    strips = Objective.from_settings(settings, model, tile=32)
    any_size = Objective.from_settings(settings, model, any_size=True)
    for other in (strips, any_size):
        other.set_content(scene)
        other.set_styles([painting])
        for name, value in objective(image).terms.items():
            expected = pytest.approx(float(value), rel=1e-4, abs=1e-6)
            assert float(other(image).terms[name]) == expected, name
    small = images.resize(scene, 24, 32)
    any_size.set_content(small)
    assert np.isfinite(any_size(tf.constant(small)[tf.newaxis]).loss)
    assert any_size.traces == 1


def test_a_weight_that_is_left_out_is_another_graph_and_another_number_is_not():
    base = presets.settings("crisp", laplacian_weight=0.0)
    assert base.graph_key != base.replace(laplacian_weight=1.0).graph_key
    assert base.replace(laplacian_weight=2.0).graph_key == (
        base.replace(laplacian_weight=1.0).graph_key
    )


def test_strength_weighs_all_that_keeps_the_photo():
    factors = [
        terms.weights_of(presets.settings("crisp", strength=strength, **KEPT))
        for strength in (0.5, 0.75)
    ]
    for kind in ("content", "structure", "laplacian"):
        assert factors[1][kind] == pytest.approx(factors[0][kind] / 4)


def test_a_scale_begins_with_the_initial_images_detail(scene):
    start = images.resize(scene, 48, 64)
    before = images.resize(start, 24, 32)
    coarse = tf.constant(before)[tf.newaxis]
    # Nothing happened at the coarse scale: then nothing has been lost.
    kept = schedule.enlarge(coarse, before, start)[0]
    assert np.abs(np.asarray(kept) - start).max() < 1e-6
    # What happened there is there, enlarged.
    brighter = schedule.enlarge(coarse + 0.125, before, start)[0]
    assert np.abs(np.asarray(brighter) - start - 0.125).max() < 1e-5


def test_a_run_begins_where_nothing_is_lost_and_ends_elsewhere(tiny_weights, scene, painting):
    light = {**KEPT, "structure_weight": 0.01, "laplacian_weight": 0.01}
    options = {"size": 48, "min_scale": 32, "evaluations": 1, **light}
    run = StyleTransfer(scene, painting, weights=tiny_weights, **options)
    history = run.run().history
    assert history[0]["structure"] < 1e-6
    assert min(history[-1][kind] for kind in ("structure", "laplacian")) > 1e-4
    assert history[-1]["total"] < history[0]["total"]


def test_a_perceptual_loss_has_the_same_terms(scene, painting):
    pair = painting[:48, :64][np.newaxis], scene[np.newaxis]
    none = {
        "preset": "crisp",
        "scale": "published",
        "structure_layers": {},
        "laplacian_weight": 0.0,
    }
    kept = {"structure_layers": {"conv2_1": 1.0}, "structure_weight": 1.0, "laplacian_weight": 0.5}
    options = {**none, **kept}
    found = nst_tf.keras.PerceptualLoss("mini", **options)(*pair)
    without = nst_tf.keras.PerceptualLoss("mini", **none)(*pair)
    settings = presets.settings("crisp", **kept)
    model = feature_model(weights.load("mini"), settings)
    maps = [model(mirrored(one))["conv2_1"] for one in pair]
    structure = structure_loss(*map(self_similarity, reversed(maps)))
    lines = laplacian_loss(*(laplacian(tf.constant(one)) for one in reversed(pair)))
    expected = float(without) + float(structure[0]) + 0.5 * float(lines[0])
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_a_served_run_has_the_same_terms(tiny_weights, scene, painting, without_graphs):
    """Its first loss is that of the photo itself: of the style alone; the next has all terms."""
    settings = presets.settings("crisp", **KEPT)
    servable = saved_model.build(tiny_weights, settings, 64, "float32", "all", None)
    files = [tf.io.encode_png(tf.cast(tf.round(255 * one), tf.uint8)) for one in (scene, painting)]
    served = servable.stylize(*files, tf.constant(3))
    light = presets.settings("crisp", **{**KEPT, "structure_layers": {}, "laplacian_weight": 0.0})
    other = saved_model.build(tiny_weights, light, 64, "float32", "all", None)
    without = other.stylize(*files, tf.constant(3))
    objective = Objective.from_settings(settings, feature_model(tiny_weights, settings))
    content, style = (np.round(255 * one) / np.float32(255) for one in (scene, painting))
    objective.set_content(content)
    objective.set_styles([style])
    first = objective(tf.constant(content)[tf.newaxis])
    assert float(served["loss"][0]) == pytest.approx(float(first.loss), rel=1e-4)
    image = tf.cast(tf.io.decode_png(served["image_bytes"]), tf.float32)[tf.newaxis] / 255
    last = objective(image).terms
    assert float(served["loss"][-1]) == pytest.approx(float(last["total"]), rel=0.05)
    assert float(served["loss"][-1]) > float(without["loss"][-1])
