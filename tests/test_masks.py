"""Style images with masks, each in its own part of the result, and a photo that is protected."""

from __future__ import annotations

import numpy as np
import pytest
import rounding
import tensorflow as tf
from PIL import Image

from nst_tf.classical import colour
from nst_tf.errors import SettingsError
from nst_tf.losses import statistics
from nst_tf.losses.objective import Objective
from nst_tf.losses.protected import Protected
from nst_tf.losses.regional import Regional, at_layer
from nst_tf.network import vgg
from nst_tf.pictures import colours, masks

CONTENT = {"conv2_2": 1.0}
STYLE = {"conv1_1": 0.3, "conv2_1": 0.7, "conv3_1": 1.0}
#: Neither side is a multiple of 4: two poolings leave out a row and a column.
SIZE = (69, 50)

draw = np.random.default_rng(0)

#: White on the left, black on the right, and the other way round; at a size of their own.
LEFT = np.kron([[1.0, 0.0]], np.ones((20, 10)))
RIGHT = 1 - LEFT


@pytest.fixture(scope="module")
def regions():
    """Soft masks that sum to 1 nowhere in particular, float32 [height, width, 2]."""
    return np.random.default_rng(2).random((*SIZE, 2), np.float32)


@pytest.fixture(scope="module")
def make(tiny_weights):
    """Objectives of two regions, or none, of the same pictures."""
    pictures = np.random.default_rng(3)
    photo, *styles = (
        pictures.random((*size, 3), np.float32) for size in (SIZE, (40, 31), (33, 48))
    )
    model = vgg.build_model([*CONTENT, *STYLE], tiny_weights)

    def objective(these, **options):
        count = 0 if these is None else these.shape[-1]
        made = Objective(model, CONTENT, STYLE, style_weight=50.0, regions=count, **options)
        made.set_content(photo)
        made.set_styles(styles[: max(1, count)])
        if count:
            made.set_regions(these)
        return made

    objective.photo, objective.styles, objective.model = photo, styles, model
    return objective


@pytest.fixture(scope="module")
def objective(make, regions):
    return make(regions)


@pytest.fixture(scope="module")
def image(tiny_weights):
    """Where no kink of the network makes more of the rounding than it is."""
    return rounding.smooth_picture(tiny_weights, SIZE)


