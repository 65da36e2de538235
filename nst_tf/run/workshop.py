"""Where runs take place: what one of them compiles is kept for the next that can use it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from nst_tf.losses.objective import Objective
from nst_tf.network import machine
from nst_tf.network.compiled import compiled
from nst_tf.network.feature_model import feature_model
from nst_tf.network.weights import Weights
from nst_tf.optimizers.base import Evaluate, Solver
from nst_tf.recipe.settings import Settings
from nst_tf.run import descent
from nst_tf.run.descent import Progress


class Workshop:
    """The last network, objective and step, compiled.

    Runs that differ in loss weights, start, step length, end or style images compile once between
    them, and a picture that stays is measured once. One run at a time: the next takes over.
    """

    def __init__(self) -> None:
        self._key: Any = None
        self._objective: Any = None
        self._targets: dict[str, Sequence[np.ndarray]] = {}
        self._stepped: tuple[Evaluate, Solver] | None = None
        self._step: Any = None

    def objective(
        self,
        settings: Settings,
        weights: Weights,
        content: np.ndarray,
        styles: Sequence[np.ndarray],
        *,
        tile: int | str,
        engine: str,
        dtype: str,
    ) -> Objective:
        """The objective of a run, with its weights and targets.

        Args:
          settings: of the run.
          weights: of the network.
          content: the content image, float32 [height, width, 3].
          styles: the style images, likewise.
          tile: as `machine.tile_for` takes it.
          engine: one of `choices.ENGINES` but auto; likewise dtype.
        """
        key = (settings.graph_key, weights.sha256, content.shape, tile, engine, dtype)
        if key != self._key:
            # The old one is let go before the new one is made: each takes much memory.
            self._key = self._objective = self._stepped = self._step = None
            self._targets = {}
            model = feature_model(weights, settings, dtype)
            self._objective = Objective.from_settings(
                settings,
                model,
                tile=machine.tile_for(tile, model, *content.shape[:2]),
                engine=engine,
            )
            self._key = key
        objective: Objective = self._objective
        objective.set_recipe_weights(settings)
        self._set("content", [content], lambda: objective.set_content(content))
        blended = [*styles, np.asarray(settings.style_blend)]
        self._set("styles", blended, lambda: objective.set_styles(styles, settings.style_blend))
        return objective

    def step(self, evaluate: Evaluate, solver: Solver) -> Callable[[Progress], Progress]:
        """`descent.attempt` of an objective and a solver.

        It is compiled whole: the step's own vector arithmetic, too, stays on the device. Solvers
        that are equal share it.
        """
        if self._stepped is None or self._stepped[0] is not evaluate or self._stepped[1] != solver:
            self._stepped = (evaluate, solver)
            self._step = compiled(partial(descent.attempt, evaluate, solver))
        take_step: Callable[[Progress], Progress] = self._step
        return take_step

    def _set(self, kind: str, arrays: Sequence[np.ndarray], measure: Callable[[], None]) -> None:
        """Measures targets, unless they are those that are there."""
        last = self._targets.pop(kind, ())  # what is left halfway counts for nothing
        if len(last) != len(arrays) or not all(map(np.array_equal, last, arrays)):
            measure()
        self._targets[kind] = arrays
