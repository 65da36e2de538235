"""The network that paints in one pass: what it gives of which pictures, alone, nested and saved."""

import numpy as np
import pytest
import rounding
import tensorflow as tf

import nst_tf
from nst_tf import memory_at_hand
from nst_tf.errors import FileError, PictureError, SettingsError
from nst_tf.stylizer import borders
from nst_tf.stylizer.normalisation import ConditionalInstanceNormalization
from nst_tf.stylizer.palette import bounded

draw = np.random.default_rng(0)


def stirred(paintings=("painting",), **options):
    """A narrow network with other numbers than those that it begins with."""
    model = nst_tf.Stylizer(paintings, width=1 / 8, **options)
    numbers = np.random.default_rng(1)
    for variable in model.trainable_variables:
        change = 0.2 * numbers.standard_normal(variable.shape)
        variable.assign_add(change.astype(np.float32))
    return model


@pytest.fixture(scope="module")
def model():
    return stirred(("one", "two"))


def photos(height=21, width=30, count=2):
    return draw.random((count, height, width, 3)).astype(np.float32)


def test_it_begins_with_the_photo():
    """Of any size, to the last one of one pixel."""
    model = nst_tf.Stylizer(width=1 / 8)
    for height, width in ((21, 30), (16, 16), (1, 1), (3, 40)):
        batch = photos(height, width)
        np.testing.assert_allclose(model(batch), batch, atol=1e-6)


def test_a_seed_says_with_which_weights():
    one, same, other = (
        nst_tf.Stylizer(width=1 / 16, seed=seed).get_weights() for seed in (1, 1, 2)
    )
    assert all(map(np.array_equal, one, same)) and not np.array_equal(one[0], other[0])
    kernels = [weights.ravel() for weights in one if weights.shape == (3, 3, 8, 8)]
    assert len({tuple(kernel) for kernel in kernels}) == 10


def test_what_it_weighs():
    """At a quarter of the width at most 2 MB, as float32."""
    assert nst_tf.Stylizer(width=0.25).count_params() * 4 < 2e6
    # johnson's: 32, 64, 128 channels, ten convolutions of 128 to 128, less the 9x9
    whole = nst_tf.Stylizer(width=1).count_params()
    body = 9 * (32 * 64 + 64 * 128) * 2 + 10 * 9 * 128 * 128
    ends = 2 * 25 * 3 * 32
    norms = 2 * (32 + 64 + 128 * 11 + 64 + 32)
    assert whole == body + ends + norms + 12


def test_every_place_is_as_any_other():
    """Of one colour it makes one colour: no frame at the border, no checkerboard."""
    for height, width in ((24, 36), (17, 22)):
        photo = np.broadcast_to(np.float32([0.2, 0.5, 0.7]), (1, height, width, 3))
        painted = stirred()(photo).numpy()
        assert np.ptp(painted, (1, 2)).max() < 1e-5
        assert abs(painted - photo).max() > 0.01


def test_a_size_goes_on_as_its_mirror_image():
    batch = photos(21, 30)
    larger = np.pad(batch, ((0, 0), (0, 3), (0, 2), (0, 0)), "reflect")
    np.testing.assert_array_equal(borders.fitted(tf.constant(batch), 4, 16), larger)
    small = np.pad(batch[:, :3, :1], ((0, 0), (0, 13), (0, 15), (0, 0)), "reflect")
    np.testing.assert_array_equal(borders.fitted(tf.constant(batch[:, :3, :1]), 4, 16), small)
    model = stirred()
    rounding.assert_close(model(batch), model(larger)[:, :21, :30], 1e-5)
    compiled = tf.function(model, input_signature=[tf.TensorSpec([None, None, None, 3])])
    rounding.assert_close(compiled(batch), model(batch), 1e-5)


def test_normalisation_by_style():
    maps = (50 + 9 * draw.standard_normal((2, 5, 7, 3))).astype(np.float32)
    layer = ConditionalInstanceNormalization(2)
    layer(maps, np.eye(2, dtype=np.float32))
    gamma, beta = (draw.standard_normal((2, 3)).astype(np.float32) for _ in range(2))
    layer.set_weights([gamma, beta])
    shares = np.float32([[1, 0], [0.25, 0.75]])
    mean, std = (of(maps.astype(np.float64), (1, 2), keepdims=True) for of in (np.mean, np.std))
    expected = (shares @ gamma)[:, None, None] * (maps - mean) / std + (shares @ beta)[
        :, None, None
    ]
    rounding.assert_close(layer(maps, shares), expected, 1e-5)


def test_statistics_are_of_float32():
    """Squares of 400 overflow float16, whose sums end at 65504."""
    maps = (400 + 300 * draw.standard_normal((1, 64, 64, 2))).astype(np.float16)
    layer = ConditionalInstanceNormalization(1, dtype="mixed_float16")
    normal = layer(maps, np.ones((1, 1), np.float32)).numpy().astype(np.float64)
    np.testing.assert_allclose(normal.mean((1, 2)), 0, atol=2e-3)
    np.testing.assert_allclose(normal.std((1, 2)), 1, atol=2e-3)


