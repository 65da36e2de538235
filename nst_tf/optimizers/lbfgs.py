"""L-BFGS on the device: two-loop recursion and a safeguarded backtracking line search.

Nocedal and Wright, "Numerical Optimization", 2nd edition, 2006: algorithms 7.4 (two-loop
recursion) and 7.5 (L-BFGS), equation 7.20 (initial scaling), section 3.5 (interpolation).

Bounded, it is a two-metric projection: Bertsekas, "Projected Newton Methods for Optimization
Problems with Simple Constraints", SIAM J. Control and Optimization 20(2), 1982. Values that are at
a bound and that the gradient pushes beyond it are left out of the step; the others take the
quasi-Newton step, and what it takes beyond [0, 1] is cut off before the loss is looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import tensorflow as tf

from nst_tf.optimizers.base import (
    Evaluate,
    Point,
    State,
    dot,
    evaluate_at,
    first_step,
    is_finite,
)


class Memory(NamedTuple):
    """The last m pairs, newest first. Tuples, not one tensor, so that shifting copies nothing.

    Attributes:
      steps: s_k = x_{k+1} − x_k, m tensors of the image's shape.
      changes: y_k = g_{k+1} − g_k, likewise.
      rhos: ρ_k = 1 / (s_k·y_k), float32 []; 0 where there is no pair yet, which then adds nothing.
      scale: γ = s·y / y·y of the newest pair, float32 []; 0 before there is one.
    """

    steps: tuple[tf.Tensor, ...]
    changes: tuple[tf.Tensor, ...]
    rhos: tuple[tf.Tensor, ...]
    scale: tf.Tensor


@dataclass(frozen=True)
class LBFGS:
    """Limited-memory BFGS.

    Attributes:
      learning_rate: the step tried first along the quasi-Newton direction; 1 is Newton's own.
      memory: m, how many pairs are kept; each costs two images.
      first_change: RMS change of the image in the first step, black to white being 1.
      sufficient_decrease: c₁ of Armijo's condition.
      backtracks: how often a step that does not decrease the loss is shortened before the solver
        gives up and says `stalled`.
      bounded: whether every value is kept in [0, 1].
    """

    learning_rate: float = field(default=1.0, compare=False)
    memory: int = 20
    first_change: float = 0.02
    sufficient_decrease: float = 1e-4
    backtracks: int = 12
    bounded: bool = False

    def init(self, evaluate: Evaluate, image: tf.Tensor, shrink: float | tf.Tensor = 1.0) -> State:
        point = evaluate_at(evaluate, image)
        nothing = tf.zeros_like(image)
        none = tf.zeros([])
        memory = Memory(
            (nothing,) * self.memory, (nothing,) * self.memory, (none,) * self.memory, none
        )
        rate = tf.cast(self.learning_rate * shrink, tf.float32)
        return State(point, tf.constant(1), rate, tf.constant(False), memory)

    def step(self, evaluate: Evaluate, state: State) -> State:
        point, memory = state.point, state.memory
        empty = memory.scale == 0.0
        free = self._free(point)
        gradient = free(point.gradient)
        first = first_step(gradient, self.first_change)
        direction = -free(two_loops(memory, gradient, tf.where(empty, first, memory.scale)))
        moved, evaluations = self._line_search(
            evaluate, point, direction, state.learning_rate, state.evaluations
        )
        return State(
            moved,
            evaluations,
            state.learning_rate,
            tf.logical_not(moved.loss < point.loss),
            # A value that did not move says nothing of the curvature along the others.
            remember(memory, moved.image - point.image, free(moved.gradient - point.gradient)),
        )

    def _free(self, point: Point) -> Callable[[tf.Tensor], tf.Tensor]:
        """What leaves of a tensor of the image's shape the values that may move."""
        if not self.bounded:
            return lambda values: values
        below = (point.image <= 0) & (point.gradient > 0)
        above = (point.image >= 1) & (point.gradient < 0)
        return lambda values: tf.where(below | above, 0.0, values)

    def resize(self, evaluate: Evaluate, state: State, image: tf.Tensor) -> State:
        """Starts anew: pairs of steps at one size say nothing about the curvature at another."""
        return self.init(evaluate, image)

    def _line_search(
        self,
        evaluate: Evaluate,
        start: Point,
        direction: tf.Tensor,
        length: tf.Tensor,
        evaluations: tf.Tensor,
    ) -> tuple[Point, tf.Tensor]:
        """Shortens the step until Armijo's condition holds and everything is finite.

        Returns:
          The new point, and the count of evaluations. Where no step was found, the start.
        """
        # Rounding may turn a poor direction uphill; then only a smaller loss will do.
        slope = tf.minimum(dot(start.gradient, direction), 0.0)

        def predicted(t: tf.Tensor, point: Point, share: float = 1.0) -> tf.Tensor:
            # Of a step of which the bounds cut something off, by what is left of it.
            if not self.bounded:
                return share * t * slope
            return share * tf.minimum(dot(start.gradient, point.image - start.image), 0.0)

        def accepted(t: tf.Tensor, point: Point) -> tf.Tensor:
            enough = point.loss <= start.loss + predicted(t, point, self.sufficient_decrease)
            return enough & is_finite(point)

        def searching(t: tf.Tensor, point: Point, tries: tf.Tensor) -> tf.Tensor:
            untried = tries == 0
            return untried | (~accepted(t, point) & (tries <= self.backtracks))

        def try_next(t: tf.Tensor, point: Point, tries: tf.Tensor) -> tuple[tf.Tensor, ...]:
            # The minimum of the parabola through both losses and the slope, kept between a tenth
            # and a half of the step; a loss that is not finite says nothing but "shorter".
            expected = predicted(t, point)
            bend = 2 * (point.loss - start.loss - expected)
            share = tf.math.divide_no_nan(-expected, bend)
            share = tf.where(tf.math.is_finite(share), tf.clip_by_value(share, 0.1, 0.5), 0.1)
            t = tf.where(tries == 0, t, t * share)
            moved = start.image + t * direction
            if self.bounded:
                moved = tf.clip_by_value(moved, 0.0, 1.0)
            return t, evaluate_at(evaluate, moved), tries + 1

        t, point, tries = tf.while_loop(
            searching, try_next, (length, start, tf.constant(0)), parallel_iterations=1
        )
        # A trial that is not finite is handed on as it is, for the run to see and to reject.
        keep = accepted(t, point) | ~is_finite(point)
        chosen = tf.nest.map_structure(lambda new, old: tf.where(keep, new, old), point, start)
        return chosen, evaluations + tries


