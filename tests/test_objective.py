import numpy as np
import pytest
import rounding
import tensorflow as tf

from nst_tf.errors import SettingsError
from nst_tf.losses import objective as objective_module
from nst_tf.losses.objective import Objective
from nst_tf.network import vgg

CONTENT = {"conv2_2": 2.0, "conv1_2:pre": 0.5}
STYLE = {"conv1_1": 0.3, "conv2_1": 0.7}
#: Of the losses: three layers of 4 channels, squares of their maps, sums over 48 x 64 positions.
BOUND = rounding.of_sums(27, 36, 36, 1, 1, 48 * 64)


@pytest.fixture
def model(tiny_weights):
    return vgg.build_model(list({**CONTENT, **STYLE}), tiny_weights)


@pytest.fixture
def objective(model, scene, painting):
    made = Objective(model, CONTENT, STYLE, content_weight=3.0, style_weight=5.0, tv_weight=0.01)
    made.set_content(scene)
    made.set_styles([painting])
    return made


@pytest.fixture
def image(scene):
    noise = np.random.default_rng(3).random(scene.shape, np.float32)
    return tf.constant(0.5 * scene + 0.5 * noise)[tf.newaxis]


def numpy_terms(model, image, content, style, shares=(1.0,)):
    """The terms from the model's features in float64: mean content, Gram / M, squared variation."""

    def features(picture):
        maps = model(np.asarray(picture, np.float32).reshape(1, *np.shape(picture)[-3:]))
        return {name: np.asarray(value[0], np.float64) for name, value in maps.items()}

    def gram(maps):
        flat = maps.reshape(-1, maps.shape[-1])
        return flat.T @ flat / len(flat)

    F, P, S = features(image), features(content), [features(picture) for picture in style]
    terms = {f"content/{name}": ((F[name] - P[name]) ** 2).mean() for name in CONTENT}
    for name in STYLE:
        A = sum(share * gram(maps[name]) for share, maps in zip(shares, S, strict=True))
        terms[f"style/{name}"] = ((gram(F[name]) - A) ** 2).mean()
    terms["content"] = sum(weight * terms[f"content/{name}"] for name, weight in CONTENT.items())
    terms["style"] = sum(weight * terms[f"style/{name}"] for name, weight in STYLE.items())
    x = np.asarray(image, np.float64)
    terms["tv"] = (np.diff(x, axis=1) ** 2).sum() + (np.diff(x, axis=2) ** 2).sum()
    return terms


def test_every_term_against_numpy_and_the_total_is_their_sum(
    objective, model, image, scene, painting
):
    terms = {name: float(value) for name, value in objective(image).terms.items()}
    expected = numpy_terms(model, image, scene, [painting])
    expected["total"] = 3 * expected["content"] + 5 * expected["style"] + 0.01 * expected["tv"]
    assert set(terms) == set(expected)
    for name, value in expected.items():
        rounding.assert_close(terms[name], value, BOUND, name)
    assert float(objective(image).loss) == terms["total"]


def test_the_gradient_against_finite_differences(objective, image):
    gradient = objective(image).gradient
    # Along the gradient: elsewhere the kinks of ReLU and pooling outweigh the slope.
    direction = gradient / tf.norm(gradient)
    up, down = (float(objective(image + t * direction).loss) for t in (1e-3, -1e-3))
    assert (up - down) / 2e-3 == pytest.approx(float(tf.norm(gradient)), rel=0.02)


def test_the_gradient_of_the_real_network_against_finite_differences(
    random_weights, scene, painting
):
    model = vgg.build_model(["conv4_2", "conv3_1"], random_weights)
    objective = Objective(model, {"conv4_2": 1.0}, {"conv3_1": 1e-3})
    objective.set_content(scene)
    objective.set_styles([painting])
    image = tf.constant(0.7 * scene + 0.3 * painting[:48])[tf.newaxis]
    gradient = objective(image).gradient
    direction = gradient / tf.norm(gradient)
    up, down = (float(objective(image + t * direction).loss) for t in (1e-2, -1e-2))
    assert (up - down) / 2e-2 == pytest.approx(float(tf.norm(gradient)), rel=0.02)


