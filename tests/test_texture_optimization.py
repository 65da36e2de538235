"""Texture optimisation against loops and formulas, patterns, and its own promise: E never grows."""

import numpy as np
import pytest

from nst_tf.classical import texture_optimization as optimization
from nst_tf.errors import SettingsError

draw = np.random.default_rng(0)
PICTURE = draw.random((17, 14, 3))
EXAMPLE = draw.random((15, 19, 3))
STRIPES = np.tile([[[0.9, 0.2, 0.1]] * 4 + [[0.1, 0.3, 0.8]] * 4], (40, 5, 1))


def windows(picture, size):
    rows, columns = picture.shape[0] - size + 1, picture.shape[1] - size + 1
    return np.array(
        [picture[y : y + size, x : x + size].ravel() for y in range(rows) for x in range(columns)]
    )


@pytest.mark.parametrize("seed", [None, *range(8)])
def test_patches_of_a_grid(seed):
    random = None if seed is None else np.random.default_rng(seed)
    places = optimization.grid(17, 14, 5, 2, random)
    steps = set(np.diff(places.pixels[:, 0]))
    assert len(steps) > 6 if random else steps <= {1, 2, 14 + 5, 2 * 14 - 9}
    assert set(places.pixels.ravel()) == set(range(17 * 14))
    wanted = {patch.tobytes() for patch in windows(PICTURE, 5)}
    patches = places.patches(PICTURE)
    assert {patch.tobytes() for patch in patches} <= wanted
    # Whatever their weights, patches of a picture agree with each other.
    weights = draw.random(len(patches)) + 0.1
    np.testing.assert_allclose(places.mean(patches, weights), PICTURE, atol=1e-12)


def test_mean_against_a_loop():
    places = optimization.grid(7, 6, 3, 2)
    patches, weights = draw.random((len(places.pixels), 27)), draw.random(len(places.pixels))
    sums, total = np.zeros((7, 6, 3)), np.zeros((7, 6, 1))
    corners = [(y, x) for y in (0, 2, 4) for x in (0, 2, 3)]
    for (y, x), patch, weight in zip(corners, patches, weights, strict=True):
        sums[y : y + 3, x : x + 3] += weight * patch.reshape(3, 3, 3)
        total[y : y + 3, x : x + 3] += weight
    np.testing.assert_allclose(places.mean(patches, weights), sums / total)


def test_nearest_patches_against_all(monkeypatch):
    """With all directions the search is exact; with the main ones it finds what is as good."""
    asked = draw.random((50, 27))
    everything = windows(EXAMPLE, 3)
    distances = np.square(asked[:, None] - everything).sum(-1)
    found = optimization.Example(EXAMPLE, 3).nearest(asked)
    assert (distances[np.arange(50), found] < 1.5 * distances.min(1)).all()
    monkeypatch.setattr(optimization, "VARIANCE", 1.0)
    monkeypatch.setattr(optimization, "SCORES", 1000)
    np.testing.assert_array_equal(
        optimization.Example(EXAMPLE, 3).nearest(asked), distances.argmin(1)
    )


@pytest.mark.parametrize("gap", [1, 2])
def test_every_patch_of_the_example_is_its_own_nearest(gap):
    example = optimization.Example(EXAMPLE, 5, gap)
    numbers = np.arange(len(example))
    assert len(example) == (11 * 15 if gap == 1 else 6 * 8)
    np.testing.assert_array_equal(example.nearest(example[numbers]), numbers)
    if gap == 1:
        np.testing.assert_array_equal(example[numbers], windows(np.float32(EXAMPLE), 5))


@pytest.mark.parametrize("directions", [2, 108])
def test_energy_never_grows(directions, monkeypatch):
    monkeypatch.setattr(optimization, "VARIANCE", 1.0)
    monkeypatch.setattr(optimization, "DIRECTIONS", directions)
    example = optimization.Example(EXAMPLE, 6)
    fit = optimization.Fit(PICTURE, example, optimization.grid(17, 14, 6, 2))
    distances = np.square(windows(PICTURE, 6)[:, None] - windows(EXAMPLE, 6)).mean(-1)
    grid = [y * 9 + x for y in (*range(0, 11, 2), 11) for x in range(0, 9, 2)]
    best = ((distances[grid].min(1) + optimization.SMOOTH) ** 0.4).sum()
    for _ in range(12):
        fit.search()
        fit.average()
    if directions == 108:
        assert fit.energies[0] == pytest.approx(best, rel=1e-6)
    assert fit.energies[0] > best - 1e-6
    assert (np.diff(fit.energies) < 1e-9).all()
    assert fit.energies[-1] < 0.9 * fit.energies[0]


