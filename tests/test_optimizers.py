import itertools

import numpy as np
import pytest
import rounding
import tensorflow as tf
from scipy import optimize

from nst_tf import optimizers
from nst_tf.errors import SettingsError
from nst_tf.losses.objective import Evaluation
from nst_tf.optimizers import lbfgs
from nst_tf.recipe import choices

SHAPE = (1, 4, 5, 3)
VALUES = 60
draw = np.random.default_rng(0)
START = tf.constant(draw.random(SHAPE), tf.float32)
TARGET = tf.constant(draw.random(SHAPE), tf.float32)
SCALES = tf.constant(10.0 ** draw.uniform(-1.5, 1.5, SHAPE), tf.float32)


def evaluation(loss_of, image) -> Evaluation:
    with tf.GradientTape() as tape:
        tape.watch(image)
        loss = loss_of(image)
    return Evaluation(loss, tape.gradient(loss, image), {"total": loss, "image": image[0, 0, 0, 0]})


def bowl(image) -> Evaluation:
    """An ill-conditioned quadratic: eigenvalues from 0.03 to 30."""
    return evaluation(lambda x: 0.5 * tf.reduce_sum(SCALES * tf.square(x - TARGET)), image)


def valley(image) -> Evaluation:
    """Rosenbrock's function in 60 variables: not convex, steps of length 1 fail."""

    def rosenbrock(x):
        x = 4 * tf.reshape(x, [-1]) - 2
        return tf.reduce_sum(100 * tf.square(x[1:] - x[:-1] ** 2) + tf.square(1 - x[:-1]))

    return evaluation(rosenbrock, image)


def descend(solver, function, evaluations: int):
    """Losses and evaluations of a compiled run, as the transfer runs it."""
    counted = []

    def evaluate(image):
        tf.py_function(lambda: counted.append(1), [], [])
        return function(image)

    step = tf.function(lambda state: solver.step(evaluate, state))
    state = solver.init(evaluate, START)
    trace = [(int(state.evaluations), float(state.point.loss))]
    while int(state.evaluations) < evaluations:
        state = step(state)
        trace.append((int(state.evaluations), float(state.point.loss)))
        if state.stalled:
            break
    return state, trace, len(counted)


def best_within(trace, evaluations):
    """The smallest loss; that of a trial which is not finite is none."""
    within = [loss for spent, loss in trace if spent <= evaluations]
    return min(loss for loss in within if np.isfinite(loss))


@pytest.mark.parametrize("name", choices.OPTIMIZERS)
def test_each_descends_and_counts_its_evaluations(name):
    solver = optimizers.create(name)
    state, trace, counted = descend(solver, bowl, 60)
    assert trace[-1][1] < 0.5 * trace[0][1]
    extra = {"tfp-lbfgs": len(trace) - 1}.get(name, 0)  # its forward passes for the terms
    assert counted == int(state.evaluations) + extra
    # The point is consistent: its loss, gradient and terms are those of its image.
    again = bowl(state.point.image)
    # tfp gives them in its own scale, and the compiled step may sum up in another order.
    rounding.assert_close(state.point.loss, again.loss, rounding.of_sums(1, 1, VALUES))
    rounding.assert_close(state.point.gradient, again.gradient, rounding.of_sums(1, 1, 1))
    assert float(state.point.terms["image"]) == float(state.point.image[0, 0, 0, 0])


@pytest.mark.parametrize("function", [bowl, valley])
@pytest.mark.parametrize("evaluations", [30, 60])
def test_lbfgs_keeps_up_with_scipy(function, evaluations):
    losses = []

    def scipys(x):
        loss, gradient, _ = function(tf.constant(x.reshape(SHAPE), tf.float32))
        losses.append(float(loss))
        return float(loss), gradient.numpy().ravel().astype(np.float64)

    optimize.minimize(
        scipys,
        START.numpy().ravel(),
        jac=True,
        method="L-BFGS-B",
        options={"maxcor": 10, "maxfun": evaluations, "ftol": 0, "gtol": 0},
    )
    _, trace, _ = descend(optimizers.create("lbfgs"), function, evaluations)
    # Toy problems differ more from solver to solver than pictures do, and near the minimum
    # float32 has the last word.
    bar = 1.5 * min(losses[:evaluations]) + 1e-5 * losses[0]
    assert best_within(trace, evaluations) < bar


