"""Adam.

Kingma and Ba, "Adam: A Method for Stochastic Optimization", arXiv:1412.6980, algorithm 1 in the
form of its section 2's last paragraph: the corrections of both moments are in the step length, and
ε is added to the root of the uncorrected second moment. Keras' own does the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import tensorflow as tf

from nst_tf.optimizers.base import Evaluate, State, evaluate_at, moved_to


class Memory(NamedTuple):
    """What Adam remembers.

    Attributes:
      first: m, the decaying mean of the gradient, float32 of the image's shape.
      second: v, that of its square, likewise.
      steps: t, how many steps they are made of, int32 [].
    """

    first: tf.Tensor
    second: tf.Tensor
    steps: tf.Tensor


@dataclass(frozen=True)
class Adam:
    """Adam, on the image.

    Attributes:
      learning_rate: α, in units of the image, black to white being 1: about how far a pixel moves
        in one iteration.
      beta_1: decay of the first moment.
      beta_2: decay of the second moment.
      epsilon: ε, which keeps a step finite where there is no gradient.
      bounded: whether every value is kept in [0, 1]: what a step takes beyond is cut off.
    """

    learning_rate: float = field(default=0.02, compare=False)
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7
    bounded: bool = False

    def init(self, evaluate: Evaluate, image: tf.Tensor, shrink: float | tf.Tensor = 1.0) -> State:
        rate = tf.cast(self.learning_rate * shrink, tf.float32)
        memory = nothing_yet(image)
        return State(evaluate_at(evaluate, image), tf.constant(1), rate, tf.constant(False), memory)

    def step(self, evaluate: Evaluate, state: State) -> State:
        change, memory = self.change(state.point.gradient, state.memory, state.learning_rate)
        moved = state.point.image - change
        return moved_to(evaluate, state, moved, self.bounded, memory)

    def change(
        self, gradient: tf.Tensor, memory: Memory, learning_rate: tf.Tensor
    ) -> tuple[tf.Tensor, Memory]:
        """What a step subtracts, and what is remembered after it."""
        first, second, steps = memory
        t = tf.cast(steps + 1, tf.float32)
        length = learning_rate * tf.sqrt(1 - tf.pow(self.beta_2, t))
        length /= 1 - tf.pow(self.beta_1, t)
        first += (gradient - first) * (1 - self.beta_1)
        second += (tf.square(gradient) - second) * (1 - self.beta_2)
        change = first * length / (tf.sqrt(second) + self.epsilon)
        return change, Memory(first, second, steps + 1)

    def resize(self, evaluate: Evaluate, state: State, image: tf.Tensor) -> State:
        """Goes on with its moments at the new size."""
        memory = resized(state.memory, tf.shape(image)[1:3])
        return self.init(evaluate, image)._replace(memory=memory)


def nothing_yet(image: tf.Tensor) -> Memory:
    """What is remembered before the first step on a tensor like `image`."""
    return Memory(tf.zeros_like(image), tf.zeros_like(image), tf.constant(0))


def resized(memory: Memory, size: tf.Tensor) -> Memory:
    """The moments at a new size, int32 [2]: the first is smooth, the second never < 0.

    Losses are means over a picture: the derivative by one of four times as many pixels is a
    quarter. The moments follow, or the second one would shorten steps for a thousand more.
    """
    before = tf.reduce_prod(tf.shape(memory.first)[1:3])
    ratio = tf.cast(before / tf.reduce_prod(size), tf.float32)
    first = ratio * tf.image.resize(memory.first, size, "bicubic")
    second = tf.maximum(tf.image.resize(memory.second, size, "bilinear"), 0.0)
    return Memory(first, tf.square(ratio) * second, memory.steps)
