"""The process's workshops: runs that are given none compile once, and never see one another."""

import gc
import os
import threading
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import nst_tf
from nst_tf.run import course, meter, outlook, workshops
from nst_tf.run import workshop as workshop_module
from nst_tf.run.course import Course
from nst_tf.run.workshop import Workshop
from nst_tf.run.workshops import Workshops

#: Shallow, and with Adam: the fewest operations to compile.
OPTIONS = {
    "preset": "gatys2016",
    "size": 40,
    "evaluations": 4,
    "optimizer": "adam",
    "content_layers": {"conv2_1": 1.0},
    "style_layers": {"conv1_1": 1.0},
}


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """Workshops of this test's own in the place of the process's."""
    of_test = Workshops()
    monkeypatch.setattr(workshops, "OF_PROCESS", of_test)
    return of_test


@pytest.fixture
def built(monkeypatch):
    """The networks that were built so far."""
    networks, build = [], workshop_module.feature_model

    def counted(*arguments):
        networks.append(build(*arguments))
        return networks[-1]

    monkeypatch.setattr(workshop_module, "feature_model", counted)
    return networks


@pytest.fixture
def run_of(tiny_weights, painting):
    def make(content, **options):
        options = {"weights": tiny_weights, **OPTIONS, **options}
        return nst_tf.StyleTransfer(content, painting, **options)

    return make


def alone(run):
    """What a run makes in a workshop of its own."""
    run._place = workshops.Place(Workshop(), None)
    return run.run()


def test_each_is_lent_once_and_the_last_few_are_kept():
    shops = Workshops(kept=2)
    first, second = shops.take("a"), shops.take("a")
    assert first is not second
    shops.give_back("a", first)
    assert shops.take("b") is not first and shops.take("a") is first
    for key, shop in (("a", first), ("b", second)):
        shops.give_back(key, shop)
    third = shops.take("c")  # which pushes out what was used longest ago
    shops.give_back("c", third)
    assert shops.take("a") is not first
    assert shops.take("c") is third
    shops.give_back("c", third)
    shops.clear()
    assert shops.take("c") is not third


def test_as_many_are_kept_as_it_says():
    shops = Workshops(kept=3)
    lent = {key: shops.take(key) for key in "abcd"}
    for key, shop in lent.items():
        shops.give_back(key, shop)
    assert shops.take("a") is not lent["a"]  # for which the next one goes, too
    assert [shops.take(key) is lent[key] for key in "bcd"] == [False, True, True]


def test_whoever_asks_for_an_objective_disturbs_no_run(run_of, scene):
    """It is the last scale's, and the run at its first."""
    expected, disturbed = (run_of(scene, min_scale=28) for _ in range(2))
    for step in disturbed:
        if step.iteration == 1:
            disturbed.build_objective()
    assert len(disturbed.stages) == 2
    np.testing.assert_array_equal(disturbed.result().array, expected.run().array)


def test_the_second_call_compiles_nothing(tiny_weights, scene, painting, built):
    results = [
        nst_tf.stylize(content, painting, weights=tiny_weights, **OPTIONS, style_weight=weight)
        for content, weight in ((scene, 1e3), (scene[::-1], 1e3), (scene, 20.0), (scene, 1e3))
    ]
    assert len(built) == 1
    np.testing.assert_array_equal(results[0].array, results[3].array)
    assert np.abs(results[0].array - results[1].array).max() > 0.1
    assert results[2].history[-1]["total"] < results[0].history[-1]["total"]
    nst_tf.clear_workshops()
    nst_tf.stylize(scene, painting, weights=tiny_weights, **OPTIONS)
    assert len(built) == 2
    own = nst_tf.Workshop()
    for _ in range(2):
        nst_tf.stylize(scene, painting, weights=tiny_weights, workshop=own, **OPTIONS)
    assert len(built) == 3


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_another_shape_compiles_nothing_and_makes_the_same(
    scene, run_of, built, optimizer, monkeypatch
):
    shapes = [scene, scene[:, :40], scene[:30]]
    runs = [run_of(content, optimizer=optimizer) for content in shapes]
    made = [run.run() for run in runs]
    assert len(built) == 1 and runs[-1].build_objective().traces == 1
    assert [result.array.shape[:2] for result in made] == [(30, 40), (40, 33), (19, 40)]
    monkeypatch.setattr(Course, "_any_size", False)  # a graph for each shape
    for content, result in zip(shapes, made, strict=True):
        expected = alone(run_of(content, optimizer=optimizer))
        np.testing.assert_array_equal(result.array, expected.array)


