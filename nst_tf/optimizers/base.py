"""The optimizer protocol: small values with pure steps, `state = solver.step(evaluate, state)`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import tensorflow as tf

#: An image, float32 [1, height, width, 3], to its loss, gradient and terms, as an `Objective` gives
#: them: float32 [], float32 of the image's shape, and float32 [] by name.
Evaluate = Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor, dict[str, tf.Tensor]]]


class Point(NamedTuple):
    """An image and what the objective says of it.

    Attributes:
      image: float32 [1, height, width, 3].
      loss: float32 [].
      gradient: float32, of the image's shape.
      terms: float32 [] by name.
    """

    image: tf.Tensor
    loss: tf.Tensor
    gradient: tf.Tensor
    terms: dict[str, tf.Tensor]


class State(NamedTuple):
    """Where a solver stands: a nest of tensors, which tf.train.Checkpoint can save.

    It is all that a step depends on: a solver that is equal to the one which gave it goes on from
    it exactly.

    Attributes:
      point: the image, already evaluated.
      evaluations: losses and gradients computed so far, int32 [].
      learning_rate: the step length in use, float32 [] (in the solver's own units).
      stalled: whether the last step found no smaller loss in its direction, bool [].
      memory: what else the algorithm remembers, a nest of tensors of fixed structure.
    """

    point: Point
    evaluations: tf.Tensor
    learning_rate: tf.Tensor
    stalled: tf.Tensor
    memory: Any


class Solver(Protocol):
    """An algorithm. Its methods use TensorFlow operations only, so that they can be compiled.

    Solvers that are equal take the same steps: what only `init` reads, the learning rate, does not
    count.
    """

    def init(self, evaluate: Evaluate, image: tf.Tensor, shrink: float | tf.Tensor = 1.0) -> State:
        """Evaluates `image` and starts there, with an empty memory.

        Args:
          evaluate: the objective.
          image: float32 [1, height, width, 3].
          shrink: factor on the solver's learning rate, for a new start after a failed step.
        """
        ...

    def step(self, evaluate: Evaluate, state: State) -> State:
        """One iteration: a new image, evaluated. Changes nothing outside the state it returns."""
        ...

    def resize(self, evaluate: Evaluate, state: State, image: tf.Tensor) -> State:
        """Evaluates `image`, which has another size than the state's, and goes on there.

        What the memory knows of the old size is resampled where that makes sense (moments of the
        gradient), and forgotten where it does not (curvature). The learning rate is the solver's
        own, and the evaluations are counted anew.

        Args:
          evaluate: the objective at the new size.
          state: at the old size.
          image: float32 [1, height, width, 3], the old image at the new size.
        """
        ...


def evaluate_at(evaluate: Evaluate, image: tf.Tensor) -> Point:
    """The image with its loss, gradient and terms."""
    loss, gradient, terms = evaluate(image)
    return Point(image, loss, gradient, terms)


def moved_to(
    evaluate: Evaluate, state: State, image: tf.Tensor, bounded: bool, memory: Any = ()
) -> State:
    """The state one evaluation later, at an image that a step came to.

    Args:
      evaluate: the objective.
      state: before the step.
      image: float32 [1, height, width, 3].
      bounded: whether what is beyond [0, 1] is cut off.
      memory: the solver's, after the step.
    """
    if bounded:
        image = tf.clip_by_value(image, 0.0, 1.0)
    point = evaluate_at(evaluate, image)
    return state._replace(point=point, evaluations=state.evaluations + 1, memory=memory)


def is_finite(point: Point) -> tf.Tensor:
    """Whether the loss and every value of the gradient are finite, bool []."""
    return tf.math.is_finite(point.loss) & tf.reduce_all(tf.math.is_finite(point.gradient))


def first_step(gradient: tf.Tensor, change: float | tf.Tensor) -> tf.Tensor:
    """The step length t, float32 [], with which −t·gradient changes the image by `change` RMS.

    The loss's own scale says nothing about how far to go first: it differs by orders of magnitude
    between presets, sizes and networks. A change of the picture, in units of black to white, does.
    """
    rms = tf.sqrt(tf.reduce_mean(tf.square(gradient)))
    return tf.math.divide_no_nan(tf.cast(change, tf.float32), rms)


def dot(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """Inner product of two tensors of one shape, float32 []."""
    return tf.matmul(tf.reshape(a, [1, -1]), tf.reshape(b, [-1, 1]))[0, 0]
