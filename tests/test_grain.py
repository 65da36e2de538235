"""Fine detail by the painting's measure, against NumPy and SciPy, and what it has to do."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import ndimage
from skimage.color import rgb2yuv, yuv2rgb

import nst_tf
from nst_tf.losses import quantiles
from nst_tf.run import grain

draw = np.random.default_rng(0)
SMALL = {"size": 48, "min_scale": None, "evaluations": 1, "weights": "mini"}


def noise(height, width, deviation, mean=0.5):
    """Gray: colour of its own would not stay."""
    gray = np.clip(draw.normal(mean, deviation, (height, width, 1)), 0, 1)
    return np.float32(np.repeat(gray, 3, -1))


def shaped(image, content, *styles, **more):
    return grain.shaped(*map(tf.constant, (image, content)), styles, **more).numpy()


def deviations(picture):
    """Of the left and of the right half, away from where they meet."""
    third = picture.shape[1] // 3
    return [part.std((0, 1)).mean() for part in (picture[:, :third], picture[:, -third:])]


def level_sets(picture):
    """The reference's levels of detail of [height, width], and what is left."""
    levels = []
    for level in range(grain.LEVELS):
        kernel = np.zeros(4 * 2**level + 1)
        kernel[:: 2**level] = np.array([1, 4, 6, 4, 1]) / 16
        smooth = picture
        for axis in (0, 1):
            smooth = ndimage.correlate1d(smooth, kernel, axis, mode="nearest")
        levels.append(picture - smooth)
        picture = smooth
    return levels, picture


def amplitude(detail):
    return np.sqrt(square_mean(detail**2, grain.PLACE)) + 1e-6


def share_means(values):
    """The means of equal shares of sorted values, of their running sum."""
    ordered = np.sort(values.ravel())
    sums = np.append(0, np.cumsum(ordered)) / len(ordered)
    at = np.linspace(0, 1, quantiles.COUNT + 1)
    return np.diff(np.interp(at, np.linspace(0, 1, len(sums)), sums)) * quantiles.COUNT


def square_mean(maps, side):
    """Over the part of a square that is in the picture."""
    window = np.ones((side, side))
    total, count = (
        ndimage.convolve(one, window, mode="constant") for one in (maps, np.ones_like(maps))
    )
    return total / count


def led(light, colour):
    """The guided filter: in each window the line that fits best, each pixel by the mean of its."""
    side, edge = grain._WINDOW, grain._EDGE
    mean = square_mean(light, side)
    covariance = square_mean(light * colour, side) - mean * square_mean(colour, side)
    slope = covariance / (square_mean(light**2, side) - mean**2 + edge**2)
    offset = square_mean(colour, side) - slope * mean
    return square_mean(slope, side) * light + square_mean(offset, side)


def reference(image, content, styles, shares):
    channels = []
    image, content, *styles = (rgb2yuv(np.float64(one)) for one in (image, content, *styles))
    for number in (1, 2):
        image[..., number] = led(image[..., 0], image[..., number])
    for number in range(3):
        (levels, rest), (there, _), *paintings = (
            level_sets(picture[..., number]) for picture in (image, content, *styles)
        )
        for level, detail in enumerate(levels):
            found = amplitude(detail)
            due = sum(
                share * share_means(amplitude(painting[level]))
                for share, (painting, _) in zip(shares, paintings, strict=True)
            )
            wanted = np.interp(found, share_means(found), due)
            wanted = np.maximum(wanted, amplitude(there[level]))
            rest = rest + detail * np.minimum(1, wanted / found)
        channels.append(rest)
    return np.clip(yuv2rgb(np.stack(channels, -1)), 0, 1)


def test_against_scipy(scene, painting):
    """Pictures of odd sizes, of two paintings with shares that are not the same."""
    content = nst_tf.pictures.images.resize(scene, 45, 61)
    styles = [nst_tf.pictures.images.resize(painting, 70, 51), noise(33, 80, 0.05)]
    image = np.clip(content + noise(45, 61, 0.1) - 0.5, 0, 1)
    found = shaped(image, content, *styles, shares=[3, 1])
    wanted = reference(image, content, styles, [0.75, 0.25])
    assert np.abs(wanted - image).max() > 0.1
    # TensorFlow's matrices of YUV have more digits.
    np.testing.assert_allclose(found, wanted, rtol=0, atol=2e-3)