def test_large_pictures_of_one_scale_have_graphs_of_their_own(run_of, scene, monkeypatch):
    """There a run is long enough for the few percent that these are faster."""
    small, other = run_of(scene)._course, run_of(scene[:, :40])._course
    assert small.key == other.key
    monkeypatch.setattr(course, "SHARED", 900)
    assert run_of(scene)._course.key != run_of(scene[:, :40])._course.key
    scales = {"min_scale": 16, "size": 48}
    assert run_of(scene, **scales)._course.key == run_of(scene[:, :40], **scales)._course.key


def test_runs_that_take_turns_do_not_mix(scene, run_of):
    contents = scene, scene[::-1] ** 2
    expected = [alone(run_of(content)).array for content in contents]
    runs = [run_of(content) for content in contents]
    for _ in zip(*runs, strict=True):
        pass
    for run, array in zip(runs, expected, strict=True):
        np.testing.assert_array_equal(run.result().array, array)


def test_threads_do_not_mix(scene, run_of):
    contents = [scene, scene[::-1] ** 2, scene[:, ::-1] ** 3]
    expected = [alone(run_of(content)).array for content in contents]
    made: dict[int, np.ndarray] = {}
    together = threading.Barrier(len(contents))

    def work(number):
        together.wait()
        for _ in range(2):  # the second time in whichever workshop is there
            made[number] = run_of(contents[number]).run().array
            np.testing.assert_array_equal(made.pop(number), expected[number])
        made[number] = expected[number]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(contents))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made) == [0, 1, 2]


def test_an_objective_that_was_asked_for_stays_as_it_is(scene, run_of, built):
    run = run_of(scene)
    run.run()
    objective, image = run.build_objective(), tf.constant(run.best[np.newaxis])
    before = float(objective(image).loss)
    run_of(scene[::-1] ** 2).run()
    assert float(objective(image).loss) == before
    assert run.build_objective() is objective and len(built) == 2


def test_a_run_that_is_left_gives_its_workshop_back(scene, run_of, built, fresh):
    run = run_of(scene)
    for _ in run:
        break
    result = run.result()
    assert result.stopped == "interrupted" and len(built) == 1
    with pytest.raises(ZeroDivisionError):
        for _ in run_of(scene[::-1]):
            raise ZeroDivisionError
    run_of(scene).run()
    assert len(built) == 1 and len(fresh._idle) == 1


def test_a_run_says_what_it_leaves_and_the_next_may_take_that(
    monkeypatch, scene, run_of, fresh, built
):
    """By a process that grows by a gigabyte with every network."""
    taken = lambda: (1 + len(built)) << 30  # noqa: E731
    monkeypatch.setattr(meter, "resident", taken)
    monkeypatch.setattr(outlook, "resident", taken)
    run_of(scene).run()
    assert fresh.growth.idle == 1 << 30 == workshops.idle(None)
    second = run_of(scene, max_memory="1.5GiB")  # the process has more
    assert second.outlook.crowded
    second.run()
    assert len(built) == 1 and fresh.growth.idle == 1 << 30
    # One that cannot use it again lets it go.
    run_of(scene, max_memory="1.5GiB", content_layers={"conv1_2": 1.0}).run()
    assert len(built) == 2 and len(fresh._idle) == 1
    # And so does one in a workshop of its own, which keeps account of itself.
    own = Workshop()
    run_of(scene, max_memory="2GiB", workshop=own).run()
    assert not fresh._idle and own.growth.idle == 1 << 30
    # What was let go is still the process's, and the next run's.
    assert workshops.idle(None) == 2 << 30 and workshops.idle(own) == 3 << 30


def resident():
    """Megabytes of memory that the process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the memory is read from /proc")
def test_twenty_runs_need_no_more_memory_than_three(tiny_weights, scene, painting):
    options = {**OPTIONS, "weights": tiny_weights, "evaluations": 2}
    for number in range(20):
        nst_tf.stylize(scene * (1 - number / 40), painting, **options)
        gc.collect()
        if number == 2:
            third = resident()
    assert resident() - third < 30
