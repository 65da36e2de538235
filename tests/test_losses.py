"""Every loss against float64 NumPy written from its formula, its gradient against differences."""

import numpy as np
import pytest
import rounding
import tensorflow as tf

from nst_tf import losses
from nst_tf.errors import SettingsError
from nst_tf.recipe import choices

draw = np.random.default_rng(0)
F = draw.standard_normal((2, 4, 5, 3))
P = draw.standard_normal((2, 4, 5, 3))
N, M = 3, 20


def gram(features: np.ndarray) -> np.ndarray:
    """G_ij = Σ_k F_ik F_jk, not divided, one picture at a time, written out."""
    G = np.zeros((len(features), N, N))
    for b, picture in enumerate(features):
        for i in range(N):
            for j in range(N):
                G[b, i, j] = sum(
                    picture[y, x, i] * picture[y, x, j] for y in range(4) for x in range(5)
                )
    return G


CONTENT = {
    "half-sum": lambda F, P: 0.5 * ((F - P) ** 2).sum((1, 2, 3)),
    "mean": lambda F, P: ((F - P) ** 2).sum((1, 2, 3)) / (N * M),
    "l2": lambda F, P: np.sqrt(((F - P) ** 2).sum((1, 2, 3))),
    "relative": lambda F, P: ((F - P) ** 2).sum((1, 2, 3)) / (P**2).sum((1, 2, 3)),
}
#: of undivided Gram matrices, as the papers write them
STYLE = {
    "gatys2015": lambda G, A: ((G - A) ** 2).sum((1, 2)) / (4 * N**2 * M**2),
    "gram-mean": lambda G, A: ((G / M - A / M) ** 2).mean((1, 2)),
    "gram-mean-channels": lambda G, A: ((G / (N * M) - A / (N * M)) ** 2).mean((1, 2)),
    "l2": lambda G, A: np.sqrt(((G / M - A / M) ** 2).sum((1, 2))),
}


def differences(function, x: np.ndarray, step: float = 1e-5) -> np.ndarray:
    """Central differences of the sum of a float64 function."""
    gradient = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[index] += step
        down[index] -= step
        gradient[index] = (function(up).sum() - function(down).sum()) / (2 * step)
    return gradient


