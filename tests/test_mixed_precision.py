"""Half precision inside the network: its gradients beside float32's, at any size of the loss."""

import numpy as np
import pytest
import rounding
import tensorflow as tf

from nst_tf import assets
from nst_tf.losses.objective import Objective
from nst_tf.network import engine, machine, vgg
from nst_tf.network import weights as weights_module
from nst_tf.network.feature_model import feature_model
from nst_tf.pictures import images, initial
from nst_tf.recipe import presets
from nst_tf.run.transfer import StyleTransfer

#: ε: what maps are off by, the unit roundoff times the root of three roundings a layer.
ERRORS = {"mixed_float16": 3e-3, "mixed_bfloat16": 2.4e-2}
#: How far the cosine between the gradients in float32 and in half precision may be from 1. A share
#: ε of the kinks takes another side: the gradient is off by √ε, an angle whose cosine is 1 − ε / 2,
#: that is 1.5e-3 with float16, 1.2e-2 with bfloat16. Most of what is rounded is the same on every
#: machine, so there is no more to allow for.
COSINES = {"mixed_float16": 1e-3, "mixed_bfloat16": 1e-2}
#: Longer side of the pictures: what is off by ε is so at every size.
SIZE = 128


def objective_of(settings, weights, content, style, dtype, **options):
    model = feature_model(weights, settings, dtype)
    objective = Objective.from_settings(settings, model, **options)
    objective.set_content(content)
    objective.set_styles([style])
    return objective


def evaluate(settings, weights, content, style, dtype, starts, **options):
    objective = objective_of(settings, weights, content, style, dtype, **options)
    return [objective(tf.constant(start[np.newaxis])) for start in starts]


def cosine(evaluated, expected):
    a, b = (np.asarray(value.gradient, np.float64) for value in (evaluated, expected))
    return (a * b).sum() / np.linalg.norm(a) / np.linalg.norm(b)


def check(settings, weights, content, style):
    """Every half precision against float32."""
    starts = [initial.image(kind, content, [style], 0) for kind in ("content", "noise")]
    exact = evaluate(settings, weights, content, style, "float32", starts)
    for dtype, most in COSINES.items():
        halves = evaluate(settings, weights, content, style, dtype, starts)
        for half, expected in zip(halves, exact, strict=True):
            rounding.assert_below(1 - cosine(half, expected), most, dtype)
            # Errors of single values go either way, and a sum over all of them has next to none;
            # a filter's own rounding is the same everywhere. The loss is of the fourth order in
            # maps, so it may be off by 4 ε where all go one way; by half of that where they do not.
            rounding.assert_close(half.loss, expected.loss, 2 * ERRORS[dtype], dtype)
            norms = [tf.norm(value.gradient) for value in (half, expected)]
            rounding.assert_close(*norms, 2 * ERRORS[dtype], dtype)


@pytest.mark.slow
@pytest.mark.usefixtures("without_graphs")
def test_mini():
    content, style = (images.load(path, SIZE) for path in (assets.SCENE, assets.PAINTING))
    check(presets.settings("gatys2016"), weights_module.load("mini"), content, style)


def kinds_of_network():
    """A preset for each form of network that one asks for; losses are in float32 whatever it is,
    and which of the layers are looked at changes nothing of how they are computed."""
    kinds = {}
    for name, settings in presets.PRESETS.items():
        if settings.style_loss == "neighbours":  # another objective: see test_neighbours
            continue
        before_relu = any(key.endswith(":pre") for key in settings.layers)
        network = (settings.pooling, settings.padding, settings.normalise, before_relu)
        # The last of them: l2-distance, by which conv5_1 counts most, is at this size off by more.
        kinds[network] = name
    return kinds.values()


@pytest.mark.slow
@pytest.mark.usefixtures("without_graphs")
@pytest.mark.parametrize("preset", kinds_of_network())
def test_vgg19(vgg19, neckarfront, starry_night, preset):
    content, style = (images.load(path, SIZE) for path in (neckarfront, starry_night))
    check(presets.settings(preset), vgg19, content, style)


