"""Runs that share a workshop: the same results as alone, compiled once between them."""

import numpy as np
import pytest

from nst_tf.pictures import images
from nst_tf.run.transfer import StyleTransfer
from nst_tf.run.workshop import Workshop

SETTINGS = {"size": 40, "evaluations": 6}

#: What a run may change and still use what the first one compiled.
DATA = [
    {"style_weight": 30.0},
    {"content_weight": 0.0},
    {"style_layers": {f"conv{block}_1": 0.1 * block for block in range(1, 6)}},
    {"init": "noise", "seed": 3},
    {"learning_rate": 0.3},
    {"iterations": 2},
    {"style_size": 33},
]


@pytest.fixture
def pair(scene, painting):
    return images.resize(scene, 30, 40), painting


@pytest.mark.slow
def test_what_is_data_is_not_compiled_again(pair, tiny_weights):
    workshop = Workshop()
    StyleTransfer(*pair, weights=tiny_weights, workshop=workshop, **SETTINGS).run()
    objective, step = workshop._objective, workshop._step
    for change in DATA:
        options = {"weights": tiny_weights, **SETTINGS, **change}
        found = StyleTransfer(*pair, workshop=workshop, **options).run()
        alone = StyleTransfer(*pair, **options).run()
        np.testing.assert_array_equal(found.array, alone.array, err_msg=str(change))
        assert [row["total"] for row in found.history] == [row["total"] for row in alone.history]
    assert workshop._objective is objective and objective.traces == 1
    assert workshop._step is step and step.experimental_get_tracing_count() == 1


@pytest.mark.parametrize(
    "change",
    [{"pooling": "avg"}, {"content_loss": "l2"}, {"size": 36}, {"style_layers": {"conv2_1": 1.0}}],
)
def test_what_is_another_function_is_another(pair, tiny_weights, change):
    workshop = Workshop()
    StyleTransfer(*pair, weights=tiny_weights, workshop=workshop, **SETTINGS).run()
    options = {"weights": tiny_weights, **SETTINGS, **change}
    found = StyleTransfer(*pair, workshop=workshop, **options).run()
    np.testing.assert_array_equal(found.array, StyleTransfer(*pair, **options).run().array)


def test_other_pictures_are_other_targets(pair, tiny_weights):
    workshop = Workshop()
    content, style = pair
    for one in (pair, (content[::-1], style), (content, style[:, ::-1] ** 2), pair):
        options = {"weights": tiny_weights, **SETTINGS}
        found = StyleTransfer(*one, workshop=workshop, **options).run()
        np.testing.assert_array_equal(found.array, StyleTransfer(*one, **options).run().array)
    assert workshop._objective.traces == 1


def test_targets_that_were_interrupted_are_measured_again(pair, tiny_weights, monkeypatch):
    workshop, (content, style) = Workshop(), pair
    options = {"weights": tiny_weights, "workshop": workshop, **SETTINGS}
    StyleTransfer(content, style, **options).run()

    def interrupted(*_):
        raise KeyboardInterrupt

    other = StyleTransfer(content, style[::-1] ** 3, **options)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(workshop._objective, "set_styles", interrupted)
        other.run()
    alone = StyleTransfer(content, style[::-1] ** 3, weights=tiny_weights, **SETTINGS).run()
    assert other.run().history[0]["total"] == alone.history[0]["total"]


def test_a_picture_that_stays_is_measured_once(pair, tiny_weights, monkeypatch):
    workshop, calls = Workshop(), []
    run = StyleTransfer(*pair, weights=tiny_weights, workshop=workshop, **SETTINGS)
    objective = run.objective
    for name in ("set_content", "set_styles"):
        monkeypatch.setattr(objective, name, lambda *_, name=name: calls.append(name))
    other = StyleTransfer(pair[0], pair[1][::-1], weights=tiny_weights, workshop=workshop, size=40)
    assert other.objective is objective
    assert calls == ["set_styles"]