def of_block(mask, block):
    """The mean of every 2^(b-1) x 2^(b-1) pixels, what is left over at the borders left out."""
    side = 2 ** (block - 1)
    height, width = (length // side for length in mask.shape)
    cut = np.float64(mask[: height * side, : width * side])
    return cut.reshape(height, side, width, side).mean((1, 3))


def test_every_region_at_every_layer_against_numpy(make, objective, image, regions, tiny_weights):
    def maps(picture):
        return {key: np.float64(value[0]) for key, value in make.model(picture[None]).items()}

    def gram(features, weights):
        return np.einsum("hw,hwi,hwj->ij", weights, features, features) / weights.sum()

    found, (F, *S) = objective(tf.constant(image[None])).terms, map(maps, (image, *make.styles))
    for key in STYLE:
        expected = 0.0
        for region, style in enumerate(S):
            weights = of_block(regions[..., region], int(key[4]))
            target = gram(style[key], np.ones(style[key].shape[:2]))
            expected += weights.mean() * ((gram(F[key], weights) - target) ** 2).mean()
        bound = rounding.of_terms(tiny_weights, key, image.size)
        rounding.assert_close(found[f"style/{key}"], expected, bound, key)


def test_a_mask_of_ones_changes_nothing(make, image):
    """The style images are then those of a single region, which are blended as they are without."""
    plain, masked = make(None), make(np.ones((*SIZE, 1), np.float32))
    for style in (plain, masked):
        style.set_styles(make.styles, (3, 1))
    expected, found = (one(tf.constant(image[None])) for one in (plain, masked))
    for name, value in expected.terms.items():
        np.testing.assert_allclose(found.terms[name], value, rtol=1e-6, err_msg=name)
    rounding.assert_below(rounding.norm_error(found.gradient, expected.gradient), 1e-5)


def test_strips_of_a_masked_picture_are_the_whole(make, objective, image, regions, tiny_weights):
    stripped, whole = (one(tf.constant(image[None])) for one in (make(regions, tile=24), objective))
    for name, value in whole.terms.items():
        bound = rounding.of_terms(tiny_weights, name.partition("/")[2] or "conv3_1", image.size)
        rounding.assert_close(stripped.terms[name], value, bound, name)
    bound = rounding.of_smooth_gradient(tiny_weights, "conv3_1")
    rounding.assert_below(rounding.norm_error(stripped.gradient, whole.gradient), bound)


def test_the_gradient_with_masks_and_protection_against_finite_differences(make, objective, image):
    protect = np.random.default_rng(4).random((*SIZE, 1), np.float32)
    protect[:20] = 1
    protected = Protected(objective)
    protected.set(make.photo, protect)
    evaluation = protected(tf.constant(image[None]))
    laid = protect * make.photo + (1 - protect) * image
    assert float(evaluation.loss) == pytest.approx(float(objective(laid[None]).loss), rel=1e-5)
    gradient = np.float64(evaluation.gradient[0])
    assert not gradient[:20].any() and np.abs(gradient[20:]).min(2).max() > 0
    # Along the gradient, where the difference of two losses is far above their rounding.
    direction = gradient / np.abs(gradient).max()
    step = 1e-3
    ahead, behind = (
        float(protected(tf.constant(image[None] + sign * step * direction[None], tf.float32)).loss)
        for sign in (1, -1)
    )
    assert (ahead - behind) / (2 * step) == pytest.approx((gradient * direction).sum(), rel=0.01)


@pytest.mark.parametrize("name", list(statistics.STATISTICS))
def test_every_statistic_measures_a_region_as_if_it_were_cut_out(name):
    """A region of whole positions; the others hold something else."""
    statistic = statistics.STATISTICS[name]
    maps = tf.constant(draw.standard_normal((1, 8, 10, 5)), tf.float32)
    mask = np.zeros((1, 8, 10, 2), np.float32)
    mask[:, :, :6, 0], mask[:, 2:, 6:, 1] = 1, 1
    regional = Regional(statistic)
    measured = regional.finish(regional.measure(maps, tf.constant(mask)))
    np.testing.assert_allclose(measured.shares, [[6 / 10, 6 * 4 / 80]])
    for region, part in zip(measured.regions, (maps[:, :, :6], maps[:, 2:, 6:]), strict=True):
        alone = statistic.finish(statistic.measure(part))
        for one, other in zip(tf.nest.flatten(region), tf.nest.flatten(alone), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)
    targets = tuple(statistics.prepare(statistic, region) for region in measured.regions[::-1])
    expected = sum(
        share * statistic.distance(region, target)
        for share, region, target in zip((0.6, 0.3), measured.regions, targets, strict=True)
    )
    np.testing.assert_allclose(regional.distance(measured, targets), expected, rtol=1e-5)


def test_masks_at_a_layer_are_the_means_of_what_is_pooled(regions):
    for key in ("conv1_2", "conv3_1:pre", "block5_conv1"):
        expected = of_block(regions[..., 1], {"conv1": 1, "conv3": 3, "block": 5}[key[:5]])
        found = at_layer(tf.constant(regions[None]), key)[0, ..., 1]
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_moments_of_a_part_are_those_of_its_pixels():
    picture, weights = draw.random((5, 6, 3)), draw.random((5, 6))
    mean, covariance = colour.moments(picture, weights)
    flat = picture.reshape(-1, 3)
    np.testing.assert_allclose(mean, np.average(flat, axis=0, weights=weights.ravel()))
    expected = np.cov(flat.T, aweights=weights.ravel(), ddof=0)
    np.testing.assert_allclose(covariance, expected)
    with pytest.raises(SettingsError, match="a part of shape"):
        colours.palette(picture, picture, where=weights[:4])


def test_shares_sum_to_one_where_there_is_a_mask():
    one, two = draw.random((2, 5, 7)).astype(np.float32)
    one[0], two[0] = 0, 0
    shares = masks.shares([one, two])
    np.testing.assert_allclose(shares[1:].sum(-1), 1, rtol=1e-6)
    np.testing.assert_allclose(shares[1:, :, 0], one[1:] / (one + two)[1:], rtol=1e-6)
    assert not shares[0].any()
    rest = masks.shares([one, None, two])
    np.testing.assert_allclose(rest.sum(-1), 1, rtol=1e-6)
    expected = np.maximum(1 - one - two, 0) / np.maximum(one + two, 1)
    np.testing.assert_allclose(rest[..., 1], expected, atol=1e-6)
    np.testing.assert_array_equal(masks.shares([one])[..., 0], one)
    with pytest.raises(SettingsError, match="2 of 3 style images have no mask"):
        masks.shares([None, one, None])


def test_masks_are_read_at_any_size_and_by_their_luminance():
    red = np.zeros((6, 4, 3), np.uint8)
    red[:, :2] = 255, 0, 0
    np.testing.assert_allclose(masks.read(red, 6, 4), 0.2126 * (red[..., 0] / 255), atol=1e-6)
    np.testing.assert_array_equal(masks.read(np.eye(3, dtype=bool), 3, 3), np.eye(3))
    # Halving averages; no overshoot beside an edge, and no pixel is passed over.
    point = np.zeros((64, 64), np.float32)
    point[13, 29] = 1
    small = masks.read(point, 8, 8)
    assert small.min() >= 0
    np.testing.assert_allclose(small.mean(), point.mean(), rtol=0.1)
    wide = masks.read(np.float32([[1, 0]]), 4, 400)
    np.testing.assert_allclose(wide[2, [0, 99, 300, 399]], [1, 1, 0, 0], atol=1e-6)
    np.testing.assert_allclose(wide[2, 200], 0.5, atol=0.01)
    np.testing.assert_array_equal(masks.resize(np.ones((9, 7, 2), np.float32), 5, 4), 1)


def test_what_is_transparent_is_not_chosen():
    """As a selection is exported: white, and transparent around it."""
    chosen = np.ones((4, 4, 4), np.float32)
    chosen[:, 2:, 3] = 0
    expected = np.repeat([[1.0, 1.0, 0.0, 0.0]], 4, axis=0)
    image = Image.fromarray(np.uint8(255 * chosen), "RGBA")
    for mask in (chosen, image):
        np.testing.assert_allclose(masks.read(mask, 4, 4), expected, atol=1e-6)
    with pytest.raises(SettingsError, match="values up to 1 alone, of which 255 would be white"):
        masks.read(np.array([[0, 1]], np.uint8), 4, 4)


def test_regions_that_an_objective_cannot_use(regions, make):
    with pytest.raises(SettingsError, match="for an objective of 0 regions"):
        make(None).set_regions(regions)
    with pytest.raises(SettingsError, match="1 style images for 2 regions"):
        make(regions).set_styles(make.styles[:1])
    unset = Objective(make.model, CONTENT, STYLE, regions=2)
    unset.set_content(make.photo)
    unset.set_styles(make.styles)
    with pytest.raises(SettingsError, match="call set_regions first"):
        unset(tf.constant(make.photo[None]))
