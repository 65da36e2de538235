import dataclasses

import pytest

from nst_tf.errors import SettingsError
from nst_tf.recipe import choices, presets
from nst_tf.recipe.settings import Settings

WIDTHS = {1: 64, 2: 128, 3: 256, 4: 512, 5: 512}


def test_every_recipe_of_the_table_is_there():
    assert set(presets.PRESETS) == {
        "gatys2015",
        "gatys2016",
        "content1-style1e6",
        "crisp",
        "draft",
        "l2-distance",
        "neighbours",
        "gradient-descent",
        "ratio-sweep-base",
    }


def test_gatys2015_is_the_paper():
    s = presets.settings("gatys2015")
    assert s.content_loss == "half-sum" and s.style_loss == "gatys2015"
    assert s.content_layers == {"conv4_2": 1.0}
    assert s.style_layers == {f"conv{b}_1": 0.2 for b in WIDTHS}
    assert s.content_weight / s.style_weight == pytest.approx(1e-3)
    assert s.init == "noise" and s.pooling == "avg"


def test_gatys2016_is_the_released_code():
    s = presets.settings("gatys2016")
    assert s.content_loss == "mean" and s.style_loss == "gram-mean"
    assert s.content_layers == {"conv4_2": 1.0}
    assert s.style_layers == pytest.approx({f"conv{b}_1": 1e3 / n**2 for b, n in WIDTHS.items()})
    assert (s.content_weight, s.style_weight) == (1.0, 1.0)
    assert (s.optimizer, s.init, s.evaluations, s.size) == ("lbfgs", "content", 500, 512)


def test_content1_style1e6_is_the_tutorial():
    s = presets.settings("content1-style1e6")
    assert s.content_loss == "mean" and s.style_loss == "gram-mean-channels"
    style = ["conv1_1:pre", "conv1_2:pre", "conv2_1:pre", "conv2_2:pre", "conv3_1:pre"]
    assert list(s.style_layers) == style and list(s.content_layers) == ["conv2_2:pre"]
    assert (s.content_weight, s.style_weight) == (1.0, 1e6)


def test_the_other_recipes():
    descent = presets.settings("gradient-descent")
    assert (descent.optimizer, descent.init) == ("gd", "noise")
    assert [i for i in range(500) if descent.snapshot_due(i)] == [100, 200, 400]
    sweep = presets.settings("ratio-sweep-base")
    assert (sweep.optimizer, sweep.iterations, sweep.learning_rate) == ("lbfgs", 200, 0.2)
    distance = presets.settings("l2-distance")
    assert (distance.content_loss, distance.style_loss) == ("l2", "l2")


def test_a_draft_is_crisp_in_little():
    draft, crisp = presets.settings("draft"), presets.settings("crisp")
    assert draft.graph_key == crisp.graph_key
    changed = {"max_scale": None, "evaluations": crisp.evaluations, "preset": "crisp"}
    assert draft.replace(**changed) == crisp
    for unnamed in (None, "auto"):
        assert presets.network("draft", unnamed) == "mini"
        assert presets.network("crisp", unnamed) is unnamed
    assert presets.network("draft", "vgg19.h5") == "vgg19.h5"


def test_any_field_can_be_overridden_and_the_table_stays():
    before = presets.PRESETS["gatys2016"]
    changed = presets.settings("gatys2016", size=100, style_layers={"block1_conv1": 2})
    assert changed.size == 100 and changed.style_layers == {"conv1_1": 2}
    assert changed.preset == "gatys2016"
    assert presets.PRESETS["gatys2016"] is before and before.size == 512
    with pytest.raises(TypeError):
        presets.PRESETS["gatys2016"] = changed


def test_another_optimizer_keeps_the_bounds_that_it_knows():
    assert presets.settings("crisp", optimizer="adam").bounded
    assert not presets.settings("crisp", optimizer="tfp-lbfgs").bounded
    with pytest.raises(SettingsError, match="tfp-lbfgs knows no bounds"):
        presets.settings("crisp", optimizer="tfp-lbfgs", bounded=True)


def test_another_optimizer_brings_its_own_learning_rate():
    assert presets.settings("ratio-sweep-base", optimizer="adam").learning_rate is None
    both = presets.settings("ratio-sweep-base", optimizer="adam", learning_rate=0.5)
    assert both.learning_rate == 0.5
    assert presets.settings("ratio-sweep-base", size=64).learning_rate == 0.2


def test_a_limit_that_is_given_replaces_the_presets():
    assert presets.settings("gatys2016", iterations=900).evaluations is None
    assert presets.settings("gradient-descent", evaluations=9).iterations is None
    both = presets.settings("gatys2016", iterations=10, evaluations=20)
    assert (both.iterations, both.evaluations) == (10, 20)


def test_layers_are_in_the_networks_order_each_once():
    s = Settings(
        content_layers={"conv3_1": 1.0, "conv1_2:pre": 1.0},
        style_layers={"block3_conv1": 1.0, "conv1_1": 1.0},
        evaluations=1,
    )
    assert s.layers == ["conv1_1", "conv1_2:pre", "conv3_1"]


def test_snapshots_due():
    s = Settings(evaluations=1, snapshot_every=10, snapshots=(5,))
    assert [i for i in range(25) if s.snapshot_due(i)] == [5, 10, 20]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": 0}, "size is 0: use a whole number of at least 1"),
        ({"size": 2.5}, "size is 2.5"),
        ({"evaluations": -1}, "evaluations is -1"),
        ({"evaluations": 10**320}, r"evaluations is 2\*\*63 or more: use a smaller whole number"),
        ({"snapshots": (10**5000,)}, r"snapshots.* is 2\*\*63 or more"),
        ({"iterations": None, "evaluations": None}, "set iterations or evaluations"),
        ({"content_weight": -1}, "content_weight is -1: use a finite number of at least 0"),
        ({"style_weight": float("nan")}, "style_weight is nan"),
        ({"tv_weight": float("inf")}, "tv_weight is inf"),
        ({"learning_rate": 0.0}, "learning_rate is 0: use a number above 0"),
        ({"style_layers": {"conv1_1": -2}}, "conv1_1 in style_layers is -2"),
        ({"style_layers": {}, "content_layers": {}}, "at least one content layer or style layer"),
        ({"style_blend": (0, 0)}, "at least one weight must be above 0"),
        ({"pooling": "mean"}, "no pooling 'mean': use one of max, avg, l2"),
        ({"optimizer": "sgd"}, "no optimizer 'sgd'"),
        ({"stile_weight": 1}, "no setting 'stile_weight': did you mean style_weight"),
        ({"snapshots": (0,)}, "snapshots is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"style_loss": "neighbours", "padding": "mirror"}, "neighbours knows no padding=mirror"),
    ],
)
def test_errors_name_the_field_and_the_value(changes, message):
    with pytest.raises(SettingsError, match=message) as caught:
        presets.settings("gatys2016", **changes)
    assert "\n" not in str(caught.value)


def test_unknown_preset():
    with pytest.raises(SettingsError, match="gatys2016"):
        presets.settings("gatys2017")


def test_the_forms_are_all_used_and_plain_values_come_out():
    import json

    for name in presets.PRESETS:
        plain = presets.settings(name).asdict()
        assert json.loads(json.dumps(plain))["preset"] == name
        assert set(plain) == {field.name for field in dataclasses.fields(Settings)}
    assert {presets.PRESETS[n].style_loss for n in presets.PRESETS} == {
        *choices.GRAM_FORMS,
        "wasserstein",
        "neighbours",
    }
