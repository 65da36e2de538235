"""Runs that share a workshop: the same results as alone, compiled once between them."""

import numpy as np
import pytest
import tensorflow as tf

from nst_tf.losses.objective import Objective
from nst_tf.optimizers.adam import Adam
from nst_tf.optimizers.lbfgs import LBFGS
from nst_tf.pictures import images
from nst_tf.run import descent
from nst_tf.run import workshop as workshop_module
from nst_tf.run.transfer import StyleTransfer
from nst_tf.run.workshop import Workshop

SETTINGS = {"preset": "gatys2016", "size": 40, "evaluations": 6}

#: What a run may change, and change back, and still use what the first one compiled.
DATA = [
    {
        "style_layers": {f"conv{block}_1": 0.1 * block for block in range(1, 6)},
        "style_size": 33,
        "style_weight": 30.0,
        "learning_rate": 0.3,
    },
    {"content_weight": 0.0, "init": "noise", "seed": 3, "iterations": 2},
]


@pytest.fixture
def pair(scene, painting):
    return images.resize(scene, 30, 40), painting


def same(run: StyleTransfer, alone: StyleTransfer, change: object = None) -> None:
    """What a run makes, which shares a workshop, is what it makes alone."""
    shared, apart = run.run(), alone.run()
    np.testing.assert_array_equal(shared.array, apart.array, err_msg=str(change))
    assert [row["total"] for row in shared.history] == [row["total"] for row in apart.history]


@pytest.mark.slow
def test_what_is_data_is_not_compiled_again(pair, tiny_weights):
    workshop = Workshop()
    run = StyleTransfer(*pair, weights=tiny_weights, workshop=workshop, **SETTINGS)
    run.run()
    objective, solver = run.build_objective(), LBFGS()
    step = workshop.step(objective, solver)
    for change in DATA:
        options = {"weights": tiny_weights, **SETTINGS, **change}
        run = StyleTransfer(*pair, workshop=workshop, **options)
        same(run, StyleTransfer(*pair, **options), change)
        assert run.build_objective() is objective
        assert workshop.step(objective, LBFGS(change.get("learning_rate", 1.0))) is step
    assert objective.traces == 1 and step.experimental_get_tracing_count() == 1
    assert workshop.step(objective, LBFGS(memory=5)) is not step


def test_what_is_another_function_is_another(pair, tiny_weights):
    """One change after the other: a workshop compares a run with the one before.

    Adam's step is the quickest to compile.
    """
    workshop, options = Workshop(), {"weights": tiny_weights, "optimizer": "adam", **SETTINGS}
    StyleTransfer(*pair, workshop=workshop, **options).run()
    for change in (
        {"pooling": "avg"},
        {"content_loss": "l2"},
        {"size": 36},
        {"style_layers": {"conv2_1": 1.0}},
    ):
        options |= change
        same(
            StyleTransfer(*pair, workshop=workshop, **options),
            StyleTransfer(*pair, **options),
            change,
        )


def test_other_pictures_are_other_targets(pair, tiny_weights):
    workshop, (content, style) = Workshop(), pair
    options = {"weights": tiny_weights, "optimizer": "adam", **SETTINGS}
    first = StyleTransfer(*pair, workshop=workshop, **options)
    before = first.run()
    for pictures in ((content[::-1], style), (content, style[:, ::-1] ** 2)):
        run = StyleTransfer(*pictures, workshop=workshop, **options)
        same(run, StyleTransfer(*pictures, **options))
    np.testing.assert_array_equal(first.run().array, before.array)
    assert first.build_objective().traces == 1


def test_targets_that_were_interrupted_are_measured_again(pair, tiny_weights, monkeypatch):
    workshop, (content, style) = Workshop(), pair
    options = {"weights": tiny_weights, "optimizer": "adam", **SETTINGS}
    first = StyleTransfer(content, style, workshop=workshop, **options)
    first.run()

    def interrupted(*_):
        raise KeyboardInterrupt

    other = StyleTransfer(content, style[::-1] ** 3, workshop=workshop, **options)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(first.build_objective(), "set_style_targets", interrupted)
        other.run()
    alone = StyleTransfer(content, style[::-1] ** 3, **options).run()
    assert other.run().history[0]["total"] == alone.history[0]["total"]


def test_a_picture_that_stays_is_measured_once(pair, tiny_weights, monkeypatch):
    workshop, calls = Workshop(), []
    run = StyleTransfer(*pair, weights=tiny_weights, workshop=workshop, **SETTINGS)
    objective = run.build_objective()
    for name in ("set_content", "set_style_targets"):
        monkeypatch.setattr(objective, name, lambda *_, name=name: calls.append(name))
    options = {**SETTINGS, "style_weight": 2.0}
    other = StyleTransfer(
        pair[0], pair[1][::-1], weights=tiny_weights, workshop=workshop, **options
    )
    assert other.build_objective() is objective
    assert calls == ["set_style_targets"]


def test_another_objective_has_another_step():
    """Be the solvers equal, what they evaluate is another function."""

    def bowl(image):
        loss = tf.reduce_sum(image**2)
        return loss, 2 * image, {"total": loss}

    def steeper(image):
        loss, gradient, terms = bowl(image)
        return 4 * loss, 4 * gradient, terms

    workshop, solver = Workshop(), Adam()
    step = workshop.step(bowl, solver)
    assert workshop.step(bowl, Adam()) is step
    progress = descent.begin(bowl, solver, tf.ones([1, 2, 2, 3]))
    for _ in range(2):
        progress = step(progress)
    assert step.experimental_get_tracing_count() == 1 and int(progress.iteration) == 2
    other = workshop.step(steeper, solver)
    assert other is not step
    assert float(other(progress).state.point.loss) > float(step(progress).state.point.loss)


def test_a_painting_that_comes_again_is_not_measured_again(pair, tiny_weights, monkeypatch):
    measured = []
    plain = Objective.style_targets

    def style_targets(self, pictures, blend=()):
        measured.append(pictures)
        return plain(self, pictures, blend)

    monkeypatch.setattr(Objective, "style_targets", style_targets)
    workshop, (content, style) = Workshop(), pair
    options = {"weights": tiny_weights, "optimizer": "adam", **SETTINGS}
    results = [
        StyleTransfer(content, one, workshop=workshop, **options).run().array
        for one in (style, style[::-1], style, style[::-1])
    ]
    assert len(measured) == 2
    np.testing.assert_array_equal(results[:2], results[2:])
    assert np.abs(results[0] - results[1]).max() > 0.01
    # A blend of both is another target, and so are other shares of it.
    for blend in ((1.0, 1.0), (1.0, 3.0), (1.0, 1.0)):
        StyleTransfer(
            content, [style, style[::-1]], style_blend=blend, workshop=workshop, **options
        ).run()
    assert len(measured) == 4


def test_paintings_without_end_are_not_kept(pair, tiny_weights, monkeypatch):
    monkeypatch.setattr(workshop_module, "_KEPT", 100_000)
    workshop, (content, style) = Workshop(), pair
    options = {"weights": tiny_weights, "optimizer": "adam", **SETTINGS, "evaluations": 1}
    for turn in range(5):
        StyleTransfer(content, np.roll(style, turn, 0), workshop=workshop, **options).run()
        kept = [leaf for targets in workshop._painted.values() for leaf in tf.nest.flatten(targets)]
        assert 0 < sum(leaf.numpy().nbytes for leaf in kept) <= 100_000