def test_leaves_the_painting_and_the_photo_as_they_are(painting):
    """In gray, where no colour follows light."""
    painting = np.repeat(painting.mean(-1, keepdims=True), 3, -1)
    flat = np.full_like(painting, 0.5)
    np.testing.assert_allclose(shaped(painting, flat, painting), painting, rtol=0, atol=2e-3)
    np.testing.assert_allclose(shaped(painting, painting, flat), painting, rtol=0, atol=2e-3)


def test_colour_follows_light():
    """A fringe along an edge goes, the colours on both sides stay."""
    image = np.full((40, 60, 3), (0.1, 0.2, 0.4), np.float32)
    image[:, 30:] = (0.9, 0.7, 0.4)
    fringed = image.copy()
    fringed[:, 28:30] += (0.2, -0.1, 0.0)
    found = shaped(fringed, image, fringed)
    for columns in (np.s_[:, :20], np.s_[:, 40:]):
        np.testing.assert_allclose(found[columns], image[columns], rtol=0, atol=0.01)
    before, after = (np.abs(rgb2yuv(one) - rgb2yuv(image))[:, 28:30, 2] for one in (fringed, found))
    assert after.mean() < 0.6 * before.mean()


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (9, 2), (40, 3)])
def test_of_few_pixels(shape):
    image = noise(*shape, 0.2)
    found = shaped(image, image, noise(5, 4, 0.2))
    np.testing.assert_allclose(found, image, rtol=0, atol=1e-5)


def test_grain_in_calm_places_goes_and_strokes_stay():
    """A painting with all its detail in one half; a result with a little more in one of its own."""
    flat, loud = np.full((64, 64, 3), 0.5, np.float32), noise(64, 64, 0.15)
    style = np.concatenate([flat, loud], 1)
    image = np.concatenate([noise(64, 64, 0.12), noise(64, 64, 0.15)], 1)
    left, right = deviations(shaped(image, np.full_like(image, 0.5), style))
    assert left < 0.04 and right > 0.13  # of 0.12 and 0.15


def test_of_a_large_picture_a_grid_is_ranked():
    image, style = noise(300, 530, 0.1), noise(520, 300, 0.05)
    found = shaped(image, np.full_like(image, 0.5), style)
    assert found.std() == pytest.approx(0.05, rel=0.05)


def test_each_region_by_its_own_painting(painting):
    """And both everywhere as the losses leave it, where nothing else is asked for."""
    photo = np.full((48, 48, 3), 0.5, np.float32)
    left = np.zeros((48, 48), np.float32)
    left[:, :24] = 1
    styles = [noise(48, 48, 0.02), noise(48, 48, 0.2)]
    run = nst_tf.StyleTransfer(
        photo,
        [nst_tf.Masked(styles[0], left), nst_tf.Masked(styles[1], 1 - left)],
        preset="crisp",
        init=noise(48, 48, 0.2),
        **SMALL,
    )
    next(iter(run))  # the initial image
    calm, loud = deviations(run.best)
    assert calm < 0.04 and loud > 0.15
    free = nst_tf.StyleTransfer(
        photo, styles, preset="crisp", grain="free", init=noise(48, 48, 0.2), **SMALL
    )
    next(iter(free))
    assert min(deviations(free.best)) > 0.15


def test_without_memory_the_picture_is_kept(scene, painting, monkeypatch):
    def no_memory(*_, **__):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM")

    free = nst_tf.stylize(scene, painting, preset="crisp", grain="free", **SMALL)
    monkeypatch.setattr(grain, "shaped", no_memory)
    with pytest.warns(UserWarning, match="no memory for grain=painting"):
        kept = nst_tf.stylize(scene, painting, preset="crisp", **SMALL)
    np.testing.assert_array_equal(kept.array, free.array)


def test_what_is_protected_stays(scene, painting):
    mask = np.zeros(scene.shape[:2], np.float32)
    mask[:, : mask.shape[1] // 2] = 1
    result = nst_tf.stylize(scene, painting, preset="crisp", protect=mask, **SMALL)
    photo = nst_tf.pictures.images.load(scene, 48)
    width = result.array.shape[1]
    np.testing.assert_array_equal(
        result.array[:, : width // 2 - 1], photo[:, : width // 2 - 1].clip(0, 1)
    )
