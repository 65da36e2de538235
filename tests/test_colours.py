"""Colour controls against scikit-image's Lab, published OKLab values, and what each has to do."""

import numpy as np
import pytest
from skimage.color import lab2rgb, rgb2lab

from nst_tf.classical import colour
from nst_tf.errors import SettingsError
from nst_tf.pictures import colours, images, spaces
from nst_tf.pictures.gamut import HELD, Gamut
from nst_tf.pictures.guided import box, guided_filter

draw = np.random.default_rng(0)
NOISE = draw.random((24, 31, 3))
CORNERS = np.stack(np.meshgrid(*[[0.0, 0.001, 0.04, 0.5, 1.0]] * 3), -1).reshape(-1, 1, 3)
FLAT = np.full((6, 7, 3), (0.2, 0.4, 0.7))
GRAY = np.repeat(draw.random((20, 20, 1)), 3, -1)
BLACK, WHITE = np.zeros((5, 5, 3)), np.ones((5, 5, 3))
COLUMN, PIXEL = NOISE[:, :1], NOISE[:1, :1]
ODD = [FLAT, GRAY, BLACK, WHITE, COLUMN, COLUMN.transpose(1, 0, 2), PIXEL]


def covariance(picture):
    return np.cov(np.float64(picture).reshape(-1, 3), rowvar=False, bias=True)


def soft(height, width, *hues):
    """A picture without edges or speckle, from one colour to the next, all well within sRGB."""
    down, across = np.mgrid[:height, :width] / max(height, width)
    share = 0.5 + 0.5 * np.sin(3 * down + 2 * across)[..., np.newaxis]
    return share * np.asarray(hues[0]) + (1 - share) * np.asarray(hues[1])


# Spaces.


def test_lab_is_scikit_images():
    for picture in (NOISE, CORNERS):
        # Its white point has five digits.
        np.testing.assert_allclose(spaces.to_lab(picture), rgb2lab(picture), rtol=0, atol=0.02)
        np.testing.assert_allclose(spaces.from_lab(rgb2lab(picture)), picture, rtol=0, atol=1e-3)
    np.testing.assert_allclose(spaces.to_lab(GRAY)[..., 1:], 0, atol=1e-9)


def test_oklab_has_the_published_values():
    """The table of Ottosson's article, from XYZ; and CSS Color 4's of sRGB's primaries."""
    xyz = np.array([(0.950, 1, 1.089), (1, 0, 0), (0, 1, 0), (0, 0, 1)])
    lab = np.array(
        [(1, 0, 0), (0.450, 1.236, -0.019), (0.922, -0.671, 0.263), (0.153, -1.415, -0.449)]
    )
    linear = xyz @ np.linalg.inv(spaces.XYZ).T
    np.testing.assert_allclose(np.cbrt(linear @ spaces.LMS.T) @ spaces.OKLAB.T, lab, atol=2e-3)
    primaries = [
        (0.62796, 0.22486, 0.12585),
        (0.86644, -0.23389, 0.17950),
        (0.45201, -0.03246, -0.31153),
    ]
    np.testing.assert_allclose(spaces.to_oklab(np.eye(3)), primaries, rtol=0, atol=2e-5)


def test_there_and_back():
    for picture in (NOISE, CORNERS):
        for there, back in ((spaces.to_lab, spaces.from_lab), (spaces.to_oklab, spaces.from_oklab)):
            again = back(there(picture))
            assert again.dtype == np.float32
            np.testing.assert_allclose(again, picture, rtol=0, atol=1e-6)


