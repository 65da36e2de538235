"""A run of several scales, its average, its bounds, its strength and its strokes."""

from __future__ import annotations

import io

import numpy as np
import pytest
import tensorflow as tf

from nst_tf.errors import SettingsError
from nst_tf.losses import terms
from nst_tf.pictures import colours, images
from nst_tf.recipe.settings import Settings
from nst_tf.run import course, schedule
from nst_tf.run.transfer import Callback, StyleTransfer
from nst_tf.run.workshop import Workshop
from nst_tf.watch.film import Film
from nst_tf.watch.progress_bar import ProgressBar
from nst_tf.watch.snapshots import Snapshots, snapshot_path
from nst_tf.watch.tensorboard import TensorBoard

#: Iterations hold at 512 pixels: half a one there are 5 at 48 and 7 at 34.
OPTIONS = {
    "content_layers": {"conv2_1": 1.0},
    "style_layers": {"conv1_1": 1.0},
    "content_loss": "relative",
    "optimizer": "adam",
    "min_scale": 24,
    "iterations": 1,
    "bounded": True,
    "average": 0.8,
    "grain": "free",  # the image is looked at as the losses leave it
    "size": 48,
}


@pytest.fixture(scope="module")
def workshop():
    return Workshop()


@pytest.fixture(scope="module")
def run(tiny_weights, scene, painting, workshop):
    """A run of three scales, at its end."""
    made = StyleTransfer(scene, painting, weights=tiny_weights, workshop=workshop, **OPTIONS)
    made.run()
    return made


def test_every_scale_gets_its_steps_and_its_size(run):
    assert [row["iteration"] for row in run.history] == list(range(21 + 15 + 11 + 1))
    assert run.result().array.shape == (36, 48, 3)
    assert run.result().stopped == "finished"


def test_one_trace_serves_all_scales(run):
    objective = run.build_objective()
    assert objective.any_size
    assert objective.traces == 1


def test_the_share_that_is_done_weighs_steps_by_their_pixels(
    tiny_weights, scene, painting, workshop
):
    made = StyleTransfer(scene, painting, weights=tiny_weights, workshop=workshop, **OPTIONS)
    assert made.share == 0
    shares = {step.iteration: made.share for step in made}
    work = 21 * 18 * 24 + 15 * 26 * 34 + 11 * 36 * 48
    assert shares[0] == 0
    assert shares[21] == pytest.approx(21 * 18 * 24 / work)
    assert shares[36 + 4] == pytest.approx(1 - 7 * 36 * 48 / work)
    assert shares[47] == 1


def test_the_bar_tells_the_scale_and_the_share(tiny_weights, scene, painting, workshop):
    stream = io.StringIO()
    options = {"weights": tiny_weights, "workshop": workshop, "callbacks": [ProgressBar(stream)]}
    StyleTransfer(scene, painting, **options, **OPTIONS).run()
    last = stream.getvalue().split("\r")[-1]
    assert "100%" in last
    assert "48 px, iteration 47" in last


def test_the_bar_of_a_single_scale_ends_with_it(tiny_weights, scene, painting, workshop):
    """Of a small picture that has more steps than the setting says, which holds at 512 pixels."""
    stream = io.StringIO()
    options = {**OPTIONS, "min_scale": 48, "iterations": 1, "optimizer": "gd", "average": 0.0}
    bar = ProgressBar(stream)
    made = StyleTransfer(scene, painting, weights=tiny_weights, callbacks=[bar], **options)
    assert len(made.stages) == 1
    made.run()
    steps = made.stages[0].limits.iterations
    assert steps == 11 and f"{steps}/{steps} iterations" in stream.getvalue()


def test_a_scale_goes_on_from_the_average_of_the_last(tiny_weights, scene, painting, workshop):
    options = {**OPTIONS, "average": 0.9}
    made = StyleTransfer(scene, painting, weights=tiny_weights, workshop=workshop, **options)
    kept = []
    for step in made:
        kept.append(step.array)
        if step.array.shape[1] == 34:
            break
    iterates = np.stack(kept[1:-1])
    weights = 0.9 ** np.arange(len(iterates))[::-1]
    average = np.tensordot(weights / weights.sum(), iterates, 1)

    # The first step at the new size moves by about the learning rate from where it began.
    def distance(begun):
        coarse = tf.constant(begun[np.newaxis], tf.float32)
        before, after = (images.resize(made.initial_image, *at) for at in ((18, 24), (26, 34)))
        return np.abs(kept[-1] - schedule.enlarge(coarse, before, after)).mean()

    assert distance(average) < 0.5 * distance(iterates[-1])


def test_the_loss_reported_is_the_saved_pictures(run):
    manifest = run.result().manifest
    assert manifest["saved_total"] == pytest.approx(manifest["total"], rel=0.02)


