"""The losses and layers in Keras' own programs: compiled, trained, saved, nested, distributed."""

import subprocess
import sys

import numpy as np
import pytest
import rounding
import tensorflow as tf

import nst_tf.keras
from nst_tf.errors import SettingsError
from nst_tf.network import normalisation, vgg
from nst_tf.network import weights as weights_module
from nst_tf.recipe import presets

SETTINGS = presets.settings("gatys2016")


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(0).random((2, 3, 40, 33, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def maps(pictures):
    """Of mini, in float64: pictures and targets."""
    model = vgg.build_model(SETTINGS.layers, weights_module.load("mini"), dtype="float64")
    return [
        {name: value.numpy() for name, value in model(tf.constant(batch, tf.float64)).items()}
        for batch in pictures
    ]


def gram(values):
    flat = values.reshape(len(values), -1, values.shape[-1])
    return np.einsum("bmi,bmj->bij", flat, flat) / flat.shape[1]


def test_losses_by_their_formulas(pictures, maps):
    made, targets = maps
    content = ((made["conv4_2"] - targets["conv4_2"]) ** 2).mean((1, 2, 3))
    style = sum(
        weight * ((gram(made[name]) - gram(targets[name])) ** 2).mean((1, 2))
        for name, weight in SETTINGS.style_layers.items()
    )
    total = SETTINGS.content_weight * content + SETTINGS.style_weight * style
    for kind, expected in (("Content", content), ("Style", style), ("Perceptual", total)):
        loss = getattr(nst_tf.keras, f"{kind}Loss")()
        value = loss(tf.constant(pictures[1]), tf.constant(pictures[0]))
        # Two random pictures have nearly the same Gram matrices.
        bound = 4 * rounding.of_maps(weights_module.load("mini"))
        rounding.assert_close(value, expected.mean(), bound, kind)


def test_a_model_is_trained_on_it(pictures):
    """A network that paints every picture in one colour learns to paint the photo's."""
    inputs = tf.keras.Input((40, 33, 3))
    painter = tf.keras.Sequential([inputs, tf.keras.layers.Conv2D(3, 1, activation="sigmoid")])
    painter.compile(tf.keras.optimizers.Adam(0.1), loss=nst_tf.keras.ContentLoss())
    data = tf.data.Dataset.from_tensor_slices((pictures[0], pictures[0])).batch(3).repeat(12)
    history = painter.fit(data, steps_per_epoch=6, epochs=2, verbose=0).history["loss"]
    assert history[1] < history[0]
    assert len(painter.trainable_variables) == 2  # the feature model's are none of its


def test_a_loss_may_do_without_style(pictures):
    targets, made = pictures[1], pictures[0]
    content = nst_tf.keras.ContentLoss()(targets, made)
    alone = nst_tf.keras.PerceptualLoss(style_layers={})(targets, made)
    bound = 4 * rounding.of_maps(weights_module.load("mini"), "conv4_2")
    rounding.assert_close(alone, content, bound)


def test_targets_may_have_another_size_for_style(pictures):
    loss = nst_tf.keras.StyleLoss()(pictures[1][:, :24, :20], pictures[0])
    assert np.isfinite(loss)


def test_a_loss_is_made_again_from_its_configuration(pictures):
    loss = nst_tf.keras.PerceptualLoss(style_weight=7.0, style_layers={"conv2_1": 1.0})
    again = tf.keras.losses.deserialize(tf.keras.losses.serialize(loss))
    np.testing.assert_array_equal(again(*pictures), loss(*pictures))
    assert again.get_config()["style_weight"] == 7.0


def test_weights_are_named(tiny_weights):
    with pytest.raises(SettingsError, match="weights is Weights: name a network or a file"):
        nst_tf.keras.ContentLoss(tiny_weights)


@pytest.mark.parametrize("options", [{}, {"preset": "gatys2015", "normalise": True}])
def test_the_feature_extractor_is_the_feature_model(tiny_weights, pictures, options):
    wanted = ["conv1_2", "block2_conv1:pre", "conv3_1"]
    features = nst_tf.FeatureExtractor(wanted, tiny_weights, **options)
    settings = presets.settings(options.get("preset", presets.PUBLISHED))
    expected = vgg.build_model(
        wanted,
        normalisation.normalise(tiny_weights) if options else tiny_weights,
        pooling=settings.pooling,
        padding=settings.padding,
    )(pictures[0])
    outputs = features(pictures[0])
    assert list(outputs) == wanted
    for name, maps in expected.items():
        np.testing.assert_array_equal(outputs[name], maps)
    assert not features.trainable_variables


def test_a_feature_extractor_of_a_preset(tiny_weights):
    features = nst_tf.FeatureExtractor(weights=tiny_weights)
    assert sorted(features.output_names) == sorted(SETTINGS.layers)


def test_a_feature_extractor_is_saved_and_loaded(tiny_weights, pictures, tmp_path):
    features = nst_tf.FeatureExtractor(
        ["conv2_2"], tiny_weights, preset="gatys2015", normalise=True, dtype="mixed_bfloat16"
    )
    features.save(tmp_path / "features.keras")
    again = tf.keras.models.load_model(tmp_path / "features.keras")
    assert type(again) is nst_tf.FeatureExtractor
    again.save(tmp_path / "again.keras")
    for model in (again, tf.keras.models.load_model(tmp_path / "again.keras")):
        assert model.get_layer("conv2_1").compute_dtype == "bfloat16"
        np.testing.assert_array_equal(
            tf.cast(model(pictures[0])["conv2_2"], tf.float32),
            tf.cast(features(pictures[0])["conv2_2"], tf.float32),
        )


def test_a_feature_extractor_that_was_trained_goes_on_so(tiny_weights, tmp_path):
    features = nst_tf.FeatureExtractor("conv1_1", tiny_weights)
    features.trainable = True
    features.save(tmp_path / "features.keras")
    again = tf.keras.models.load_model(tmp_path / "features.keras")
    assert len(again.trainable_variables) == len(features.trainable_variables) == 2


def test_what_a_feature_extractor_cannot_be(tiny_weights, pictures):
    with pytest.raises(SettingsError, match="no dtype policy 'half-way': use one such as float32"):
        nst_tf.FeatureExtractor(["conv1_1"], tiny_weights, dtype="half-way")
    with pytest.raises(SettingsError, match="conv9_1"):
        nst_tf.FeatureExtractor(["conv9_1"], tiny_weights)
    with pytest.raises(SettingsError, match="no setting 'poling': did you mean pooling"):
        nst_tf.FeatureExtractor(["conv1_1"], tiny_weights, poling="avg")


@pytest.fixture
def nested(tiny_weights):
    """A user's own functional model around the feature model, with Gram matrices."""
    inputs = tf.keras.Input((None, None, 3))
    brighter = tf.keras.layers.Conv2D(3, 1, name="brighter")(inputs)
    maps = nst_tf.FeatureExtractor(["conv1_1", "conv2_1"], tiny_weights)(brighter)
    grams = nst_tf.keras.GramMatrix()(maps["conv2_1"])
    return tf.keras.Model(inputs, tf.keras.layers.GlobalAveragePooling1D()(grams))


def test_the_feature_model_nests_and_trains_through(nested, pictures):
    nested.compile("sgd", "mse")
    before = nested.get_layer("brighter").get_weights()[0]
    features = [value.numpy() for value in nested.get_layer("feature_extractor").variables]
    nested.fit(pictures[0], np.ones((3, 4), np.float32), verbose=0)
    assert not np.allclose(nested.get_layer("brighter").get_weights()[0], before)
    for value, old in zip(nested.get_layer("feature_extractor").variables, features, strict=True):
        np.testing.assert_array_equal(value, old)


def test_it_is_saved_and_loaded_with_it(nested, pictures, tmp_path):
    nested.save(tmp_path / "nested.keras")
    again = tf.keras.models.load_model(tmp_path / "nested.keras")
    np.testing.assert_array_equal(again(pictures[0]), nested(pictures[0]))


def test_the_gram_layer(pictures):
    layer = nst_tf.keras.GramMatrix()
    bound = rounding.of_sums(1, 40 * 33)
    rounding.assert_close(layer(pictures[0]), gram(pictures[0].astype(float)), bound)
    before = tf.keras.mixed_precision.global_policy()
    try:
        tf.keras.mixed_precision.set_global_policy("mixed_float16")
        large = nst_tf.keras.GramMatrix()(tf.fill([1, 4, 4, 2], 1e5))
    finally:
        tf.keras.mixed_precision.set_global_policy(before)
    rounding.assert_close(large, np.full((1, 2, 2), 1e10), bound)
    half = layer(tf.constant(pictures[0], tf.bfloat16))
    assert half.dtype == tf.float32
    assert tuple(layer.compute_output_shape((None, 5, 6, 7))) == (None, 7, 7)


DISTRIBUTED = """
import numpy as np, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
import nst_tf.keras
pictures = np.random.default_rng(0).random((4, 32, 32, 3)).astype(np.float32)
with strategy.scope():
    start = tf.keras.initializers.Zeros()
    layer = tf.keras.layers.Conv2D(3, 1, activation="sigmoid", kernel_initializer=start)
    model = tf.keras.Sequential([tf.keras.Input((32, 32, 3)), layer])
    style_loss = nst_tf.keras.StyleLoss(style_layers={"conv1_1": 0.5, "conv2_1": 0.5})
    model.compile(tf.keras.optimizers.SGD(0.0), loss=style_loss)
    inputs = tf.keras.Input((32, 32, 3))
    maps = nst_tf.FeatureExtractor(["conv2_1"], "mini")(layer(inputs))["conv2_1"]
    outer = tf.keras.Model(inputs, tf.keras.layers.GlobalAveragePooling2D()(maps))
    outer.compile(tf.keras.optimizers.SGD(0.0), loss="mse")
loss = model.fit(pictures, pictures, batch_size=4, verbose=0).history["loss"][0]
means = outer.predict(pictures, batch_size=4, verbose=0)
alone = outer(pictures)
error = np.abs(means - alone).max() / np.abs(alone).max()
assert error < 1e-4, f"the feature extractor on two devices: {error}"
outer.fit(pictures, np.zeros_like(means), batch_size=4, verbose=0)
expected = style_loss(pictures, np.full_like(pictures, 0.5))
print(strategy.num_replicas_in_sync, float(loss) / float(expected))
"""


@pytest.mark.slow
def test_on_two_devices():
    """Half of the batch each, the loss of the whole."""
    done = subprocess.run([sys.executable, "-c", DISTRIBUTED], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    replicas, ratio = done.stdout.split()[-2:]
    assert replicas == "2"
    rounding.assert_close(float(ratio), 1.0, 4 * rounding.of_maps(weights_module.load("mini")))
