"""What has names is open: optimizers, terms, statistics, initial images and callbacks."""

import io
import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import nst_tf
from nst_tf import optimizers
from nst_tf.export import saved_model
from nst_tf.losses.gram import Gram
from nst_tf.optimizers.base import first_step
from nst_tf.pictures import images
from nst_tf.run import workshop as workshop_module
from nst_tf.run.workshop import Workshop

#: As in tests/test_workshops.py: what compiles soonest.
OPTIONS = {
    "preset": "gatys2016",
    "size": 40,
    "evaluations": 3,
    "optimizer": "adam",
    "content_layers": {"conv2_1": 1.0},
    "style_layers": {"conv1_1": 1.0},
}
draw = np.random.default_rng(0)
START = tf.constant(draw.random((1, 4, 5, 3)), tf.float32)
SCALES = tf.constant(10.0 ** draw.uniform(-1.5, 1.5, START.shape), tf.float32)


def bowl(image):
    loss = 500 * tf.reduce_sum(SCALES * tf.square(image - 0.5))
    return loss, 1000 * SCALES * (image - 0.5), {"total": loss}


@pytest.fixture
def run_of(tiny_weights, scene, painting):
    def make(**options):
        options = {"weights": tiny_weights, "workshop": Workshop(), **OPTIONS, **options}
        return nst_tf.StyleTransfer(scene, painting, **options)

    return make


@pytest.fixture
def built(monkeypatch):
    """The networks that were built so far."""
    networks, build = [], workshop_module.feature_model
    monkeypatch.setattr(
        workshop_module, "feature_model", lambda *a: networks.append(a) or build(*a)
    )
    return networks


KERAS = tf.keras.optimizers
OF_KERAS = {
    "adamw": lambda: KERAS.AdamW(0.02, weight_decay=0.1),
    "clipped": lambda: KERAS.SGD(0.01, momentum=0.9, nesterov=True, clipnorm=0.5),
    "schedule": lambda: KERAS.RMSprop(KERAS.schedules.ExponentialDecay(0.02, 2, 0.5)),
}


@pytest.mark.parametrize("name", OF_KERAS)
def test_an_optimizer_of_keras_takes_its_own_steps(name):
    """Against Keras on a variable, with the gradient in units of its first RMS."""
    given, theirs = OF_KERAS[name](), OF_KERAS[name]()
    before = json.dumps(given.get_config(), default=str)
    solver, variable = optimizers.create(given), tf.Variable(START)
    assert solver == optimizers.create(OF_KERAS[name]())
    state = solver.init(bowl, START)
    step = tf.function(lambda state: solver.step(bowl, state))
    scale = first_step(bowl(START)[1], 1.0)
    for _ in range(5):
        state = step(state)
        theirs.apply_gradients([(scale * bowl(variable)[1], variable)])
    np.testing.assert_allclose(state.point.image, variable, rtol=1e-5, atol=1e-6)
    assert state.point.loss < bowl(START)[0]
    assert int(given.iterations) == 0 and json.dumps(given.get_config(), default=str) == before


def test_a_run_with_an_optimizer_of_keras(run_of, built):
    workshop, results, steps = Workshop(), [], []
    for decay in (0.004, 0.004, 0.5):
        optimizer = KERAS.AdamW(0.02, weight_decay=decay)
        results.append(run_of(optimizer=optimizer, workshop=workshop).run())
        steps.append(workshop._step)
    assert len(built) == 1 and steps[0] is steps[1] is not steps[2]
    first, second, other = results
    np.testing.assert_array_equal(first.array, second.array)
    assert np.abs(first.array - other.array).max() > 1e-3
    told = json.loads(json.dumps(first.manifest))["settings"]["optimizer"]
    assert told.startswith("AdamW(") and "name" not in told
    assert "weight_decay=0.004" in told and "learning_rate=0.02," in told
    assert first.history[-1]["total"] < first.history[0]["total"]
    assert first.history[-1]["learning_rate"] == pytest.approx(0.02)
    # Presets that keep bounds leave them out, as for any that knows none.
    crisp = nst_tf.PRESETS["crisp"].replace(optimizer=KERAS.SGD(0.1))
    assert crisp.bounded is False and crisp.learning_rate is None


def dark(image):
    return tf.reduce_mean(image)


