import socket

import h5py
import keras_reference
import numpy as np
import pytest
import rounding

from nst_tf import assets
from nst_tf.errors import WeightsError
from nst_tf.network import normalisation, vgg
from nst_tf.network import weights as weights_module
from nst_tf.pictures import images
from nst_tf.recipe import layers


def same(network, expected) -> bool:
    return all(
        np.array_equal(network.kernels[name], expected.kernels[name])
        and np.array_equal(network.biases[name], expected.biases[name])
        for name in layers.NAMES
    )


def with_biases(weights):
    """Random weights have zero biases; these tell a bias that was lost."""
    draw = np.random.default_rng(7)
    biases = {
        name: draw.standard_normal(bias.shape).astype(np.float32)
        for name, bias in weights.biases.items()
    }
    return weights_module.Weights(weights.kernels, biases, "with biases")


def test_the_legacy_layout_of_keras_applications(vgg19_file, vgg19):
    model = keras_reference.network(vgg19_file)
    for name in layers.NAMES:
        kernel, bias = model.get_layer(keras_reference.keras_name(name)).get_weights()
        np.testing.assert_array_equal(vgg19.kernels[name], kernel)
        np.testing.assert_array_equal(vgg19.biases[name], bias)


def test_the_weights_h5_that_keras_writes(random_weights, tmp_path):
    expected = with_biases(random_weights)
    path = tmp_path / "vgg19.weights.h5"
    keras_reference.network(expected).save_weights(path)
    assert same(weights_module.load(path), expected)


def test_npz_round_trip_and_other_peoples_names(random_weights, tmp_path):
    expected = with_biases(random_weights)
    expected.save(tmp_path / "ours.npz")
    ours = weights_module.load(tmp_path / "ours.npz")
    assert same(ours, expected) and ours.sha256 == expected.sha256
    theirs = {}
    for name in layers.NAMES:
        theirs[f"block{name[4]}_conv{name[6]}_W"] = expected.kernels[name].astype(np.float64)
        theirs[f"block{name[4]}_conv{name[6]}_b"] = expected.biases[name]
    np.savez(tmp_path / "theirs.npz", **theirs)
    assert same(weights_module.load(tmp_path / "theirs.npz"), expected)


def test_the_hash_tells_networks_apart(random_weights):
    assert random_weights.sha256 != with_biases(random_weights).sha256
    assert len(random_weights.sha256) == 64


def test_random_is_seeded_and_as_loud_as_vgg19(random_weights, vgg19, scene):
    assert same(weights_module.load("random", seed=0), random_weights)
    assert not same(weights_module.random(1), random_weights)
    # Comparable losses want comparable features: layer by layer within a factor of four of the
    # trained network's on a picture that neither was scaled on.
    random_means = vgg.mean_activations(random_weights, [scene])
    trained_means = vgg.mean_activations(vgg19, [scene])
    for name in layers.NAMES:
        ratio = random_means[name].mean() / trained_means[name].mean()
        assert 1 / 4 < ratio < 4, name


def test_the_environment_variable_names_the_weights(random_weights, tmp_path, monkeypatch):
    path = tmp_path / "weights.npz"
    random_weights.save(path)
    monkeypatch.setenv("NST_TF_WEIGHTS", str(path))
    assert weights_module.load().source == str(path)
    monkeypatch.setenv("NST_TF_WEIGHTS", "random")
    assert weights_module.load().source.startswith("random")
    monkeypatch.setenv("NST_TF_WEIGHTS", str(tmp_path / "gone.npz"))
    with pytest.raises(WeightsError, match=r"gone\.npz .from .NST_TF_WEIGHTS"):
        weights_module.load()


def test_no_network_is_one_line_with_the_choices(tmp_path, monkeypatch):
    """Keras' own download, with every connection refused and an empty cache."""

    def refused(*_args, **_options):
        raise OSError("Network is unreachable")

    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(socket, "create_connection", refused)
    monkeypatch.setattr(socket, "getaddrinfo", refused)
    with pytest.raises(WeightsError) as caught:
        weights_module.load("imagenet")
    text = str(caught.value)
    assert "'random'" in text and ".npz" in text and "\n" not in text


