"""Any optimizer of Keras behind the protocol."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import tensorflow as tf

from nst_tf.errors import SettingsError
from nst_tf.optimizers.base import Evaluate, State, evaluate_at, first_step
from nst_tf.recipe import choices, objects


class Memory(NamedTuple):
    """What the optimizer remembers.

    Attributes:
      scale: factor on the gradient that the optimizer sees, float32 [].
      slots: Keras' own: the count of steps, moments, slow copies.
    """

    scale: tf.Tensor
    slots: tuple[tf.Tensor, ...]


@dataclass(frozen=True)
class KerasOptimizer:
    """An optimizer of Keras, on the image.

    Keras keeps its memory in variables. Here they are scratch paper: a step writes the state into
    them, lets Keras take its step, and reads them back. So the state is all there is to save, steps
    are pure, and a solver that never began a run goes on with the state of another.

    Attributes:
      name: of the optimizer; those of one name and kind take the same steps.
      make: makes the optimizer, for a learning rate.
      learning_rate: in units of the image, black to white being 1: about how far a pixel moves in
        one iteration.
      unit_gradient: whether the gradient is scaled, by one factor throughout, so that its first
        RMS is 1. Most optimizers suppose gradients around 1 somewhere (the first steps of
        rectified Adam, Adagrad's accumulator), and the loss's own scale differs by orders of
        magnitude between presets.
      steps_have_norm: whether the optimizer takes its rate as the norm of the whole step, and so
        has to be given the root of the number of values times as much.
      kind: the class, of one of the user's.
    """

    name: str
    make: Callable[[float], Any] = field(compare=False)
    learning_rate: float = field(default=0.02, compare=False)
    unit_gradient: bool = False
    steps_have_norm: bool = False
    kind: Any = None
    _by_shape: dict[tuple[int, ...], _Scratch] = field(
        default_factory=dict, init=False, compare=False, repr=False
    )

    def init(self, evaluate: Evaluate, image: tf.Tensor, shrink: float | tf.Tensor = 1.0) -> State:
        point = evaluate_at(evaluate, image)
        rate = tf.cast(self.learning_rate * shrink, tf.float32)
        if self.steps_have_norm:
            rate *= image.shape.num_elements() ** 0.5
        # Some optimizers copy the image when they begin, so each start has variables of its own.
        # What a compiled step writes into are those of the first.
        scratch = _Scratch(self.make(self.learning_rate), image)
        self._by_shape.setdefault(tuple(image.shape), scratch)
        scale = first_step(point.gradient, 1.0) if self.unit_gradient else tf.constant(1.0)
        memory = Memory(scale, scratch.values())
        return State(point, tf.constant(1), rate, tf.constant(False), memory)

    def step(self, evaluate: Evaluate, state: State) -> State:
        point, memory = state.point, state.memory
        shape = tuple(point.image.shape)
        if shape not in self._by_shape:
            with tf.init_scope():
                self._by_shape[shape] = _Scratch(self.make(self.learning_rate), tf.zeros(shape))
        scratch = self._by_shape[shape]
        scratch.assign(point.image, memory.slots, state.learning_rate)
        scratch.keras.apply_gradients([(memory.scale * point.gradient, scratch.image)])
        return state._replace(
            point=evaluate_at(evaluate, tf.convert_to_tensor(scratch.image)),
            evaluations=state.evaluations + 1,
            memory=memory._replace(slots=scratch.values()),
        )

    def resize(self, evaluate: Evaluate, state: State, image: tf.Tensor) -> State:
        """Starts anew: how an optimizer's slots are to be resampled, it alone would know."""
        return self.init(evaluate, image)


def like(optimizer: Any) -> KerasOptimizer:
    """The solver that takes the steps of an optimizer of Keras, which itself is left alone.

    The gradient comes in units of its first RMS, as for tensorflow-addons': so what is added to it
    or compared with it (ε, a clip norm, weight decay) means the same for every loss. A schedule of
    the learning rate counts iterations; a failed step cannot shorten it.

    Args:
      optimizer: of any class with Keras' methods.

    Raises:
      SettingsError: it is no optimizer, or cannot be made anew from its configuration.
    """
    objects.check_optimizer(optimizer, choices.OPTIMIZERS)
    kind = type(optimizer)

    def make(_: float) -> Any:
        return kind.from_config(optimizer.get_config())

    try:
        rate = float(tf.convert_to_tensor(make(0.0).learning_rate))
        config = objects.configured(optimizer)
    except Exception as error:  # whatever a class of the user's raises
        raise SettingsError(
            f"optimizer {kind.__name__} cannot be made anew by from_config(get_config()): {error}"
        ) from error
    if isinstance(config.get("learning_rate"), float):  # which the state of a run has
        del config["learning_rate"]
    return KerasOptimizer(repr(config), make, rate, unit_gradient=True, kind=kind)


class _Scratch:
    """An optimizer of Keras with an image to optimise, whose numbers all come from a state."""

    def __init__(self, keras: Any, image: tf.Tensor) -> None:
        self.keras = keras
        self.image = tf.Variable(image, trainable=True, dtype=tf.float32)
        # Keras 2 calls it otherwise in what tf.keras.optimizers.legacy has.
        build = getattr(keras, "build", None) or keras._create_all_weights
        build([self.image])

    def assign(
        self, image: tf.Tensor, slots: tuple[tf.Tensor, ...], learning_rate: tf.Tensor
    ) -> None:
        """Writes a state into the variables."""
        self.image.assign(image)
        for slot, value in zip(self._slots(), slots, strict=True):
            slot.assign(value)
        rate = self._rate()
        if rate is not None:
            rate.assign(learning_rate)

    def values(self) -> tuple[tf.Tensor, ...]:
        """The slots as they are now."""
        return tuple(tf.convert_to_tensor(slot) for slot in self._slots())

    def _slots(self) -> list[tf.Variable]:
        # The legacy ones' `weights` has a wrapped optimizer's as well, their `variables` has not.
        return list(getattr(self.keras, "weights", None) or self.keras.variables)

    def _rate(self) -> tf.Variable | None:
        try:
            rate = self.keras.learning_rate
        except (AttributeError, KeyError):  # some have none; a wrapper asks the wrapped one
            return None
        return rate if hasattr(rate, "assign") else None  # a schedule's is calculated
