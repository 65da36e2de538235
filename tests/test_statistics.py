"""Statistics: Gram with a mask against NumPy, and others of a test's own through everything."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf

import nst_tf
from nst_tf.errors import SettingsError
from nst_tf.losses import statistics
from nst_tf.losses.gram import Gram
from nst_tf.losses.objective import Objective
from nst_tf.losses.terms import total
from nst_tf.network import vgg
from nst_tf.recipe import choices

draw = np.random.default_rng(0)
MAPS = draw.standard_normal((2, 4, 5, 3)).astype(np.float32)
MASK = draw.random((2, 4, 5, 1)).astype(np.float32)
LAYERS = {"conv1_1": 1.0, "conv2_1": 2.0}


def test_which_are_additive_is_known_without_tensorflow():
    """`inputs.check_blend` goes by the names alone."""
    known = {name: name not in choices.SORTED for name in statistics.STATISTICS}
    assert known == {name: one.additive for name, one in statistics.STATISTICS.items()}


class Sums(NamedTuple):
    features: tf.Tensor
    count: tf.Tensor


class Mean:
    """The mean feature: additive, its nest a named tuple."""

    additive = True

    def measure(self, maps, mask=None):
        mask = tf.ones_like(maps[..., :1]) if mask is None else mask
        return Sums(tf.reduce_sum(mask * maps, (1, 2)), tf.reduce_sum(mask, (1, 2, 3)))

    def finish(self, measured):
        return {"mean": measured.features / measured.count[:, tf.newaxis]}

    def distance(self, finished, target):
        return tf.reduce_sum(tf.square(finished["mean"] - target["mean"]), 1)

    def width_factor(self, ratio):
        return 1.0


class Sorted(Mean):
    """Every channel's values in their order: they have to be there all at once."""

    additive = False

    def measure(self, maps, mask=None):
        flat = tf.reshape(maps, [maps.shape[0], -1, maps.shape[-1]])
        order = tf.sort(flat, axis=1)
        return {"mean": tf.reduce_mean(order[:, -len(LAYERS) * 8 :], 1)}

    def finish(self, measured):
        return measured


def test_every_style_loss_is_a_statistic():
    assert {*statistics.STATISTICS, choices.NEIGHBOURS} == set(choices.STYLE_LOSSES)
    for form in choices.GRAM_FORMS:
        assert statistics.named(form) == Gram(form)
    with pytest.raises(SettingsError, match="no style loss 'gramm'"):
        statistics.named("gramm")
    with pytest.raises(SettingsError, match="'neighbours' looks for its targets in the course of"):
        statistics.named("neighbours")


@pytest.mark.parametrize("mask", [None, MASK])
def test_gram_of_a_mask_against_numpy(mask):
    weights = np.ones_like(MASK) if mask is None else mask
    measured = Gram().measure(tf.constant(MAPS), mask)
    F, m = np.float64(MAPS), np.float64(weights)
    expected = np.einsum("bhwk,bhwi,bhwj->bij", m, F, F)
    np.testing.assert_allclose(measured.products, expected, atol=1e-5)
    count = m.sum((1, 2, 3))
    np.testing.assert_allclose(measured.count, count, rtol=1e-6)
    found = Gram().finish(measured)
    np.testing.assert_allclose(found, expected / count[:, None, None], atol=1e-6)


def test_the_gradient_of_a_masked_gram_is_that_of_the_masked_positions_alone():
    mask = (MASK > 0.5).astype(np.float32)
    weights = tf.constant(draw.standard_normal((2, 3, 3)), tf.float32)
    with tf.GradientTape() as tape:
        maps = tf.constant(MAPS)
        tape.watch(maps)
        gram = Gram().finish(Gram().measure(maps, mask))
        loss = tf.reduce_sum(weights * gram)
    found = tape.gradient(loss, maps)
    W, F = np.float64(weights + tf.linalg.matrix_transpose(weights)), np.float64(MAPS)
    expected = mask * np.einsum("bhwi,bij->bhwj", F, W) / mask.sum((1, 2, 3))[:, None, None, None]
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("statistic", [Gram(), Mean()])
def test_parts_add_up_to_the_whole(statistic):
    """That of no position is 0: what strips begin to add to."""
    parts = [statistic.measure(tf.constant(MAPS[:, rows])) for rows in np.split(np.arange(4), 2)]
    parts.append(statistic.measure(tf.zeros([2, 0, 5, 3])))
    added = tf.nest.map_structure(lambda *leaves: tf.add_n(leaves), *parts)
    whole = statistic.measure(tf.constant(MAPS))
    for part, all_of_it in zip(tf.nest.flatten(added), tf.nest.flatten(whole), strict=True):
        np.testing.assert_allclose(part, all_of_it, rtol=1e-5, atol=1e-5)


