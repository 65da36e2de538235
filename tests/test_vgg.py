import keras_reference
import numpy as np
import pytest
import rounding
import tensorflow as tf

from nst_tf.errors import SettingsError
from nst_tf.network import vgg
from nst_tf.pictures import images
from nst_tf.recipe import layers


@pytest.mark.parametrize("size", [(64, 64), (48, 83)])
def test_equal_to_keras_applications_on_every_layer(random_weights, size):
    picture = np.random.default_rng(0).random((1, *size, 3), np.float32)
    expected = keras_reference.features(picture, random_weights)
    maps = vgg.build_model(layers.NAMES, random_weights)(picture)
    for name in layers.NAMES:
        bound = rounding.of_maps(random_weights, name)
        rounding.assert_close(maps[name], expected[name], bound, name)


def test_equal_to_keras_applications_with_imagenet_weights(vgg19, vgg19_file, neckarfront):
    picture = images.load(neckarfront, 96)[np.newaxis]
    expected = keras_reference.features(picture, vgg19_file)
    maps = vgg.build_model(layers.NAMES, vgg19)(picture)
    for name in layers.NAMES:
        rounding.assert_close(maps[name], expected[name], rounding.of_maps(vgg19, name), name)


def test_before_the_relu_and_both_notations(random_weights):
    picture = np.random.default_rng(0).random((1, 32, 32, 3), np.float32)
    names = ("conv2_2:pre", "conv2_2", "block2_conv2", "block2_conv2:pre")
    maps = vgg.build_model(names, random_weights)(picture)
    assert tuple(sorted(maps)) == tuple(sorted(names))
    assert np.min(maps["conv2_2:pre"]) < 0
    np.testing.assert_array_equal(np.maximum(maps["conv2_2:pre"], 0), maps["conv2_2"])
    np.testing.assert_array_equal(maps["conv2_2"], maps["block2_conv2"])
    np.testing.assert_array_equal(maps["conv2_2:pre"], maps["block2_conv2:pre"])


@pytest.mark.parametrize("name", ["conv1_1", "conv3_2", "conv5_4"])
def test_built_no_deeper_than_needed(tiny_weights, name):
    model = vgg.build_model(["conv1_1", name], tiny_weights)
    convolutions = [layer for layer in model.layers if isinstance(layer, tf.keras.layers.Conv2D)]
    assert len(convolutions) == layers.NAMES.index(name) + 1


def test_not_trainable_and_the_gradient_reaches_the_picture(tiny_weights):
    model = vgg.build_model(["conv2_1"], tiny_weights)
    assert model.trainable_weights == []
    picture = tf.random.stateless_uniform([1, 16, 16, 3], [1, 2])
    with tf.GradientTape() as tape:
        tape.watch(picture)
        loss = tf.reduce_sum(model(picture)["conv2_1"] ** 2)
    assert float(tf.norm(tape.gradient(loss, picture))) > 0


@pytest.mark.parametrize("kind", ["max", "avg", "l2"])
@pytest.mark.parametrize("rescale", [False, True])
def test_pooling_against_numpy(kind, rescale):
    maps = np.random.default_rng(0).random((1, 5, 6, 2))  # the odd last row is dropped
    windows = maps[:, :4].reshape(1, 2, 2, 3, 2, 2).transpose(0, 1, 3, 5, 2, 4)
    windows = windows.reshape(1, 2, 3, 2, 4)
    expected = {
        "max": windows.max(-1),
        "avg": windows.mean(-1),
        "l2": np.sqrt((windows**2).mean(-1)),
    }[kind]
    if rescale:
        expected = expected * vgg.RESCALE[kind]
    pooled = vgg.Pooling(kind, rescale)(tf.constant(maps, tf.float32))
    # Squares, their mean of four, its root, the factor.
    rounding.assert_close(pooled, expected, rounding.of_sums(1, 4, 1, 1))


def test_l2_pooling_has_a_finite_gradient_where_nothing_is_active():
    maps = tf.zeros([1, 4, 4, 1])
    with tf.GradientTape() as tape:
        tape.watch(maps)
        pooled = vgg.Pooling("l2")(maps)
    np.testing.assert_array_equal(tape.gradient(pooled, maps), np.zeros([1, 4, 4, 1]))


@pytest.mark.parametrize("name", ["conv1_2", "conv2_2", "conv3_4"])
def test_rescaled_pooling_keeps_the_size_of_the_features(vgg19, neckarfront, name):
    picture = images.load(neckarfront, 192)[np.newaxis]
    maps = vgg.build_model([name], vgg19)(picture)[name]
    most = float(np.mean(vgg.Pooling("max")(maps)))
    for kind in ("avg", "l2"):
        assert float(np.mean(vgg.Pooling(kind, True)(maps))) == pytest.approx(most, rel=0.3)


