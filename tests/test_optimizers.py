import itertools

import numpy as np
import pytest
import tensorflow as tf
from scipy import optimize

from nst_tf import optimizers
from nst_tf.errors import SettingsError
from nst_tf.losses.objective import Evaluation
from nst_tf.recipe import choices

SHAPE = (1, 4, 5, 3)
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
    return min(loss for spent, loss in trace if spent <= evaluations)


@pytest.mark.parametrize("name", choices.OPTIMIZERS)
def test_each_descends_and_counts_its_evaluations(name):
    solver = optimizers.create(name)
    state, trace, counted = descend(solver, bowl, 60)
    assert trace[-1][1] < 0.5 * trace[0][1]
    extra = {"tfp-lbfgs": len(trace) - 1}.get(name, 0)  # its forward passes for the terms
    assert counted == int(state.evaluations) + extra
    # The point is consistent: its loss, gradient and terms are those of its image.
    again = bowl(state.point.image)
    np.testing.assert_allclose(state.point.loss, again.loss, rtol=1e-5)
    np.testing.assert_allclose(state.point.gradient, again.gradient, rtol=1e-3, atol=1e-5)
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
    from nst_tf.optimizers import lbfgs

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
        memory = lbfgs._remember(memory, tf.constant(s, tf.float32), tf.constant(y, tf.float32))
    g = rng.standard_normal(n)
    found = lbfgs._two_loops(memory, tf.constant(g, tf.float32), memory.scale)
    np.testing.assert_allclose(found, H @ g, rtol=1e-4, atol=1e-5)


def test_lbfgs_forgets_pairs_of_negative_curvature():
    from nst_tf.optimizers import lbfgs

    nothing = lbfgs.Memory((tf.zeros(3),), (tf.zeros(3),), (tf.zeros([]),), tf.zeros([]))
    s = tf.constant([1.0, 2.0, 3.0])
    assert float(lbfgs._remember(nothing, s, -s).rhos[0]) == 0
    assert float(lbfgs._remember(nothing, s, s).rhos[0]) == pytest.approx(1 / 14)


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

    state, trace, _ = descend(optimizers.LBFGS(first_change=1.0), cliff, 40)
    assert all(np.isfinite(loss) for _, loss in trace[:-1])
    assert float(tf.reduce_max(tf.abs(state.point.image - START))) <= 0.05 or not np.isfinite(
        float(state.point.loss)
    )
    assert best_within(trace, 40) < trace[0][1]


def test_gradient_descent_is_the_formula():
    solver = optimizers.GradientDescent(learning_rate=0.01)
    state = solver.step(bowl, solver.init(bowl, START))
    expected = START.numpy() - 0.01 * (SCALES * (START - TARGET)).numpy()
    np.testing.assert_allclose(state.point.image, expected, rtol=1e-6)


def test_gradient_descent_chooses_its_rate_by_the_change_of_the_image():
    for scale in (1e-6, 1.0, 1e6):

        def scaled(image, scale=scale):
            loss, gradient, terms = bowl(image)
            return Evaluation(scale * loss, scale * gradient, terms)

        solver = optimizers.GradientDescent(first_change=0.01)
        state = solver.step(scaled, solver.init(scaled, START))
        change = np.sqrt(np.mean((state.point.image - START).numpy() ** 2))
        assert change == pytest.approx(0.01, rel=1e-3)


def test_adam_is_algorithm_1():
    rate, beta_1, beta_2, epsilon = 0.02, 0.9, 0.999, 1e-7
    solver = optimizers.Adam(rate)
    state = solver.init(bowl, START)
    x, m, v = START.numpy().astype(np.float64), 0.0, 0.0
    for t in range(1, 6):
        state = solver.step(bowl, state)
        g = SCALES.numpy() * (x - TARGET.numpy())
        m = beta_1 * m + (1 - beta_1) * g
        v = beta_2 * v + (1 - beta_2) * g**2
        x = x - rate * (m / (1 - beta_1**t)) / (np.sqrt(v / (1 - beta_2**t)) + epsilon)
    np.testing.assert_allclose(state.point.image, x, atol=1e-4)


@pytest.mark.parametrize("name", choices.OPTIMIZERS)
def test_steps_are_pure_and_the_state_can_be_saved(name, tmp_path):
    """A state put aside, and one read back from a checkpoint, go on exactly as the run did."""
    solver = optimizers.create(name)
    state = solver.init(bowl, START)
    for _ in range(3):
        state = solver.step(bowl, state)
    kept = state
    leaves = [tf.Variable(leaf) for leaf in tf.nest.flatten(state)]
    path = tf.train.Checkpoint(leaves=leaves).write(str(tmp_path / "state"))
    for _ in range(3):
        state = solver.step(bowl, state)

    blank = [tf.Variable(tf.zeros_like(leaf)) for leaf in leaves]
    tf.train.Checkpoint(leaves=blank).read(path).assert_consumed()
    values = [tf.convert_to_tensor(leaf) for leaf in blank]
    loaded = tf.nest.pack_sequence_as(kept, values)
    for begin in (kept, loaded):
        again = begin
        for _ in range(3):
            again = solver.step(bowl, again)
        np.testing.assert_array_equal(again.point.image, state.point.image)
        assert int(again.evaluations) == int(state.evaluations)


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
    assert moves[1] == pytest.approx(0.25 * moves[0], rel=1e-3)


def test_unknown_optimizer():
    with pytest.raises(SettingsError, match="lbfgs, adam, gd, tfp-lbfgs"):
        optimizers.create("sgd")


def test_tfp_missing_says_what_to_install(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "tensorflow_probability", None)
    with pytest.raises(SettingsError, match=r"pip install 'nst_tf\[tfp\]'"):
        optimizers.create("tfp-lbfgs").init(bowl, START)
