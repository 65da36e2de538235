"""tensorflow-addons' optimizers where it imports, and everywhere what is said where it does not."""

import platform
import sys

import numpy as np
import pytest
import rounding
import tensorflow as tf
from test_optimizers import (
    LARGER,
    START,
    VALUES,
    assert_same_state,
    bowl,
    larger_bowl,
    steps,
    through_a_checkpoint,
)

from nst_tf import assets, optimizers
from nst_tf.apps.main import main
from nst_tf.errors import SettingsError
from nst_tf.optimizers.keras_optimizer import KerasOptimizer
from nst_tf.recipe import choices
from nst_tf.recipe.settings import Settings
from nst_tf.run.transfer import StyleTransfer

NAMES = [f"tfa.{name}" for name in choices.ADDONS]
AROUND = ["tfa.Lookahead(adam)", "tfa.Lookahead(tfa.RectifiedAdam)", "tfa.Lookahead(tfa.COCOB)"]


@pytest.fixture(scope="module")
def tfa():
    return pytest.importorskip("tensorflow_addons", reason="the old stack alone has it")


def test_every_optimizer_of_the_library_is_taken_or_refused(tfa):
    legacy = tf.keras.optimizers.legacy.Optimizer
    theirs = {
        name
        for name, value in vars(tfa.optimizers).items()
        if isinstance(value, type) and issubclass(value, legacy) and value is not legacy
    }
    bases = {"AveragedOptimizerWrapper"}
    assert theirs - bases == {*choices.ADDONS, *choices.NO_ADDONS}


def directly(name, tfa, size):
    """tfa's optimizers as their documentation makes them."""
    kinds = tfa.optimizers
    return {
        "tfa.RectifiedAdam": lambda: kinds.RectifiedAdam(0.03),
        "tfa.LAMB": lambda: kinds.LAMB(0.03),
        "tfa.Yogi": lambda: kinds.Yogi(0.03),
        "tfa.NovoGrad": lambda: kinds.NovoGrad(0.03 * size**0.5, grad_averaging=True),
        "tfa.SGDW": lambda: kinds.SGDW(learning_rate=0.03, weight_decay=0.0),
        "tfa.Lookahead": lambda: kinds.Lookahead(tf.keras.optimizers.legacy.Adam(0.03)),
        "tfa.Lookahead(tfa.RectifiedAdam)": lambda: kinds.Lookahead(kinds.RectifiedAdam(0.03)),
    }[name]()


@pytest.mark.parametrize(
    "name",
    ["tfa.RectifiedAdam", "tfa.LAMB", "tfa.Yogi", "tfa.NovoGrad", "tfa.SGDW", "tfa.Lookahead",
     "tfa.Lookahead(tfa.RectifiedAdam)"],
)  # fmt: skip
def test_steps_are_the_librarys_own(tfa, name):
    """Eight steps: rectified Adam begins at the sixth, Lookahead goes back at the sixth."""
    x = tf.Variable(START)
    theirs = directly(name, tfa, x.shape.num_elements())
    rms = float(np.sqrt(np.mean(np.square(bowl(START).gradient))))
    solver = optimizers.create(name, 0.03)
    step = tf.function(lambda state: solver.step(bowl, state))
    state = solver.init(bowl, START)
    for taken in range(1, 9):
        theirs.apply_gradients([(bowl(tf.convert_to_tensor(x)).gradient / rms, x)])
        state = step(state)
        bound = rounding.of_sums(*[1] * 4 * taken, VALUES)  # LAMB and NovoGrad take norms
        rounding.assert_close(state.point.image, x, bound, taken)


@pytest.mark.parametrize("name", [*NAMES, *AROUND])
def test_each_descends_purely(tfa, name, tmp_path):
    """From a state that was put aside it goes on exactly as it did; all that it knows is there."""
    solver = optimizers.create(name)
    step = tf.function(lambda state: solver.step(bowl, state))
    state = start = solver.init(bowl, START)
    for _ in range(4):
        state = step(state)
    kept = state
    for _ in range(30):
        state = step(state)
    assert state.point.loss < 0.7 * start.point.loss
    assert int(state.evaluations) == 35
    again = kept
    for _ in range(30):
        again = step(again)
    np.testing.assert_array_equal(again.point.image, state.point.image)
    # Read from a file, in a solver that has seen none of it or something else, too.
    loaded = through_a_checkpoint(kept, tmp_path)
    for other, seen in ((optimizers.create(name), False), (optimizers.create(name), True)):
        if seen:
            other.init(bowl, 0.5 * START)
        fresh = tf.function(lambda state, other=other: other.step(bowl, state))
        again = loaded
        for _ in range(30):
            again = fresh(again)
        assert_same_state(again, state)


@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_any_of_keras_optimizers_goes_on_from_its_state_alone(name, tmp_path):
    """Those of Keras itself, behind what tensorflow-addons' are put behind."""
    kinds = {
        "adam": lambda rate: tf.keras.optimizers.Adam(rate),
        "sgd": lambda rate: tf.keras.optimizers.SGD(rate, momentum=0.9),
    }

    def create():
        return KerasOptimizer(name, kinds[name], 0.01, unit_gradient=True)

    solver = create()
    state = steps(solver, solver.init(bowl, START), 3)
    expected = steps(solver, state, 3)
    loaded = through_a_checkpoint(state, tmp_path)
    for other in (solver, create()):
        assert_same_state(steps(other, loaded, 3), expected)
    assert expected.point.loss < state.point.loss
    larger = tf.image.resize(state.point.image, LARGER[1:3], "bicubic")
    resized = solver.resize(larger_bowl, state, larger)
    assert_same_state(resized, create().init(larger_bowl, larger))