def test_the_result_is_the_average_of_the_last_scales_iterates(
    tiny_weights, scene, painting, workshop
):
    made = StyleTransfer(scene, painting, weights=tiny_weights, workshop=workshop, **OPTIONS)
    iterates = [step.array for step in made if step.array.shape[1] == 48]
    weights = OPTIONS["average"] ** np.arange(len(iterates))[::-1]
    average = np.tensordot(weights / weights.sum(), iterates, 1)
    np.testing.assert_allclose(made.result().array, average, atol=1e-5)
    assert np.abs(average - iterates[-1]).max() > 1e-3


def test_a_run_stopped_at_a_later_scale_was_interrupted(tiny_weights, scene, painting, workshop):
    """What an earlier scale ended with is not what the run ended with."""

    class Stopping(Callback):
        def on_step(self, run, step):
            if step.array.shape[1] == 34:
                run.stop()

    options = {"workshop": workshop, "callbacks": [Stopping()], **OPTIONS}
    result = StyleTransfer(scene, painting, weights=tiny_weights, **options).run()
    assert result.stopped == "interrupted"
    assert result.manifest["stopped"] == "interrupted"
    assert result.array.shape == (36, 48, 3)


def test_every_evaluation_of_every_scale_is_in_the_share(tiny_weights, scene, painting):
    options = {**OPTIONS, "optimizer": "lbfgs", "average": 0.0, "iterations": None}
    made = StyleTransfer(scene, painting, weights=tiny_weights, **{**options, "evaluations": 1})
    shares = [made.share for _ in made]
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_optimizers_of_others_take_a_trace_a_scale(tiny_weights, scene, painting):
    pytest.importorskip("tensorflow_probability")
    options = {**OPTIONS, "optimizer": "tfp-lbfgs", "bounded": False, "average": 0.0}
    options |= {"size": 34, "iterations": 1}
    result = StyleTransfer(scene, painting, weights=tiny_weights, **options).run()
    assert result.stopped in ("finished", "stalled")
    assert result.array.shape == (26, 34, 3)


def test_snapshots_and_logs_have_the_results_size(
    tiny_weights, scene, painting, workshop, tmp_path
):
    pytest.importorskip("av")
    pytest.importorskip("tensorboard")
    board, film = TensorBoard(tmp_path / "logs"), Film(tmp_path / "film.webp", every=10)
    out = tmp_path / "out.png"
    options = {**OPTIONS, "snapshots": (2, 30), "colours": "palette"}
    options |= {"workshop": workshop, "callbacks": [Snapshots(out), board, film]}
    result = StyleTransfer(scene, painting, weights=tiny_weights, **options).run()
    assert {name: image.size for name, image in result.snapshots.items()} == {
        2: (48, 36),
        30: (48, 36),
    }
    assert images.load(snapshot_path(out, 2)).shape == (36, 48, 3)
    assert (tmp_path / "film.webp").stat().st_size > 0


@pytest.mark.parametrize("preset", ["gatys2016", "gatys2015", "l2-distance"])
def test_a_single_scale_of_published_recipes_is_the_same(
    tiny_weights, scene, painting, monkeypatch, preset
):
    """Whether the graph knows the picture's size, as it always did, or serves small ones of all: to
    the roundings of sums, whose order a processor chooses where it knows how many there are."""
    options = {"preset": preset, "size": 45, "weights": tiny_weights, "workshop": Workshop()}
    single = StyleTransfer(scene, painting, **options).build_objective()
    monkeypatch.setattr(course, "SHARED", 0)
    of_one_size = StyleTransfer(scene, painting, **options).build_objective()
    assert single.any_size and not of_one_size.any_size
    image = tf.constant(images.resize(painting[::-1], 34, 45)[np.newaxis])
    one, other = single(image), of_one_size(image)
    gradient = other.gradient.numpy()
    few = 16 * float(np.finfo(np.float32).eps)
    np.testing.assert_allclose(one.gradient, gradient, rtol=0, atol=few * np.abs(gradient).max())
    assert {name: float(value) for name, value in one.terms.items()} == pytest.approx(
        {name: float(value) for name, value in other.terms.items()}, rel=few
    )


@pytest.mark.parametrize(
    ("strength", "content", "style"), [(0.0, 4.0, 0.0), (0.5, 1.0, 1.0), (1.0, 0.0, 4.0)]
)
def test_strength_goes_from_the_photo_to_the_style(strength, content, style):
    settings = Settings(iterations=1, content_weight=3.0, style_weight=5.0, strength=strength)
    weights = terms.weights_of(settings)
    assert (weights["content"], weights["style"]) == (3 * content, 5 * style)


def test_strength_is_monotone_in_the_picture(tiny_weights, scene, painting, workshop):
    ends = []
    for strength in (0.1, 0.5, 0.9):
        # L-BFGS: Adam's steps are as long near the end, and its content then is chance.
        how = {"optimizer": "lbfgs", "average": 0.0, "style_weight": 0.1, "iterations": 3}
        options = {**OPTIONS, **how, "strength": strength}
        made = StyleTransfer(scene, painting, weights=tiny_weights, workshop=workshop, **options)
        last = made.run().history[-1]
        ends.append((last["content"], -last["style"]))
    contents, styles = zip(*ends, strict=True)
    assert list(contents) == sorted(contents)
    assert list(styles) == sorted(styles)
    assert contents[0] < 0.8 * contents[2]