def test_towards_ends_at_the_border_of_srgb():
    start = spaces.to_oklab(np.full((50, 3), 0.5))
    angle = np.linspace(0, 2 * np.pi, 50)
    wanted = start + 0.5 * np.stack([0 * angle, np.cos(angle), np.sin(angle)], -1)
    found = spaces.towards(start, wanted, spaces.oklab_to_linear)
    linear = spaces.oklab_to_linear(found)
    # On the way, within sRGB, and with one channel at its end.
    np.testing.assert_allclose(found[:, 0], start[:, 0])
    np.testing.assert_allclose(
        np.arctan2(found[:, 2], found[:, 1]) % (2 * np.pi), angle % (2 * np.pi), atol=1e-6
    )
    assert linear.min() > -1e-4 and linear.max() < 1 + 1e-4
    assert (np.minimum(linear, 1 - linear).min(-1) < 2e-3).all()
    within = start + 0.02 * (wanted - start)
    np.testing.assert_array_equal(spaces.towards(start, within, spaces.oklab_to_linear), within)


# The photo's colours.


def test_keep_has_the_photos_colours_and_the_results_lightness(scene, painting):
    content = images.resize(scene, 60, 80)
    result = images.resize(painting, 60, 80)
    kept = rgb2lab(images.to_uint8(colours.keep(result, content)) / 255)
    photo, wanted = rgb2lab(np.float64(content)), rgb2lab(np.float64(result))
    assert (np.abs(kept - photo)[..., 1:].mean((0, 1)) < 0.5).all()
    # Clipping RGB instead would lose more than twice this bound.
    assert np.corrcoef(kept[..., 0].ravel(), wanted[..., 0].ravel())[0, 1] > 0.97


def test_keep_gives_up_lightness_only_where_it_must():
    """Saturated colours under any lightness: the bound is exact, by search over all lightness."""
    content, result = NOISE, NOISE[::-1, ::-1]
    kept = rgb2lab(np.float64(colours.keep(result, content)))
    photo, wanted = rgb2lab(content), rgb2lab(result)
    assert np.abs(kept - photo)[..., 1:].max() < 0.1
    for row, column in [(3, 4), (10, 20), (17, 2), (20, 30), (5, 15)]:
        levels = np.linspace(0, 100, 1001)
        candidates = np.stack(
            [levels, *np.ones((2, 1001)) * photo[row, column, 1:, np.newaxis]], -1
        )
        linear = spaces.lab_to_linear(candidates)
        fits = levels[((linear >= -1e-5) & (linear <= 1 + 1e-5)).all(-1)]
        nearest = fits[np.abs(fits - wanted[row, column, 0]).argmin()]
        assert abs(kept[row, column, 0] - nearest) < 0.3


def test_keep_of_itself_and_of_gray():
    np.testing.assert_allclose(colours.keep(NOISE, NOISE), NOISE, rtol=0, atol=1e-5)
    gray = colours.keep(NOISE[:20, :20], GRAY)
    np.testing.assert_allclose(gray, colours.luminance(NOISE[:20, :20]), rtol=0, atol=1e-5)
    np.testing.assert_allclose(rgb2lab(gray)[..., 0], rgb2lab(NOISE[:20, :20])[..., 0], atol=0.05)
    assert np.ptp(gray, axis=-1).max() < 1e-6


def test_keep_wants_one_size():
    with pytest.raises(SettingsError, match="one size"):
        colours.keep(NOISE, NOISE[1:])


# Matching.


def test_match_gives_mean_and_covariance():
    to = 0.5 + 0.2 * (NOISE - 0.5) @ np.array([[1, 0.5, 0], [0, 1, -0.4], [0.3, 0, 0.8]])
    matched = colours.match(0.5 + 0.3 * (draw.random((15, 40, 3)) - 0.5), to)
    assert matched.min() > 0 and matched.max() < 1
    np.testing.assert_allclose(matched.mean((0, 1)), to.mean((0, 1)), rtol=0, atol=1e-5)
    np.testing.assert_allclose(covariance(matched), covariance(to), rtol=0, atol=1e-5)