def test_two_loops_is_the_bfgs_matrix():
    """Algorithm 7.4 against the inverse Hessian written out in float64, equation 7.16."""
    rng = np.random.default_rng(2)
    n, m = 12, 5
    pairs = [(s, s * rng.uniform(0.5, 2, n)) for s in rng.standard_normal((m, n))]
    s, y = pairs[-1]
    gamma = s @ y / (y @ y)
    H = gamma * np.eye(n)
    for s, y in pairs:
        rho = 1 / (s @ y)
        V = np.eye(n) - rho * np.outer(y, s)
        H = V.T @ H @ V + rho * np.outer(s, s)
    memory = lbfgs.Memory((tf.zeros(n),) * m, (tf.zeros(n),) * m, (tf.zeros([]),) * m, tf.zeros([]))
    for s, y in pairs:
        memory = lbfgs.remember(memory, tf.constant(s, tf.float32), tf.constant(y, tf.float32))
    g = rng.standard_normal(n)
    direction = lbfgs.two_loops(memory, tf.constant(g, tf.float32), memory.scale)
    # Two inner products for each pair, one after the other.
    rounding.assert_close(direction, H @ g, rounding.of_sums(*[n] * (2 * m)))


def test_lbfgs_forgets_pairs_of_negative_curvature():
    nothing = lbfgs.Memory((tf.zeros(3),), (tf.zeros(3),), (tf.zeros([]),), tf.zeros([]))
    s = tf.constant([1.0, 2.0, 3.0])
    assert float(lbfgs.remember(nothing, s, -s).rhos[0]) == 0
    kept = lbfgs.remember(nothing, s, s).rhos[0]
    rounding.assert_close(kept, 1 / 14, rounding.of_sums(3, 1))


def test_lbfgs_decreases_at_every_step_and_says_when_it_cannot():
    state, trace, _ = descend(optimizers.LBFGS(), bowl, 2000)
    losses = [loss for _, loss in trace[:-1]]  # the last step is the one that failed
    assert all(after < before for before, after in itertools.pairwise(losses))
    assert bool(state.stalled)
    assert trace[-1][1] < 1e-6 * trace[0][1]


def test_lbfgs_backs_off_from_a_cliff():
    """Beyond the middle the loss is not a number; the line search must stay on this side."""

    def cliff(image):
        loss, gradient, terms = bowl(image)
        beyond = tf.reduce_max(tf.abs(image - START)) > 0.05
        poison = tf.where(beyond, np.nan, 1.0)
        return Evaluation(loss * poison, gradient * poison, terms)

    solver = optimizers.LBFGS(first_change=1.0)
    state, losses = solver.init(cliff, START), []
    while int(state.evaluations) < 40:
        step = solver.step(cliff, state)
        # A trial beyond is handed on for the run to reject, which then starts anew from `state`.
        if bool(step.stalled) or not np.isfinite(float(step.point.loss)):
            break
        state = step
        losses.append(float(state.point.loss))
    assert float(tf.reduce_max(tf.abs(state.point.image - START))) <= 0.05
    assert np.isfinite(state.point.gradient).all()
    start = float(bowl(START).loss)
    assert losses and all(b < a for a, b in itertools.pairwise([start, *losses]))
    assert losses[-1] < 0.98 * start


def test_gradient_descent_is_the_formula():
    solver = optimizers.GradientDescent(learning_rate=0.01)
    state = solver.step(bowl, solver.init(bowl, START))
    expected = START.numpy() - 0.01 * (SCALES * (START - TARGET)).numpy()
    rounding.assert_close(state.point.image, expected, rounding.of_sums(1, 1, 1))