@pytest.mark.parametrize("name", [name for name in NAMES if name != "tfa.COCOB"])
def test_the_learning_rate_is_in_units_of_the_image(tfa, name):
    """The first step changes it by about so much, whatever the loss's scale and the size."""
    moves = []
    for scale, start in ((1.0, START), (1e6, tf.tile(START, [1, 3, 2, 1]))):

        def slope(image, scale=scale, start=start):
            steep = scale * (1 + tf.abs(start))
            return tf.reduce_sum(steep * image), steep, {}

        solver = optimizers.create(name, 0.01)
        moved = solver.step(slope, solver.init(slope, start)).point.image
        moves.append(float(tf.sqrt(tf.reduce_mean(tf.square(moved - start)))))
    # What is left of an image of about 1 that moved by 0.003 or more.
    rounding.assert_close(moves[0], moves[1], rounding.of_sums(*[6 * VALUES] * 2) + 1e-3)
    assert 0.003 < moves[0] < 0.03


@pytest.mark.parametrize("name", ["tfa.RectifiedAdam", "tfa.Lookahead(adam)", "tfa.NovoGrad"])
def test_a_new_start_shortens_a_step_compiled_before(tfa, name):
    solver = optimizers.create(name)
    step = tf.function(lambda state: solver.step(bowl, state))
    moves = []
    for shrink in (1.0, 0.25):
        moved = step(solver.init(bowl, START, shrink)).point.image
        moves.append(float(tf.norm(moved - START)))
    bound = rounding.of_sums(VALUES, 1) + rounding.of_sums(1) * float(tf.norm(START)) / moves[1]
    rounding.assert_close(moves[1], 0.25 * moves[0], bound)


@pytest.mark.parametrize("name", ["tfa.RectifiedAdam", "tfa.Lookahead(tfa.LAMB)"])
def test_a_whole_run(tfa, tiny_weights, scene, painting, name):
    run = StyleTransfer(
        scene,
        painting,
        preset="gatys2016",
        weights=tiny_weights,
        size=48,
        optimizer=name,
        iterations=5,
    )
    result = run.run()
    assert result.stopped == "finished" and len(result.history) == 6
    assert result.history[-1]["total"] < result.history[0]["total"]
    assert result.manifest["settings"]["optimizer"] == name


def test_cocob_has_no_learning_rate(tfa):
    for name in ("tfa.COCOB", "tfa.Lookahead(tfa.COCOB)"):
        with pytest.raises(SettingsError, match=r"learning_rate is 0\.1: .* has none"):
            optimizers.create(name, 0.1)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tfa.", r"write tfa\.NAME"),
        ("tfa.rectifiedadm", r"in tensorflow-addons: did you mean tfa\.RectifiedAdam\?"),
        ("tfa.Xyz", "no optimizer 'tfa.Xyz' in tensorflow-addons: use AdaBelief, AdamW"),
        ("tfa.adam", "did you mean tfa.AdamW"),
        ("tfa.Lookahead(tfa.adam)", "did you mean tfa.AdamW"),
        ("tfa.LAMB(adam)", r"tfa\.Lookahead\(INNER\)"),
        ("tfa.Lookahead(gd)", "with adam or another tfa.NAME as INNER"),
        ("tfa.Lookahead(tfa.Lookahead)", "as INNER"),
        ("tfa.Lookahead(tfa.Lamb)", "did you mean tfa.LAMB"),
        ("tfa.Lookahead(tfa.SWA)", "averages beside the run"),
        ("tfa.MovingAverage", "no optimizer 'tfa.MovingAverage' for pictures: it averages"),
        ("tfa.ConditionalGradient", "towards black"),
        ("tfa.MultiOptimizer", "there is but one image"),
        ("lamb", "use one of lbfgs, adam, gd, tfp-lbfgs, pyramid, or tfa.NAME"),
    ],
)
def test_what_names_no_optimizer(name, message):
    for refusing in (optimizers.create, lambda name: Settings(optimizer=name, evaluations=1)):
        with pytest.raises(SettingsError, match=message) as caught:
            refusing(name)
        assert "\n" not in str(caught.value)


def test_settings_know_every_name_without_the_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_addons", None)
    for name in (*NAMES, *AROUND):
        assert Settings(optimizer=name, evaluations=1).optimizer == name


@pytest.fixture
def missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_addons", None)
    monkeypatch.setattr(
        "nst_tf.network.weights.load", lambda *_, **__: pytest.fail("weights were loaded")
    )


def test_where_it_cannot_import_the_combination_is_named(missing, scene, painting):
    message = (
        "tfa.RectifiedAdam needs tensorflow-addons, which works with TensorFlow 2.15.1 on Python "
        "3.11 or older only: pip install 'nst_tf[addons]' (this is TensorFlow "
        f"{tf.__version__} on Python {platform.python_version()})"
    )
    with pytest.raises(SettingsError) as caught:
        StyleTransfer(scene, painting, optimizer="tfa.RectifiedAdam")
    assert str(caught.value) == message


def test_on_the_command_line_too(missing, capfd, tmp_path):
    out = tmp_path / "out.png"
    pictures = [str(assets.SCENE), str(assets.PAINTING)]
    code = main(["stylize", *pictures, "-o", str(out), "--optimizer=tfa.Lookahead"])
    err = capfd.readouterr().err
    assert code == 2 and err.count("\n") == 1 and not out.exists()
    assert "tfa.Lookahead needs tensorflow-addons, which works with TensorFlow 2.15.1" in err


def test_help_names_them(capsys):
    assert main(["stylize", "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "lbfgs, adam, gd, tfp-lbfgs, pyramid; or one of tensorflow-addons" in text
    assert "tensorflow-addons (TensorFlow 2.15.1)" in text
    assert "content, style, blurred, noise, blank" in text