@pytest.mark.parametrize("tile", ["off", 16])
def test_a_term_of_the_users(run_of, scene, tile):
    """It adds its weight times its value to the total, and its own gradient to the gradient."""
    image = tf.constant(draw.random((1, 30, 40, 3)), tf.float32)
    plain = run_of(tile=tile).build_objective()(image)
    terms = [nst_tf.Term("dark", dark, 300.0), lambda_like]
    both = run_of(tile=tile, terms=terms).build_objective()(image)
    mean = image.numpy().astype(np.float64).mean()
    squares = (image.numpy().astype(np.float64) ** 2).sum()
    np.testing.assert_allclose(both.terms["dark"], mean, rtol=1e-5)
    np.testing.assert_allclose(both.terms["lambda_like"], squares, rtol=1e-5)
    np.testing.assert_allclose(both.loss - plain.loss, 300 * mean + squares, rtol=1e-3)
    difference = both.gradient - plain.gradient
    expected = 300 / image.numpy().size + 2 * image
    np.testing.assert_allclose(difference, expected, rtol=1e-3, atol=2e-4)


def lambda_like(image):
    return tf.reduce_sum(image**2)


def test_a_terms_weight_is_data_and_its_function_part_of_the_graph(run_of, built):
    workshop = Workshop()

    def of(weight, function=dark):
        run = run_of(terms=[nst_tf.Term("dark", function, weight)], workshop=workshop)
        return run, run.build_objective()

    (light_run, objective), (heavy_run, same) = of(0.0), of(1e9)
    assert same is objective
    light, heavy = light_run.run(), heavy_run.run()
    assert heavy.array.mean() < light.array.mean()
    assert heavy.history[1]["dark"] < heavy.history[0]["dark"]
    told = json.loads(json.dumps(heavy.manifest))["terms"]
    assert told == [{"name": "dark", "weight": 1e9, "loss": f"{__name__}.dark"}]
    assert "terms" not in run_of().identity
    assert of(1.0, lambda image: dark(image))[1] is not objective


class HalfGram:
    """A statistic that is nothing of the package's: half of Gram's distance."""

    additive = True

    def __init__(self):
        self._gram = Gram("gram-mean")

    def measure(self, maps, mask=None):
        return self._gram.measure(maps, mask)

    def finish(self, measured):
        return self._gram.finish(measured)

    def distance(self, finished, target):
        return 0.5 * self._gram.distance(finished, target)

    def width_factor(self, ratio):
        return self._gram.width_factor(ratio)


def test_a_statistic_of_the_users(run_of):
    named, half = (
        run_of(style_loss=loss, style_weight=weight).run()
        for loss, weight in (("gram-mean", 1.0), (HalfGram(), 2.0))
    )
    assert half.history[0]["style"] == pytest.approx(named.history[0]["style"] / 2, rel=1e-5)
    np.testing.assert_allclose(half.array, named.array, atol=1e-4)
    assert json.loads(json.dumps(half.manifest))["settings"]["style_loss"].endswith("HalfGram()")


def test_a_statistic_is_equal_to_itself_alone(run_of, built):
    """Whatever it says of its like, such as that two arrays have no one truth."""

    class Alike(HalfGram):
        def __eq__(self, other):
            if isinstance(other, Alike):
                raise ValueError("the truth value of an array is ambiguous")
            return False

        __hash__ = None

    workshop, one = Workshop(), Alike()
    for statistic in (one, one, Alike()):
        run_of(style_loss=statistic, workshop=workshop).build_objective()
    assert len(built) == 2


def test_a_negative_term_with_half_precision(run_of):
    """The loss scale is that of what goes through the network."""
    image = tf.constant(draw.random((1, 30, 40, 3)), tf.float32)
    darker = nst_tf.Term("lighter", lambda image: -tf.reduce_mean(image), 1e6)
    plain = run_of(dtype="mixed_float16").build_objective()(image)
    both = run_of(dtype="mixed_float16", terms=[darker]).build_objective()(image)
    assert both.loss < 0
    rest = both.gradient + 1e6 / image.numpy().size
    np.testing.assert_allclose(rest, plain.gradient, atol=1e-3 * np.abs(both.gradient).max())