def test_gradient_descent_chooses_its_rate_by_the_change_of_the_image():
    for scale in (1e-6, 1.0, 1e6):

        def scaled(image, scale=scale):
            loss, gradient, terms = bowl(image)
            return Evaluation(scale * loss, scale * gradient, terms)

        solver = optimizers.GradientDescent(first_change=0.01)
        state = solver.step(scaled, solver.init(scaled, START))
        change = np.sqrt(np.mean((state.point.image - START).numpy() ** 2))
        # The change of an image of about 1 is known to the roundings of that.
        rounding.assert_close(change, 0.01, rounding.of_sums(VALUES) + rounding.of_sums(1) / 0.01)


def test_adam_is_algorithm_1():
    """With ε where the last paragraph of section 2 has it, beside the uncorrected root."""
    rate, beta_1, beta_2, epsilon, count = 0.02, 0.9, 0.999, 1e-7, 5
    solver = optimizers.Adam(rate)
    state = solver.init(bowl, START)
    x, m, v = START.numpy().astype(np.float64), 0.0, 0.0
    for t in range(1, count + 1):
        state = solver.step(bowl, state)
        g = SCALES.numpy() * (x - TARGET.numpy())
        m = beta_1 * m + (1 - beta_1) * g
        v = beta_2 * v + (1 - beta_2) * g**2
        length = rate * np.sqrt(1 - beta_2**t) / (1 - beta_1**t)
        x = x - length * m / (np.sqrt(v) + epsilon)
    # Each step rounds the gradient, both moments and the image; and 1 − β₂ᵗ is a small difference.
    bound = rounding.of_sums(*[1] * 4 * count) + rate * rounding.of_sums(1) / (1 - beta_2)
    rounding.assert_close(state.point.image, x, bound)
    for moment, expected in ((state.memory.first, m), (state.memory.second, v)):
        rounding.assert_close(moment, expected, bound)


@pytest.mark.parametrize("rate", [0.02, 0.3])
def test_adam_is_keras_adam(rate):
    """Step by step: the same operations, which only a fused multiply-add may round otherwise."""
    solver, theirs = optimizers.Adam(rate), tf.keras.optimizers.Adam(rate)
    image = tf.Variable(START)
    state = solver.init(bowl, START)
    for taken in range(1, 21):
        state = solver.step(bowl, state)
        theirs.apply_gradients([(bowl(tf.convert_to_tensor(image)).gradient, image)])
        rounding.assert_close(state.point.image, image, 1e-7 * taken, taken)


#: What another size of the image makes of it: the bowl there.
LARGER = (1, 8, 10, 3)


def larger_bowl(image) -> Evaluation:
    return evaluation(lambda x: 0.5 * tf.reduce_sum(tf.square(x - 0.5)), image)


def test_adams_moments_go_to_the_new_size():
    solver = optimizers.Adam(0.05)
    state = solver.init(bowl, START)
    for _ in range(3):
        state = solver.step(bowl, state)
    # A second moment of one value beside zeros: bicubic weights would make some below 0.
    peaked = state.memory._replace(second=tf.one_hot([[[1] * 5] * 4], 3) * 1e-3)
    state = state._replace(memory=peaked)
    image = tf.image.resize(state.point.image, LARGER[1:3], "bicubic")
    resized = solver.resize(larger_bowl, state, image)
    np.testing.assert_array_equal(resized.point.image, image)
    assert float(resized.point.loss) == float(larger_bowl(image).loss)
    ratio = np.prod(SHAPE) / np.prod(LARGER)  # of a mean over more pixels, each is worth less
    for moment, method, power in (("first", "bicubic", 1), ("second", "bilinear", 2)):
        expected = tf.image.resize(getattr(state.memory, moment), LARGER[1:3], method)
        np.testing.assert_allclose(
            getattr(resized.memory, moment), ratio**power * expected, rtol=1e-6
        )
    assert np.min(resized.memory.second) >= 0
    assert int(resized.memory.steps) == 3 and int(resized.evaluations) == 1
    assert float(resized.learning_rate) == float(state.learning_rate)
    after = solver.step(larger_bowl, resized)
    assert int(after.memory.steps) == 4 and np.isfinite(after.point.image).all()


