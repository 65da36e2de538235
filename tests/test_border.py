"""What losses see around a picture, against the same picture with NumPy's own mirror image."""

import numpy as np
import pytest
import rounding
import tensorflow as tf

from nst_tf.errors import SettingsError
from nst_tf.export.graph_objective import GraphObjective
from nst_tf.keras import StyleLoss
from nst_tf.losses.border import WIDTH, mirrored
from nst_tf.losses.neighbour_objective import NeighbourObjective
from nst_tf.losses.objective import Objective
from nst_tf.network import vgg
from nst_tf.network.feature_model import feature_model
from nst_tf.recipe import presets

CONTENT, STYLE = {"conv2_2": 2.0}, {"conv1_1": 0.3, "conv2_1": 0.7}
#: Of losses of two layers of 4 channels: squares of maps, sums over positions.
BOUND = rounding.of_sums(27, 36, 36, 1, 1, 64 * 80)


def around(picture: np.ndarray) -> np.ndarray:
    """[height, width, channels] and the mirror image on all sides."""
    return np.pad(picture, ((WIDTH, WIDTH), (WIDTH, WIDTH), (0, 0)), "symmetric")


@pytest.fixture
def image(scene):
    return np.random.default_rng(3).random(scene.shape, np.float32)


def terms_of(objective, image) -> dict[str, float]:
    evaluation = objective(tf.constant(image[np.newaxis]))
    return {name: float(value) for name, value in evaluation.terms.items()}


@pytest.mark.parametrize("tile", [None, 16])
@pytest.mark.parametrize("regions", [0, 2])
def test_losses_are_those_of_pictures_with_their_mirror_image(
    tiny_weights, scene, painting, image, tile, regions, without_graphs
):
    model = vgg.build_model([*CONTENT, *STYLE], tiny_weights)
    masks = np.random.default_rng(1).random((*scene.shape[:2], regions), np.float32)
    styles = [painting, painting[::-1]][: regions or 1]

    def made(prepare, **options):
        objective = Objective(model, CONTENT, STYLE, regions=regions, **options)
        objective.set_content(prepare(scene))
        objective.set_styles([prepare(style) for style in styles])
        if regions:
            objective.set_regions(prepare(masks))
        return terms_of(objective, prepare(image))

    ours, expected = made(lambda picture: picture, tile=tile, mirror=True), made(around)
    for name in ("content", "style", "content/conv2_2", "style/conv1_1", "style/conv2_1"):
        rounding.assert_close(ours[name], expected[name], BOUND, name)
    plain = made(lambda picture: picture)
    assert abs(plain["style"] - expected["style"]) > 1e3 * BOUND * expected["style"]


def test_the_gradient_reaches_a_pixel_through_its_images_too(
    tiny_weights, scene, painting, image, without_graphs
):
    model = vgg.build_model([*CONTENT, *STYLE], tiny_weights)
    objective = Objective(model, CONTENT, STYLE, mirror=True)
    objective.set_content(scene)
    objective.set_styles([painting])
    gradient = objective(tf.constant(image[np.newaxis])).gradient
    direction = tf.math.sign(gradient) * tf.cast(tf.range(scene.shape[1]) < 3, tf.float32)[:, None]
    up, down = (float(objective(image + t * direction).loss) for t in (1e-3, -1e-3))
    slope = float(tf.reduce_sum(gradient * direction))
    assert (up - down) / 2e-3 == pytest.approx(slope, rel=0.02)


def test_served_runs_and_keras_losses_see_the_same(
    tiny_weights, scene, painting, image, without_graphs
):
    changes = {"content_layers": CONTENT, "style_layers": STYLE, "padding": "mirror"}
    settings = presets.settings("gatys2016", normalise=False, **changes)
    model = feature_model(tiny_weights, settings)
    objective = Objective.from_settings(settings, model)
    objective.set_content(scene)
    objective.set_styles([painting])
    expected = terms_of(objective, image)
    served = GraphObjective(model, settings)
    targets = served.targets(tf.constant(scene), tf.constant(painting))
    for name, value in served.against(targets)(tf.constant(image[np.newaxis])).terms.items():
        rounding.assert_close(float(value), expected[name], BOUND, name)
    options = {"preset": "gatys2016", "scale": "published", "style_layers": {"conv1_1": 1.0}}
    plain, ours = (StyleLoss("mini", padding=padding, **options) for padding in ("zero", "mirror"))
    pictures = scene[np.newaxis], image[np.newaxis]
    seen = float(plain.call(*map(mirrored, pictures))[0])
    rounding.assert_close(float(ours.call(*pictures)[0]), seen, BOUND)


def test_neighbours_are_refused_there(tiny_weights):
    model = vgg.build_model(["conv1_1", "conv2_1"], tiny_weights)
    with pytest.raises(SettingsError, match="padding=mirror"):
        NeighbourObjective(model, {}, {"conv1_1": 1.0, "conv2_1": 1.0}, mirror=True)