def test_mixtures_of_styles(model):
    batch = photos()
    shares = np.float32([[3, 1], [0, 2]])
    mixed = model({"content": batch, "styles": shares}).numpy()
    for number, (one, two) in enumerate(shares / shares.sum(-1, keepdims=True)):
        alone = stirred()
        for ours, theirs in zip(alone.variables, model.variables, strict=True):
            numbers = theirs.numpy()
            if ours.shape != theirs.shape:  # those of a style
                numbers = one * numbers[:1] + two * numbers[1:]
            ours.assign(numbers)
        rounding.assert_close(mixed[number], alone(batch)[number], 1e-4)
    equal = model({"content": batch, "styles": np.float32([[1, 1]])})
    rounding.assert_close(model(batch), equal, 1e-5)


def test_strength(model):
    batch = photos()
    whole = model(batch).numpy()
    for strength in (np.float32([0.3]), np.float32([0.0, 1.0]), np.float32([-1, 2])):
        at = np.clip(strength, 0, 1).reshape(-1, 1, 1, 1)
        painted = model({"content": batch, "strength": strength})
        rounding.assert_close(painted, batch + at * (whole - batch), 1e-5)


def test_in_bounds_without_being_held_there():
    """Values come back from beyond, whatever their distance, and none is pushed further out."""
    values = tf.constant([-3.0, -3.0, 0.5, 0.5, 1.2, 1.2])
    pull = tf.constant([-1.0, 1.0, -1.0, 1.0, -1.0, 1.0])  # a descent goes against it
    with tf.GradientTape() as tape:
        tape.watch(values)
        loss = tf.reduce_sum(pull * bounded(values))
    np.testing.assert_array_equal(bounded(values), [0, 0, 0.5, 0.5, 1, 1])
    np.testing.assert_array_equal(tape.gradient(loss, values), [-1, 0, -1, 1, 0, 1])


@pytest.mark.parametrize(
    "policy", [pytest.param("float32", marks=pytest.mark.slow), "mixed_bfloat16"]
)
def test_nested_saved_and_loaded(policy, tmp_path):
    model = stirred(("one", "two"), dtype=policy)
    batch = photos()
    inputs = tf.keras.Input((None, None, 3))
    outer = tf.keras.Model(inputs, tf.keras.layers.ReLU(dtype="float32")(model(inputs)))
    given = {"content": batch, "strength": np.float32([0.5]), "styles": np.float32([[1, 0]])}
    for which, about in ((model, given), (outer, batch)):
        which.save(tmp_path / "model.keras")
        again = tf.keras.models.load_model(tmp_path / "model.keras")
        np.testing.assert_array_equal(again(about), which(about))
    assert model(batch).dtype == tf.float32 and model.paintings == ["one", "two"]
    if policy != "float32":  # to rounding the same as in float32
        whole = stirred(("one", "two"), dtype="float32")
        whole.set_weights(model.get_weights())
        assert float(tf.reduce_mean(abs(model(batch) - whole(batch)))) < 0.05


def test_no_other_model_is_made(tmp_path, monkeypatch):
    """Not even in part, since what a file names is perhaps not to be trusted."""
    tf.keras.Sequential([tf.keras.Input((2,)), tf.keras.layers.Dense(3)]).save(tmp_path / "a.keras")
    monkeypatch.setattr(tf.keras.models, "load_model", lambda *_, **__: pytest.fail("it is made"))
    with pytest.raises(FileError, match=r"a\.keras holds another model, no stylizer: .*Sequential"):
        nst_tf.Stylizer.load(tmp_path / "a.keras")


def test_what_memory_does_not_hold_is_refused(model, monkeypatch):
    photo = photos(40, 60, 1)[0]
    needed = int((130 + 720 / 8) * 40 * 60)
    monkeypatch.setattr(memory_at_hand, "allowed", lambda: needed + 1)
    assert model.paint(photo).shape == photo.shape
    monkeypatch.setattr(memory_at_hand, "allowed", lambda: needed - 1)
    with pytest.raises(PictureError, match="a photo of 60x40 pixels, painted in one pass, is too"):
        model.paint(photo)


@pytest.mark.slow
def test_it_learns_to_the_whole_of_its_range():
    """From a dark photo to a light picture and back: a sigmoid would stay where it is."""
    model = nst_tf.Stylizer(width=1 / 8)
    dark = np.full((1, 16, 16, 3), 0.01, np.float32) + 0.01 * photos(16, 16, 1)
    optimizer = tf.keras.optimizers.Adam(0.05)
    model.compile(optimizer, "mse")
    for goal in (0.97, 0.02):
        model.fit(dark, np.full_like(dark, goal), epochs=60, verbose=0)
        assert abs(float(tf.reduce_mean(model(dark))) - goal) < 0.05


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"paintings": []}, r"paintings are \[\]: name at least one"),
        ({"paintings": ["a", "a"]}, "each once"),
        ({"width": 0}, "width is 0: use a share such as 1, 0.5 or 0.25"),
        ({"width": "half"}, "width is 'half'"),
    ],
)
def test_what_is_refused(options, message):
    with pytest.raises(SettingsError, match=message):
        nst_tf.Stylizer(**options)
