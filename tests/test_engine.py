"""Every engine computes the same loss and gradient: against Keras' layers, and in float64."""

import numpy as np
import pytest
import rounding
import tensorflow as tf

from nst_tf.errors import SettingsError
from nst_tf.losses.objective import Objective
from nst_tf.network import engine, machine, vgg, winograd
from nst_tf.network import weights as weights_module
from nst_tf.recipe import layers
from nst_tf.run.transfer import StyleTransfer

CONTENT = {"conv4_2": 1.0, "block2_conv1:pre": 0.3}
STYLE = {"conv1_1": 0.2, "conv1_2:pre": 0.1, "conv2_1": 0.3, "conv3_1": 0.2, "conv5_1": 0.4}
FAST = ("direct", "winograd")


@pytest.fixture(scope="module")
def wide_weights():
    """Wide enough for Winograd's algorithm to pay, but for the first layer."""
    draw = np.random.default_rng(1)
    kernels, biases, before = {}, {}, 3
    for name in layers.NAMES[:13]:
        scale = np.sqrt(2 / (9 * before)) * (1 / 60 if before == 3 else 1)
        kernels[name] = (draw.standard_normal((3, 3, before, 96)) * scale).astype(np.float32)
        biases[name] = (0.1 * draw.standard_normal(96)).astype(np.float32)
        before = 96
    return weights_module.Weights(kernels, biases, "wide")


def evaluation(weights, name, image, dtype="float32", tile=None, **options):
    draw = np.random.default_rng(1000)
    content = draw.random(image.shape, np.float32)
    style = draw.random((61, 47, 3), np.float32)
    model = vgg.build_model([*CONTENT, *STYLE], weights, dtype=dtype, **options)
    objective = Objective(model, CONTENT, STYLE, tv_weight=1e-4, engine=name, tile=tile)
    objective.set_content(content)
    objective.set_styles([style])
    return objective(tf.constant(image[np.newaxis]))


def noise(*size):
    return np.random.default_rng(sum(size)).random((*size, 3), np.float32)


def assert_same_terms(evaluated, expected, weights):
    for term, value in expected.terms.items():
        layer = term.partition("/")[2] or "conv5_1"
        bound = rounding.of_terms(weights, layer, expected.gradient.shape[1:3].num_elements())
        rounding.assert_close(evaluated.terms[term], value, bound, term)


def cosine(evaluated, expected):
    """Between the gradients, in float64."""
    a, b = (value.gradient.numpy().astype(np.float64) for value in (evaluated, expected))
    return float((a * b).sum() / np.linalg.norm(a) / np.linalg.norm(b))


def test_direct_loss_and_gradient_are_those_of_keras_layers(tiny_weights):
    """At a picture where no kink of the network makes more of the rounding than it is.

    Of odd sides, and so low that the deepest maps are of one row.
    """
    picture = rounding.smooth_picture(tiny_weights, (21, 71))
    expected = evaluation(tiny_weights, "keras", picture)
    direct = evaluation(tiny_weights, "direct", picture)
    assert_same_terms(direct, expected, tiny_weights)
    bound = rounding.of_smooth_gradient(tiny_weights, "conv5_1")
    rounding.assert_below(rounding.norm_error(direct.gradient, expected.gradient), bound)


@pytest.mark.parametrize(
    ("size", "options"),
    [
        ((16, 33), {}),  # some maps are smaller than what the algorithm is for
        ((53, 70), {"pooling": "avg", "padding": "replicate"}),
        pytest.param((101, 77), {"pooling": "l2", "tile": 32}, marks=pytest.mark.slow),
    ],
)
def test_winograds_loss_and_gradient_are_those_of_keras_layers(
    wide_weights, monkeypatch, size, options
):
    heights = []

    def convolve(maps, kernel, convolve=winograd.convolve):
        heights.append(maps.shape[1])
        return convolve(maps, kernel)

    monkeypatch.setattr(winograd, "convolve", convolve)
    picture = noise(*size)
    plain = {name: value for name, value in options.items() if name != "tile"}
    expected = evaluation(wide_weights, "keras", picture, **plain)
    assert not heights
    fast = evaluation(wide_weights, "winograd", picture, **options)
    assert len(heights) > 1
    assert_same_terms(fast, expected, wide_weights)
    bound = rounding.of_gradient(wide_weights, "conv5_1")
    rounding.assert_below(rounding.norm_error(fast.gradient, expected.gradient), bound)


@pytest.fixture(params=["mini", "vgg19"])
def real_weights(request):
    if request.param == "mini":
        return weights_module.load("mini")
    return request.getfixturevalue("vgg19")