def test_reweighting_alone_lowers_the_energy():
    """With the patches as they are: against the mean, which is the best for squares alone."""
    example = optimization.Example(EXAMPLE, 6)
    places = optimization.grid(17, 14, 6, 2)
    fit = optimization.Fit(PICTURE, example, places)
    fit.search()
    nearest = fit._patches

    def energy(picture):
        squares = np.square(places.patches(picture) - nearest).mean(-1)
        return ((squares + optimization.SMOOTH) ** 0.4).sum()

    energies = [energy(PICTURE)]
    for _ in range(30):
        fit.average()
        energies.append(energy(fit.picture))
    assert (np.diff(energies) < 1e-9).all()
    assert energies[-1] < energy(places.mean(nearest, np.ones(len(nearest)))) - 1e-3


def test_averaging_before_searching():
    fit = optimization.Fit(
        PICTURE, optimization.Example(EXAMPLE, 6), optimization.grid(17, 14, 6, 2)
    )
    with pytest.raises(SettingsError, match="search first"):
        fit.average()


def test_stripes_keep_their_period():
    result = optimization.synthesize(STRIPES, 60, 70)
    assert result.shape == (60, 70, 3)
    same = np.abs(result[:, 8:] - result[:, :-8]).max(-1) < 0.05
    other = np.abs(result[:, 4:] - result[:, :-4]).max(-1) > 0.5
    assert same.mean() > 0.9 and other.mean() > 0.9


def test_content_in_its_own_style_stays():
    y, x = np.mgrid[0:48, 0:56] / 8
    picture = np.stack([np.sin(x + y), np.cos(x * y / 3), np.sin(x - 2 * y)], -1) * 0.4 + 0.5
    result = optimization.transfer(picture, picture)
    assert result.shape == picture.shape
    assert np.abs(result - picture).mean() < 0.03


def test_the_weight_of_the_content():
    y, x = np.mgrid[0:40, 0:40] / 6
    content = np.repeat((0.5 + 0.4 * np.sin(x) * np.sin(y))[..., None], 3, -1)
    mask = np.zeros((40, 40))
    mask[:, :20] = 1
    wanted = optimization.colour.monge_kantorovich(content, STRIPES)
    result = optimization.transfer(content, STRIPES, content_weight=50, mask=mask, levels=1)
    error = np.abs(result - wanted).mean(-1)
    assert error[:, :18].mean() < 0.05 < 0.1 < error[:, 22:].mean()


@pytest.mark.parametrize("method", ["synthesize", "transfer"])
def test_seeds_and_reports(method):
    def run(seed, report=None):
        if method == "synthesize":
            return optimization.synthesize(EXAMPLE, 20, 23, seed=seed, report=report)
        return optimization.transfer(PICTURE, EXAMPLE, seed=seed, report=report)

    reports: list[float] = []
    first, same, other = run(1, reports.append), run(1), run(2)
    assert first.dtype == np.float32 and first.min() >= 0 and first.max() <= 1
    assert np.array_equal(first, same) and not np.array_equal(first, other)
    assert reports == sorted(reports) and reports[0] == 0 and reports[-1] == 1
    assert len(reports) > 3


@pytest.mark.parametrize("shape", [(5, 5), (6, 40), (33, 8)])
def test_small_pictures(shape):
    picture = draw.random((*shape, 3))
    assert optimization.transfer(picture, EXAMPLE).shape == picture.shape
    assert optimization.transfer(PICTURE, picture).shape == PICTURE.shape
    assert optimization.synthesize(EXAMPLE, *shape).shape == picture.shape
    flat = np.full_like(picture, 0.25)
    np.testing.assert_allclose(optimization.transfer(flat, flat), flat, atol=1e-5)


@pytest.mark.parametrize(
    "method, changes, message",
    [
        ("synthesize", {"texture": PICTURE[:11]}, "the texture's smaller side is 11"),
        ("synthesize", {"width": 0}, "width is 0"),
        ("synthesize", {"iterations": 0}, "iterations is 0"),
        ("transfer", {"style": EXAMPLE[:4]}, "style's smaller side is 4"),
        ("transfer", {"content": PICTURE + 1}, "content has values"),
        ("transfer", {"content_weight": -1}, "content_weight is -1"),
        ("transfer", {"levels": 0}, "levels is 0"),
        ("transfer", {"mask": np.ones((3, 3))}, r"mask has the shape \[3, 3\]"),
        ("transfer", {"mask": np.full((17, 14), 2.0)}, "mask has values from 2 to 2"),
    ],
)
def test_what_cannot_be_used(method, changes, message):
    given = {"texture": EXAMPLE, "height": 20, "width": 20}
    if method == "transfer":
        given = {"content": PICTURE, "style": EXAMPLE}
    with pytest.raises(SettingsError, match=message):
        getattr(optimization, method)(**given | changes)
