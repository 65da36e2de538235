"""Plain gradient descent: G ← G − η ∂L/∂G."""

from __future__ import annotations

from dataclasses import dataclass, field

import tensorflow as tf

from nst_tf.optimizers.base import Evaluate, State, evaluate_at, first_step, moved_to


@dataclass(frozen=True)
class GradientDescent:
    """G ← G − η ∂L/∂G with a constant η.

    Attributes:
      learning_rate: η, in units of the image squared per unit of loss. None sets it once, from the
        first gradient, so that the first step changes the image by `first_change` RMS.
      first_change: in units of the image, black to white being 1.
      bounded: whether every value is kept in [0, 1]: projected gradient descent.
    """

    learning_rate: float | None = field(default=None, compare=False)
    first_change: float = 0.01
    bounded: bool = False

    def init(self, evaluate: Evaluate, image: tf.Tensor, shrink: float | tf.Tensor = 1.0) -> State:
        point = evaluate_at(evaluate, image)
        if self.learning_rate is None:
            learning_rate = first_step(point.gradient, self.first_change)
        else:
            learning_rate = tf.constant(self.learning_rate, tf.float32)
        return State(point, tf.constant(1), learning_rate * shrink, tf.constant(False), ())

    def step(self, evaluate: Evaluate, state: State) -> State:
        moved = state.point.image - state.learning_rate * state.point.gradient
        return moved_to(evaluate, state, moved, self.bounded)

    def resize(self, evaluate: Evaluate, state: State, image: tf.Tensor) -> State:
        """Starts anew: it remembers nothing, and sets its rate by the first gradient again."""
        return self.init(evaluate, image)