@pytest.fixture(scope="module")
def model(tiny_weights):
    return vgg.build_model(["conv2_2", *LAYERS], tiny_weights)


def objective_of(model, statistic, scene, styles, tile=None):
    made = Objective(model, {"conv2_2": 1.0}, LAYERS, style_loss=statistic, tile=tile)
    made.set_content(scene)
    made.set_styles(styles)
    return made


@pytest.mark.parametrize("statistic", [Mean(), Sorted()])
def test_a_statistic_of_ones_own_strip_by_strip(model, statistic, scene, painting):
    """Its nest may be anything; strips add it up, or keep what it needs until they have it all."""
    whole = objective_of(model, statistic, scene, [painting])
    strips = objective_of(model, statistic, scene, [painting], tile=32)
    image = tf.constant(0.7 * scene + 0.1)[tf.newaxis]
    alone, in_strips = whole(image), strips(image)
    assert float(alone.terms["style"]) > 0
    for name, value in alone.terms.items():
        assert float(in_strips.terms[name]) == pytest.approx(float(value), rel=1e-4), name
    scale = np.abs(alone.gradient).max()
    np.testing.assert_allclose(in_strips.gradient, alone.gradient, atol=1e-4 * scale)
    # the term is the statistic's own distance
    maps, target = model(image), model(painting[np.newaxis])
    for name in LAYERS:
        nests = [statistic.finish(statistic.measure(by[name])) for by in (maps, target)]
        distance = float(statistic.distance(*nests)[0])
        assert float(alone.terms[f"style/{name}"]) == pytest.approx(distance, rel=1e-4)


def test_additive_nests_are_blended_and_others_refused(model, scene, painting):
    styles, statistic = [painting, 0.5 * painting[:40]], Mean()
    made = objective_of(model, statistic, scene, styles)
    image = tf.constant(scene)[tf.newaxis]
    for name in LAYERS:
        means = [np.mean(model(style[np.newaxis])[name], (0, 1, 2)) for style in styles]
        own = np.mean(model(image)[name], (0, 1, 2))
        expected = np.sum((own - np.mean(means, 0)) ** 2)
        assert float(made(image).terms[f"style/{name}"]) == pytest.approx(expected, rel=1e-3)
    with pytest.raises(SettingsError, match="2 style images cannot be blended"):
        objective_of(model, Sorted(), scene, [painting, scene])


def test_blending_is_linear():
    nests = [{"mean": tf.constant(value)} for value in (1.0, 5.0)]
    blended = statistics.blend(Mean(), nests, [0.25, 0.75])
    assert float(blended["mean"]) == pytest.approx(0.25 * 1 + 0.75 * 5)


def test_a_new_kind_of_term_is_one_entry():
    """An open list: nothing but the weights knows the kinds."""
    terms = {"temporal": tf.constant(3.0), "style/conv1_1": tf.constant(2.0)}
    weights = {"style": 10.0, "temporal": 0.5, "style/conv1_1": 4.0, "content": 1.0}
    summed = total(terms, weights)
    assert {name: float(value) for name, value in summed.items()} == {
        "total": 10 * 4 * 2 + 0.5 * 3,
        "style": 8.0,
        "temporal": 3.0,
        "content": 0.0,
        "style/conv1_1": 2.0,
    }


def test_a_term_without_a_weight_is_an_error():
    with pytest.raises(SettingsError, match="the term temporal has no weight"):
        total({"temporal": tf.constant(3.0)}, {"style": 1.0})


@pytest.mark.parametrize(
    ("style_loss", "options"),
    [
        *(("wasserstein", options) for options in ({}, {"dtype": "mixed_float16"})),
        *(
            (style_loss, options)
            for style_loss in ("mean-std", "sliced", "histogram")
            for options in ({}, {"dtype": "mixed_float16"}, {"tile": 32})
        ),
    ],
)
def test_a_run_lowers_it(scene, painting, style_loss, options):
    result = nst_tf.stylize(
        scene,
        painting,
        preset="gatys2016",
        weights="mini",
        size=48,
        style_size=48,
        evaluations=8,
        style_loss=style_loss,
        content_layers={},
        style_layers={"conv1_1": 1.0, "conv2_1": 1.0},
        **options,
    )
    losses = [row["style"] for row in result.history]
    assert np.isfinite(losses).all()
    assert losses[-1] < 0.8 * losses[0]
