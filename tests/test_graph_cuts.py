"""Minimum cuts against all labelings there are, seams against the paper's formula, patterns."""

import itertools

import numpy as np
import pytest
from scipy import ndimage

from nst_tf.classical import graph_cuts
from nst_tf.errors import SettingsError

STRIPES = np.repeat(np.tile([[[0.9, 0.2, 0.1]] * 3 + [[0.1, 0.3, 0.8]] * 5], (24, 4, 1)), 1, 0)


def grid_arcs(height, width):
    number = np.arange(height * width).reshape(height, width)
    tails = np.r_[number[:, :-1].ravel(), number[:-1].ravel()]
    return tails, np.r_[number[:, 1:].ravel(), number[1:].ravel()]


@pytest.mark.parametrize("seed", range(8))
def test_min_cut_against_every_labeling(seed):
    draw = np.random.default_rng(seed)
    tails, heads = grid_arcs(3, 4)
    # Some arcs twice, and some from one corner to another.
    tails, heads = np.r_[tails, tails[:3], 0, 3], np.r_[heads, heads[:3], 11, 8]
    costs = draw.random(len(tails)) * draw.integers(0, 2, len(tails))
    source, sink = np.zeros((2, 12), bool)
    source[[0, 4]] = True
    sink[[7, draw.integers(8, 12)]] = True
    found = graph_cuts.min_cut(tails, heads, costs, source, sink)
    labelings = np.array(list(itertools.product([False, True], repeat=12)))
    labelings = labelings[(~labelings[:, source]).all(1) & labelings[:, sink].all(1)]
    prices = (costs * (labelings[:, tails] != labelings[:, heads])).sum(1)
    assert not found[source].any() and found[sink].all()
    assert (costs * (found[tails] != found[heads])).sum() == pytest.approx(prices.min(), abs=1e-6)


def test_min_cut_without_one_of_the_sides():
    tails, heads = grid_arcs(2, 2)
    none, some = np.zeros(4, bool), np.array([True, False, False, False])
    assert graph_cuts.min_cut(tails, heads, np.ones(4), none, some).all()
    # What hangs on nothing is the sink's.
    found = graph_cuts.min_cut(tails, heads, np.array([0.0, 0, 1, 0]), some, none)
    assert found.tolist() == [False, True, False, True]


def test_min_cut_is_never_above_the_cheapest_path():
    """The cut of image quilting, one column a row, is one of those it may choose from."""
    draw = np.random.default_rng(1)
    height, width = 20, 9
    differs = draw.random((height, width)) ** 3
    tails, heads = grid_arcs(height, width)
    costs = differs.ravel()[tails] + differs.ravel()[heads]
    source, sink = np.zeros((2, height, width), bool)
    source[:, 0] = sink[:, -1] = True
    total = differs[:, :-1].copy()
    for y in range(1, height):
        padded = np.pad(total[y - 1], 1, constant_values=np.inf)
        total[y] += np.min([padded[:-2], padded[1:-1], padded[2:]], 0)
    path = [int(total[-1].argmin())]
    for y in range(height - 2, -1, -1):
        near = range(max(path[-1] - 1, 0), min(path[-1] + 2, width - 1))
        path.append(min(near, key=lambda x: total[y, x]))
    quilted = (np.arange(width) > np.array(path[::-1])[:, None]).ravel()
    cut = graph_cuts.min_cut(tails, heads, costs, source.ravel(), sink.ravel())
    assert not cut.reshape(height, width)[:, 0].any() and cut.reshape(height, width)[:, -1].all()

    def price(labels):
        return (costs * (labels[tails] != labels[heads])).sum()

    assert 0 < price(cut) <= price(quilted) + 1e-6


def seam_costs(patches, labels):
    """Equation 1 for every pair of neighbours, from patches that all cover the whole canvas."""
    total = 0.0
    height, width = labels.shape
    for y, x in np.ndindex(height, width):
        for other in [(y + 1, x), (y, x + 1)]:
            if other[0] < height and other[1] < width:
                A, B = patches[labels[y, x]], patches[labels[other]]
                total += np.linalg.norm(A[y, x] - B[y, x]) + np.linalg.norm(A[other] - B[other])
    return total


