"""Image quilting: distances and cuts against brute force, patterns whose continuation is known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from nst_tf.classical import quilting, seams
from nst_tf.classical.patches import Patches, Target
from nst_tf.errors import SettingsError

draw = np.random.default_rng(0)
NOISE = draw.random((40, 44, 3)).astype(np.float32)
GRAY = np.array([0.299, 0.587, 0.114])


def coloured(values: np.ndarray) -> np.ndarray:
    """A picture of numbers from 0 to 1, each its own colour."""
    return np.stack([values, 1 - values, values**2], -1).astype(np.float32)


def windows(picture: np.ndarray, side: int) -> set[bytes]:
    """Every patch of that side."""
    rows, columns = (length - side + 1 for length in picture.shape[:2])
    return {
        picture[y : y + side, x : x + side].tobytes() for y in range(rows) for x in range(columns)
    }


# Patches


@pytest.mark.parametrize("shape", [(5, 7), (1, 1), (23, 31), (23, 2)])
def test_distances_against_brute_force(shape):
    picture = draw.random((23, 31, 4))
    targets = [
        Target(draw.random((*shape, 4)), draw.random((*shape, 1)) * (draw.random(4) > 0.5)),
        Target(draw.random((*shape, 4)), np.array([0.2, 0, 0, 3])),
    ]
    expected = np.zeros((23 - shape[0] + 1, 31 - shape[1] + 1))
    for y, x in np.ndindex(expected.shape):
        patch = picture[y : y + shape[0], x : x + shape[1]]
        expected[y, x] = sum((t.weights * (patch - t.patch) ** 2).sum() for t in targets)
    source = Patches(picture)
    # The second time, with what was kept of the first.
    for _ in range(2):
        np.testing.assert_allclose(source.distances(targets), expected, rtol=1e-9, atol=1e-11)
    other = [Target(targets[0].patch, np.ones(4))]
    assert not np.allclose(source.distances(other), expected)


def test_the_distance_of_a_patch_from_itself_is_never_negative():
    found = Patches(NOISE.astype(float)).distances([Target(NOISE[9:25, 7:23], np.ones(3))])
    assert found.min() == found[9, 7] >= 0
    assert found[9, 7] < quilting.ROUNDING


@pytest.mark.parametrize("shape", [(41, 3, 3), (3, 45, 3), (3, 3, 4)])
def test_patches_that_do_not_fit(shape):
    with pytest.raises(SettingsError, match=f"a patch of .{shape[0]}, {shape[1]}, {shape[2]}"):
        Patches(NOISE).distances([Target(np.zeros(shape), np.ones(shape))])


# Seams


def paths(rows: int, columns: int):
    """Every path from the first row to the last."""
    for path in itertools.product(range(columns), repeat=rows):
        if all(abs(a - b) <= 1 for a, b in itertools.pairwise(path)):
            yield path


@pytest.mark.parametrize("shape", [(6, 3), (1, 4), (5, 1), (4, 5), (1, 1)])
def test_a_cut_is_the_cheapest_of_all_paths(shape):
    error = draw.random(shape)
    rows = np.arange(shape[0])
    best = min(paths(*shape), key=lambda path: error[rows, list(path)].sum())
    assert seams.cut(error).tolist() == list(best)


def test_ties_are_cut_somewhere_at_no_higher_cost():
    error = draw.integers(0, 2, (7, 4))
    rows, found = np.arange(7), seams.cut(error)
    assert error[rows, found].sum() == min(error[rows, list(path)].sum() for path in paths(7, 4))
    assert abs(np.diff(found)).max() <= 1
    assert seams.cut(error).tolist() == found.tolist()


def test_a_cut_is_never_worse_than_a_straight_one():
    error = draw.random((60, 9)) ** 4
    path = seams.cut(error)
    assert error[np.arange(60), path].sum() < error.sum(0).min()


def test_a_block_covers_what_is_right_of_one_cut_or_below_it():
    error = draw.random((6, 8))
    path = seams.cut(error[:, :3])
    expected = np.array([[x >= path[y] for x in range(8)] for y in range(6)])
    np.testing.assert_array_equal(seams.block_mask(error, 0, 3), expected)
    np.testing.assert_array_equal(seams.block_mask(error.T, 3, 0), expected.T)
    assert seams.block_mask(error, 0, 0).all()
    assert seams.block_mask(error, 1, 1).all()


@pytest.mark.parametrize("top, left", [(2, 2), (2, 3), (3, 1)])
def test_in_the_corner_both_cuts_meet_where_they_are_cheapest_together(top, left):
    """Against every pair of paths from every pixel of the corner."""
    for _ in range(4):
        error = draw.random((5, 6))
        best, expected = np.inf, None
        for y, x in np.ndindex(top, left):
            for down in paths(5 - y, left):
                for across in paths(6 - x, top):
                    if down[0] != x or across[0] != y:
                        continue
                    cost = error[range(y, 5), down].sum() + error[across, range(x, 6)].sum()
                    if cost - error[y, x] < best:
                        best, expected = cost - error[y, x], (y, x, down, across)
        y, x, down, across = expected
        mask = np.zeros((5, 6), bool)
        for row, column in np.ndindex(5, 6):
            right = column >= (down[row - y] if row >= y else x)
            below = row >= (across[column - x] if column >= x else y)
            mask[row, column] = right and below
        np.testing.assert_array_equal(seams.block_mask(error, top, left), mask)


# Synthesis


@pytest.mark.parametrize("seed", range(3))
def test_stripes_keep_their_period(seed):
    """Seven columns, each of its own colour: one column says how it goes on."""
    stripes = np.tile(coloured(np.arange(7)[np.newaxis] / 7), (30, 5, 1))
    made = quilting.synthesize(stripes, 47, 61, block=13, seed=seed)
    assert made.shape == (47, 61, 3) and made.dtype == np.float32
    np.testing.assert_array_equal(made[:, 7:], made[:, :-7])
    assert windows(made, 8) <= windows(stripes, 8)
    turned = quilting.synthesize(stripes.swapaxes(0, 1), 61, 47, block=13, seed=seed)
    np.testing.assert_array_equal(turned[7:], turned[:-7])


@pytest.mark.parametrize("seed", range(3))
def test_a_checkerboard_goes_on(seed):
    board = coloured((np.indices((36, 36)) // 4).sum(0) % 2 * 0.8)
    made = quilting.synthesize(board, 50, 50, block=16, overlap=5, seed=seed)
    np.testing.assert_array_equal(made[:, 8:], made[:, :-8])
    np.testing.assert_array_equal(made[8:], made[:-8])
    np.testing.assert_array_equal(made[4:, 4:], made[:-4, :-4])
    assert windows(made, 9) <= windows(board, 9)


def test_letters_stay_letters():
    rows = ["......", ".####.", ".#....", ".###..", ".#....", ".#....", "......"]
    glyph = np.array([[letter == "#" for letter in row] for row in rows], float)
    page = coloured(np.tile(glyph, (5, 6)))
    made = quilting.synthesize(page, 45, 40, block=18, overlap=7, seed=4)
    assert windows(made, 7) <= windows(page, 7)
    np.testing.assert_array_equal(made[7:], made[:-7])


def test_every_pixel_is_one_of_the_textures():
    made = quilting.synthesize(NOISE, 50, 31, block=12)
    assert windows(made, 1) <= windows(NOISE, 1)


def test_the_last_block_is_whole_but_for_its_cuts():
    """They leave something of its neighbours, which none of so few patches goes on."""
    piece = NOISE[:14, :14]
    made = quilting.synthesize(piece, 42, 32, block=12)
    assert made[-10:, -10:].tobytes() in windows(piece, 10)
    assert made[-12:, -12:].tobytes() not in windows(piece, 12)


def test_a_picture_smaller_than_a_block_is_a_piece_of_one():
    assert quilting.synthesize(NOISE, 5, 3, block=20).tobytes() in {
        NOISE[y : y + 5, x : x + 3].tobytes() for y in range(36) for x in range(42)
    }


def test_blocks_are_drawn_within_the_tolerance():
    errors = np.array([[1.2, 1.0, 1.09], [1.11, 1.05, 9.0]])
    choose = quilting._chooser(0.1, 0)
    assert {choose(errors) for _ in range(100)} == {(0, 1), (0, 2), (1, 1)}
    # Where the best is right, so are those that are as right but for rounding.
    exact = np.array([[1e-13, 0.0, 1.5e-5], [1.0, 3e-12, 2.0]])
    assert {choose(exact) for _ in range(100)} == {(0, 0), (0, 1), (1, 1)}


# Transfer


def test_the_schedule_is_the_papers():
    assert quilting.schedule(36, 3) == [(36, 0.1), (24, 0.5), (16, 0.9)]
    sides, alphas = zip(*quilting.schedule(81, 5), strict=True)
    assert sides == (81, 54, 36, 24, 16)
    np.testing.assert_allclose(alphas, [0.8 * (i - 1) / 4 + 0.1 for i in range(1, 6)])
    assert quilting.schedule(5, 1) == [(5, 0.1)]
    assert quilting.schedule(4, 5)[-1] == (3, 0.9)


@pytest.mark.parametrize("correspondence", quilting.CORRESPONDENCES)
def test_a_style_on_itself_is_itself(correspondence):
    made = quilting.transfer(NOISE, NOISE, correspondence=correspondence)
    np.testing.assert_array_equal(made, NOISE)


@pytest.mark.parametrize("alphas", [(0.1, 0.9), (0, 1)])
def test_a_piece_of_the_style_is_found_in_it(alphas):
    """Where the last α is 1, it is the pass before alone that says what is where."""
    piece = NOISE[5:34, 3:40]
    made = quilting.transfer(piece, NOISE, block=9, alphas=alphas, match_luminance=False)
    np.testing.assert_array_equal(made, piece)


def test_a_dark_content_is_matched_to_the_style():
    dark = 0.1 * NOISE
    np.testing.assert_array_equal(quilting.transfer(dark, NOISE, block=9), NOISE)
    unmatched = quilting.transfer(dark, NOISE, block=9, match_luminance=False)
    assert (unmatched @ GRAY).mean() < (NOISE @ GRAY).mean() - 0.02


def test_the_content_is_followed_the_more_the_smaller_alpha_is():
    content, style = draw.random((2, 30, 32, 3))
    errors = []
    for alpha in (0, 0.5, 0.9, 1):
        made = quilting.transfer(
            content, style, block=8, alphas=(alpha, alpha), match_luminance=False
        )
        errors.append(np.square((made - content) @ GRAY).mean())
    assert errors == sorted(errors)
    assert errors[0] < 0.6 * errors[-1]


def test_neighbours_fit_the_better_the_larger_alpha_is():
    """Of a smooth style, steps between neighbouring pixels are seams."""
    content = draw.random((36, 36, 3))
    style = coloured((np.indices((40, 40)) / 40).mean(0))
    steps = [
        np.abs(
            np.diff(quilting.transfer(content, style, block=9, alphas=(alpha, alpha)), axis=0)
        ).mean()
        for alpha in (0.0, 0.9)
    ]
    assert steps[1] < 0.7 * steps[0]


def test_a_blurred_map_does_not_see_fine_detail():
    """To a blurred eye a fine checkerboard and plain gray are the same."""
    board = np.repeat((np.indices((24, 40)).sum(0) % 2)[..., np.newaxis], 3, -1).astype(float)
    style = np.concatenate([board, np.full_like(board, 0.5)], 1)
    options = {"block": 12, "iterations": 1, "alphas": (0, 0), "match_luminance": False}
    np.testing.assert_array_equal(quilting.transfer(board, style, **options), board)
    blurred = quilting.transfer(board, style, correspondence="blurred", **options)
    assert 0.2 < (blurred == 0.5).mean() < 0.9


# What both have in common


def of_a_seed(method: str, seed: int, report=None) -> np.ndarray:
    if method == "synthesize":
        return quilting.synthesize(NOISE, 50, 51, block=12, seed=seed, report=report)
    photo = np.random.default_rng(1).random((30, 50, 3))
    # Sloppy, or noise would leave no choice.
    return quilting.transfer(photo, NOISE, block=9, tolerance=0.5, seed=seed, report=report)


@pytest.mark.parametrize("method", ["synthesize", "transfer"])
def test_the_seed_and_the_report(method):
    shares: list[float] = []
    first = of_a_seed(method, 1, shares.append)
    assert first.dtype == np.float32
    np.testing.assert_array_equal(first, of_a_seed(method, 1))
    assert not np.array_equal(first, of_a_seed(method, 2))
    assert shares == sorted(shares) and len(set(shares)) > 3
    assert shares[0] > 0 and shares[-1] == 1

    def stop(share):
        shares.append(share)
        raise InterruptedError

    count = len(shares)
    with pytest.raises(InterruptedError):
        of_a_seed(method, 1, stop)
    assert len(shares) == count + 1


@pytest.mark.parametrize(
    "options, message",
    [
        ({"block": 41}, "block 41 is larger than texture, which is 44×40: use at most 40"),
        ({"block": 1}, "block is 1: use at least 2"),
        ({"overlap": 0}, "overlap is 0: use 1 to 23 with blocks of 24"),
        ({"overlap": 24}, "overlap is 24"),
        ({"tolerance": -0.1}, "tolerance is -0.1"),
        ({"height": 0}, "height is 0"),
        ({"width": -3}, "width is -3"),
        ({"texture": NOISE[..., 0]}, "texture has the shape"),
        ({"texture": NOISE * np.nan}, "texture has values"),
    ],
)
def test_what_cannot_be_synthesised(options, message):
    with pytest.raises(SettingsError, match=message):
        quilting.synthesize(**{"texture": NOISE, "height": 9, "width": 9, **options})


@pytest.mark.parametrize(
    "options, message",
    [
        ({"block": 30}, "block 30 is larger than content, which is 33×29: use at most 29"),
        ({"iterations": 0}, "iterations is 0"),
        ({"correspondence": "hue"}, "no correspondence 'hue': use luminance or blurred"),
        ({"alphas": (0.1, 1.1)}, r"alphas are \(0.1, 1.1\): use two numbers from 0 to 1"),
        ({"alphas": (0.1,)}, "use two numbers"),
        ({"tolerance": np.nan}, "tolerance is nan"),
        ({"content": NOISE[:0]}, "content has the shape"),
        ({"style": NOISE + 1}, "style has values"),
    ],
)
def test_what_cannot_be_transferred(options, message):
    with pytest.raises(SettingsError, match=message):
        quilting.transfer(**{"content": NOISE[:29, :33], "style": NOISE, **options})