def test_stroke_size_is_the_size_that_the_painting_is_seen_at(tiny_weights, scene, painting):
    options = {"weights": tiny_weights, "size": 48, "evaluations": 1}
    sides = [
        max(StyleTransfer(scene, painting, **options, **more).styles[0].shape[:2])
        for more in ({}, {"stroke_size": 0.5}, {"stroke_size": 2.0}, {"style_size": 40})
    ]
    assert sides == [48, 24, 96, 40]
    with pytest.raises(SettingsError, match="pixels are too few"):
        StyleTransfer(scene, painting, **options, stroke_size=0.1)


@pytest.fixture(scope="module")
def coloured(tiny_weights, scene, painting, workshop):
    def run(kind):
        options = {**OPTIONS, "colours": kind, "style_weight": 100.0}
        made = StyleTransfer(scene, painting, weights=tiny_weights, workshop=workshop, **options)
        return made, made.run()

    return run


def test_the_photos_colours_are_kept(coloured, scene):
    color = pytest.importorskip("skimage.color")
    made, result = coloured("content")
    before, after = (color.rgb2lab(picture) for picture in (made.content, result.array))
    assert np.abs(after - before)[..., 1:].mean() < 1
    assert np.abs(after - before)[..., 0].mean() > 1  # it is not the photo


def test_the_painting_is_matched_to_the_photo_before_the_run(coloured, painting):
    made, _ = coloured("matched")
    photo, style = (picture.reshape(-1, 3) for picture in (made.content, made.styles[0]))
    np.testing.assert_allclose(style.mean(0), photo.mean(0), atol=0.01)
    np.testing.assert_allclose(np.cov(style.T), np.cov(photo.T), atol=0.01)
    assert not np.allclose(made.styles[0], images.load(painting, 48), atol=0.05)


def test_the_palette_is_the_paintings_and_the_saved_loss_that_of_what_is_saved(coloured):
    made, result = coloured("palette")
    _, free = coloured("free")
    np.testing.assert_array_equal(result.array, colours.palette(free.array, made.styles))
    pixels = images.to_uint8(result.array)[np.newaxis] / np.float32(255)
    saved = float(made.build_objective()(pixels).loss)
    assert result.manifest["saved_total"] == pytest.approx(saved, rel=1e-5)
    assert result.manifest["total"] == free.manifest["total"]


@pytest.mark.parametrize("init", ["content", "blank"])
def test_beyond_the_largest_scale_a_picture_is_enlarged_with_the_photos_detail(
    init, tiny_weights, scene, painting, workshop
):
    options = {**OPTIONS, "max_scale": 34, "init": init}
    made = StyleTransfer(scene, painting, weights=tiny_weights, workshop=workshop, **options)
    last = [step.array for step in made][-1]
    assert last.shape == (26, 34, 3)
    result = made.result()
    assert result.array.shape == (36, 48, 3)
    assert result.stopped == "finished"
    plain = np.clip(tf.image.resize(last, (36, 48), "bicubic"), 0, 1)
    # Sharper than an enlarged picture by what the photo has at that size and not at the smaller.
    photo, shrunk = made.content, images.resize(images.resize(made.content, 26, 34), 36, 48)
    detail = (photo - shrunk).ravel()
    assert np.corrcoef((result.array - plain).ravel(), detail)[0, 1] > 0.7


def test_a_draft_is_made_with_the_network_that_it_is_for(
    scene, painting, tiny_weights, monkeypatch
):
    monkeypatch.setenv("NST_TF_WEIGHTS", "random")
    options = {"preset": "draft", "size": 32}
    assert StyleTransfer(scene, painting, **options).weights.kind == "mini"
    assert StyleTransfer(scene, painting, weights="auto", **options).weights.kind == "mini"
    assert StyleTransfer(scene, painting, weights=tiny_weights, **options).weights is tiny_weights
    other = StyleTransfer(scene, painting, preset="crisp", size=32)
    assert other.weights.kind == "random"


def test_a_largest_scale_that_is_too_small_is_refused_by_name(tiny_weights, scene, painting):
    with pytest.raises(SettingsError, match="max_scale is 4: a picture then has fewer pixels"):
        StyleTransfer(scene, painting, preset="crisp", max_scale=4, weights=tiny_weights, size=48)


def test_a_single_scale_can_be_a_smaller_one(tiny_weights, scene, painting):
    options = {"size": 48, "min_scale": None, "max_scale": 24, "iterations": 1}
    made = StyleTransfer(scene, painting, weights=tiny_weights, **options)
    assert [stage.size for stage in made.stages] == [24]
    assert (
        StyleTransfer(scene, painting, weights=tiny_weights, **{**options, "max_scale": 99})
        .stages[0]
        .size
        is None
    )