def test_adams_steps_are_as_long_at_a_larger_size():
    """Of a loss that is a mean over the picture, as those of style transfer are."""

    def mean_bowl(image):
        def loss(x):
            target = tf.image.resize(TARGET, tf.shape(x)[1:3], "nearest")
            return tf.reduce_mean(tf.abs(x - target))  # a gradient of one size everywhere

        return evaluation(loss, image)

    solver = optimizers.Adam(0.01)
    state = solver.init(mean_bowl, tf.zeros(SHAPE))
    for _ in range(10):
        state = solver.step(mean_bowl, state)
    larger = tf.image.resize(state.point.image, (16, 20), "nearest")
    resized = solver.resize(mean_bowl, state, larger)
    lengths = []
    for before in (state, resized):
        after = solver.step(mean_bowl, before)
        lengths.append(float(tf.reduce_mean(tf.abs(after.point.image - before.point.image))))
    assert lengths[1] == pytest.approx(lengths[0], rel=0.05)


def assert_same_state(state, expected):
    for leaf, other in zip(tf.nest.flatten(state), tf.nest.flatten(expected), strict=True):
        np.testing.assert_array_equal(leaf, other)


@pytest.mark.parametrize("name", ["lbfgs", "gd", "tfp-lbfgs"])
def test_others_start_anew_at_the_new_size(name):
    solver = optimizers.create(name)
    state = solver.step(bowl, solver.init(bowl, START))
    image = tf.image.resize(state.point.image, LARGER[1:3], "bicubic")
    resized = solver.resize(larger_bowl, state, image)
    assert_same_state(resized, solver.init(larger_bowl, image))


def through_a_checkpoint(state, folder):
    """The state as a file gives it back: its structure, and nothing else, comes from here."""
    leaves = [tf.Variable(leaf) for leaf in tf.nest.flatten(state)]
    path = tf.train.Checkpoint(leaves=leaves).write(str(folder / "state"))
    blank = [tf.Variable(tf.zeros_like(leaf)) for leaf in leaves]
    tf.train.Checkpoint(leaves=blank).read(path).assert_consumed()
    return tf.nest.pack_sequence_as(state, [tf.convert_to_tensor(leaf) for leaf in blank])


def steps(solver, state, count):
    for _ in range(count):
        state = solver.step(bowl, state)
    return state


@pytest.mark.parametrize("name", choices.OPTIMIZERS)
def test_steps_are_pure_and_the_state_alone_goes_on(name, tmp_path):
    """A state put aside, and one read from a file by a solver that began nothing."""
    solver = optimizers.create(name)
    state = steps(solver, solver.init(bowl, START), 3)
    expected = steps(solver, state, 3)
    assert_same_state(steps(solver, state, 3), expected)
    loaded = through_a_checkpoint(state, tmp_path)
    assert_same_state(steps(optimizers.create(name), loaded, 3), expected)


def test_shrink_shortens_the_first_step():
    for name in choices.OPTIMIZERS:
        moves = []
        for shrink in (1.0, 0.25):
            solver = optimizers.create(name)
            state = solver.step(bowl, solver.init(bowl, START, shrink))
            moves.append(float(tf.norm(state.point.image - START)))
        assert moves[1] < moves[0], name


@pytest.mark.parametrize("name", ["lbfgs", "adam", "gd"])
def test_a_new_start_shortens_a_step_compiled_before(name):
    """What a restart after a step that was not finite relies on."""
    solver = optimizers.create(name)
    step = tf.function(lambda state: solver.step(bowl, state))
    moves = []
    for shrink in (1.0, 0.25):
        moved = step(solver.init(bowl, START, shrink)).point.image
        moves.append(float(tf.norm(moved - START)))
    bound = rounding.of_sums(VALUES, 1) + rounding.of_sums(1) * float(tf.norm(START)) / moves[1]
    rounding.assert_close(moves[1], 0.25 * moves[0], bound)


def test_unknown_optimizer():
    with pytest.raises(SettingsError, match="lbfgs, adam, gd, tfp-lbfgs"):
        optimizers.create("sgd")


def test_tfp_missing_says_what_to_install(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "tensorflow_probability", None)
    with pytest.raises(SettingsError, match=r"pip install 'nst_tf\[tfp\]'"):
        optimizers.create("tfp-lbfgs").init(bowl, START)
