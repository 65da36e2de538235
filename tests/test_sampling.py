"""Non-parametric sampling: distances and order against brute force, patterns that must go on."""

from __future__ import annotations

import numpy as np
import pytest

from nst_tf.classical import sampling
from nst_tf.errors import SettingsError

draw = np.random.default_rng(0)
NOISE = draw.random((20, 22, 3)).astype(np.float32)


def coloured(values: np.ndarray) -> np.ndarray:
    """A picture of numbers from 0 to 1, each its own colour."""
    return np.stack([values, 1 - values, values**2], -1).astype(np.float32)


def windows(picture: np.ndarray, side: int) -> set[bytes]:
    """Every patch of that side."""
    rows, columns = (length - side + 1 for length in picture.shape[:2])
    return {
        picture[y : y + side, x : x + side].tobytes() for y in range(rows) for x in range(columns)
    }


def test_distances_against_brute_force():
    texture, patch = NOISE.astype(float), draw.random((7, 7, 3))
    known = draw.random((7, 7)) > 0.6
    expected, middles = [], []
    for y in range(14):
        for x in range(16):
            total = weight = 0.0
            for row, column in np.argwhere(known):
                away = (row - 3) ** 2 + (column - 3) ** 2
                gaussian = np.exp(-away / (2 * (7 / 6.4) ** 2))
                difference = texture[y + row, x + column] - patch[row, column]
                total += gaussian * np.square(difference).mean()
                weight += gaussian
            expected.append(total / weight)
            middles.append(texture[y + 3, x + 3])
    compared = sampling._Windows(texture, 7)
    np.testing.assert_allclose(compared.distances(patch, known), expected, rtol=1e-9)
    np.testing.assert_array_equal(compared.middles, middles)
    # What is not known does not matter, and nothing is nearer than the same.
    same = np.where(known[..., np.newaxis], texture[2:9, 3:10], 5.0)
    found = compared.distances(same, known)
    assert found.argmin() == 2 * 16 + 3 and 0 <= found.min() < sampling.ROUNDING


def test_pixels_with_the_most_filled_neighbours_come_first():
    filled = np.zeros((12, 15), bool)
    filled[3:7, 4:9] = filled[6, 9] = filled[0, 0] = True
    layer = sampling._layer(filled, 5, np.random.default_rng(0)).tolist()
    padded, counts, expected = np.pad(filled, 2), [], set()
    for y, x in np.argwhere(~filled):
        if np.pad(filled, 1)[y : y + 3, x : x + 3].any():
            expected.add((int(y), int(x)))
    counts = [padded[y : y + 5, x : x + 5].sum() for y, x in layer]
    assert {(y, x) for y, x in layer} == expected and len(layer) == len(expected)
    assert counts == sorted(counts, reverse=True)
    # Ties are drawn.
    assert layer != sampling._layer(filled, 5, np.random.default_rng(1)).tolist()


@pytest.mark.parametrize("seed", range(2))
def test_stripes_keep_their_period(seed):
    stripes = np.tile(coloured(np.arange(5)[np.newaxis] / 5), (12, 4, 1))
    made = sampling.synthesize(stripes, 21, 27, window=7, seed=seed)
    assert made.shape == (21, 27, 3) and made.dtype == np.float32
    np.testing.assert_array_equal(made[:, 5:], made[:, :-5])
    assert windows(made, 6) <= windows(stripes, 6)


@pytest.mark.parametrize("seed", range(2))
def test_a_checkerboard_goes_on(seed):
    board = coloured((np.indices((20, 20)) // 3).sum(0) % 2 * 0.8)
    made = sampling.synthesize(board, 25, 24, window=9, seed=seed)
    np.testing.assert_array_equal(made[:, 6:], made[:, :-6])
    np.testing.assert_array_equal(made[6:], made[:-6])
    assert windows(made, 7) <= windows(board, 7)


def test_letters_stay_letters():
    rows = [".....", ".###.", ".#...", ".##..", ".#...", "....."]
    glyph = np.array([[letter == "#" for letter in row] for row in rows], float)
    page = coloured(np.tile(glyph, (4, 5)))
    made = sampling.synthesize(page, 24, 25, window=11)
    assert windows(made, 6) <= windows(page, 6)


def test_pixels_are_the_textures_and_the_middle_is_a_patch_of_it():
    made = sampling.synthesize(NOISE, 15, 12, window=5)
    assert windows(made, 1) <= windows(NOISE, 1)
    assert made[6:9, 4:7].tobytes() in windows(NOISE, 3)
    assert sampling.synthesize(NOISE, 3, 3, window=5).tobytes() in windows(NOISE, 3)
    assert sampling.synthesize(NOISE, 2, 1, window=5).shape == (2, 1, 3)


def test_without_an_epsilon_noise_goes_on_as_it_was():
    """The only exact match is where the seed came from, until its window leaves the texture."""
    made = sampling.synthesize(NOISE, 5, 5, window=3, epsilon=0, seed=5)
    assert made.tobytes() in windows(NOISE, 5)


def test_a_poor_match_waits_for_a_greater_error():
    """Where every match is good enough, each try fills a whole ring around the middle."""
    tries: dict[float, list[float]] = {9.0: [], 1e-3: []}
    for max_error, shares in tries.items():
        sampling.synthesize(NOISE, 15, 15, window=5, max_error=max_error, report=shares.append)
    rings = [(3 + 2 * ring) ** 2 / 15**2 for ring in range(1, 7)]
    np.testing.assert_allclose(tries[9.0], rings)
    assert len(tries[1e-3]) > 20 and tries[1e-3][-1] == 1


def test_the_seed_and_the_report():
    shares: list[float] = []
    first = sampling.synthesize(NOISE, 14, 14, window=5, seed=1, report=shares.append)
    np.testing.assert_array_equal(first, sampling.synthesize(NOISE, 14, 14, window=5, seed=1))
    assert not np.array_equal(first, sampling.synthesize(NOISE, 14, 14, window=5, seed=2))
    assert shares == sorted(shares) and len(shares) > 3
    assert 0 < shares[0] < 1 and shares[-1] == 1

    def stop(share):
        raise InterruptedError

    with pytest.raises(InterruptedError):
        sampling.synthesize(NOISE, 14, 14, window=5, report=stop)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"window": 21}, "window 21 is larger than texture, which is 22×20: use at most 20"),
        ({"window": 6}, "window is 6: use an odd number"),
        ({"window": 1}, "window is 1: use at least 3"),
        ({"epsilon": -1}, "epsilon is -1"),
        ({"max_error": 0}, "max_error is 0: use a number above 0"),
        ({"max_error": np.nan}, "max_error is nan"),
        ({"height": 0}, "height is 0"),
        ({"width": 0}, "width is 0"),
        ({"texture": NOISE[..., :2]}, "texture has the shape"),
        ({"texture": NOISE - 1}, "texture has values"),
    ],
)
def test_what_cannot_be_synthesised(options, message):
    with pytest.raises(SettingsError, match=message):
        sampling.synthesize(**{"texture": NOISE, "height": 9, "width": 9, **options})
