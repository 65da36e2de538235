"""A descent as a value: put aside at any step, read back from a file, gone on with."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from test_optimizers import START, bowl

from nst_tf import optimizers
from nst_tf.run import descent
from nst_tf.run.descent import Limits

NAMES = ("lbfgs", "adam", "gd")


def after(progress, path):
    """The progress as tf.train.Checkpoint writes and reads it."""
    kept = tf.train.Checkpoint(leaves=[tf.Variable(leaf) for leaf in tf.nest.flatten(progress)])
    written = kept.write(str(path / "progress"))
    blank = [tf.Variable(tf.zeros_like(leaf)) for leaf in tf.nest.flatten(progress)]
    tf.train.Checkpoint(leaves=blank).read(written).assert_consumed()
    return tf.nest.pack_sequence_as(progress, [tf.convert_to_tensor(leaf) for leaf in blank])


class Failing:
    """A bowl whose evaluations number `bad` give no number."""

    def __init__(self, *bad):
        self.bad, self.count = bad, 0

    def __call__(self, image):
        self.count += 1
        loss, gradient, terms = bowl(image)
        factor = np.nan if self.count in self.bad else 1.0
        return loss * factor, gradient * factor, terms


def eagerly(evaluate, solver):
    return lambda progress: descent.attempt(evaluate, solver, progress)


@pytest.mark.parametrize("name", NAMES)
def test_a_progress_read_back_goes_on_as_it_would_have(name, tmp_path):
    """By a solver that never began: the state is all that it needs."""
    solver, limits = optimizers.create(name), Limits(iterations=8)
    begun = descent.begin(bowl, solver, START)
    straight = list(descent.descend(bowl, solver, begun, limits))
    assert [int(progress.iteration) for progress in straight] == list(range(1, 9))
    read = after(straight[3], tmp_path)
    again = list(descent.descend(bowl, optimizers.create(name), read, limits))
    assert len(again) == 4
    for here, there in zip(again, straight[4:], strict=True):
        for leaf, other in zip(tf.nest.flatten(here), tf.nest.flatten(there), strict=True):
            np.testing.assert_array_equal(leaf, other)


@pytest.mark.parametrize("name", NAMES)
def test_rejected_steps_are_survived_also_by_what_was_put_aside(name, tmp_path):
    """The count of failures and the shortened step are part of the value."""
    bad, limits = (4,), Limits(evaluations=24)
    if name == "lbfgs":
        bad = tuple(range(4, 17))  # its line search tries a dozen shorter steps itself
    solver, evaluate = optimizers.create(name), Failing(*bad)
    begun = descent.begin(evaluate, solver, START)
    for progress in descent.descend(evaluate, solver, begun, limits, eagerly(evaluate, solver)):
        if int(progress.failures):
            break
    assert int(progress.failures) == 1 and float(progress.shrink) == 0.5
    assert not bool(progress.finite) and np.isfinite(float(progress.best.loss))
    read, mended = after(progress, tmp_path), Failing()
    *_, last = descent.descend(
        mended, optimizers.create(name), read, limits, eagerly(mended, optimizers.create(name))
    )
    assert int(last.failures) == 0 and float(last.best.loss) < float(progress.best.loss)
    ratio = float(last.state.learning_rate) / float(begun.state.learning_rate)
    if name != "gd":  # which sets its rate by the gradient where it starts
        assert ratio == pytest.approx(0.5, rel=1e-6)


def test_one_that_never_comes_to_a_number_has_diverged():
    solver, evaluate = optimizers.create("adam"), Failing(*range(3, 1000))
    begun = descent.begin(evaluate, solver, START)
    steps = list(descent.descend(evaluate, solver, begun, Limits(), eagerly(evaluate, solver)))
    assert descent.verdict(steps[-1], Limits()) == "diverged"
    assert int(steps[-1].failures) == descent.ATTEMPTS + 1
    assert int(steps[-1].state.evaluations) == evaluate.count
    # and goes on being so
    assert not list(descent.descend(evaluate, solver, steps[-1], Limits(iterations=10**6)))


def test_a_start_that_is_no_number_has_diverged_at_once():
    evaluate = Failing(1)
    begun = descent.begin(evaluate, optimizers.create("gd"), START)
    assert descent.verdict(begun, Limits(iterations=5)) == "diverged"


def test_at_the_minimum_it_stalls_after_one_new_start():
    def flat(image):
        return tf.zeros([]), tf.zeros_like(image), {}

    solver = optimizers.create("lbfgs")
    steps = list(descent.descend(flat, solver, descent.begin(flat, solver, START), Limits()))
    assert [int(progress.failures) for progress in steps] == [1, 2]
    assert descent.verdict(steps[-1], Limits()) == "stalled"


@pytest.mark.parametrize(
    ("limits", "ends"),
    [(Limits(iterations=3), (3, 4)), (Limits(evaluations=6), (5, 6)), (Limits(2, 100), (2, 3))],
)
def test_limits(limits, ends):
    solver = optimizers.create("adam")
    *_, last = descent.descend(bowl, solver, descent.begin(bowl, solver, START), limits)
    assert (int(last.iteration), int(last.state.evaluations)) == ends
    more = limits.after(last)
    *_, longer = descent.descend(bowl, solver, last, more)
    spent = int(longer.state.evaluations) - int(last.state.evaluations)
    assert spent in (limits.iterations, limits.evaluations)


def test_in_a_graph_it_does_the_same():
    """`advance` in a while loop, with a cliff that asks for new starts."""

    def cliff(image):
        loss, gradient, terms = bowl(image)
        beyond = tf.reduce_max(tf.abs(image - START)) > 0.03
        poison = tf.where(beyond, np.nan, 1.0)
        return loss * poison, gradient * poison, terms

    solver = optimizers.create("adam", 0.02)
    progress = begun = descent.begin(cliff, solver, START)
    for progress in descent.descend(cliff, solver, begun, Limits(), eagerly(cliff, solver)):
        if int(progress.state.evaluations) > 12:
            break

    @tf.function
    def in_graph(progress):
        return tf.while_loop(
            lambda progress: progress.state.evaluations <= 12,
            lambda progress: (descent.advance(cliff, solver, progress),),
            (progress,),
        )[0]

    found = in_graph(begun)
    assert float(progress.shrink) < 1  # there was something to survive
    for leaf, other in zip(tf.nest.flatten(found), tf.nest.flatten(progress), strict=True):
        np.testing.assert_allclose(leaf, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_another_size_goes_on_counting(name):
    solver, limits = optimizers.create(name), Limits(iterations=4)

    def larger(image):
        target = tf.fill([1, 8, 10, 3], 0.3)
        loss = tf.reduce_sum(tf.square(image - target))
        return loss, 2 * (image - target), {}

    def smaller(image):
        loss, gradient, _ = bowl(image)
        return loss, gradient, {}

    *_, last = descent.descend(smaller, solver, descent.begin(smaller, solver, START), limits)
    image = tf.image.resize(last.best.image, [8, 10], "bicubic")
    there = descent.resize(larger, solver, last, image)
    assert int(there.iteration) == 4
    assert int(there.state.evaluations) == int(last.state.evaluations) + 1
    assert float(there.best.loss) == pytest.approx(float(larger(image)[0]))
    *_, end = descent.descend(larger, solver, there, limits.after(there))
    assert int(end.iteration) > 4 and float(end.best.loss) < float(there.best.loss)


@pytest.mark.parametrize("decay", [0.0, 0.6, 0.95])
def test_the_average_is_the_corrected_sum_over_the_iterates(decay):
    solver, limits = optimizers.create("adam", 0.05), Limits(iterations=9)
    iterates, found = [], None
    take_step = lambda progress: descent.attempt(bowl, solver, progress, decay)  # noqa: E731
    begun = descent.begin(bowl, solver, START)
    for found in descent.descend(bowl, solver, begun, limits, take_step):
        iterates.append(found.state.point.image.numpy().astype(np.float64))
    weights = decay ** np.arange(len(iterates))[::-1]
    wanted = np.tensordot(weights / weights.sum(), iterates, 1)
    np.testing.assert_allclose(found.average.image, wanted, atol=1e-6)
    assert np.abs(wanted - iterates[-1]).max() > 1e-3 or decay == 0


def test_a_rejected_step_is_not_averaged_and_a_new_size_begins_anew():
    solver, evaluate = optimizers.create("adam"), Failing(3)
    take_step = lambda progress: descent.attempt(evaluate, solver, progress, 0.9)  # noqa: E731
    begun = descent.begin(evaluate, solver, START)
    first, rejected = list(
        descent.descend(evaluate, solver, begun, Limits(evaluations=3), take_step)
    )
    assert int(rejected.failures) == 1
    np.testing.assert_array_equal(rejected.average.image, first.average.image)
    larger = tf.image.resize(START, (8, 10))

    def flat(image):
        return bowl(tf.image.resize(image, (4, 5)))

    anew = descent.resize(flat, solver, first, larger)
    np.testing.assert_array_equal(anew.average.image, larger)
    assert float(anew.average.weight) == 0
