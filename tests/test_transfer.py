"""A run: how it goes, what ends it, and what it is made of."""

import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import nst_tf
from nst_tf import assets
from nst_tf.errors import DivergenceError, Interrupted, SettingsError
from nst_tf.losses.objective import Evaluation
from nst_tf.pictures import images
from nst_tf.recipe import presets
from nst_tf.run import inputs, schedule
from nst_tf.run.descent import Limits
from nst_tf.run.schedule import Stage
from nst_tf.run.transfer import StyleTransfer
from nst_tf.run.workshop import Workshop

#: For runs that compile a step of their own: the less there is of it, the sooner.
SHALLOW = {"content_layers": {"conv1_2": 1.0}, "style_layers": {"conv1_1": 1.0}}


class Poisoned(Workshop):
    """Its objectives return NaN from evaluation `after` on, `times` times; they are counted.

    Args:
      sound: the workshop whose objectives these are.
    """

    def __init__(self, sound: Workshop, after: int, times: int) -> None:
        super().__init__()
        self.sound, self.after, self.times = sound, after, times
        self.count = tf.Variable(0, dtype=tf.int32)

    def objective(self, *arguments, **options):
        evaluate = self.sound.objective(*arguments, **options)

        def poisoned(image):
            loss, gradient, terms = evaluate(image)
            count = self.count.assign_add(1)
            bad = (count > self.after) & (count <= self.after + self.times)
            factor = tf.where(bad, np.nan, 1.0)
            return Evaluation(loss * factor, gradient * factor, terms)

        return poisoned


def test_the_plain_call(tiny_weights):
    result = nst_tf.stylize(
        assets.SCENE, assets.PAINTING, weights=tiny_weights, size=48, evaluations=10
    )
    assert isinstance(result.image, Image.Image) and result.image.size == (48, 36)
    assert result.array.shape == (36, 48, 3) and result.array.dtype == np.float32
    assert result.array.min() >= 0 and result.array.max() <= 1
    assert result.stopped == "finished"
    assert result.history[-1]["total"] < 0.7 * result.history[0]["total"]


@pytest.mark.slow
def test_paths_images_arrays_and_tensors_are_all_the_same(stylize, tiny_weights):
    with Image.open(assets.SCENE) as image:
        image.load()
    array = np.asarray(image)
    forms = [str(assets.SCENE), image, array, array / np.float32(255), tf.constant(array)[None]]
    results = [stylize(form, assets.PAINTING, evaluations=4).run() for form in forms]
    for result in results[1:]:
        np.testing.assert_allclose(result.array, results[0].array, atol=1e-4)


def test_pictures_that_are_read_are_not_read_again(tiny_weights):
    settings, options = presets.settings("gatys2016", size=48), {"weights": tiny_weights}
    read = inputs.load(settings, assets.SCENE, assets.PAINTING)
    run = StyleTransfer(assets.SCENE, assets.PAINTING, settings=settings, inputs=read, **options)
    assert run.content is read.content and run.styles is read.styles
    other = StyleTransfer(assets.SCENE, assets.PAINTING, settings=settings, **options)
    assert run.identity == other.identity


def test_a_failed_step_halves_the_learning_rate_that_is_told(stylize, workshop):
    poisoned = Poisoned(workshop, after=6, times=2)
    run = stylize(optimizer="adam", evaluations=12, workshop=poisoned)
    rates = [row["learning_rate"] for row in run.run().history]
    np.testing.assert_allclose(sorted(set(rates)), [0.005, 0.02], rtol=1e-5)


@pytest.mark.slow
def test_the_budget_ends_the_run(stylize):
    result = stylize(evaluations=7).run()
    assert result.history[-1]["evaluations"] >= 7
    assert result.history[-2]["evaluations"] < 7
    assert stylize(iterations=3).run().history[-1]["iteration"] == 3
    assert len(stylize(iterations=0).run().history) == 1
    both = stylize(iterations=100, evaluations=5).run()
    assert both.history[-1]["iteration"] < 6


