"""The feature model and layers in Keras' own programs: saved, nested, trained, distributed."""

import subprocess
import sys

import numpy as np
import pytest
import rounding
import tensorflow as tf

import nst_tf.keras
from nst_tf.errors import PictureError, SettingsError
from nst_tf.network import normalisation, vgg
from nst_tf.network import weights as weights_module
from nst_tf.recipe import presets

SETTINGS = presets.settings("gatys2016")


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(0).random((2, 3, 40, 33, 3)).astype(np.float32)


def gram(values):
    flat = values.reshape(len(values), -1, values.shape[-1])
    return np.einsum("bmi,bmj->bij", flat, flat) / flat.shape[1]


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


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "float32"])
def test_a_global_policy_is_taken_where_asked_for(tiny_weights, pictures, policy, tmp_path):
    """And kept by what is saved, where another policy is set."""
    before = tf.keras.mixed_precision.global_policy()
    try:
        tf.keras.mixed_precision.set_global_policy(policy)
        asked = nst_tf.FeatureExtractor("conv2_1", tiny_weights, dtype=None)
        built = nst_tf.build_model(["conv2_1"], tiny_weights, dtype=None)
        usual = nst_tf.FeatureExtractor("conv2_1", tiny_weights)
    finally:
        tf.keras.mixed_precision.set_global_policy(before)
    asked.save(tmp_path / "asked.keras")
    again = tf.keras.models.load_model(tmp_path / "asked.keras")
    half = policy.removeprefix("mixed_")
    for model, dtype in ((asked, half), (built, half), (usual, "float32"), (again, half)):
        assert model.get_layer("conv2_1").compute_dtype == dtype
        assert model(pictures[0])["conv2_1"].dtype == dtype


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


def test_a_feature_extractor_takes_bytes_as_pixels(tiny_weights, pictures):
    features = nst_tf.FeatureExtractor("conv2_1", tiny_weights)
    for kind in (np.uint8, np.uint16):
        top = np.iinfo(kind).max
        whole = np.round(pictures[0] * top).astype(kind)
        expected = features(whole / np.float32(top))["conv2_1"]
        np.testing.assert_allclose(features(whole)["conv2_1"], expected, rtol=1e-5, atol=1e-5)
        again = features.predict(whole, verbose=0)["conv2_1"]
        np.testing.assert_allclose(again, expected, rtol=1e-5, atol=1e-5)
    assert features(pictures[0, :0])["conv2_1"].shape == (0, 20, 16, 4)


def test_what_a_feature_extractor_does_not_take(tiny_weights, pictures):
    features = nst_tf.FeatureExtractor("conv2_1", tiny_weights)
    spoilt = pictures[0].copy()
    spoilt[1, 3, 3, 1] = np.nan
    for given, message in (
        (pictures[0] * 255, r"in about \[0, 1\], at most 0.25 .* are not: \[0 1 2\]"),
        (pictures[0] * 2 - 1, r"in about \[0, 1\], .* are not: \[0 1 2\]"),
        ((pictures[0] - 0.45) / 0.22, r"in about \[0, 1\], .* are not: \[0 1 2\]"),
        (pictures[0] * 2, r"in about \[0, 1\], .* are not: \[0 1 2\]"),
        (b"GIF89a", r"not of type bytes: nst_tf.data.pictures reads files"),
        ("photo.jpg", r"not of type str: nst_tf.data.pictures reads files"),
        (spoilt, r"pictures are finite, .* are not: \[1\]"),
        (spoilt.astype(np.int32), "of type int32: use uint8, uint16 or a float type"),
        (pictures[0, 0], r"\[batch, height, width, 3\]; these are \[40, 33, 3\]"),
        (pictures[0, ..., :1], r"these are \[3, 40, 33, 1\]"),
    ):
        with pytest.raises(PictureError, match=message):
            features(given)
    with pytest.raises(SettingsError, match=r"^33x1 pixels are too few for conv2_1"):
        features(pictures[0, :, :1])
    features(pictures[0] * 1.4 - 0.2)  # as a network may make them
    before = nst_tf.FeatureExtractor("conv2_1", tiny_weights, overshoot=1)  # it has learnt
    assert before.get_config()["overshoot"] == 1
    before(pictures[0] * 3 - 1)
    with pytest.raises(PictureError, match="at most 1 beyond"):
        before(pictures[0] * 4 - 1)
    for wrong in (-1, float("nan"), float("inf"), "more"):
        with pytest.raises(SettingsError, match="overshoot is"):
            nst_tf.FeatureExtractor("conv1_1", tiny_weights, overshoot=wrong)
    graph = tf.function(features, input_signature=[tf.TensorSpec([None, None, None, 3])])
    for given, message in ((spoilt, r"are not:\] \[1\]"), (pictures[0, :, :1], "at least 2 x 2")):
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            graph(given)


def test_where_xla_leaves_errors_out_features_are_nan(tiny_weights, pictures):
    """Of the pictures alone that are on another scale."""
    features = nst_tf.FeatureExtractor(["conv1_1", "conv2_1"], tiny_weights)
    given = pictures[0] * np.float32([1, 255, 1]).reshape(3, 1, 1, 1)
    found = tf.function(features, jit_compile=True)(given)
    for name, expected in features(pictures[0]).items():
        assert np.isnan(found[name][1]).all()
        for at in (0, 2):
            np.testing.assert_allclose(found[name][at], expected[at], rtol=1e-4, atol=1e-4)


@pytest.fixture
def nested(tiny_weights):
    """A user's own functional model around the feature model, with Gram matrices."""
    inputs = tf.keras.Input((None, None, 3))
    brighter = tf.keras.layers.Conv2D(3, 1, name="brighter")(inputs)
    features = nst_tf.FeatureExtractor(["conv1_1", "conv2_1"], tiny_weights, overshoot=9)
    maps = features(brighter)
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