def truncated(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.fixture
def npz(random_weights, tmp_path):
    path = tmp_path / "weights.npz"
    arrays = {f"{name}/kernel": random_weights.kernels[name] for name in layers.NAMES}
    arrays |= {f"{name}/bias": random_weights.biases[name] for name in layers.NAMES}
    return path, arrays


def rejected(path, *words):
    with pytest.raises(WeightsError) as caught:
        weights_module.load(path)
    text = str(caught.value)
    assert "\n" not in text and "what works here: 'mini'" in text
    for word in (path.name, *words):
        assert word in text, text


def test_truncated_files(npz, tmp_path):
    path, arrays = npz
    np.savez(path, **arrays)
    truncated(path)
    rejected(path, "cut short")
    h5 = tmp_path / "weights.h5"
    with h5py.File(h5, "w") as file:
        for key, array in arrays.items():
            file[key] = array
    assert weights_module.load(h5).source == str(h5)
    truncated(h5)
    rejected(h5, "cut short")


def test_files_that_are_something_else(npz, tmp_path):
    path, arrays = npz
    rejected(tmp_path / "missing.h5", "no weights file")
    (tmp_path / "text.h5").write_text("hello")
    rejected(tmp_path / "text.h5", "not a readable")
    (tmp_path / "empty.npz").write_bytes(b"")
    rejected(tmp_path / "empty.npz", "not a readable")
    np.savez(path, pixels=np.zeros(3))
    rejected(path, "names no layer")
    np.savez(path, **{key: value for key, value in arrays.items() if key != "conv4_3/bias"})
    rejected(path, "no bias of conv4_3")


def test_wrong_shapes_and_values(npz):
    path, arrays = npz
    pytorch = {**arrays, "conv1_1/kernel": arrays["conv1_1/kernel"].transpose(3, 2, 0, 1)}
    np.savez(path, **pytorch)
    rejected(path, "conv1_1", "[64, 3, 3, 3] instead of [3, 3, 3, 64]")
    np.savez(path, **{**arrays, "conv5_2/bias": np.full(512, np.nan, np.float32)})
    rejected(path, "conv5_2", "not finite")


def test_normalised_filters_have_mean_one_and_compute_the_same(random_weights, scene, painting):
    """CVPR 2016, section 2: scaled weights, the same function up to each filter's factor.

    In float64, which leaves of rounding only that of the scaled weights to float32.
    """
    pictures = [scene, painting]
    weights = with_biases(random_weights)
    means = vgg.mean_activations(weights, pictures, dtype="float64")
    normalised = normalisation.normalise(weights, means)
    # A few random filters are all but silent on two small pictures; those are left so.
    divisors = {name: np.maximum(mean, 1e-3 * mean.mean()) for name, mean in means.items()}
    scaled_means = vgg.mean_activations(normalised, pictures, dtype="float64")
    for name, mean in scaled_means.items():
        bound = rounding.of_maps(weights, name)
        # In units of the layer: what is all but silent is a small difference of large numbers.
        rounding.assert_close(mean * divisors[name], means[name], bound, name)
        rounding.assert_below(abs(np.median(mean) - 1), 10 * bound, name)
        assert np.mean(divisors[name] == means[name]) > 0.8, name
    keys = ["conv1_2", "conv3_3:pre", "conv5_4"]
    for pooling in ("max", "avg", "l2"):
        raw, scaled = (
            vgg.build_model(keys, network, pooling=pooling, dtype="float64")(scene[np.newaxis])
            for network in (weights, normalised)
        )
        for key in keys:
            restored = scaled[key] * divisors[key.removesuffix(":pre")]
            rounding.assert_close(restored, raw[key], rounding.of_maps(weights, key), key)


def test_imagenet_vgg19_is_known_and_normalised_by_the_bundled_means(vgg19, neckarfront):
    assert weights_module.known_means(vgg19) is not None
    normalised = normalisation.normalise(vgg19)
    means = vgg.mean_activations(normalised, [images.load(neckarfront, 256)])
    for name in layers.NAMES[:13]:  # what is deeper depends on what the picture shows
        assert 0.4 < means[name].mean() < 2.5, name


def test_mini_is_known_and_normalised_by_the_bundled_means():
    """On a picture that was not among those measured, within what a picture shows."""
    mini = weights_module.load("mini")
    assert set(weights_module.known_means(mini)) == set(mini.kernels)
    normalised = normalisation.normalise(mini)
    means = vgg.mean_activations(normalised, [images.load(assets.SCENE, 256)])
    for name in list(mini.kernels):
        assert 0.4 < means[name].mean() < 2.5, name


def test_any_other_network_is_measured(random_weights):
    assert weights_module.known_means(random_weights) is None
    normalised = normalisation.normalise(random_weights)
    bundled = [images.load(path) for path in (assets.SCENE, assets.PAINTING)]
    for name, mean in vgg.mean_activations(normalised, bundled).items():
        # Filters down to a tenth of their layer's mean are scaled by up to ten times as much.
        bound = 10 * rounding.of_maps(random_weights, name)
        rounding.assert_below(abs(np.median(mean) - 1), bound, name)
        rounding.assert_below(mean.max() - 1, bound, name)


def test_a_silent_filter_is_not_blown_up(tiny_weights):
    means = {name: np.array([1.0, 1.0, 1.0, 1e-9]) for name in layers.NAMES}
    normalised = normalisation.normalise(tiny_weights, means)
    loudest = 1 / (1e-3 * np.mean([1, 1, 1, 1e-9]))  # a thousandth of its layer's mean
    kernel, before = (network.kernels["conv1_1"][..., 3] for network in (normalised, tiny_weights))
    rounding.assert_close(kernel, loudest * before, rounding.of_sums(1))
