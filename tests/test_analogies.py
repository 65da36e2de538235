"""Image analogies against pictures whose analogy is known, and one pixel at a time."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from nst_tf.classical import analogies, neighbourhoods
from nst_tf.classical.analogies import YIQ, Pair
from nst_tf.errors import SettingsError

draw = np.random.default_rng(0)
#: Smooth random pictures: neighbouring pixels belong together, as they do in a photo.
CONTENT, STYLE = (
    np.clip(0.5 + 3 * ndimage.gaussian_filter(draw.standard_normal(shape), (2, 2, 0)), 0, 1)
    for shape in ((24, 30, 3), (28, 26, 3))
)


def runs(sources, width):
    """The mean length of pieces that are copied from one row of the example as a whole."""
    breaks = np.diff(sources, axis=1) != 1
    return sources.size / (breaks.sum() + len(sources))


def test_the_identity_returns_the_picture_itself():
    """A = A′ and B = A: the nearest neighbourhood of every pixel is its own."""
    made = analogies.transfer(STYLE, STYLE, smoothing=1)
    assert made.dtype == np.float32
    np.testing.assert_array_equal(made, STYLE.astype(np.float32))
    luminance = STYLE @ YIQ[0]
    found = analogies.match(Pair(luminance, luminance), luminance, kappa=5, levels=3, window=5)
    np.testing.assert_array_equal(found, np.arange(found.size).reshape(found.shape))


def test_a_filter_is_learned():
    """A′ is A upside down in brightness: so is B′."""
    plain = ndimage.gaussian_filter(draw.random((48, 48)), 1.5)
    target = plain[8:40, 12:44]
    found = analogies.match(Pair(plain, 1 - plain), target, kappa=0, levels=2, window=5)
    inner = np.s_[3:-3, 3:-3]
    error = np.abs((1 - plain).ravel()[found] - (1 - target))[inner]
    assert error.mean() < 0.1 * target.std()


def test_a_piece_of_the_example_is_found_in_it():
    """Away from its edges, where the piece knows less than the example."""
    luminance = STYLE @ YIQ[0]
    piece = luminance[4:24, 6:22]
    found = analogies.match(Pair(luminance, luminance), piece, kappa=1, levels=1, window=5)
    rows, columns = np.divmod(found, luminance.shape[1])
    y, x = np.indices(piece.shape)
    right = (rows == y + 4) & (columns == x + 6)
    assert right[4:-4, 4:-4].mean() > 0.95


@pytest.mark.parametrize("levels", [1, 3])
def test_fronts_give_what_scan_lines_give(levels, monkeypatch):
    arguments = Pair(STYLE @ YIQ[0], ndimage.grey_dilation(STYLE @ YIQ[0], 3)), CONTENT @ YIQ[0]
    found = analogies.match(*arguments, kappa=2, levels=levels, window=5)

    def scan_lines(height, width, reach):
        for y, x in np.ndindex(height, width):
            yield np.array([y]), np.array([x])

    monkeypatch.setattr(neighbourhoods, "fronts", scan_lines)
    np.testing.assert_array_equal(
        analogies.match(*arguments, kappa=2, levels=levels, window=5), found
    )


def test_one_level_against_loops(monkeypatch):
    """Section 3.2 word for word: all features, exact search, pixel by pixel."""
    monkeypatch.setattr(analogies, "VARIANCE", 1.0)
    monkeypatch.setattr(analogies, "SLACK", 0.0)
    plain, filtered, target = (draw.random(shape) for shape in ((9, 8), (9, 8), (7, 10)))
    kappa, found = 3.0, None
    found = analogies.match(Pair(plain, filtered), target, kappa=kappa, levels=1, window=3)
    window = [(v, u) for v in (-1, 0, 1) for u in (-1, 0, 1)]
    falloff = [np.exp(-(v * v + u * u) / (2 * 0.75**2)) for v, u in window]
    weights = np.concatenate([np.divide(falloff, sum(falloff)), falloff[:4] / np.sum(falloff[:4])])

    def features(first, second, y, x):
        first, second = np.pad(first, 1, "edge"), np.pad(second, 1, "edge")
        return np.array(
            [first[y + 1 + v, x + 1 + u] for v, u in window]
            + [second[y + 1 + v, x + 1 + u] for v, u in window[:4]]
        )

    known = {(y, x): features(plain, filtered, y, x) for y, x in np.ndindex(*plain.shape)}
    result, sources = target.copy(), {}
    for y, x in np.ndindex(*target.shape):
        edge = np.pad(target, 1, "edge")
        edge[1:-1, 1:-1] = result
        own = np.array(
            [np.pad(target, 1, "edge")[y + 1 + v, x + 1 + u] for v, u in window]
            + [edge[y + 1 + v, x + 1 + u] for v, u in window[:4]]
        )
        away = {place: (weights * (other - own) ** 2).sum() for place, other in known.items()}
        chosen = min(away, key=away.__getitem__)
        moved = [
            (sources[y + v, x + u][0] - v, sources[y + v, x + u][1] - u)
            for v, u in window[:4]
            if (y + v, x + u) in sources
        ]
        coherent = min((place for place in moved if place in away), key=away.get, default=None)
        if coherent and away[coherent] <= away[chosen] * (1 + kappa):
            chosen = coherent
        sources[y, x], result[y, x] = chosen, filtered[chosen]
    expected = [8 * row + column for row, column in sources.values()]
    np.testing.assert_array_equal(found.ravel(), expected)


def test_kappa_makes_pieces_longer():
    example = Pair(ndimage.gaussian_filter(STYLE @ YIQ[0], 1), STYLE @ YIQ[0])
    lengths = [
        runs(analogies.match(example, CONTENT @ YIQ[0], kappa=kappa, levels=3, window=5), 26)
        for kappa in (0.0, 5.0, 100.0)
    ]
    assert lengths[0] < lengths[1] < lengths[2]
    assert lengths[2] > 2 * lengths[0]


def test_coherence_counts_less_at_coarser_levels(monkeypatch):
    """1 + 2^(l − L) κ, L being the finest level."""
    tolerances = []

    class Told(analogies.Level):
        def __init__(self, *arguments):
            tolerances.append(arguments[-1])
            super().__init__(*arguments)

    monkeypatch.setattr(analogies, "Level", Told)
    analogies.transfer(CONTENT, STYLE, kappa=4, levels=3)
    assert tolerances == [2, 3, 5]


def test_luminance_is_remapped():
    plain, filtered, target = draw.random((5, 6)), draw.random((5, 6)), 0.3 * draw.random((4, 7))
    mapped = analogies.remapped(Pair(plain, filtered), target)
    assert mapped.plain.mean() == pytest.approx(target.mean())
    assert mapped.plain.std() == pytest.approx(target.std())
    slope = target.std() / plain.std()
    np.testing.assert_allclose(mapped.filtered - mapped.plain, slope * (filtered - plain))
    flat = analogies.remapped(Pair(np.ones((3, 3)), np.ones((3, 3))), target)
    np.testing.assert_allclose(flat.plain, target.mean())


def test_brightness_and_contrast_of_the_content_do_not_matter():
    dark = 0.25 * CONTENT + 0.1
    np.testing.assert_array_equal(
        analogies.transfer(dark, STYLE), analogies.transfer(0.5 * dark + 0.25, STYLE)
    )


def test_colours_are_the_paintings_or_the_contents():
    painted = analogies.transfer(CONTENT, STYLE)
    assert painted.shape == CONTENT.shape
    pixels = {tuple(pixel) for pixel in np.float32(STYLE).reshape(-1, 3).tolist()}
    assert {tuple(pixel) for pixel in painted.reshape(-1, 3).tolist()} <= pixels
    # Muted, so that nothing is clipped.
    content, style = (0.3 * picture + 0.35 for picture in (CONTENT, STYLE))
    kept = analogies.transfer(content, style, colour="content")
    np.testing.assert_allclose(kept @ YIQ[1:].T, content @ YIQ[1:].T, atol=1e-6)
    assert np.abs((kept - content) @ YIQ[0]).max() > 1e-3


def test_the_report_ends_at_one_and_may_stop_the_work():
    shares: list[float] = []
    first = analogies.transfer(CONTENT, STYLE, report=shares.append)
    assert shares == sorted(shares) and 0 < shares[0] < 0.1 and shares[-1] == 1
    np.testing.assert_array_equal(first, analogies.transfer(CONTENT, STYLE))

    def stop(share):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        analogies.transfer(CONTENT, STYLE, report=stop)


@pytest.mark.parametrize("shape", [(1, 1, 3), (2, 9, 3)])
def test_tiny_and_flat_pictures(shape):
    assert analogies.transfer(np.full(shape, 0.5), STYLE).shape == shape
    made = analogies.transfer(CONTENT, np.full(shape, 0.25))
    np.testing.assert_array_equal(made, np.full_like(made, 0.25))


@pytest.mark.parametrize(
    "options, message",
    [
        ({"kappa": -1}, "kappa is -1: use at least 0"),
        ({"levels": 0}, "levels is 0"),
        ({"window": 6}, "window is 6: use an odd number"),
        ({"smoothing": 0}, "smoothing is 0"),
        ({"colour": "both"}, "no colour 'both': use one of style, content"),
        ({"content": CONTENT[..., 0]}, "content has the shape"),
        ({"style": STYLE + np.nan}, "style has values"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(SettingsError, match=message):
        analogies.transfer(**{"content": CONTENT, "style": STYLE, **options})
