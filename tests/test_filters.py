"""Blur and warp against SciPy in float64, and against tensorflow-addons where it is."""

import numpy as np
import pytest
import rounding
import tensorflow as tf
from scipy import ndimage

from nst_tf.errors import SettingsError
from nst_tf.pictures import filters

draw = np.random.default_rng(0)
PICTURES = draw.random((2, 13, 17, 3))
FLOW = 6 * draw.standard_normal((2, 13, 17, 2))  # some of it far beyond the border

BLURS = [
    ((3, 3), 1.0, "REFLECT"),
    (7, (0.8, 2.5), "SYMMETRIC"),
    ((9, 5), 3.0, "CONSTANT"),
    ((1, 11), 0.3, "REFLECT"),
    ((4, 6), 1.5, "REFLECT"),
]
SCIPYS = {"REFLECT": "mirror", "SYMMETRIC": "reflect", "CONSTANT": "constant"}


def gaussian(size: int, sigma: float) -> np.ndarray:
    offsets = np.arange(size) - (size - 1) // 2
    weights = np.exp(-(offsets**2) / (2 * sigma**2))
    return weights / weights.sum()


@pytest.mark.parametrize(("shape", "sigma", "padding"), BLURS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_blur_is_the_formula(shape, sigma, padding, dtype):
    (height, width), (down, across) = np.broadcast_to(shape, 2), np.broadcast_to(sigma, 2)
    kernel = np.outer(gaussian(height, down), gaussian(width, across))
    # SciPy's middle of an even filter is behind the half, ours before it.
    origin = [-1 + size % 2 for size in kernel.shape]
    expected = ndimage.correlate(
        PICTURES, kernel[None, ..., None], mode=SCIPYS[padding], cval=0.25, origin=[0, *origin, 0]
    )
    pictures = PICTURES.astype(dtype)
    blurred = filters.gaussian_filter2d(pictures, shape, sigma, padding, 0.25)
    assert blurred.dtype == dtype
    bound = rounding.of_sums(height, width, 1, dtype=np.dtype(dtype).name)
    rounding.assert_close(blurred, expected, bound)
    single = filters.gaussian_filter2d(pictures[0], shape, sigma, padding, 0.25)
    rounding.assert_close(single, blurred[0], bound)
    plane = filters.gaussian_filter2d(pictures[1, ..., 2], shape, sigma, padding, 0.25)
    rounding.assert_close(plane, blurred[1, ..., 2], bound)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_warp_is_the_formula(dtype):
    rows, columns = np.meshgrid(np.arange(13), np.arange(17), indexing="ij")
    for flow in (FLOW, 0 * FLOW, np.round(FLOW)):
        warped = filters.dense_image_warp(PICTURES.astype(dtype), flow.astype(dtype))
        assert warped.dtype == dtype
        # Positions up to 20 are rounded in units of their own, and move a value by as much.
        bound = rounding.of_sums(20**2, 2, 2, dtype=np.dtype(dtype).name)
        for b, channel in np.ndindex(2, 3):
            at = rows - flow[b, ..., 0], columns - flow[b, ..., 1]
            expected = ndimage.map_coordinates(
                PICTURES[b, ..., channel], at, order=1, mode="nearest"
            )
            rounding.assert_close(warped[b, ..., channel], expected, bound)


def test_warp_says_where_from_not_where_to():
    flow = np.zeros((2, 13, 17, 2))
    flow[..., 0], flow[..., 1] = 2, -3
    warped = filters.dense_image_warp(PICTURES, flow)
    bound = rounding.of_sums(2, 2, dtype="float64")
    rounding.assert_close(warped[:, 2:, :-3], PICTURES[:, :-2, 3:], bound)


def test_gradients_are_finite_differences():
    pictures, flow = tf.constant(PICTURES[:, :5, :6, :1]), tf.constant(FLOW[:, :5, :6] / 3)
    weights = tf.constant(draw.standard_normal(pictures.shape))
    blur = tf.test.compute_gradient(
        lambda x: tf.reduce_sum(weights * filters.gaussian_filter2d(x, (5, 4), 1.2)),
        [pictures],
    )
    warp = tf.test.compute_gradient(
        lambda x, flow: tf.reduce_sum(weights * filters.dense_image_warp(x, flow)),
        [pictures, flow],
        delta=1e-6,
    )
    # A difference of sums over all values, divided by a step of 1e-6 or 1e-3.
    bound = rounding.of_sums(5 * 6 * 2, dtype="float64") / 1e-6
    for analytic, numeric in (*zip(*blur, strict=True), *zip(*warp, strict=True)):
        rounding.assert_close(analytic, numeric, bound)
    assert np.abs(warp[0][1]).max() > 0.1


def test_shapes_may_be_unknown_until_the_run():
    signature = [tf.TensorSpec([None, None, None, 3]), tf.TensorSpec([None, None, None, 2])]

    @tf.function(input_signature=signature)
    def both(pictures, flow):
        return filters.dense_image_warp(filters.gaussian_filter2d(pictures, 5, 2.0), flow)

    pictures, flow = PICTURES.astype(np.float32), FLOW.astype(np.float32)
    expected = filters.dense_image_warp(filters.gaussian_filter2d(pictures, 5, 2.0), flow)
    rounding.assert_close(both(pictures, flow), expected, rounding.of_sums(5, 5, 20**2, 2, 2))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"filter_shape": 0}, "filter_shape is 0"),
        ({"filter_shape": (3, 3, 3)}, "filter_shape is"),
        ({"filter_shape": 2.5}, "filter_shape is 2.5"),
        ({"filter_shape": 29}, "29 pixels is too large for 13"),
        ({"sigma": 0.0}, "sigma is 0.0: use a number above 0"),
        ({"sigma": (1.0, -1.0)}, "sigma is"),
        ({"padding": "WRAP"}, "padding is 'WRAP': use one of REFLECT"),
    ],
)
def test_what_cannot_be_blurred_is_one_line(options, message):
    with pytest.raises(SettingsError, match=message):
        filters.gaussian_filter2d(PICTURES, **options)


