"""The losses for `model.compile`: their formulas and scale, a fixed style, what they refuse."""

import numpy as np
import pytest
import rounding
import tensorflow as tf

import nst_tf.keras
from nst_tf import assets
from nst_tf.errors import PictureError, SettingsError
from nst_tf.network import vgg
from nst_tf.network import weights as weights_module
from nst_tf.pictures import images
from nst_tf.recipe import presets

SETTINGS = presets.settings("gatys2016")
#: What a test needs that is not of the layers: few of them, near the pixels.
FEW = {"content_layers": {"conv2_1": 1.0}, "style_layers": {"conv1_1": 0.5, "conv2_1": 2.0}}
BOUND = 4 * rounding.of_maps(weights_module.load("mini"))
FEW_BOUND = 4 * rounding.of_maps(weights_module.load("mini"), "conv2_1")


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(0).random((2, 3, 40, 33, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def maps_of():
    """A function from pictures to mini's feature maps, in float64."""
    model = vgg.build_model(SETTINGS.layers, weights_module.load("mini"), dtype="float64")
    return lambda batch: {
        name: maps.numpy() for name, maps in model(tf.constant(batch, tf.float64)).items()
    }


def gram(values):
    flat = values.reshape(len(values), -1, values.shape[-1])
    return np.einsum("bmi,bmj->bij", flat, flat) / flat.shape[1]


def published(made, targets, styles, settings=SETTINGS):
    """L_content, L_style and their weighted sum, each [batch], of gatys2016's forms."""
    content = sum(
        weight * ((made[name] - targets[name]) ** 2).mean((1, 2, 3))
        for name, weight in settings.content_layers.items()
    )
    style = sum(
        weight * ((gram(made[name]) - gram(styles[name])) ** 2).mean((1, 2))
        for name, weight in settings.style_layers.items()
    )
    return content, style, settings.content_weight * content + settings.style_weight * style


def test_losses_by_their_formulas_and_their_scale(pictures, maps_of):
    """Normalised, they are the published ones by those of maps that are 0."""
    made, targets = maps_of(pictures[0]), maps_of(pictures[1])
    photo, painting = (
        maps_of(images.load(path, 128)[np.newaxis]) for path in (assets.SCENE, assets.PAINTING)
    )
    blank = published({name: 0 * maps for name, maps in photo.items()}, photo, painting)
    every = published(made, targets, targets)
    for kind, expected, unit in zip(("Content", "Style", "Perceptual"), every, blank, strict=True):
        loss = getattr(nst_tf.keras, f"{kind}Loss")
        value = loss(scale="published")(tf.constant(pictures[1]), tf.constant(pictures[0]))
        # Two random pictures have nearly the same Gram matrices.
        rounding.assert_close(value, expected.mean(), BOUND, kind)
        value = loss()(tf.constant(pictures[1]), tf.constant(pictures[0]))
        rounding.assert_close(value, expected.mean() / unit.mean(), BOUND, kind)


@pytest.mark.parametrize("preset", ["gatys2015", "l2-distance", "content1-style1e6", "crisp"])
def test_normalised_losses_are_of_order_1(preset):
    """Of a gray picture: published ones are from 5 to 3e9."""
    photo = images.load(assets.SCENE, 64)[np.newaxis]
    loss = nst_tf.keras.PerceptualLoss(preset=preset, style=assets.PAINTING, style_size=64)
    assert 0.2 < float(loss(photo, np.full_like(photo, 0.5))) < 5


def painter(inputs=(None, None, 3), layer="sigmoid"):
    """A network that paints every picture in its colours, mixed anew."""
    return tf.keras.Sequential(
        [tf.keras.Input(inputs), tf.keras.layers.Conv2D(3, 3, padding="same", activation=layer)]
    )


@pytest.mark.parametrize("policy", ["float32", "mixed_float16", "mixed_bfloat16"])
def test_a_model_is_trained_on_it_from_the_first_step(policy):
    """In half precision losses of 1e9 give gradients that no step is taken by."""
    before = tf.keras.mixed_precision.global_policy()
    photo = images.load(assets.SCENE, 64)[np.newaxis, :40, :36]
    try:
        tf.keras.mixed_precision.set_global_policy(policy)
        model = painter((40, 36, 3))
        loss = nst_tf.keras.PerceptualLoss(style=assets.PAINTING, style_size=64)
        model.compile(tf.keras.optimizers.Adam(0.03), loss=loss, jit_compile=False)
        history = model.fit(
            photo.repeat(6, 0), photo.repeat(6, 0), batch_size=1, epochs=2, verbose=0
        )
    finally:
        tf.keras.mixed_precision.set_global_policy(before)
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    assert int(optimizer.iterations) == 12
    first, last = history.history["loss"]
    assert last < first < 30
    assert len(model.trainable_variables) == 2  # the feature model's are none of its


def test_a_loss_may_do_without_style(pictures):
    targets, made = pictures[1], pictures[0]
    content = nst_tf.keras.ContentLoss()(targets, made)
    alone = nst_tf.keras.PerceptualLoss(style_layers={})(targets, made)
    bound = 4 * rounding.of_maps(weights_module.load("mini"), "conv4_2")
    rounding.assert_close(alone, content, bound)


def test_targets_may_have_another_size_for_style(pictures, maps_of):
    loss = nst_tf.keras.StyleLoss(scale="published")
    small = pictures[1][:, :24, :20]
    styles = maps_of(small)
    _, expected, _ = published(maps_of(pictures[0]), styles | {"conv4_2": 0}, styles)
    rounding.assert_close(loss(small, pictures[0]), expected.mean(), BOUND)


@pytest.fixture(scope="module")
def painting():
    """Of another size than the pictures, in whole steps of 1 / 255."""
    return images.to_uint8(images.load(assets.PAINTING, 56))


def test_the_style_is_fixed_and_the_content_is_not(pictures, painting, maps_of):
    settings = SETTINGS.replace(**FEW)
    made, targets, style = map(maps_of, (pictures[0], pictures[1], painting[np.newaxis] / 255))
    _, only, both = published(made, targets, style, settings)
    loss = nst_tf.keras.PerceptualLoss(style=painting, scale="published", **FEW)
    rounding.assert_close(loss(pictures[1], pictures[0]), both.mean(), FEW_BOUND)
    loss = nst_tf.keras.StyleLoss(
        style=painting, scale="published", style_layers=FEW["style_layers"]
    )
    # Whatever the targets are.
    rounding.assert_close(loss(pictures[1][:, :9], pictures[0]), only.mean(), FEW_BOUND)


@pytest.mark.parametrize("statistic", ["wasserstein", "mean-std", "sliced", "histogram"])
def test_every_statistic_may_be_fixed(pictures, painting, statistic):
    """As if the painting were the target of each."""
    options = {"style_loss": statistic, "style_layers": FEW["style_layers"], "scale": "published"}
    fixed = nst_tf.keras.StyleLoss(style=painting, **options)(pictures[1], pictures[0])
    targets = np.repeat(painting[np.newaxis].astype(np.float32) / 255, 3, 0)
    expected = nst_tf.keras.StyleLoss(**options)(targets, pictures[0])
    rounding.assert_close(fixed, expected, 1e-5)


def test_paintings_are_blended(pictures, painting, maps_of):
    other = painting[::-1, :40] // 2
    style_layers = FEW["style_layers"]
    made = maps_of(pictures[0])
    one, two = (maps_of(picture[np.newaxis] / 255) for picture in (painting, other))
    expected = sum(
        weight * (gram(made[name]) - 0.75 * gram(one[name]) - 0.25 * gram(two[name])) ** 2
        for name, weight in {"conv1_1": 1}.items()
    ).mean()
    loss = nst_tf.keras.StyleLoss(
        style=[painting, other], style_blend=(3, 1), style_layers={"conv1_1": 1}, scale="published"
    )
    rounding.assert_close(loss(pictures[0], pictures[0]), expected, FEW_BOUND)
    with pytest.raises(SettingsError, match="3 blend weights for 2 style images"):
        nst_tf.keras.StyleLoss(style=[painting, other], style_blend=(3, 1, 1))
    with pytest.raises(SettingsError, match="cannot be blended"):
        nst_tf.keras.StyleLoss(
            style=painting, rotations=True, style_loss="sliced", style_layers=style_layers
        )


@pytest.mark.parametrize("statistic", ["gram-mean", "wasserstein", "sliced"])
def test_every_picture_has_its_own_style(pictures, painting, statistic):
    """The loss of each, by the package's own objective of that picture and painting alone."""
    paintings = [painting, painting[::-1, :40] // 2]
    settings = SETTINGS.replace(**FEW, style_loss=statistic)
    loss = nst_tf.keras.PerceptualLoss(
        style=paintings, apart=True, scale="published", style_loss=statistic, **FEW
    )
    numbers = [1, 0, 1]
    each = loss.each(pictures[1], pictures[0], numbers)
    model = vgg.build_model(settings.layers, weights_module.load("mini"))
    for number, made, photo, found in zip(numbers, *pictures, each, strict=True):
        objective = nst_tf.Objective.from_settings(settings, model, engine="keras")
        objective.set_content(photo)
        objective.set_styles([images.load(paintings[number])])
        rounding.assert_close(found, objective(tf.constant(made)[np.newaxis]).loss, 1e-4)


def test_styles_apart_are_of_order_1_each_and_saved(pictures, painting):
    """Whatever their own scale: of Gram matrices of a dim painting it is small."""
    paintings = [painting, painting // 8]
    loss = nst_tf.keras.StyleLoss(style=paintings, apart=True, style_layers=FEW["style_layers"])
    again = nst_tf.keras.StyleLoss.from_config(loss.get_config())
    both = loss.each(pictures[0], pictures[1], [0, 1, 0])
    np.testing.assert_array_equal(both, again.each(pictures[0], pictures[1], [0, 1, 0]))
    for number, one in enumerate(paintings):
        alone = nst_tf.keras.StyleLoss(style=one, style_layers=FEW["style_layers"])
        each = loss.each(*pictures, [number] * 3)
        rounding.assert_close(tf.reduce_mean(each), alone(*pictures), 1e-5)
    with pytest.raises(SettingsError, match=r"of which each picture is, by each\(\)"):
        loss(*pictures)
    with pytest.raises(SettingsError, match="make the loss with apart=True"):
        alone.each(*pictures, [0, 0, 0])


def test_the_network_in_bfloat16(pictures, painting):
    """Of nearly the same gradient."""
    gradients = []
    for dtype in ("float32", "mixed_bfloat16"):
        loss = nst_tf.keras.PerceptualLoss(style=painting, dtype=dtype, preset="crisp")
        made = tf.constant(pictures[0])
        with tf.GradientTape() as tape:
            tape.watch(made)
            value = loss(pictures[1], made)
        gradients.append(tape.gradient(value, made).numpy().ravel())
    one, two = gradients
    assert 0.98 < one @ two / np.linalg.norm(one) / np.linalg.norm(two) < 0.99999


def test_a_painting_is_seen_at_its_size(painting, pictures):
    options = {"style_layers": {"conv1_1": 1.0}}
    half = nst_tf.keras.StyleLoss(style=painting, style_size=28, **options)
    same = nst_tf.keras.StyleLoss(style=images.load(painting, 28), **options)
    rounding.assert_close(half(*pictures), same(*pictures), 1e-6)
    large = nst_tf.keras.StyleLoss(style=np.tile(painting, (11, 11, 1)), **options)
    read = [
        tf.io.decode_base64(text.split(",")[1].replace("+", "-").replace("/", "_").rstrip("="))
        for text in large.get_config()["style"]
    ]
    assert max(tf.io.decode_png(read[0]).shape) == 512


@pytest.mark.parametrize("form", ["squared", "absolute"])
def test_total_variation_has_an_effect(pictures, form):
    made = pictures[0].astype(np.float64)
    differences = [made[:, 1:] - made[:, :-1], made[:, :, 1:] - made[:, :, :-1]]
    size = np.square if form == "squared" else np.abs
    expected = 0.25 * sum(size(one).sum((1, 2, 3)) for one in differences).mean()
    options = {"content_layers": {"conv1_1": 1.0}, "style_layers": {}, "scale": "published"}
    without = nst_tf.keras.PerceptualLoss(**options)
    smooth = nst_tf.keras.PerceptualLoss(tv_weight=0.25, tv_loss=form, **options)
    more = float(smooth(*pictures[::-1])) - float(without(*pictures[::-1]))
    assert more == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(
    ("made", "options", "message"),
    [
        ("ContentLoss", {"tv_weight": 1.0}, "tv_weight has no effect on ContentLoss"),
        ("StyleLoss", {"style_weight": 9}, "style_weight has no effect on StyleLoss"),
        ("PerceptualLoss", {"iterations": 9}, "iterations has no effect on PerceptualLoss"),
        ("PerceptualLoss", {"tv_wait": 9}, "no setting 'tv_wait': did you mean tv_weight"),
        ("PerceptualLoss", {"style_size": 64}, "style_size is of a fixed style: give style="),
        ("PerceptualLoss", {"apart": True}, "apart is of a fixed style: give style=, too"),
        (
            "StyleLoss",
            {"style": [assets.PAINTING] * 2, "style_blend": (1, 2), "apart": True},
            "style_blend is of paintings that are blended",
        ),
        ("ContentLoss", {"dtype": "float16"}, "no dtype of a loss 'float16': use one of float32"),
        ("PerceptualLoss", {"scale": "mine"}, "no scale 'mine': use one of normalised, publ"),
        ("PerceptualLoss", {"style": assets.PAINTING, "style_layers": {}}, "and no style_layers"),
        ("StyleLoss", {"style": np.zeros((4, 4, 3))}, "4x4 pixels are too few"),
        ("PerceptualLoss", {"content_weight": 0, "style_weight": 0}, "has no scale"),
        ("FeatureExtractor", {"tv_weight": 1.0, "weights": "mini"}, "tv_weight has no effect on a"),
    ],
)
def test_what_would_have_no_effect_is_refused(made, options, message):
    with pytest.raises(SettingsError, match=message):
        getattr(nst_tf.keras, made)(**options)


def test_a_painting_that_is_not_there(tmp_path):
    with pytest.raises(PictureError, match=r"nowhere\.jpg"):
        nst_tf.keras.StyleLoss(style=tmp_path / "nowhere.jpg")


def test_targets_of_another_size_are_refused(pictures):
    loss = nst_tf.keras.PerceptualLoss(**FEW)
    with pytest.raises(SettingsError, match=r"targets of another shape .* \[3, 40, 30, 3\] and"):
        loss(pictures[1][:, :, :30], pictures[0])
    unknown = tf.TensorSpec([None, None, None, 3])
    with pytest.raises(tf.errors.InvalidArgumentError, match="targets of another shape"):
        tf.function(loss, input_signature=[unknown] * 2)(pictures[1][:, :30], pictures[0])


def spoilt(value, shape=(2, 8, 8, 3)):
    pictures = np.full(shape, 0.5, np.float32)
    pictures[1, 3, 3, 1] = value
    return pictures


@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        *(
            (spoilt(value), PictureError, r"finite.*in about \[0, 1\].*not: \[1\]")
            for value in (np.nan, np.inf, -np.inf, 255, -30)
        ),
        (np.full((2, 8, 8, 3), 128, np.int32), PictureError, "of type int32: use uint8, uint16 or"),
        (np.full((8, 8, 3), 0.5), PictureError, r"these are \[8, 8, 3\]"),
        (np.full((2, 8, 8, 1), 0.5), PictureError, r"these are \[2, 8, 8, 1\]"),
        (np.full((2, 1, 8, 3), 0.5), SettingsError, "too few for conv2_1: it takes at least 2x2"),
    ],
)
def test_what_are_no_pictures_has_no_loss(bad, error, message):
    """As a picture and as a target, where there was a number before."""
    good = spoilt(0.5)
    loss = nst_tf.keras.StyleLoss(style_layers=FEW["style_layers"])
    for pair in ((good, bad), (bad, good), (bad, bad)):
        with pytest.raises(error, match=message):
            loss(*pair)
    if error is PictureError and bad.shape == good.shape:
        unknown = tf.TensorSpec([None, None, None, 3])
        with pytest.raises(tf.errors.InvalidArgumentError, match="finite"):
            tf.function(loss, input_signature=[unknown] * 2)(good, bad.astype(np.float32))


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_whole_numbers_are_converted_from_full_scale(painting, kind):
    """By whoever calls, where Keras itself would compare with 0-255."""
    whole = np.full((2, 8, 8, 3), np.iinfo(kind).max // 5, kind)
    whole[:, 2:4] = 3
    photo, made = whole.astype(np.float32) / np.iinfo(kind).max, spoilt(0.5)
    for options in (FEW, {"style": painting, **FEW}):
        loss = nst_tf.keras.PerceptualLoss(**options)
        rounding.assert_close(loss(whole, made), loss(photo, made), 1e-5)
        rounding.assert_close(loss(made, whole), loss(made, photo), 1e-5)
        model = tf.keras.Sequential([tf.keras.Input((8, 8, 3)), tf.keras.layers.Activation("relu")])
        model.compile("sgd", loss=loss)
        rounding.assert_close(model.evaluate(made, whole, verbose=0), loss(photo, made), 1e-4)


SCALES = {
    "-1 to 1": lambda x: 2 * x - 1,
    "standardised": lambda x: (x - 0.45) / 0.22,
    "0 to 2": lambda x: 2 * x,
    "-3 to 3": lambda x: 6 * x - 3,
    "0 to 10": lambda x: 10 * x,
    "0 to 255": lambda x: 255 * x,
}


@pytest.mark.parametrize("scale", SCALES)
def test_targets_on_another_scale_are_refused(pictures, scale):
    photo = pictures[0, :, :8, :8]
    loss, other = nst_tf.keras.ContentLoss(content_layers={"conv1_1": 1}), SCALES[scale](photo)
    with pytest.raises(PictureError, match=r"in about \[0, 1\], at most 0.25 beyond"):
        loss(other, photo)
    assert loss(1.4 * photo - 0.2, photo) > 0
    # What a network makes before it has learnt is not refused, and 0-255 is.
    if scale == "0 to 255":
        with pytest.raises(PictureError, match="at most 9 beyond"):
            loss(photo, other)
    else:
        assert loss(photo, other) > 0
    with_xla = tf.function(loss, jit_compile=True)  # which leaves errors out
    assert np.isnan(with_xla(other, photo)) and with_xla(photo, photo) == 0


def test_published_losses_in_float16_are_warned_of_once(recwarn):
    """They do not train: of 12 steps none was taken."""
    photo = tf.fill([1, 8, 8, 3], tf.constant(0.5, tf.float16))
    nst_tf.keras.PerceptualLoss(**FEW)(photo, photo)
    loss = nst_tf.keras.PerceptualLoss(scale="published", **FEW)
    loss(tf.cast(photo, tf.float32), tf.cast(photo, tf.float32))
    assert not [one for one in recwarn if "float16" in str(one.message)]
    with pytest.warns(UserWarning, match='float16 ends at 65504.*Use scale="normalised"'):
        loss(photo, photo)
    loss(photo, photo)
    assert not [one for one in recwarn if "float16" in str(one.message)]


def test_a_fixed_style_has_targets_of_any_kind(painting):
    loss = nst_tf.keras.StyleLoss(style=painting, style_layers=FEW["style_layers"])
    assert loss(np.zeros(2), spoilt(0.5)) > 0
    with pytest.raises(PictureError, match="finite"):
        loss(np.zeros(2), spoilt(np.nan))


def test_no_pictures_have_no_losses():
    none = np.zeros((0, 8, 8, 3), np.float32)
    assert nst_tf.keras.PerceptualLoss(reduction="none", **FEW)(none, none).shape == (0,)


def test_a_loss_is_made_again_from_its_configuration(pictures):
    loss = nst_tf.keras.PerceptualLoss(style_weight=7.0, scale="published", **FEW)
    again = tf.keras.losses.deserialize(tf.keras.losses.serialize(loss))
    np.testing.assert_array_equal(again(*pictures), loss(*pictures))
    assert again.get_config()["style_weight"] == 7.0


def test_a_saved_model_brings_its_painting(pictures, painting, tmp_path):
    """The file that it was read from need not be there."""
    images.save(painting / np.float32(255), tmp_path / "painting.png")
    model = painter()
    loss = nst_tf.keras.PerceptualLoss(style=tmp_path / "painting.png", style_size=32, **FEW)
    model.compile("sgd", loss=loss)
    model.save(tmp_path / "model.keras")
    (tmp_path / "painting.png").unlink()
    again = tf.keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.loss(*pictures), loss(*pictures))


def test_weights_are_named(tiny_weights):
    with pytest.raises(SettingsError, match="weights is Weights: name a network or a file"):
        nst_tf.keras.ContentLoss(tiny_weights)