def test_as_an_iterator_left_early(stylize):
    run = stylize(evaluations=1000)
    with pytest.raises(SettingsError, match="no result yet"):
        run.result()
    for step in run:
        assert step.array.shape == (36, 48, 3) and step.image.size == (48, 36)
        if step.iteration == 3:
            break
    result = run.result()
    assert len(result.history) == 4 and result.stopped == "interrupted"
    np.testing.assert_array_equal(result.array, np.clip(step.array, 0, 1))


def test_keyboard_interrupt_carries_the_result(stylize):
    class CtrlC(nst_tf.Callback):
        def on_step(self, run, step):
            if step.iteration == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        stylize(callbacks=[CtrlC()]).run()
    assert isinstance(caught.value, Interrupted)
    assert len(caught.value.result.history) == 3


def test_the_same_seed_gives_the_same_bytes(stylize):
    runs = [stylize(init="noise", seed=seed).run().array.tobytes() for seed in (4, 4, 5)]
    assert runs[0] == runs[1] != runs[2]


@pytest.mark.parametrize(("optimizer", "learning_rate"), [("adam", 5.0), ("gd", 100.0)])
def test_the_result_is_the_best_image_not_the_last(stylize, optimizer, learning_rate):
    steps = list(run := stylize(optimizer=optimizer, learning_rate=learning_rate))
    best = min(steps, key=lambda step: step.terms["total"])
    assert best.iteration < steps[-1].iteration  # such long steps overshoot
    np.testing.assert_array_equal(run.result().array, np.clip(best.array, 0, 1))


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam", "gd"])
def test_a_step_that_is_not_finite_is_rejected_and_the_run_goes_on(stylize, workshop, optimizer):
    poisoned = Poisoned(workshop, after=6, times=2)
    result = stylize(optimizer=optimizer, evaluations=30, workshop=poisoned, **SHALLOW).run()
    assert result.stopped == "finished"
    assert np.isfinite([row["total"] for row in result.history]).all()
    assert result.history[-1]["total"] < result.history[3]["total"]
    assert np.isfinite(result.array).all()


@pytest.mark.parametrize(
    "optimizer", ["lbfgs", "adam", "gd", pytest.param("tfp-lbfgs", marks=pytest.mark.slow)]
)
def test_lasting_failure_is_an_error_that_carries_the_best_image(stylize, workshop, optimizer):
    poisoned = Poisoned(workshop, after=9, times=10**6)
    run = stylize(optimizer=optimizer, evaluations=500, workshop=poisoned, **SHALLOW)
    with pytest.raises(DivergenceError, match="not finite") as caught:
        run.run()
    result = caught.value.result
    assert result.stopped == "diverged" and np.isfinite(result.array).all()
    totals = [row["total"] for row in result.history]
    assert np.isfinite(totals).all() and min(totals) < totals[0]
    assert result.manifest["total"] == min(totals) and result.manifest["saved_total"] is None
    json.dumps(result.manifest, allow_nan=False)


def test_a_start_that_is_not_finite_is_an_error_at_once(stylize, workshop):
    run = stylize(workshop=Poisoned(workshop, after=0, times=10**6), **SHALLOW)
    with pytest.raises(DivergenceError, match="initial image") as caught:
        run.run()
    assert caught.value.result is None


def test_a_run_at_its_minimum_stalls(stylize, scene):
    """The content image itself has content loss 0: there is nothing to descend."""
    result = stylize(style_weight=0.0, evaluations=200).run()
    assert result.stopped == "stalled" and len(result.history) == 1
    np.testing.assert_allclose(result.array, np.clip(stylize().content, 0, 1))


def test_new_start_keeps_counting_evaluations(stylize, workshop):
    poisoned = Poisoned(workshop, after=6, times=2)
    run = stylize(optimizer="adam", evaluations=30, workshop=poisoned)
    counts = [(step.evaluations, int(poisoned.count)) for step in run]
    assert all(told == counted for told, counted in counts) and counts[-1][0] >= 30
    assert run.history[-1]["evaluations"] == counts[-1][0]


@pytest.mark.slow
def test_several_styles_and_their_blend(stylize, scene, painting):
    alone = stylize(style=painting).run().array
    np.testing.assert_allclose(
        stylize(style=[painting, scene], style_blend=(1, 0)).run().array, alone, atol=1e-3
    )
    assert np.abs(stylize(style=[painting, scene]).run().array - alone).max() > 0.01
    with pytest.raises(SettingsError, match="3 weights in style_blend for 2"):
        stylize(style=[painting, scene], style_blend=(1, 2, 3))


