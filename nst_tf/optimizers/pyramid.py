"""Adam on the coefficients of a Laplacian pyramid in place of pixels.

Burt and Adelson, "The Laplacian Pyramid as a Compact Image Code", IEEE Transactions on
Communications 31(4), 1983; its coefficients as the variables of a descent as in Kolkin et al.,
arXiv:2203.13215, section 3.3: one step moves large areas as easily as single pixels.

An image is the sum of its levels, each enlarged to the image's size. That is linear: what a step
does to the coefficients, their sum does to the image, whichever coefficients it had. So the image
itself is kept, and of every level only what Adam remembers of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import tensorflow as tf

from nst_tf.optimizers.adam import Adam, Memory, nothing_yet, resized
from nst_tf.optimizers.base import Evaluate, State, evaluate_at, moved_to


@dataclass(frozen=True)
class Pyramid:
    """Adam on a Laplacian pyramid.

    Attributes:
      learning_rate: in units of the image, black to white being 1: about how far each level moves
        a pixel in one iteration.
      levels: of the pyramid, each half as large as the one before it.
      bounded: whether every value is kept in [0, 1]: what a step takes beyond is cut off.
    """

    learning_rate: float = field(default=0.005, compare=False)
    levels: int = 5
    bounded: bool = False

    def init(self, evaluate: Evaluate, image: tf.Tensor, shrink: float | tf.Tensor = 1.0) -> State:
        memory = tuple(nothing_yet(level) for level in levels_like(image, self.levels))
        rate = tf.cast(self.learning_rate * shrink, tf.float32)
        return State(evaluate_at(evaluate, image), tf.constant(1), rate, tf.constant(False), memory)

    def step(self, evaluate: Evaluate, state: State) -> State:
        gradients = by_level(state.point.gradient, [level.first for level in state.memory])
        changes, memory = zip(
            *(
                Adam().change(gradient, level, state.learning_rate)
                for gradient, level in zip(gradients, state.memory, strict=True)
            ),
            strict=True,
        )
        moved = state.point.image - synthesis(changes)
        return moved_to(evaluate, state, moved, self.bounded, memory)

    def resize(self, evaluate: Evaluate, state: State, image: tf.Tensor) -> State:
        """Goes on with its moments at the new size."""
        anew = self.init(evaluate, image)
        memory: tuple[Memory, ...] = tuple(
            resized(old, tf.shape(new.first)[1:3])
            for old, new in zip(state.memory, anew.memory, strict=True)
        )
        return anew._replace(memory=memory)


def levels_like(image: tf.Tensor, count: int) -> list[tf.Tensor]:
    """The levels of a black image's pyramid, the finest first.

    Args:
      image: of its size, float32 [1, height, width, 3].
      count: of levels. Each has ⌈height / 2⌉ x ⌈width / 2⌉ of the pixels of the one before it.
    """
    levels = [tf.zeros_like(image)]
    while len(levels) < count:
        levels.append(tf.zeros_like(levels[-1][:, ::2, ::2]))
    return levels


def synthesis(levels: Sequence[tf.Tensor]) -> tf.Tensor:
    """The image of a pyramid: every level, the finest first, enlarged bilinearly and summed."""
    image = levels[-1]
    for level in reversed(levels[:-1]):
        image = level + tf.image.resize(image, tf.shape(level)[1:3], "bilinear")
    return image


def by_level(gradient: tf.Tensor, levels: Sequence[tf.Tensor]) -> Sequence[tf.Tensor]:
    """The gradient to every level of a pyramid, of the gradient to its image.

    Args:
      gradient: float32 [1, height, width, 3].
      levels: any of a pyramid of that size.
    """
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(levels)
        image = synthesis(levels)
    gradients: Sequence[tf.Tensor] = tape.gradient(image, levels, gradient)
    return gradients
