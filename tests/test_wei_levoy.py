"""Wei and Levoy's textures and their tree, against patterns that are known and brute force."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import ndimage

from nst_tf.classical import neighbourhoods, pyramids, wei_levoy
from nst_tf.classical.tsvq import TSVQ
from nst_tf.errors import SettingsError

draw = np.random.default_rng(0)
GLYPH = draw.random((4, 4, 3))
VECTORS = draw.standard_normal((150, 7)) * [3, 1, 1, 1, 1, 1, 1]


def stripes(height, width):
    return (
        np.repeat(np.arange(width) // 2 % 2, 3).reshape(1, width, 3).repeat(height, 0) * 0.8 + 0.1
    )


def checkerboard(height, width):
    y, x = np.indices((height, width))
    return np.repeat(((y // 2 + x // 2) % 2)[..., np.newaxis], 3, 2) * 0.8 + 0.1


def glyphs(height, width):
    return np.tile(GLYPH, (height // 4, width // 4, 1))


def colours(picture):
    return {tuple(pixel) for pixel in np.float32(picture).reshape(-1, 3).tolist()}


@pytest.mark.parametrize("search", wei_levoy.SEARCHES)
@pytest.mark.parametrize("pattern", [stripes, checkerboard, glyphs])
def test_a_pattern_goes_on(pattern, search):
    """Noise, but for what the first pixels see around the edges: then every pixel is known."""
    learned = wei_levoy.learn(pattern(16, 16), levels=1, window=5, search=search)
    expected = pattern(20, 24)
    start = np.random.default_rng(1).random(expected.shape)
    start[-2:], start[:, -2:] = expected[-2:], expected[:, -2:]
    made = wei_levoy.fill(start, learned, window=5)
    assert made.shape == (20, 24, 3) and made.dtype == np.float32
    np.testing.assert_array_equal(made, expected.astype(np.float32))


@pytest.mark.parametrize("levels", [1, 2])
@pytest.mark.parametrize("pattern", [stripes, checkerboard, glyphs])
def test_a_pattern_comes_of_noise(pattern, levels):
    """In pieces, as the noise at the start had it: within each, all squares are the pattern's."""
    texture = pattern(20, 20)
    made = wei_levoy.synthesize(texture, 32, 32, levels=levels, window=5, search="exact")

    def squares(picture):
        windows = np.lib.stride_tricks.sliding_window_view(np.float32(picture), (2, 2), (0, 1))
        return [square.tobytes() for square in windows.reshape(-1, 12)]

    known = set(squares(texture))
    assert np.mean([square in known for square in squares(made[4:])]) > 0.85


@pytest.mark.parametrize("search", wei_levoy.SEARCHES)
def test_every_pixel_is_one_of_the_texture_and_the_seed_decides(search):
    texture = draw.random((14, 15, 3))
    options = {"levels": 2, "window": 3, "search": search}
    made = wei_levoy.synthesize(texture, 11, 9, seed=3, **options)
    assert colours(made) <= colours(texture)
    np.testing.assert_array_equal(made, wei_levoy.synthesize(texture, 11, 9, seed=3, **options))
    assert (made != wei_levoy.synthesize(texture, 11, 9, seed=4, **options)).any()


def test_exact_against_loops():
    """Tables 1 and 2 word for word: every neighbourhood against every one of the texture's."""
    texture, levels, height, width = draw.random((15, 13, 3)), 2, 9, 8
    found = wei_levoy.synthesize(texture, height, width, levels=2, window=5, search="exact", seed=5)
    noise = np.random.default_rng(5).permutation(height * width).reshape(height, width)
    theirs = pyramids.gaussian(texture, levels)
    ours = pyramids.gaussian(texture.reshape(-1, 3)[noise], levels, wrap=True)

    def around(pyramid, level, y, x):
        height, width = pyramid[level].shape[:2]
        shape = [(v, u) for v in (-2, -1) for u in range(-2, 3)] + [(0, -2), (0, -1)]
        values = [pyramid[level][(y + v) % height, (x + u) % width] for v, u in shape]
        if level + 1 < levels:
            height, width = pyramid[level + 1].shape[:2]
            for v, u in itertools.product((-1, 0, 1), repeat=2):
                values.append(pyramid[level + 1][(y // 2 + v) % height, (x // 2 + u) % width])
        return np.concatenate(values)

    for level in (1, 0):
        rows, columns = theirs[level].shape[:2]
        known = [(y, x) for y in range(2, rows) for x in range(2, columns - 2)]
        if level == 0:
            rows, columns = theirs[1].shape[:2]
            known = [
                (y, x)
                for y, x in known
                if y // 2 + 1 < rows and x // 2 > 0 and x // 2 + 1 < columns
            ]
        vectors = np.array([around(theirs, level, y, x) for y, x in known])
        for y, x in np.ndindex(*ours[level].shape[:2]):
            away = np.square(vectors - around(ours, level, y, x)).sum(1)
            ours[level][y, x] = theirs[level][known[away.argmin()]]
    np.testing.assert_array_equal(found, ours[0].astype(np.float32))


def test_few_codewords_still_give_pixels_of_the_texture():
    texture = draw.random((14, 14, 3))
    made = wei_levoy.synthesize(texture, 12, 12, levels=1, window=3, codewords=5)
    assert colours(made) <= colours(texture)
    assert len(colours(made)) <= 5


def test_the_report_ends_at_one_and_may_stop_the_work():
    shares: list[float] = []
    wei_levoy.synthesize(draw.random((14, 14, 3)), 7, 5, levels=2, window=3, report=shares.append)
    assert shares == sorted(shares) and shares[0] > 0 and shares[-1] == 1

    def stop(share):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        wei_levoy.synthesize(draw.random((14, 14, 3)), 7, 5, levels=2, window=3, report=stop)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"window": 4}, "window is 4: use an odd number"),
        ({"window": 1}, "window is 1"),
        ({"levels": 0}, "levels is 0: use at least 1"),
        ({"search": "ann"}, "no search 'ann': use one of tsvq, exact"),
        ({"codewords": 0}, "codewords is 0"),
        ({"levels": 3}, "8 x 8, too small for window 9"),
        ({"height": 0}, "height is 0"),
        ({"texture": np.ones((4, 4))}, "texture has the shape"),
    ],
)
def test_bad_arguments(options, message):
    arguments = {"texture": draw.random((16, 16, 3)), "height": 8, "width": 8, **options}
    with pytest.raises(SettingsError, match=message):
        wei_levoy.synthesize(**arguments)