def test_new_targets_and_weights_cause_no_retrace(objective, model, image, scene, painting):
    before = float(objective(image).loss)
    assert objective.traces == 1
    objective.set_content(scene[::-1].copy())
    objective.set_styles([painting[:, ::-1].copy(), scene], [0.25, 0.75])
    objective.set_weights(content=1.0, style=2.0, tv=0.0)
    terms = objective(image).terms
    expected = numpy_terms(model, image, scene[::-1], [painting[:, ::-1], scene], (0.25, 0.75))
    for name, value in expected.items():
        rounding.assert_close(terms[name], value, BOUND, name)
    total = expected["content"] + 2 * expected["style"]
    rounding.assert_close(terms["total"], total, BOUND)
    objective.set_weights(**{"content/conv2_2": 0.0, "content/conv1_2:pre": 1.0})
    only = objective(image).terms["content"]
    rounding.assert_close(only, expected["content/conv1_2:pre"], BOUND)
    assert objective.traces == 1
    assert float(objective(image).loss) != before


def test_total_variation_adds_its_gradient_as_soon_as_it_has_a_weight(objective, image):
    objective.set_weights(tv=0.0)
    without = objective(image)
    objective.set_weights(tv=2.0)
    assert float(without.terms["tv"]) == float(objective(image).terms["tv"])
    x = image.numpy().astype(np.float64)
    expected = np.zeros_like(x)
    for axis in (1, 2):
        difference = np.diff(x, axis=axis)
        width = [(0, 0)] * 4
        expected -= np.pad(difference, [*width[:axis], (0, 1), *width[axis + 1 :]])
        expected += np.pad(difference, [*width[:axis], (1, 0), *width[axis + 1 :]])
    # What is left of a difference has the rounding of what it is a difference of.
    larger = np.abs(without.gradient).max() / np.abs(4 * expected).max()
    bound = rounding.of_sums(4) * max(1, larger)
    assert bound < 0.01
    rounding.assert_close(objective(image).gradient - without.gradient, 4 * expected, bound)
    assert objective.traces == 1


def test_equal_blends_are_the_default(objective, image, scene, painting):
    objective.set_styles([painting, scene])
    default = objective(image).terms["style"]
    objective.set_styles([painting, scene], [2, 2])
    rounding.assert_close(objective(image).terms["style"], default, rounding.of_sums(1, 1))


def test_blended_targets_have_the_gradient_of_the_blended_losses(objective, image, scene, painting):
    """Σ b_k E(G, A_k) and E(G, Σ b_k A_k) differ by a constant where E is squared."""
    objective.set_weights(content=0.0, tv=0.0)
    shares, gradients = (0.3, 0.7), []
    for style in (painting, scene):
        objective.set_styles([style])
        gradients.append(objective(image).gradient)
    objective.set_styles([painting, scene], shares)
    expected = shares[0] * gradients[0] + shares[1] * gradients[1]
    # The same maps and kinks, and another Gram matrix to subtract from theirs.
    bound = rounding.of_sums(image.shape[1] * image.shape[2], 36, 36)
    rounding.assert_below(rounding.norm_error(objective(image).gradient, expected), bound)


def test_content_alone_and_style_alone(tiny_weights, image, scene, painting):
    model = vgg.build_model(["conv2_1"], tiny_weights)
    content = Objective(model, {"conv2_1": 1.0}, {})
    content.set_content(scene)
    content.set_styles([painting])
    terms = content(image).terms
    assert set(terms) == {"total", "content", "style", "tv", "content/conv2_1"}
    assert float(terms["style"]) == 0 and float(terms["content"]) > 0
    style = Objective(model, {}, {"conv2_1": 1.0})
    style.set_content(scene)
    style.set_styles([painting])
    assert float(style(image).terms["content"]) == 0


def test_errors(objective, scene, painting):
    with pytest.raises(SettingsError, match="new objective for another size"):
        objective.set_content(painting[:40])
    with pytest.raises(SettingsError, match="3 blend weights for 2 style images"):
        objective.set_styles([painting, scene], [1, 2, 3])
    with pytest.raises(SettingsError, match="at least one style image"):
        objective.set_styles([])
    with pytest.raises(SettingsError, match="content/conv2_2"):
        objective.set_weights(contents=1.0)
    with pytest.raises(SettingsError, match="at least 2x2"):
        objective.set_styles([painting[:1]])


def test_the_hosts_policy_does_not_change_the_targets(tiny_weights, image, scene, painting):
    def loss():
        model = vgg.build_model(["conv2_1"], tiny_weights)
        made = objective_module.Objective(model, {"conv2_1": 1.0}, {"conv2_1": 1.0})
        made.set_content(scene)
        made.set_styles([painting])
        return float(made(image).loss)

    expected = loss()
    before = tf.keras.mixed_precision.global_policy()
    try:
        tf.keras.mixed_precision.set_global_policy("mixed_float16")
        assert loss() == expected
    finally:
        tf.keras.mixed_precision.set_global_policy(before)