def test_match_gives_them_although_it_clips():
    """Half of one picture is black, the other has spread everywhere: colours must leave RGB."""
    half, to = NOISE * (np.arange(31) % 2)[:, np.newaxis], np.sqrt(NOISE[::2])
    matched, once = colours.match(half, to), colour.monge_kantorovich(half, to)
    assert (once == 1).any() and matched.min() >= 0 and matched.max() <= 1
    before, after = (np.abs(covariance(one) - covariance(to)).max() for one in (once, matched))
    assert after < min(0.004, before / 4)
    np.testing.assert_allclose(matched.mean((0, 1)), to.mean((0, 1)), rtol=0, atol=0.004)


# The guided filter.


def test_box_is_the_mean_of_the_window():
    for radius in (0, 1, 4, 40):
        for maps in (NOISE, COLUMN):
            expected = np.empty_like(maps)
            for row, column in np.ndindex(maps.shape[:2]):
                rows = slice(max(row - radius, 0), row + radius + 1)
                columns = slice(max(column - radius, 0), column + radius + 1)
                expected[row, column] = maps[rows, columns].mean((0, 1))
            np.testing.assert_allclose(box(maps, radius), expected, rtol=0, atol=1e-12)


def test_the_guided_filter_is_every_windows_regression():
    """Ridge regression in each window, then the mean of what all windows say of a pixel."""
    guide, maps, radius, deviation = NOISE[:9, :12, 0], NOISE[:9, :12, 1:], 2, 0.1
    said = np.zeros_like(maps)
    times = np.zeros((9, 12, 1))
    for row, column in np.ndindex(guide.shape):
        window = np.s_[
            max(row - radius, 0) : row + radius + 1, max(column - radius, 0) : column + radius + 1
        ]
        light, values = guide[window].ravel(), maps[window].reshape(-1, 2)
        # Least squares with a penalty of deviation² on the slope, a row a pixel and one for it.
        penalty = deviation * np.sqrt(len(light))
        rows = np.vstack([np.stack([light, np.ones_like(light)], -1), [penalty, 0]])
        fit = np.linalg.lstsq(rows, np.vstack([values, np.zeros(2)]), rcond=None)[0]
        said[window] += guide[window][..., np.newaxis] * fit[0] + fit[1]
        times[window] += 1
    found = guided_filter(guide, maps, radius, deviation)
    # At a pixel it is the mean slope times the guide: the same, as every window has one slope.
    np.testing.assert_allclose(found, said / times, rtol=0, atol=1e-9)


def test_the_guided_filter_keeps_edges_and_ends_speckle():
    guide = np.repeat([[0.2] * 20 + [0.8] * 20], 30, 0)
    clean = np.stack([guide, -guide], -1)
    speckled = clean + 0.1 * draw.standard_normal(clean.shape)
    found = guided_filter(guide, speckled, 4, 0.05)
    assert np.abs(found - clean).mean() < 0.02
    blurred = box(clean, 4)
    assert np.abs(found - clean)[:, 18:22].max() < 0.5 * np.abs(blurred - clean)[:, 18:22].max()


def test_the_guided_filter_says_what_does_not_fit():
    for arguments in [(NOISE[1:, :, 0], NOISE, 2, 0.1), (NOISE[..., 0], NOISE[..., 0], 2, 0.1)]:
        with pytest.raises(SettingsError, match="of shape"):
            guided_filter(*arguments)
    for radius, deviation in [(-1, 0.1), (2, 0.0), (2, np.nan)]:
        with pytest.raises(SettingsError, match="deviation"):
            guided_filter(NOISE[..., 0], NOISE, radius, deviation)


# The painting's palette.


def test_a_result_that_has_the_palette_stays():
    own = soft(150, 200, (0.7, 0.5, 0.2), (0.2, 0.35, 0.6))
    moved = np.linalg.norm(spaces.to_lab(colours.palette(own, own)) - spaces.to_lab(own), axis=-1)
    # Less than is noticeable; the ellipses hold all but a fiftieth, whose pixels move more.
    assert np.median(moved) < 0.5 and np.quantile(moved, 0.95) < 2.3