def test_replicate_padding_against_numpy(tiny_weights):
    picture = np.random.default_rng(0).random((1, 8, 9, 3), np.float32)
    model = vgg.build_model(["conv1_1:pre"], tiny_weights, padding="replicate")
    prepared = picture[0, ..., ::-1] * 255.0 - np.array(vgg.MEAN_RGB[::-1])
    padded = np.pad(prepared, [(1, 1), (1, 1), (0, 0)], mode="edge")
    expected = np.full((8, 9, 4), tiny_weights.biases["conv1_1"], np.float64)
    for row in range(3):
        for column in range(3):
            window = padded[row : row + 8, column : column + 9]
            expected += window @ tiny_weights.kernels["conv1_1"][row, column].astype(np.float64)
    bound = rounding.of_maps(tiny_weights, "conv1_1")
    rounding.assert_close(model(picture)["conv1_1:pre"][0], expected, bound)


def test_a_flat_picture_has_flat_features_with_replicate_padding(tiny_weights):
    flat = np.full((1, 8, 8, 3), 0.25, np.float32)
    spread = {}
    for padding in ("replicate", "zero"):
        model = vgg.build_model(["conv1_1"], tiny_weights, padding=padding)
        maps = np.asarray(model(flat)["conv1_1"])
        spread[padding] = np.ptp(maps, axis=(1, 2)).max() / maps.max()
    rounding.assert_below(spread["replicate"], rounding.of_maps(tiny_weights, "conv1_1"))
    assert spread["zero"] > 0.01


@pytest.mark.parametrize("policy", ["float64", "mixed_float16", "mixed_bfloat16"])
def test_the_global_policy_neither_leaks_in_nor_changes(tiny_weights, policy):
    picture = np.random.default_rng(0).random((1, 16, 16, 3), np.float32)
    expected = vgg.build_model(["conv2_1", "conv1_1:pre"], tiny_weights)(picture)
    before = tf.keras.mixed_precision.global_policy()
    try:
        tf.keras.mixed_precision.set_global_policy(policy)
        model = vgg.build_model(["conv2_1", "conv1_1:pre"], tiny_weights)
        features = model(tf.convert_to_tensor(picture))
        assert tf.keras.mixed_precision.global_policy().name == policy
    finally:
        tf.keras.mixed_precision.set_global_policy(before)
    for name, maps in features.items():
        assert maps.dtype == tf.float32
        np.testing.assert_array_equal(maps, expected[name])


def test_a_policy_of_its_own(tiny_weights):
    picture = np.random.default_rng(0).random((1, 16, 16, 3), np.float32)
    exact = vgg.build_model(["conv2_1"], tiny_weights)(picture)["conv2_1"]
    maps = vgg.build_model(["conv2_1"], tiny_weights, dtype="mixed_bfloat16")(picture)["conv2_1"]
    assert maps.dtype == tf.bfloat16
    # Of the input, the kernel and the output of two layers, and of the picture's way into them.
    rounding.assert_close(tf.cast(maps, tf.float32), exact, 8 * rounding.UNIT["bfloat16"])


def test_saves_and_loads_as_a_keras_model(tiny_weights, tmp_path):
    picture = np.random.default_rng(0).random((1, 16, 16, 3), np.float32)
    model = vgg.build_model(["conv2_1"], tiny_weights, pooling="l2", padding="replicate")
    model.save(tmp_path / "model.keras")
    again = tf.keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again(picture)["conv2_1"], model(picture)["conv2_1"])


@pytest.mark.parametrize(
    ("wanted", "options", "message"),
    [
        ([], {}, "at least one layer"),
        (["conv9_1"], {}, "conv9_1"),
        (["conv1_1"], {"pooling": "median"}, "median.*max, avg, l2"),
        (["conv1_1"], {"padding": "black"}, "black.*zero, replicate, mirror"),
    ],
)
def test_errors_name_the_value_and_the_choices(tiny_weights, wanted, options, message):
    with pytest.raises(SettingsError, match=message):
        vgg.build_model(wanted, tiny_weights, **options)


def test_too_small_a_picture_names_the_least_size(tiny_weights):
    model = vgg.build_model(["conv4_1"], tiny_weights)
    assert model(np.zeros((1, 8, 8, 3), np.float32))["conv4_1"].shape == (1, 1, 1, 4)
    with pytest.raises(SettingsError, match="at least 8x8"):
        model(np.zeros((1, 7, 20, 3), np.float32))


def test_mean_activations_against_numpy(tiny_weights):
    draw = np.random.default_rng(0)
    pictures = [draw.random((16, 16, 3), np.float32), draw.random((32, 16, 3), np.float32)]
    means = vgg.mean_activations(tiny_weights, pictures)
    model = vgg.build_model(["conv1_2"], tiny_weights, dtype="float64")
    values = [np.asarray(model(picture[np.newaxis])["conv1_2"]) for picture in pictures]
    expected = np.concatenate([value.reshape(-1, 4) for value in values]).mean(axis=0)
    bound = rounding.of_maps(tiny_weights, "conv1_2") + rounding.of_sums(32 * 16)
    rounding.assert_close(means["conv1_2"], expected, bound)