@pytest.mark.slow
def test_real_networks_are_as_close_to_float64_as_keras_layers_are(real_weights):
    """Where maxima of a pooling are ties, rounding decides: no float32 is closer than that."""
    picture = noise(64, 64)
    exact = evaluation(real_weights, "keras", picture, dtype="float64")
    bound = rounding.of_gradient(real_weights, "conv5_1")
    for name in ("keras", *FAST):
        evaluated = evaluation(real_weights, name, picture)
        assert_same_terms(evaluated, exact, real_weights)
        error = rounding.norm_error(evaluated.gradient, exact.gradient)
        rounding.assert_below(error, bound, name)


@pytest.mark.slow
def test_bfloat16_has_nearly_the_gradient_of_float32(real_weights):
    picture = noise(96, 96)
    expected = evaluation(real_weights, "keras", picture)
    half = evaluation(real_weights, "direct", picture, dtype="mixed_bfloat16")
    rounding.assert_below(1 - cosine(half, expected), 0.01)
    rounding.assert_close(half.loss, expected.loss, 0.02)


def test_bfloat16_is_computed_in_bfloat16(tiny_weights):
    model = vgg.build_model(["conv2_1"], tiny_weights, dtype="mixed_bfloat16")
    maps = tf.zeros([1, 8, 8, 3])
    for stage in engine.stages(model, ["conv2_1"], "direct"):
        maps = stage.apply(maps)
        assert maps.dtype == stage.dtype
    assert maps.dtype == tf.bfloat16


def test_a_layer_before_its_relu_is_kept_apart(tiny_weights):
    wanted = ["conv1_1:pre", "conv1_2"]
    model = vgg.build_model(wanted, tiny_weights)
    names = [stage.name for stage in engine.stages(model, wanted, "direct")]
    assert names == ["preprocessing", "conv1_1_pre", "conv1_1", "conv1_2"]


@pytest.mark.parametrize("chosen", ["amx_bf16 avx512_bf16", "avx512_bf16", ""])
def test_bfloat16_is_chosen_where_it_is_much_faster(monkeypatch, chosen):
    monkeypatch.setattr(machine, "processor", lambda: set(chosen.split()))
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    expected = "mixed_bfloat16" if "amx" in chosen else "float32"
    assert machine.choose_dtype("auto") == expected
    assert machine.choose_dtype("float32") == "float32"
    assert machine.choose_engine("auto") == "winograd"


def test_a_gpu_knows_for_itself(monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [kind])
    assert machine.choose_engine("auto") == "keras"
    assert machine.choose_engine("winograd") == "winograd"


def test_unknown_ones_are_refused(tiny_weights, scene, painting):
    with pytest.raises(SettingsError, match="no engine 'fast': use one of auto, keras"):
        StyleTransfer(scene, painting, weights=tiny_weights, engine="fast")
    with pytest.raises(SettingsError, match="no dtype 'half': use one of auto, float32"):
        StyleTransfer(scene, painting, weights=tiny_weights, dtype="half")


def test_many_runs_in_one_program_are_not_warned_of(tiny_weights, scene, painting, caplog):
    """Each compiles its own function once: nothing is retraced, as TensorFlow would have it."""
    options = {"preset": "gatys2016", "size": 32, "evaluations": 2, "optimizer": "gd"}
    options["normalise"] = True
    layers_of = {"content_layers": {"conv1_2": 1.0}, "style_layers": {"conv1_1": 1.0}}
    for _ in range(6):  # it warns of the fifth
        StyleTransfer(scene, painting, weights=tiny_weights, **options, **layers_of).run()
    assert not [record for record in caplog.records if "retracing" in record.getMessage()]


@pytest.mark.parametrize(("shape", "ends"), [((64, 80), 2), ((24, 33), 1), ((19, 21), 0)])
def test_a_graph_of_any_size_computes_as_one_of_the_pictures_size(wide_weights, shape, ends):
    """To the bit: where maps are few, both convolve directly."""
    assert engine.winograd_ends(*shape) == ends
    wanted, picture = ["conv1_2", "conv2_2", "conv3_1"], tf.constant(noise(*shape)[np.newaxis])
    stages = engine.stages(vgg.build_model(wanted, wide_weights), wanted, "winograd")
    assert len(stages) > 3

    def through(stages):
        def maps_of(maps):
            for stage in stages:
                maps = stage.apply(maps)
            return maps

        return maps_of

    unknown = [tf.TensorSpec([1, None, None, 3], tf.float32)]
    expected = tf.function(through(stages))(picture)
    chosen = engine.directly(stages, ends)
    same = tf.function(through(chosen), input_signature=unknown)(picture)
    np.testing.assert_array_equal(same, expected)
    if ends < 2:  # where it would have been another algorithm's rounding
        other = tf.function(through(stages), input_signature=unknown)(picture)
        assert np.abs(other - expected).max() > 0
