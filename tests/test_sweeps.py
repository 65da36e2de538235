"""What each experiment would run and show, before anything is run."""

import re

import pytest

from nst_tf.errors import SettingsError
from nst_tf.experiments.plan import Cell, Inputs, Panel, Plan, Row
from nst_tf.experiments.sweeps import SWEEPS
from nst_tf.recipe import presets

#: What `--values` may say of each experiment, and in which field of its settings it goes.
VALUES = {
    "ratio": (("0.5", "30"), "style_weight", {0.5, 30.0}),
    "learning-rate": (("0.01", "0.02"), "learning_rate", {0.01, 0.02}),
    "style-sizes": (("40", "50"), "style_size", {40, 50}),
    "optimizers": (("adam", "gd"), "optimizer", {"adam", "gd"}),
    "init": (("blank", "content=0.5,noise=0.5"), "init", {"blank", "content=0.5,noise=0.5"}),
    "weights-sheet": (("gatys2015", "l2-distance"), "preset", {"gatys2015", "l2-distance"}),
    "snapshots": (("3", "7"), "snapshots", {(3, 7)}),
    "content-layers": (("conv1_2", "block5_conv4"), "content_layers", {"conv1_2", "conv5_4"}),
    "style-layers": (("conv1_2", "conv3_1:pre"), "style_layers", {"conv1_2", "conv3_1:pre"}),
}


def plan(name, values=(), styles=("a.jpg", "b.jpg"), preset=None, weights="auto", **changes):
    return SWEEPS[name](Inputs("photo.jpg", styles, weights, preset, changes, tuple(values)))


def settings(name, *arguments, **changes):
    return [cell.settings for cell in plan(name, *arguments, **changes).cells]


@pytest.mark.parametrize("changes", [{}, {"iterations": 30}, {"evaluations": 25}])
@pytest.mark.parametrize("name", SWEEPS)
def test_every_plan_is_sound(name, changes):
    made = plan(name, **changes)
    panels = [panel for row in made.rows for panel in row.panels]
    names = [cell.name for cell in made.cells]
    assert made.name == name and len(set(names)) == len(names) > 0
    for panel in panels:
        assert panel.cell in made.cells
        if panel.iteration is not None:
            wanted = panel.cell.settings
            assert panel.iteration in wanted.snapshots
            assert panel.iteration <= (wanted.iterations or wanted.evaluations)
        assert panel.film is None or panel.film in panel.cell.films
    # legal everywhere, and none of the page's own files
    assert all(re.fullmatch(r"[\w.+-]+", name) and len(name) < 100 for name in names)
    assert not {"index", "run", "results"} & set(names)
    for curves in made.curves:
        assert all(cell in made.cells for cell in curves.cells.values())
    varied = [tuple(sorted((k, str(v)) for k, v in cell.varied.items())) for cell in made.cells]
    assert len(set(varied)) == len(varied)


@pytest.mark.parametrize("name", SWEEPS)
def test_what_the_user_sets_holds(name):
    for varied in settings(name, size=99, evaluations=7, tv_weight=0.5):
        assert (varied.size, varied.evaluations, varied.tv_weight) == (99, 7, 0.5)
    for varied in settings(name, iterations=5):
        assert (varied.iterations, varied.evaluations) == (5, None)
    assert {varied.size for varied in settings(name)} == {256}


@pytest.mark.parametrize("name", sorted(set(SWEEPS) - {"weights-sheet"}))
def test_the_users_preset_is_the_start(name):
    for varied in settings(name, preset="content1-style1e6"):
        assert varied.preset == "content1-style1e6"
        assert varied.style_loss == presets.PRESETS["content1-style1e6"].style_loss


@pytest.mark.parametrize("name", VALUES)
def test_the_users_values_are_what_varies(name):
    values, field, expected = VALUES[name]
    varied = [getattr(recipe, field) for recipe in settings(name, values)]
    if "layers" in name:
        varied = [layer for layers in varied for layer in layers]
    assert set(varied) == expected


