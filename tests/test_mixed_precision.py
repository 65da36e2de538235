"""Half precision inside the network: its gradients beside float32's, at any size of the loss."""

import numpy as np
import pytest
import tensorflow as tf

from nst_tf import assets
from nst_tf.losses.objective import Objective
from nst_tf.network import engine, vgg
from nst_tf.network import weights as weights_module
from nst_tf.network.feature_model import feature_model
from nst_tf.pictures import images, initial
from nst_tf.recipe import presets
from nst_tf.run.transfer import StyleTransfer

#: Cosines between gradients in float32 and in half precision, at least.
COSINES = {"mixed_float16": 0.999, "mixed_bfloat16": 0.99}


def evaluate(settings, weights, content, style, dtype, starts, **options):
    model = feature_model(weights, settings, dtype)
    forms = {name: getattr(settings, name) for name in ("content_loss", "style_loss", "tv_loss")}
    weights_of_terms = {
        name: getattr(settings, name) for name in ("content_weight", "style_weight", "tv_weight")
    }
    objective = Objective(
        model,
        settings.content_layers,
        settings.style_layers,
        **forms,
        **weights_of_terms,
        **options,
    )
    objective.set_content(content)
    objective.set_styles([style])
    return [objective(tf.constant(start[np.newaxis])) for start in starts]


def cosine(one, other):
    one, other = (np.asarray(value.gradient, np.float64) for value in (one, other))
    return (one * other).sum() / np.linalg.norm(one) / np.linalg.norm(other)


def check(settings, weights, content, style, dtype):
    starts = [initial.image(kind, content, [style], 0) for kind in ("content", "noise")]
    exact = evaluate(settings, weights, content, style, "float32", starts)
    for found, expected in zip(
        evaluate(settings, weights, content, style, dtype, starts), exact, strict=True
    ):
        assert cosine(found, expected) > COSINES[dtype]
        np.testing.assert_allclose(found.loss, expected.loss, rtol=0.01)
        norms = [float(tf.norm(value.gradient)) for value in (found, expected)]
        assert norms[0] == pytest.approx(norms[1], rel=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", COSINES)
def test_mini(dtype):
    content, style = (images.load(one, 256) for one in (assets.SCENE, assets.PAINTING))
    mini = weights_module.load("mini")
    check(presets.settings("gatys2016"), mini, content, style, dtype)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", COSINES)
@pytest.mark.parametrize("preset", presets.PRESETS)
def test_vgg19(vgg19, neckarfront, starry_night, preset, dtype):
    content, style = (images.load(one, 256) for one in (neckarfront, starry_night))
    check(presets.settings(preset), vgg19, content, style, dtype)


@pytest.mark.parametrize("factor", [1e-20, 1e-6, 1e6, 1e20])
def test_a_loss_of_any_size_has_a_gradient_in_float16(tiny_weights, scene, painting, factor):
    """In float16 itself it would be 0 or infinite."""
    settings = presets.settings("gatys2016")
    scaled = settings.replace(
        content_weight=settings.content_weight * factor, style_weight=settings.style_weight * factor
    )
    (expected,) = evaluate(
        settings, tiny_weights, scene, painting, "mixed_float16", [painting[:48]]
    )
    (found,) = evaluate(scaled, tiny_weights, scene, painting, "mixed_float16", [painting[:48]])
    np.testing.assert_allclose(found.gradient / factor, expected.gradient, rtol=1e-2, atol=0)


def test_no_loss_has_no_gradient(tiny_weights, scene, painting):
    settings = presets.settings("gatys2016", style_weight=0.0)
    (found,) = evaluate(settings, tiny_weights, scene, painting, "mixed_float16", [scene])
    assert float(found.loss) == 0
    np.testing.assert_array_equal(found.gradient, np.zeros_like(found.gradient))


def test_strip_by_strip(tiny_weights, painting):
    settings = presets.settings("gatys2016", content_layers={"conv1_1": 1.0, "conv2_2": 1.0})
    picture = np.random.default_rng(0).random((131, 77, 3), np.float32)
    whole, stripped = (
        evaluate(settings, tiny_weights, picture, painting, "mixed_float16", [picture], tile=tile)
        for tile in (None, 32)
    )
    assert cosine(whole[0], stripped[0]) > 0.9999


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
    assert engine.choose_dtype("auto") == dtype
    assert engine.choose_dtype("float32") == "float32"


@pytest.mark.slow
def test_a_run_ends_about_where_float32_ends(scene, painting):
    ends = [
        StyleTransfer(scene, painting, weights="mini", evaluations=40, dtype=dtype).run()
        for dtype in ("float32", "mixed_float16")
    ]
    one, other = (min(row["total"] for row in end.history) for end in ends)
    assert other < 1.1 * one  # two paths, of which rounding parts the steps