def test_shapes_that_do_not_fit():
    with pytest.raises(SettingsError, match="use 2 to 4 dimensions"):
        filters.gaussian_filter2d(PICTURES[None])
    for pictures, flow in ((PICTURES, FLOW[:, 1:]), (PICTURES[0], FLOW[0]), (PICTURES, PICTURES)):
        with pytest.raises(SettingsError, match="and a flow of shape"):
            filters.dense_image_warp(pictures, flow)


@pytest.fixture(scope="module")
def tfa():
    return pytest.importorskip("tensorflow_addons", reason="the old stack alone has it")


@pytest.mark.parametrize(("shape", "sigma", "padding"), BLURS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
def test_blur_is_tensorflow_addons(tfa, shape, sigma, padding, dtype):
    if dtype == np.uint8:  # cut off, so a level may go where the sum falls on a whole one
        pictures, most = (255 * PICTURES).astype(dtype), 1.001
    else:  # both kernels are calculated in float32 there
        pictures, most = PICTURES.astype(dtype), rounding.of_sums(*np.broadcast_to(shape, 2), 1)
    options = {"filter_shape": shape, "sigma": sigma, "padding": padding}
    expected = tfa.image.gaussian_filter2d(pictures, **options)
    blurred = filters.gaussian_filter2d(pictures, **options)
    assert blurred.dtype == expected.dtype
    difference = np.abs(blurred.numpy().astype(float) - expected.numpy().astype(float))
    rounding.assert_below(difference.max(), most)
    rounding.assert_below(difference.mean(), 1e-3 if dtype == np.uint8 else most)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_warp_and_gradients_are_tensorflow_addons(tfa, dtype):
    weights = tf.constant(draw.standard_normal(PICTURES.shape), dtype)
    results = []
    for module in (filters, tfa.image):
        pictures, flow = tf.constant(PICTURES, dtype), tf.constant(FLOW, dtype)
        with tf.GradientTape() as tape:
            tape.watch([pictures, flow])
            warped = module.dense_image_warp(module.gaussian_filter2d(pictures, 5, 1.5), flow)
            loss = tf.reduce_sum(weights * warped)
        results.append([warped, *tape.gradient(loss, [pictures, flow])])
    for ours, theirs in zip(*results, strict=True):
        rounding.assert_close(ours, theirs, rounding.of_sums(5, 5, 20**2, 2, 2))