@pytest.fixture(scope="module")
def halves(tiny_weights, scene, painting):
    """An objective in float16: its weights are data, so all tests have the same graph."""
    settings = presets.settings("gatys2016")
    return objective_of(settings, tiny_weights, scene, painting, "mixed_float16")


@pytest.mark.parametrize("factor", [1e-20, 1e-6, 1e6, 1e20])
def test_a_loss_of_any_size_has_a_gradient_in_float16(halves, painting, factor):
    """In float16 itself it would be 0 or infinite."""
    settings, start = presets.settings("gatys2016"), tf.constant(painting[np.newaxis, :48])
    halves.set_recipe_weights(settings)
    expected = halves(start)
    halves.set_weights(
        content=settings.content_weight * factor, style=settings.style_weight * factor
    )
    half = halves(start)
    # The factor is no power of 2, so float16 rounds other numbers on the way back.
    bound = 8 * rounding.UNIT["float16"]
    rounding.assert_below(rounding.norm_error(half.gradient / factor, expected.gradient), bound)


def test_no_loss_has_no_gradient(halves, scene):
    halves.set_recipe_weights(presets.settings("gatys2016", style_weight=0.0))
    half = halves(tf.constant(scene[np.newaxis]))
    assert float(half.loss) == 0
    np.testing.assert_array_equal(half.gradient, np.zeros_like(half.gradient))


@pytest.mark.usefixtures("without_graphs")
def test_strip_by_strip(tiny_weights, painting):
    settings = presets.settings("gatys2016", content_layers={"conv1_1": 1.0, "conv2_2": 1.0})
    picture = np.random.default_rng(0).random((131, 77, 3), np.float32)
    whole, stripped = (
        evaluate(settings, tiny_weights, picture, painting, "mixed_float16", [picture], tile=tile)
        for tile in (None, 32)
    )
    rounding.assert_below(1 - cosine(whole[0], stripped[0]), 1e-4)


def test_what_stays_in_float32(tiny_weights):
    model = vgg.build_model(["conv1_1", "conv3_1"], tiny_weights, dtype="mixed_float16")
    dtypes = {stage.name: stage.dtype for stage in engine.stages(model, ["conv1_1"], "keras")}
    assert {name for name, dtype in dtypes.items() if dtype == "float32"} == {
        "preprocessing",
        "conv1_1_pre",
        "conv1_1",
    }
    assert dtypes["conv3_1"] == "float16"
    assert all(variable.dtype == "float32" for variable in model.variables)


@pytest.mark.parametrize(
    ("capability", "dtype"),
    [
        ((9, 0), "mixed_float16"),
        ((7, 0), "mixed_float16"),
        ((6, 1), "float32"),
        (None, "float32"),
    ],
)
def test_a_gpu_that_is_fast_at_it_computes_in_float16(monkeypatch, capability, dtype):
    details = {"compute_capability": capability} if capability else {}
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [kind])
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda gpu: details)
    assert machine.choose_dtype("auto") == dtype
    assert machine.choose_dtype("float32") == "float32"


@pytest.mark.slow
def test_a_run_ends_about_where_float32_ends(scene, painting):
    """Two paths, of which rounding parts the steps: they need not meet, but go down alike."""
    first, last = [], []
    for dtype in ("float32", "mixed_float16"):
        options = {"preset": "gatys2016", "weights": "mini", "size": 64, "evaluations": 25}
        options |= {"dtype": dtype, "content_layers": {"conv2_2": 1.0}}
        options["style_layers"] = {"conv1_1": 0.5, "conv2_1": 0.5}
        totals = [row["total"] for row in StyleTransfer(scene, painting, **options).run().history]
        first.append(totals[0])
        last.append(min(totals))
    assert last[0] < 0.3 * first[0]
    assert last[1] < 1.1 * last[0]