def value_and_gradient(function, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    x = tf.constant(x, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = function(x)
    return value.numpy(), tape.gradient(value, x).numpy()


def test_the_table_is_complete():
    assert set(CONTENT) == set(choices.CONTENT_LOSSES)
    assert set(STYLE) == set(choices.GRAM_FORMS)


def test_gram_matrix():
    matrix = losses.gram_matrix(tf.constant(F, tf.float32))
    rounding.assert_close(matrix, gram(F) / M, rounding.of_sums(1, M))


def test_gradients_of_a_gram_matrix_of_first_and_second_order():
    """L = Σ W ∘ FᵀF / M, W not symmetric: ∂L/∂F = F (W + Wᵀ) / M, of which |.|² has a slope too."""
    W = np.random.default_rng(5).standard_normal(gram(F).shape)
    maps, S = tf.constant(F, tf.float32), W + np.swapaxes(W, -1, -2)
    with tf.GradientTape() as outer:
        outer.watch(maps)
        with tf.GradientTape() as tape:
            tape.watch(maps)
            loss = tf.reduce_sum(tf.constant(W, tf.float32) * losses.gram_matrix(maps))
        gradient = tape.gradient(loss, maps)
        square = tf.reduce_sum(tf.square(gradient))
    flat = F.reshape(F.shape[0], -1, F.shape[-1])
    bound = rounding.of_sums(1, N)
    rounding.assert_close(gradient, (flat @ S / M).reshape(F.shape), bound)
    second = (2 * flat @ S @ S / M**2).reshape(F.shape)
    rounding.assert_close(outer.gradient(square, maps), second, 2 * bound)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_gram_matrix_accumulates_in_float32(dtype):
    """A mean square of 90 000 overflows float16 (65 504), and bfloat16 has 8 bits to add with."""
    features = tf.cast(tf.fill([1, 64, 64, 2], 300.0), dtype)
    value = float(features[0, 0, 0, 0])
    matrix = losses.gram_matrix(features)
    assert matrix.dtype == tf.float32
    rounding.assert_close(matrix, np.full((1, 2, 2), value**2), rounding.of_sums(64 * 64))


@pytest.mark.parametrize("form", CONTENT)
def test_content_loss(form):
    value, gradient = value_and_gradient(
        lambda x: losses.content_loss(x, tf.constant(P, tf.float32), form), F
    )
    rounding.assert_close(value, CONTENT[form](F, P), rounding.of_sums(1, M * N))
    expected = differences(lambda x: CONTENT[form](x, P), F)
    rounding.assert_close(gradient, expected, rounding.of_sums(1, M * N))


@pytest.mark.parametrize("form", STYLE)
def test_style_loss(form):
    target = losses.gram_matrix(tf.constant(P, tf.float32))
    value, gradient = value_and_gradient(
        lambda x: losses.style_loss(losses.gram_matrix(x), target, form), F
    )
    rounding.assert_close(value, STYLE[form](gram(F), gram(P)), rounding.of_sums(M, M, N * N))
    expected = differences(lambda x: STYLE[form](gram(x), gram(P)), F)
    rounding.assert_close(gradient, expected, rounding.of_sums(M, M, N * N, N))


def test_gatys2015_has_the_gradient_of_equation_6():
    """∂E/∂F = 1 / (N² M²) (Fᵀ (G − A))ᵀ; equation 6's condition F > 0 is the ReLU's own."""
    target = losses.gram_matrix(tf.constant(P, tf.float32))
    _, gradient = value_and_gradient(
        lambda x: losses.style_loss(losses.gram_matrix(x), target, "gatys2015"), F
    )
    flat = F.reshape(2, M, N)
    expected = flat @ (gram(F) - gram(P)) / (N**2 * M**2)
    rounding.assert_close(gradient.reshape(2, M, N), expected, rounding.of_sums(M, M, N))


def test_style_of_pictures_of_different_sizes():
    """Twice the same picture side by side has the same style."""
    once = losses.gram_matrix(tf.constant(F, tf.float32))
    twice = losses.gram_matrix(tf.constant(np.concatenate([F, F], axis=2), tf.float32))
    rounding.assert_close(twice, once, rounding.of_sums(M, 2 * M))
    for form in STYLE:
        bound = rounding.of_sums(M, 2 * M) * np.abs(once).max()  # of each entry's difference
        most = {"l2": N * bound}.get(form, bound**2)
        rounding.assert_below(np.max(losses.style_loss(twice, once, form)), most, form)


def test_total_variation():
    down, right = np.diff(F, axis=1), np.diff(F, axis=2)
    expected = {
        "squared": (down**2).sum((1, 2, 3)) + (right**2).sum((1, 2, 3)),
        "absolute": np.abs(down).sum((1, 2, 3)) + np.abs(right).sum((1, 2, 3)),
    }
    for form in choices.TV_LOSSES:
        value, gradient = value_and_gradient(lambda x, f=form: losses.total_variation(x, f), F)
        rounding.assert_close(value, expected[form], rounding.of_sums(1, M * N), form)

        def reference(x, form=form):
            power = 2 if form == "squared" else 1
            rows, columns = np.abs(np.diff(x, axis=1)), np.abs(np.diff(x, axis=2))
            return (rows**power).sum((1, 2, 3)) + (columns**power).sum((1, 2, 3))

        rounding.assert_close(gradient, differences(reference, F), rounding.of_sums(1, 4), form)
    rounding.assert_close(
        losses.total_variation(tf.constant(F, tf.float32), "absolute"),
        tf.image.total_variation(tf.constant(F, tf.float32)),
        rounding.of_sums(1, M * N),
    )


@pytest.mark.parametrize("kind", ["content", "style"])
def test_l2_has_gradient_zero_at_the_target(kind):
    if kind == "content":
        target = tf.constant(F, tf.float32)
        _, gradient = value_and_gradient(lambda x: losses.content_loss(x, target, "l2"), F)
    else:
        target = losses.gram_matrix(tf.constant(F, tf.float32))
        _, gradient = value_and_gradient(
            lambda x: losses.style_loss(losses.gram_matrix(x), target, "l2"), F
        )
    np.testing.assert_array_equal(gradient, np.zeros_like(F))


def test_unknown_forms_list_the_known():
    ones = tf.ones([1, 2, 2, 3])
    with pytest.raises(SettingsError, match="half-sum"):
        losses.content_loss(ones, ones, "sum")
    with pytest.raises(SettingsError, match="gatys2015"):
        losses.style_loss(ones[0], ones[0], "gram")
    with pytest.raises(SettingsError, match="squared"):
        losses.total_variation(ones, "cubic")