def test_an_object_is_not_exported(tiny_weights, tmp_path):
    for change in ({"optimizer": KERAS.AdamW()}, {"style_loss": HalfGram()}, {"init": START}):
        settings = nst_tf.PRESETS["gatys2016"].replace(**change)
        with pytest.raises(nst_tf.ExportError, match=f"{next(iter(change))} is an object of yours"):
            saved_model.export(tmp_path / "m", weights=tiny_weights, settings=settings)


def test_any_picture_to_start_from(run_of, painting):
    file = io.BytesIO()
    Image.fromarray(images.to_uint8(painting)).save(file, "PNG")
    whole = images.load(file.getvalue())
    file.seek(0)
    settings = nst_tf.PRESETS["gatys2016"].replace(init=file, size=40, evaluations=1)
    for init in (whole, tf.constant(whole), file.getvalue()):
        run = run_of(init=init)
        np.testing.assert_allclose(run.initial_image, images.cover(whole, 30, 40), atol=1e-6)
    for _ in range(2):  # a file object is read once, settings serve many runs
        run = nst_tf.StyleTransfer(
            painting, painting, settings=settings, weights=run.weights, workshop=Workshop()
        )
        np.testing.assert_allclose(run.initial_image, images.cover(whole, 30, 40), atol=1e-6)
    one, other = run_of(init=whole).identity, run_of(init=whole[::-1]).identity
    assert json.loads(json.dumps(one["settings"]))["init"] == "given"
    assert one["init"] != other["init"] and len(one["init"][0]["sha256"]) == 64
    assert settings == settings.replace(seed=0) != settings.replace(init=whole)


def test_a_function_of_a_step_is_a_callback(run_of):
    steps, counted = [], []
    run = run_of(callbacks=[steps.append, lambda step: counted.append(step.iteration)])
    result = run.run()
    assert [step.row() for step in steps] == result.history and counted == [0, 1, 2]


class Nothing:
    """Has none of the methods of anything."""


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"optimizer": 3}, "optimizer is 3, of type int: use one of lbfgs"),
        ({"optimizer": Nothing()}, "of type Nothing: use one of lbfgs.*optimizer of Keras"),
        ({"optimizer": KERAS.Adam}, r"optimizer is the class Adam: make one, such as Adam\(\)"),
        ({"optimizer": KERAS.Adam(0.1), "learning_rate": 0.1}, "Adam brings its own"),
        ({"optimizer": KERAS.Adam(0.1), "bounded": True}, "Adam knows no bounds"),
        ({"style_loss": None}, "style_loss is None, of type NoneType: use one of"),
        ({"style_loss": HalfGram}, r"the class HalfGram: make one, such as HalfGram\(\)"),
        ({"style_loss": lambda maps: maps}, "of type function.*a statistic"),
        ({"init": 0.5}, "init is 0.5: use a word, a path or a picture"),
        ({"init": {"content": 1}}, "of type dict, is no picture"),
        ({"callbacks": print}, "callbacks is .*print.*: give a list"),
        ({"callbacks": [3]}, "a callback is 3: give a function of a step"),
        ({"callbacks": [nst_tf.Callback]}, "the class Callback: make one"),
        ({"terms": 3}, "terms is 3: give a list of nst_tf.Term"),
        ({"terms": {"dark": dark}}, "terms is {'dark'.*: give a list of nst_tf.Term"),
        ({"terms": [3]}, r"a term is 3: give nst_tf.Term\(name"),
        ({"terms": [lambda image: image]}, "the name '<lambda>'"),
        ({"terms": [nst_tf.Term("style", dark)]}, "'style', which is taken"),
        ({"terms": [dark, dark]}, "'dark', which is taken"),
        ({"terms": [nst_tf.Term("dark", dark, -1.0)]}, "the weight of the term dark is -1.0"),
    ],
)
def test_errors_are_ours(run_of, change, words):
    with pytest.raises(nst_tf.NSTError, match=words):
        run_of(**change)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda image: image, "the term odd gives .*: give one number"),
        (lambda image: None, "the term odd gives None: give one number"),
        (tf.math.count_nonzero, "the term odd gives .*: give one number, a float"),
    ],
)
def test_a_term_that_gives_no_number(run_of, function, words):
    with pytest.raises(nst_tf.SettingsError, match=words):
        run_of(terms=[nst_tf.Term("odd", function)]).run()