def two_loops(memory: Memory, gradient: tf.Tensor, scale: tf.Tensor) -> tf.Tensor:
    """H·gradient by algorithm 7.4, with H₀ = scale · identity."""
    pairs = list(zip(memory.steps, memory.changes, memory.rhos, strict=True))
    q, alphas = gradient, []
    for s, y, rho in pairs:
        alphas.append(rho * dot(s, q))
        q = q - alphas[-1] * y
    r = scale * q
    for (s, y, rho), alpha in zip(reversed(pairs), reversed(alphas), strict=True):
        r = r + s * (alpha - rho * dot(y, r))
    return r


def remember(memory: Memory, s: tf.Tensor, y: tf.Tensor) -> Memory:
    """Puts a pair in front of the others, if its curvature is safely positive."""
    sy, yy, ss = dot(s, y), dot(y, y), dot(s, s)
    good = sy > 1e-6 * tf.sqrt(ss * yy)

    def shifted(old: tuple[tf.Tensor, ...], new: tf.Tensor) -> tuple[tf.Tensor, ...]:
        return (new, *old[:-1])

    return tf.cond(
        good,
        lambda: Memory(
            shifted(memory.steps, s),
            shifted(memory.changes, y),
            shifted(memory.rhos, 1 / sy),
            sy / yy,
        ),
        lambda: memory,
    )