@pytest.mark.parametrize("codewords", [None, 1, 20])
def test_leaves_partition_the_vectors_and_hold_their_means(codewords):
    tree = TSVQ(VECTORS, codewords)
    leaves = tree.leaves()
    assert len(leaves) == (codewords or len(VECTORS))
    members = np.concatenate([leaf.members for leaf in leaves])
    np.testing.assert_array_equal(np.sort(members), np.arange(len(VECTORS)))
    for leaf in leaves:
        np.testing.assert_allclose(leaf.centroid, VECTORS[leaf.members].mean(0))
        away = np.linalg.norm(VECTORS[leaf.members] - leaf.centroid, axis=1)
        assert leaf.representative == leaf.members[away.argmin()]
        for member in leaf.members:
            assert tree.descend(VECTORS[member]) is leaf


def test_a_full_tree_finds_the_very_vector():
    tree = TSVQ(VECTORS)
    assert [tree.query(vector) for vector in VECTORS] == list(range(len(VECTORS)))


def test_every_step_goes_to_the_nearer_centroid():
    tree = TSVQ(VECTORS, 30)
    for vector in draw.standard_normal((50, 7)) * 2:
        node = tree.root
        while node.children:
            node = min(node.children, key=lambda child: np.linalg.norm(vector - child.centroid))
        assert tree.descend(vector) is node


def test_splits_are_fixed_points_of_lloyd():
    """No member of a child is nearer to its sibling; and few codewords leave little distortion."""
    tree = TSVQ(VECTORS, 30)
    waiting = [tree.root]
    while waiting:
        node = waiting.pop()
        for child, sibling in zip(node.children, node.children[::-1], strict=True):
            vectors = VECTORS[child.members]
            own = np.linalg.norm(vectors - child.centroid, axis=1)
            assert (own <= np.linalg.norm(vectors - sibling.centroid, axis=1) + 1e-6).all()
            waiting.append(child)
    quantised = np.array([tree.descend(vector).centroid for vector in VECTORS])
    chosen = VECTORS[:30]
    nearest = np.linalg.norm(VECTORS[:, np.newaxis] - chosen, axis=2).argmin(1)
    theirs = np.square(VECTORS - chosen[nearest]).sum()
    assert np.square(VECTORS - quantised).sum() < theirs


def test_equal_vectors_stay_together():
    """Ties would be decided by rounding: here every vector lies between two others."""
    grid = np.stack(np.meshgrid(*[np.arange(3.0)] * 3), -1).reshape(-1, 3).repeat(4, 0)
    grid = grid @ np.linalg.qr(draw.standard_normal((40, 3)))[0].T
    tree = TSVQ(grid)
    assert [len(leaf.members) for leaf in tree.leaves()] == [4] * 27
    for vector in grid:
        np.testing.assert_array_equal(grid[tree.query(vector)], vector)


@pytest.mark.parametrize("wrap", [False, True])
def test_a_pyramid_halves_and_keeps_what_is_flat(wrap):
    picture = draw.random((9, 12, 3))
    fine, coarse, coarsest = pyramids.gaussian(picture, 3, wrap)
    np.testing.assert_array_equal(fine, picture)
    assert coarse.shape == (5, 6, 3) and coarsest.shape == (3, 3, 3)
    np.testing.assert_allclose(pyramids.gaussian(np.full((8, 8), 0.3), 3, wrap)[-1], 0.3)
    kernel = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 256
    mode = "wrap" if wrap else "mirror"
    blurred = ndimage.convolve(picture, kernel[..., np.newaxis], mode=mode)
    np.testing.assert_allclose(coarse, blurred[::2, ::2])


@pytest.mark.parametrize("height, width, reach", [(5, 7, 2), (1, 6, 1), (6, 1, 2), (9, 3, 3)])
def test_fronts_cover_a_picture_once_and_need_only_what_is_there(height, width, reach):
    filled = np.zeros((height, width), bool)
    for rows, columns in neighbourhoods.fronts(height, width, reach):
        for y, x in zip(rows, columns, strict=True):
            for down, across in neighbourhoods.causal(2 * reach + 1):
                v, u = y + down, x + across
                assert not (0 <= v < height and 0 <= u < width) or filled[v, u]
        assert not filled[rows, columns].any()
        filled[rows, columns] = True
    assert filled.all()


def test_principal_axes_keep_distances_and_hold_the_variances():
    axes, variances = neighbourhoods.principal_axes(VECTORS)
    turned = VECTORS @ axes
    np.testing.assert_allclose(
        np.linalg.norm(turned[0] - turned, axis=1), np.linalg.norm(VECTORS[0] - VECTORS, axis=1)
    )
    np.testing.assert_allclose(turned.var(0), variances)
    assert (np.diff(variances) <= 0).all()