def test_values_of_the_others():
    seeds = {cell.settings.seed for cell in plan("network", ("7", "9")).cells[-2:]}
    assert seeds == {7, 9}
    shares = [cell.settings.style_blend for cell in plan("styles", ("0.2",)).cells]
    assert [share for share in shares if share] == [(0.8, 0.2)]
    layers = plan("reconstruct", ("conv1_1", "conv2_2")).cells
    assert [tuple(cell.settings.content_layers) for cell in layers[:2]] == [
        ("conv1_1",),
        ("conv2_2",),
    ]
    assert [tuple(cell.settings.style_layers) for cell in layers[2:]] == [
        ("conv1_1",),
        ("conv1_1", "conv2_2"),
    ]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        *((name, ("abc",)) for name in sorted(set(SWEEPS) - {"film"})),
        *((name, ("nan",)) for name in sorted(set(SWEEPS) - {"film"})),
        *((name, ("inf",)) for name in ("ratio", "style-sizes", "snapshots", "network", "styles")),
        *((name, ("-1",)) for name in ("ratio", "learning-rate", "style-sizes", "snapshots")),
        *((name, ("1.5",)) for name in ("style-sizes", "snapshots", "network", "styles")),
        *((name, ("conv1_1", "block1_conv1")) for name in ("style-layers", "content-layers")),
        ("reconstruct", ("conv1_1", "conv1_1")),
        ("ratio", ("1", "1.0")),
        ("ratio", ("1", "1.00000001")),
        ("learning-rate", ("0.1", "0.1")),
        ("learning-rate", ("0",)),
        ("style-sizes", ("0",)),
        ("snapshots", ("0", "5")),
        ("snapshots", ("5", "5")),
        ("optimizers", ("adam", "adam")),
        ("optimizers", ("adam", "sgd")),
        ("init", ("noise", "noise")),
        ("styles", ("-0.5",)),
        ("weights-sheet", ("gatys2015", "gatys2015")),
        ("content-layers", ("conv6_1",)),
        ("film", ("1",)),
    ],
)
def test_values_that_cannot_be_are_one_line(name, values):
    with pytest.raises(SettingsError) as caught:
        plan(name, values)
    text = str(caught.value)
    assert "\n" not in text and len(text) < 400


def test_one_style_is_no_series_of_styles():
    with pytest.raises(SettingsError, match="two style images"):
        plan("styles", styles=("a.jpg",))


def test_moments_fit_the_run():
    assert settings("learning-rate", iterations=120)[0].snapshots == (50, 100, 120)
    assert settings("learning-rate", snapshots=(20, 40))[0].iterations == 40
    assert settings("snapshots", iterations=150)[0].snapshots == (100, 150)
    assert settings("snapshots", ("10", "20"), iterations=50)[0].iterations == 50
    for name, values, changes in (
        ("snapshots", ("10", "60"), {"iterations": 50}),
        ("learning-rate", (), {"snapshots": (10, 60), "iterations": 50}),
        ("snapshots", ("10", "60"), {"evaluations": 50}),
    ):
        with pytest.raises(SettingsError, match="60"):
            plan(name, values, **changes)


def test_noise_begins_with_the_users_seed():
    cells = plan("init", ("noise",), seed=5).cells
    assert [cell.settings.seed for cell in cells] == [5, 6, 7]


@pytest.mark.parametrize("weights", ["mini", "random"])
def test_no_network_is_run_twice(weights):
    cells = plan("network", weights=weights).cells
    runs = {(cell.weights, cell.settings.seed) for cell in cells}
    assert len(runs) == len(cells) == 4
    assert {cell.weights for cell in cells} == {"mini", "random"}


def test_layers_share_the_weight_of_style():
    recipes = settings("style-layers", ("conv1_2", "block5_conv2", "conv2_1"))
    assert [dict(recipe.style_layers) for recipe in recipes] == [
        {"conv1_2": 1.0},
        {"conv5_2": 1.0},
        {"conv2_1": 1.0},
        {"conv1_2": 0.5, "conv5_2": 0.5},
        dict.fromkeys(("conv1_2", "conv5_2", "conv2_1"), 1 / 3),
    ]


def test_a_blends_styles_are_both_named():
    made = plan("styles", ("0.5",), styles=("x/a.jpg", "y/b.jpg"))
    named = [cell.varied["style"] for cell in made.cells]
    assert named == ["a.jpg", "b.jpg", "a.jpg, b.jpg"]


def test_two_runs_of_one_name_are_refused():
    first, second = (
        Cell("same", {}, presets.settings(seed=seed), "photo.jpg", ("style.jpg",), "mini")
        for seed in (0, 1)
    )
    Plan("name", "title", "text", [Row("row", [Panel(first, "first"), Panel(first, "again")])])
    with pytest.raises(SettingsError, match="same"):
        Plan(
            "name", "title", "text", [Row("row", [Panel(first, "first"), Panel(second, "second")])]
        )
