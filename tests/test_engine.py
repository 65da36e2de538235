"""Every engine computes the same loss and gradient: against Keras' layers, and in float64."""

import numpy as np
import pytest
import tensorflow as tf

from nst_tf.errors import SettingsError
from nst_tf.losses.objective import Objective
from nst_tf.network import engine, vgg
from nst_tf.network import weights as weights_module
from nst_tf.recipe import choices
from nst_tf.run.transfer import StyleTransfer

CONTENT = {"conv4_2": 1.0, "block2_conv1:pre": 0.3}
STYLE = {"conv1_1": 0.2, "conv1_2:pre": 0.1, "conv2_1": 0.3, "conv3_1": 0.2, "conv5_1": 0.4}
FAST = ("direct", "winograd")


@pytest.fixture
def always_winograd(monkeypatch):
    """Winograd's algorithm also where a few channels and positions would not pay for it."""
    monkeypatch.setattr(engine, "_winograd_pays", lambda before, after: True)
    monkeypatch.setattr(engine, "_LEAST_POSITIONS", 0)


def evaluation(weights, name, size=(53, 70), dtype="float32", tile=None, **options):
    draw = np.random.default_rng(sum(size))
    content, image = draw.random((2, *size, 3), np.float32)
    style = draw.random((61, 47, 3), np.float32)
    model = vgg.build_model([*CONTENT, *STYLE], weights, dtype=dtype, **options)
    objective = Objective(model, CONTENT, STYLE, tv_weight=1e-4, engine=name, tile=tile)
    objective.set_content(content)
    objective.set_styles([style])
    return objective(tf.constant(image[np.newaxis]))


def error(found, expected):
    return float(tf.norm(found.gradient - expected.gradient) / tf.norm(expected.gradient))


def cosine(found, expected):
    """Between the gradients, in float64."""
    one, other = (value.gradient.numpy().astype(np.float64) for value in (found, expected))
    return float((one * other).sum() / np.linalg.norm(one) / np.linalg.norm(other))


@pytest.mark.parametrize("size", [(53, 70), (16, 33)])
@pytest.mark.parametrize("name", FAST)
def test_loss_and_gradient_are_those_of_keras_layers(tiny_weights, always_winograd, name, size):
    expected = evaluation(tiny_weights, "keras", size)
    found = evaluation(tiny_weights, name, size)
    for term, value in expected.terms.items():
        np.testing.assert_allclose(found.terms[term], value, rtol=1e-4, err_msg=term)
    assert error(found, expected) < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("padding", choices.PADDINGS)
@pytest.mark.parametrize("pooling", choices.POOLINGS)
def test_with_every_pooling_and_padding(tiny_weights, always_winograd, pooling, padding):
    options = {"pooling": pooling, "padding": padding}
    expected = evaluation(tiny_weights, "keras", **options)
    assert error(evaluation(tiny_weights, "winograd", **options), expected) < 1e-4


def test_strip_by_strip(tiny_weights, always_winograd):
    expected = evaluation(tiny_weights, "keras", (131, 77))
    assert error(evaluation(tiny_weights, "winograd", (131, 77), tile=32), expected) < 1e-4


@pytest.fixture(params=["mini", "vgg19"])
def real_weights(request):
    if request.param == "mini":
        return weights_module.load("mini")
    return request.getfixturevalue("vgg19")


@pytest.mark.slow
@pytest.mark.parametrize("name", FAST)
def test_real_networks_are_as_close_to_float64_as_keras_layers_are(real_weights, name):
    """Where maxima of a pooling are ties, rounding decides: no float32 is closer than that."""
    exact = evaluation(real_weights, "keras", (128, 128), dtype="float64")
    plain = error(evaluation(real_weights, "keras", (128, 128)), exact)
    assert error(evaluation(real_weights, name, (128, 128)), exact) < 2 * plain + 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("size", [128, 256])
def test_bfloat16_has_nearly_the_gradient_of_float32(real_weights, size):
    expected = evaluation(real_weights, "keras", (size, size))
    found = evaluation(real_weights, "direct", (size, size), dtype="mixed_bfloat16")
    assert cosine(found, expected) > 0.99
    np.testing.assert_allclose(found.loss, expected.loss, rtol=0.02)


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
    monkeypatch.setattr(engine, "_processor", lambda: set(chosen.split()))
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    expected = "mixed_bfloat16" if "amx" in chosen else "float32"
    assert engine.choose_dtype("auto") == expected
    assert engine.choose_dtype("float32") == "float32"
    assert engine.choose("auto") == "winograd"


def test_a_gpu_knows_for_itself(monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [kind])
    assert engine.choose("auto") == "keras"
    assert engine.choose("winograd") == "winograd"


def test_unknown_ones_are_refused(tiny_weights, scene, painting):
    with pytest.raises(SettingsError, match="no engine 'fast': use one of auto, keras"):
        StyleTransfer(scene, painting, weights=tiny_weights, engine="fast")
    with pytest.raises(SettingsError, match="no dtype 'half': use one of auto, float32"):
        StyleTransfer(scene, painting, weights=tiny_weights, dtype="half")


@pytest.mark.slow
def test_many_runs_in_one_program_are_not_warned_of(tiny_weights, scene, painting, caplog):
    """Each compiles its own function once: nothing is retraced, as TensorFlow would have it."""
    for _ in range(6):
        StyleTransfer(
            scene, painting, weights=tiny_weights, size=32, evaluations=2, normalise=True
        ).run()
    assert not [record for record in caplog.records if "retracing" in record.getMessage()]