@pytest.mark.parametrize("seed", range(6))
def test_a_patch_over_old_seams_is_cut_as_well_as_can_be(seed):
    """Against all ways to take it; the patch covers but the first column, whose neighbours stay."""
    draw = np.random.default_rng(seed)
    patches = draw.random((4, 3, 4, 3))
    canvas, labels = graph_cuts.Canvas(3, 4), np.zeros((3, 4), int)
    whole = np.s_[0:3, 0:4]
    for label in range(3):
        taken = (draw.random((3, 4)) < 0.5) | (label == 0)
        canvas._take(patches[label], whole, taken)
        labels[taken] = label
    np.testing.assert_allclose(canvas.costs().sum(), seam_costs(patches, labels))
    prices = []
    for choice in itertools.product([False, True], repeat=6):
        trial = labels.copy()
        trial[:, 2:][np.reshape(choice, (3, 2))] = 3
        prices.append(seam_costs(patches, trial))
    canvas.paste(patches[3][:, 1:], 0, 1)
    assert canvas.costs().sum() == pytest.approx(min(prices), abs=1e-6)


def test_some_of_those_patches_are_cut_through():
    """The test above would be none if patches were always taken whole, or never."""
    kinds = set()
    for seed in range(40):
        draw = np.random.default_rng(seed)
        patches = draw.random((2, 3, 4, 3))
        canvas = graph_cuts.Canvas(3, 4)
        canvas._take(patches[0], np.s_[0:3, 0:4], np.ones((3, 4), bool))
        canvas._take(patches[1], np.s_[0:3, 0:4], draw.random((3, 4)) < 0.5)
        before = canvas.pixels.copy()
        canvas.paste(draw.random((3, 3, 3)), 0, 1)
        kinds.add(int((canvas.pixels != before).any(-1).sum()))
    assert 0 in kinds and len(kinds) > 2


def test_patches_over_a_full_canvas_never_make_its_seams_cost_more():
    draw = np.random.default_rng(3)
    texture = ndimage.gaussian_filter(draw.random((12, 12, 3)), (1, 1, 0), mode="wrap")
    canvas = graph_cuts.Canvas(16, 14)
    for top, left in [(0, 0), (0, 6), (5, 0), (5, 3)]:
        canvas.paste(texture, top, left)
    assert canvas.filled.all()
    costs = [canvas.costs().sum()]
    for _ in range(60):
        canvas.paste(texture, *draw.integers(-9, 12, 2))
        costs.append(canvas.costs().sum())
    assert (np.diff(costs) < 1e-6).all() and costs[-1] < 0.9 * costs[0]


@pytest.mark.parametrize("placement", ["entire", "subpatch"])
def test_stripes_keep_their_period(placement):
    result = graph_cuts.synthesize(
        STRIPES, 40, 70, placement=placement, refinements=8, k=0.001, seed=2
    )
    assert result.shape == (40, 70, 3)
    assert (result[:, 8:] == result[:, :-8]).all(-1).mean() > 0.99
    assert (result[:, 4:] != result[:, :-4]).any(-1).mean() > 0.5


@pytest.mark.parametrize("placement", graph_cuts.PLACEMENTS)
def test_every_pixel_is_one_of_the_texture(placement):
    texture = np.random.default_rng(4).random((12, 10, 3)).astype(np.float32)
    reports = []
    result = graph_cuts.synthesize(
        texture, 25, 31, placement=placement, refinements=3, report=reports.append
    )
    assert result.dtype == np.float32 and result.shape == (25, 31, 3)
    colours = {tuple(pixel) for pixel in texture.reshape(-1, 3)}
    assert {tuple(pixel) for pixel in result.reshape(-1, 3)} <= colours
    assert reports == sorted(reports) and reports[-1] == 1 and len(reports) > 4


def test_seeds():
    texture = np.random.default_rng(4).random((12, 10, 3))
    first, same, other = (
        graph_cuts.synthesize(texture, 20, 20, refinements=2, seed=seed) for seed in (1, 1, 2)
    )
    assert np.array_equal(first, same) and not np.array_equal(first, other)


@pytest.mark.parametrize("size", [(1, 1), (5, 40), (4, 4)])
def test_sizes(size):
    assert graph_cuts.synthesize(STRIPES, *size, refinements=2).shape == (*size, 3)


def test_a_texture_of_one_pixel():
    result = graph_cuts.synthesize(STRIPES[:1, :1], 3, 4)
    assert (result == np.float32(STRIPES[0, 0])).all()


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"texture": STRIPES[0]}, "texture has the shape"),
        ({"height": 0}, "height is 0"),
        ({"width": -3}, "width is -3"),
        ({"placement": "best"}, "no placement 'best'"),
        ({"refinements": -1}, "refinements is -1"),
        ({"block": 25}, "block is 25: use at most the texture's smaller side, 24"),
        ({"k": 0}, "k is 0"),
    ],
)
def test_what_cannot_be_used(changes, message):
    with pytest.raises(SettingsError, match=message):
        graph_cuts.synthesize(**{"texture": STRIPES, "height": 8, "width": 8} | changes)
