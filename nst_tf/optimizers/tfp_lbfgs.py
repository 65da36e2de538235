"""tensorflow_probability's L-BFGS behind the protocol, one iteration at a time.

Its line search is Hager and Zhang's (2006), which spends two to three evaluations an iteration.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import tensorflow as tf

from nst_tf.errors import SettingsError
from nst_tf.optimizers.base import Evaluate, Point, State, evaluate_at, first_step


class Memory(NamedTuple):
    """What tfp resumes from.

    Attributes:
      scale: factor on the loss that tfp sees. Its first step is the negative gradient itself;
        the factor makes that a small change of the image, whatever the unit of the loss.
      results: tfp's own state.
    """

    scale: tf.Tensor
    results: Any


@dataclass(frozen=True)
class TFPLBFGS:
    """`tfp.optimizer.lbfgs_minimize`, resumed through its own results.

    Attributes:
      learning_rate: factor on the first step; later ones are the line search's affair.
      memory: how many correction pairs are kept.
      first_change: RMS change of the image that the first step tries, black to white being 1.
    """

    learning_rate: float = field(default=1.0, compare=False)
    memory: int = 20
    first_change: float = 0.02

    def init(self, evaluate: Evaluate, image: tf.Tensor, shrink: float | tf.Tensor = 1.0) -> State:
        point = evaluate_at(evaluate, image)
        rate = self.learning_rate * shrink
        scale = first_step(point.gradient, self.first_change * rate)
        results = self._minimize(evaluate, image.shape, scale, None, tf.reshape(image, [-1]), 0)
        # tfp evaluates the start again, once.
        return State(
            point,
            tf.constant(2),
            tf.cast(rate, tf.float32),
            tf.constant(False),
            Memory(scale, results),
        )

    def step(self, evaluate: Evaluate, state: State) -> State:
        scale, old = state.memory
        shape = state.point.image.shape
        new = self._minimize(evaluate, shape, scale, old, None, old.num_iterations + 1)
        image = tf.reshape(new.position, shape)
        loss = new.objective_value / scale
        gradient = tf.reshape(new.objective_gradient, shape) / scale
        # tfp does not hand on the terms. Only they are read of this evaluation, so the compiled
        # step prunes its backward pass: a forward pass, not counted as an evaluation.
        _, _, terms = evaluate(image)
        spent = new.num_objective_evaluations - old.num_objective_evaluations
        return State(
            Point(image, loss, gradient, terms),
            state.evaluations + spent,
            state.learning_rate,
            new.failed | new.converged | tf.logical_not(loss < state.point.loss),
            Memory(scale, new),
        )

    def resize(self, evaluate: Evaluate, state: State, image: tf.Tensor) -> State:
        """Starts anew: pairs of steps at one size say nothing about the curvature at another."""
        return self.init(evaluate, image)

    def _minimize(
        self,
        evaluate: Evaluate,
        shape: tf.TensorShape,
        scale: tf.Tensor,
        previous: Any,
        start: tf.Tensor | None,
        max_iterations: tf.Tensor | int,
    ) -> Any:
        def value_and_gradient(position: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            loss, gradient, _ = evaluate(tf.reshape(position, shape))
            return scale * loss, scale * tf.reshape(gradient, [-1])

        return _tfp().optimizer.lbfgs_minimize(
            value_and_gradient,
            initial_position=start,
            previous_optimizer_results=previous,
            num_correction_pairs=self.memory,
            tolerance=0.0,
            max_iterations=max_iterations,
        )


def _tfp() -> Any:
    try:
        import tensorflow_probability as tfp
    except ImportError as error:
        raise SettingsError(
            f"the optimizer tfp-lbfgs needs the extra 'tfp' (pip install 'nst_tf[tfp]'): {error}"
        ) from error
    return tfp
