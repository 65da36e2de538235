"""Numbers that are none, in what a run reads or computes: its best image is not lost to them."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from test_descent import eagerly
from test_optimizers import START, bowl

import nst_tf
from nst_tf import assets, optimizers
from nst_tf.errors import DivergenceError, NSTError
from nst_tf.losses.objective import Evaluation
from nst_tf.network.weights import Weights
from nst_tf.run import descent
from nst_tf.run.descent import Limits
from nst_tf.run.transfer import StyleTransfer
from nst_tf.run.workshop import Workshop


class Planted:
    """An objective whose value, gradient, or a single number of that is NaN or infinite at some of
    its evaluations, the first of them perhaps; `met` counts them."""

    def __init__(self, evaluate, draw: random.Random) -> None:
        self.evaluate, self.count, self.met = evaluate, 0, 0
        self.first = draw.choice([1, 2, 3, 5, 8])
        self.share, self.what = draw.choice([0.1, 0.5, 1]), draw.choice(["loss", "all", "one"])
        self.number, self.draw = draw.choice([np.nan, np.inf, -np.inf]), draw

    def __call__(self, image):
        loss, gradient, terms = self.evaluate(image)
        self.count += 1
        if self.count >= self.first and self.draw.random() < self.share:
            self.met += 1
            if self.what == "loss":
                loss = loss + self.number
            elif self.what == "all":
                gradient = gradient + self.number
            else:
                planted = np.array(gradient)
                planted.flat[self.draw.randrange(planted.size)] = self.number
                gradient = tf.constant(planted)
        return Evaluation(loss, gradient, terms)


@pytest.mark.parametrize("name", ["lbfgs", "adam", "gd", "pyramid"])
@pytest.mark.parametrize("tries", [5, pytest.param(100, marks=pytest.mark.long)])
def test_numbers_that_are_none_in_a_descent(name, tries):
    """It ends, and with the best image that had a finite loss and gradient."""
    ends, met = set(), 0
    for seed in range(tries):
        evaluate = Planted(bowl, random.Random(seed))
        solver, limits = optimizers.create(name), Limits(evaluations=20)
        progress = descent.begin(evaluate, solver, START)
        if not progress.finite:
            ends.add("refused")
            continue
        take_step = eagerly(evaluate, solver)
        begun = progress
        for progress in descent.descend(evaluate, solver, begun, limits, take_step):
            assert np.isfinite(progress.best.image).all() and np.isfinite(progress.best.loss)
            assert np.isfinite(progress.best.gradient).all()
        ends.add(descent.verdict(progress, limits))
        true = float(bowl(progress.best.image)[0])
        np.testing.assert_allclose(float(progress.best.loss), true, rtol=1e-6)
        met += evaluate.met
    assert ends <= {"refused", "finished", "stalled", "diverged"} and met > tries


@pytest.fixture
def planted(monkeypatch, without_graphs, tiny_weights):
    """A small run of three scales whose objective is not always finite, and how it ends."""

    def run(plant) -> str:
        class Poisoned(Workshop):
            def objective(self, *arguments, **options):
                return plant(super().objective(*arguments, **options))

        settings: dict[str, Any] = {
            "size": 32,
            "min_scale": 16,
            "evaluations": 1,
            "optimizer": "adam",
        }
        settings |= {"content_layers": {"conv2_1": 1.0}, "style_layers": {"conv1_1": 1.0}}
        run = StyleTransfer(
            str(assets.SCENE), str(assets.PAINTING), weights=tiny_weights, workshop=Poisoned(),
            preset="gatys2016", **settings,
        )  # fmt: skip
        try:
            result = run.run()
        except DivergenceError as error:
            if error.result is None:
                return "refused"
            result = error.result
        assert np.isfinite(result.array).all()
        assert result.array.min() >= 0 and result.array.max() <= 1
        json.dumps(result.manifest, allow_nan=False)
        return result.stopped

    return run


@pytest.mark.parametrize("tries", [3, pytest.param(40, marks=pytest.mark.long)])
def test_numbers_that_are_none_in_a_run(planted, tries):
    def of(seed: int) -> str:
        draw = random.Random(seed)
        made: dict[int, Planted] = {}
        return planted(lambda given: made.setdefault(id(given), Planted(given, draw)))

    ends = {of(seed) for seed in range(tries)}
    assert ends <= {"refused", "finished", "stalled", "diverged"}


def test_a_scale_that_does_not_begin_leaves_the_one_before(planted):
    seen = []

    def from_the_second_on(given):
        def evaluate(image):
            loss, gradient, terms = given(image)
            seen.append(int(image.shape[2]))
            return Evaluation(
                loss * (1.0 if image.shape[2] == seen[0] else np.nan), gradient, terms
            )

        return evaluate

    assert planted(from_the_second_on) == "diverged"
    assert len(set(seen)) == 2  # the third is not tried


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_numbers_that_are_none_in_what_is_given(tiny_weights, number):
    """One anywhere is enough: in a picture, in the network, in a term of the user's."""
    draw = np.random.default_rng(0)
    picture = draw.random((24, 24, 3), np.float32)
    good = {
        "weights": tiny_weights, "preset": "gatys2016", "evaluations": 2, "optimizer": "adam",
        "content_layers": {"conv2_1": 1.0}, "style_layers": {"conv1_1": 1.0},
    }  # fmt: skip
    bad = picture.copy()
    bad.flat[draw.integers(bad.size)] = number
    for pair in ((bad, picture), (picture, bad)):
        with pytest.raises(NSTError, match="float pictures are in"):
            nst_tf.stylize(*pair, **good)
    kernels = {name: kernel.copy() for name, kernel in tiny_weights.kernels.items()}
    kernels["conv1_1"].flat[draw.integers(kernels["conv1_1"].size)] = number
    weights = Weights(kernels, tiny_weights.biases, "planted")
    with pytest.raises(NSTError, match="not finite"):
        nst_tf.stylize(picture, 1 - picture, **{**good, "weights": weights})
    term = nst_tf.Term("bad", lambda image: tf.reduce_mean(image) * number)
    with pytest.raises(NSTError, match="not finite"):
        nst_tf.stylize(picture, 1 - picture, terms=[term], **good)