def test_speckle_goes_and_lightness_stays():
    style = soft(60, 80, (0.7, 0.5, 0.2), (0.2, 0.35, 0.6))
    clean = soft(70, 50, (0.6, 0.5, 0.3), (0.3, 0.4, 0.5))
    lab = rgb2lab(clean)
    lab[draw.random((70, 50)) < 0.1, 1:] += (40, -30)  # purple
    speckled = lab2rgb(lab)
    found = colours.palette(speckled, style)
    assert found.dtype == np.float32 and found.min() >= 0 and found.max() <= 1
    after, own = rgb2lab(np.float64(found)), rgb2lab(style)
    assert np.abs(after - rgb2lab(speckled))[..., 0].mean() < 1
    # How far a pixel's chroma is from its neighbours': a hundredth of what it was.
    rough = [np.diff(one[..., 1:], axis=1).var() for one in (rgb2lab(speckled), after)]
    assert rough[1] < 0.01 * rough[0]
    # Nothing purple is left: the nearest colour of the painting is near, for all.
    apart = np.linalg.norm(after.reshape(-1, 1, 3)[::7] - own.reshape(1, -1, 3)[:, ::5], axis=-1)
    assert apart.min(1).mean() < 5


def test_chroma_has_the_paintings_moments():
    """Where little is smoothed or clamped: from half the spread, and another mean."""
    style = soft(150, 200, (0.7, 0.5, 0.2), (0.2, 0.35, 0.6))
    result = 0.5 * style + 0.5 * np.array([0.5, 0.4, 0.45])
    own, before, after = (
        spaces.to_oklab(one)[..., 1:] for one in (style, result, colours.palette(result, style))
    )
    assert (before.std((0, 1)) < 0.7 * own.std((0, 1))).all()
    np.testing.assert_allclose(after.std((0, 1)), own.std((0, 1)), rtol=0.2)
    np.testing.assert_allclose(after.mean((0, 1)), own.mean((0, 1)), rtol=0, atol=0.003)


def test_several_style_images_have_their_shares():
    """As if the pixels of each had been repeated until there are as many as its share says."""
    first, second = NOISE[:, :10], 0.3 * NOISE[:, 10:30] + 0.6  # twice as many pixels
    one, other = spaces.to_oklab(first), spaces.to_oklab(second)
    repeated = np.concatenate([np.tile(one, (1, 6, 1)), other], axis=1)
    mean, spread = colours._mixed([one, other], np.array([0.75, 0.25]))
    np.testing.assert_allclose(mean, repeated.mean((0, 1)), rtol=0, atol=1e-12)
    np.testing.assert_allclose(spread, covariance(repeated), rtol=0, atol=1e-12)
    mixed, same = Gamut([one, other], np.array([0.75, 0.25])), Gamut([repeated], np.ones(1))
    np.testing.assert_allclose(mixed.moments, same.moments, rtol=1e-9, atol=1e-12)
    assert mixed.radius == pytest.approx(same.radius)
    result = GRAY + 0.3 * (NOISE[:20, :20] - GRAY)
    alone = colours.palette(result, second)
    np.testing.assert_array_equal(colours.palette(result, [second]), alone)
    np.testing.assert_allclose(colours.palette(result, [first, second], (0, 2)), alone, atol=1e-5)
    halves = colours.palette(result, [first, second], (0.5, 0.5))
    np.testing.assert_array_equal(colours.palette(result, [first, second]), halves)
    assert np.abs(halves - alone).max() > 0.05


def test_lightness_stays_where_colours_leave_srgb():
    """Light and dark pixels of a picture in a saturated painting's colours."""
    style = np.where(NOISE[..., :1] < 0.5, (1.0, 0.1, 0.0), (0.0, 0.3, 1.0))
    result = np.clip(1.6 * NOISE - 0.3, 0, 1)
    before, after = spaces.to_oklab(result), spaces.to_oklab(colours.palette(result, style))
    # Nearer to black a hundredth of a level of 8 bits is more than that in OKLab.
    seen = before[..., 0] > 0.1
    np.testing.assert_allclose(after[seen, 0], before[seen, 0], rtol=0, atol=2e-3)


