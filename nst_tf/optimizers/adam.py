"""Keras' Adam behind the protocol.

Kingma and Ba, "Adam: A Method for Stochastic Optimization", arXiv:1412.6980, algorithm 1.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from nst_tf.optimizers.base import Evaluate, State, evaluate_at


class Adam:
    """Adam, as Keras has it, on the image.

    Keras' optimizer keeps its moments in variables. A step writes the state into them, lets Keras
    take its step, and reads them back; so the state is all there is to save, and steps are pure.

    Attributes:
      learning_rate: in units of the image, black to white being 1: about how far a pixel moves in
        one iteration.
    """

    def __init__(
        self,
        learning_rate: float = 0.02,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
    ) -> None:
        self.learning_rate = learning_rate
        self._options = {"beta_1": beta_1, "beta_2": beta_2, "epsilon": epsilon}
        self._image: Any = None
        self._keras: Any = None

    def init(self, evaluate: Evaluate, image: tf.Tensor, shrink: float = 1.0) -> State:
        point = evaluate_at(evaluate, image)
        rate = self.learning_rate * shrink
        self._image = tf.Variable(image, trainable=True, dtype=tf.float32)
        self._keras = tf.keras.optimizers.Adam(rate, **self._options)
        self._keras.build([self._image])
        slots = tuple(tf.convert_to_tensor(slot) for slot in self._slots())
        return State(point, tf.constant(1), tf.constant(rate), tf.constant(False), slots)

    def step(self, evaluate: Evaluate, state: State) -> State:
        slots = self._slots()
        self._image.assign(state.point.image)
        for slot, value in zip(slots, state.memory, strict=True):
            slot.assign(value)
        self._keras.apply_gradients([(state.point.gradient, self._image)])
        moved = evaluate_at(evaluate, tf.convert_to_tensor(self._image))
        return state._replace(
            point=moved,
            evaluations=state.evaluations + 1,
            memory=tuple(tf.convert_to_tensor(slot) for slot in slots),
        )

    def _slots(self) -> list[tf.Variable]:
        return list(self._keras.variables)