def test_too_small_pictures_are_named_before_any_work(stylize):
    with pytest.raises(SettingsError, match="at least 16x16"):
        stylize(size=12)


def test_settings_in_place_of_a_preset(stylize):
    settings = presets.settings("l2-distance", evaluations=3, size=48)
    weights = stylize().weights
    run = StyleTransfer(assets.SCENE, assets.PAINTING, settings=settings, weights=weights, seed=9)
    assert run.settings == settings.replace(seed=9)
    with pytest.raises(SettingsError, match="both given"):
        stylize(preset="gatys2016", settings=settings)
    with pytest.raises(SettingsError, match=r"^settings is 3: give an nst_tf\.Settings$"):
        StyleTransfer(assets.SCENE, assets.PAINTING, settings=3)
    with pytest.raises(SettingsError, match=r"^workshop is 3: give an nst_tf\.Workshop$"):
        stylize(workshop=3)


def test_the_former_names_still_work_and_warn(stylize):
    settings = presets.settings("l2-distance", evaluations=3, size=48)
    with pytest.warns(DeprecationWarning, match="settings="):
        run = stylize(preset=settings, size=40)
    assert run.settings == settings.replace(size=40, evaluations=12)
    with pytest.warns(DeprecationWarning, match="identity"):
        assert run.plan == run.identity
    with pytest.warns(DeprecationWarning, match="build_objective"):
        assert run.objective is run.build_objective()


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_a_run_of_two_stages(stylize, optimizer):
    stages = [Stage(Limits(iterations=3), size=24), Stage(Limits(iterations=3))]
    options = {"optimizer": optimizer, "init": "noise", "style_weight": 10.0}
    run = stylize(stages=stages, **options)
    steps = list(run)
    assert [step.iteration for step in steps] == list(range(7))
    shapes = [step.array.shape for step in steps]
    assert shapes == 4 * [(18, 24, 3)] + 3 * [(36, 48, 3)]
    for name in ("iteration", "evaluations", "seconds"):
        column = [row[name] for row in run.history]
        assert column == sorted(column)
    result = run.result()
    assert result.stopped == "finished" and result.history == run.history
    assert result.array.shape == (36, 48, 3) and result.image.size == (48, 36)
    totals = [row["total"] for row in result.history]
    assert result.manifest["total"] == min(totals[4:])  # of the images at the result's size
    # Of either there is one step at this size: what the first stage made is a better start.
    alone = [row["total"] for row in stylize(**options, iterations=3).run().history]
    assert totals[4] < alone[1]
    if optimizer == "lbfgs":  # Adam's steps are as long whether there is far to go or not
        assert totals[-1] < alone[-1]


def test_a_run_left_in_its_first_stage_has_a_result_of_full_size(stylize):
    run = stylize(stages=[Stage(Limits(iterations=3), size=24), Stage(Limits(iterations=3))])
    for step in run:
        if step.iteration == 2:
            break
    result = run.result()
    assert step.array.shape == (18, 24, 3) and result.array.shape == (36, 48, 3)
    assert result.stopped == "interrupted"
    # What is saved is measured at the size that there was an objective of.
    small = images.to_uint8(images.resize(result.array, 18, 24)) / np.float32(255)
    objective = run.build_objective(Stage(Limits(), size=24))
    expected = float(objective(tf.constant(small[np.newaxis])).loss)
    assert result.manifest["saved_total"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("changes", [{}, {"optimizer": "adam", "learning_rate": 0.05}])
def test_the_stage_of_the_settings_is_what_a_run_without_stages_is(stylize, changes):
    plain = stylize(**changes).run()
    run = stylize(**changes)
    stages = schedule.of_settings(run.settings, run.content, run.styles)
    staged = stylize(**changes, stages=stages).run()
    assert staged.array.tobytes() == plain.array.tobytes()
    for row, other in zip(staged.history, plain.history, strict=True):
        assert {**row, "seconds": 0} == {**other, "seconds": 0}