def test_the_palette_is_the_paintings_at_every_lightness():
    """Dark blue and light yellow, of which an inverted picture is made neither."""
    style = soft(60, 80, (0.85, 0.8, 0.5), (0.1, 0.15, 0.4))
    after = rgb2lab(np.float64(colours.palette(1 - style, style)))
    light = after[..., 0] > 70
    assert light.any() and (after[light][:, 2] > 5).mean() > 0.95
    dark = after[..., 0] < 30
    assert dark.any() and (after[dark][:, 2] < -5).mean() > 0.95


def test_the_clamp_is_by_lightness():
    """Dark blue and light yellow: light blue is foreign, although all of its numbers occur."""
    dark, light = (
        spaces.to_oklab(np.array([[0.1, 0.15, 0.4]])),
        spaces.to_oklab(np.array([[0.9, 0.85, 0.6]])),
    )
    pixels = np.concatenate([np.repeat(dark, 500, 0), np.repeat(light, 500, 0)])
    painting = (pixels + 0.01 * draw.standard_normal(pixels.shape))[np.newaxis]
    gamut = Gamut([painting], np.ones(1))
    clamped = gamut.clamp(painting[..., 0], painting[..., 1:])
    still = np.abs(clamped - painting[..., 1:]).max(-1) < 1e-9
    assert still.mean() == pytest.approx(HELD, abs=0.005)
    foreign = gamut.clamp(light[:, 0], dark[:, 1:])
    assert np.abs(foreign - light[:, 1:]).max() < 0.05
    assert np.abs(gamut.clamp(dark[:, 0], dark[:, 1:]) - dark[:, 1:]).max() < 0.01
    # Lightness that the painting has not takes after the nearest.
    np.testing.assert_allclose(gamut.clamp(np.ones(1), light[:, 1:]), light[:, 1:], atol=0.02)


def test_what_has_hardly_any_colour_makes_no_rainbow():
    faint = images.to_uint8(GRAY + 0.002 * draw.standard_normal(GRAY.shape)) / 255
    found = colours.palette(faint, NOISE)
    assert spaces.to_oklab(found)[..., 1:].std((0, 1)).max() < 0.03


@pytest.mark.parametrize("style", [*ODD, NOISE])
@pytest.mark.parametrize("result", [*ODD, NOISE])
def test_odd_pictures_give_pictures(result, style):
    same = np.resize(style, result.shape)
    for found in (
        colours.keep(result, same),
        colours.match(result, style),
        colours.palette(result, style),
        colours.palette(np.float32(result), [np.float32(style), NOISE], (1, 2)),
    ):
        assert found.dtype == np.float32 and found.shape == result.shape
        assert np.isfinite(found).all() and found.min() >= 0 and found.max() <= 1


def test_a_gray_painting_makes_gray():
    found = colours.palette(NOISE, GRAY)
    assert np.abs(rgb2lab(np.float64(found))[..., 1:]).max() < 3


def test_what_does_not_fit_is_said():
    for shares in [(1,), (1, 2, 3), (0, 0), (1, -1), (1, np.nan)]:
        with pytest.raises(SettingsError, match="for 2 style images"):
            colours.palette(NOISE, [NOISE, FLAT], shares)
    for function in (colours.keep, colours.match, colours.palette):
        with pytest.raises(SettingsError, match="RGB in"):
            function(NOISE + 1, NOISE)
        with pytest.raises(SettingsError, match="give a picture"):
            function(NOISE[..., :2], NOISE)
    with pytest.raises(SettingsError, match="give a picture"):
        colours.luminance(NOISE[..., 0])
