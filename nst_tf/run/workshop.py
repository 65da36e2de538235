"""Where runs take place: what one of them compiles is kept for the next that can use it."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from nst_tf.losses.neighbour_objective import NeighbourObjective
from nst_tf.losses.objective import Objective
from nst_tf.losses.own_terms import Term
from nst_tf.losses.protected import Protected
from nst_tf.losses.statistics import Nest
from nst_tf.network.compiled import any_size as of_any_size
from nst_tf.network.compiled import compiled
from nst_tf.network.engine import winograd_ends
from nst_tf.network.feature_model import feature_model
from nst_tf.network.weights import Weights
from nst_tf.optimizers.base import Evaluate, Solver
from nst_tf.pictures import views
from nst_tf.recipe import choices
from nst_tf.recipe.settings import Settings
from nst_tf.run import descent
from nst_tf.run.descent import Progress
from nst_tf.run.meter import Growth

#: Bytes of style images' targets that are kept: with VGG19 and the default recipe those of four
#: scales of six paintings.
_KEPT = 64 << 20


class Workshop:
    """The last network, objective and step, compiled.

    Runs that differ in loss weights, start, step length, end or style images compile once between
    them, and a picture that stays is measured once. One run at a time: the next takes over.

    Attributes:
      growth: the memory that the runs left which had it as their own.
    """

    def __init__(self) -> None:
        self.growth = Growth()
        self._key: Any = None
        self._model: Any = None
        self._objective: Any = None
        self._protected: Protected | None = None
        self._targets: dict[str, Sequence[np.ndarray]] = {}
        self._painted: dict[bytes, dict[str, Nest]] = {}  # what was used last stands last
        self._stepped: tuple[Evaluate, Solver, float] | None = None
        self._step: Any = None

    def objective(
        self,
        settings: Settings,
        weights: Weights,
        content: np.ndarray,
        styles: Sequence[np.ndarray],
        *,
        tile: int | None,
        engine: str,
        dtype: str,
        any_size: bool = False,
        scales: bool = False,
        start: tf.Tensor | None = None,
        layerwise: bool = False,
        regions: np.ndarray | None = None,
        terms: Sequence[Term] = (),
    ) -> Objective:
        """The objective of a run, with its weights and targets.

        Args:
          settings: of the run.
          weights: of the network.
          content: the content image, float32 [height, width, 3].
          styles: the style images, likewise.
          tile: of `strips.Strips`; None where pictures are measured as a whole.
          engine: one of `choices.ENGINES` but auto; likewise dtype.
          any_size: whether one graph is to serve pictures of other sizes, too, as far as they are
            measured as a whole.
          scales: whether the run itself has several sizes, which it then serves. Else the graph
            computes as one of the picture's own size would, and serves those that it does so for.
          start: the image that the stage begins with, [1, height, width, 3]; None for the content
            image.
          layerwise: as in `Stage.layerwise`.
          regions: the share of each style image at each place, float32 [height, width, regions] of
            the content image's size; None where they are blended everywhere.
          terms: of the user's own.
        """
        count = 0 if regions is None else regions.shape[-1]
        of_model = (settings.graph_key, weights.sha256, dtype)
        if self._key is None or of_model != self._key[0]:
            self._forget()
            self._model = None
            self._model = feature_model(weights, settings, dtype)
        any_size = any_size and tile is None
        ends = None if scales else winograd_ends(*content.shape[:2])
        size = ends if any_size else content.shape
        functions = [(term.name, term.loss) for term in terms]
        key = (of_model, size, tile, engine, count, functions)
        if key != self._key:
            self._forget()
            neighbours = settings.style_loss == choices.NEIGHBOURS
            kind = NeighbourObjective if neighbours else Objective
            self._objective = kind.from_settings(
                settings,
                self._model,
                tile=tile,
                engine=engine,
                any_size=any_size,
                winograd_ends=ends,
                regions=count,
                terms=terms,
            )
            self._key = key
        objective: Objective = self._objective
        objective.set_recipe_weights(settings)
        objective.set_weights(**{term.name: term.weight for term in terms})
        self._set("content", [content], lambda: objective.set_content(content))
        if regions is not None:
            self._set("regions", [regions], lambda: objective.set_regions(regions))
        how = settings.rotations, settings.mirrored, settings.stroke_sizes
        seen = [views.views(style, *how) for style in styles]
        blended = [*itertools.chain(*seen), np.asarray([len(seen), *settings.style_blend])]
        self._set("styles", blended, lambda: self._paint(objective, seen, settings.style_blend))
        if isinstance(objective, NeighbourObjective):
            numbers = [settings.content_share, settings.strength, *settings.style_layers.values()]
            looked_at = [content, *blended, np.asarray([*numbers, layerwise])]
            looked_at += [] if start is None else [start]
            self._set("neighbours", looked_at, lambda: objective.begin(start, layerwise))
        return objective

    def protected(self, objective: Objective, photo: np.ndarray, protect: np.ndarray) -> Protected:
        """The objective of a picture, as one of the image that the photo is laid over.

        Args:
          objective: the last one that was asked for here.
          photo: float32 [height, width, 3].
          protect: how much of it stays at each place, float32 [height, width, 1].
        """
        if self._protected is None or self._protected.objective is not objective:
            self._protected = Protected(objective)
        self._protected.set(photo, protect)
        return self._protected

    def step(
        self,
        evaluate: Evaluate,
        solver: Solver,
        decay: float = 0.0,
        like: Progress | None = None,
    ) -> Callable[[Progress], Progress]:
        """`descent.attempt` of an objective and a solver.

        It is compiled whole: the step's own vector arithmetic, too, stays on the device. Solvers
        that are equal share it.

        Args:
          evaluate: the objective.
          solver: of the run.
          decay: of the average.
          like: a progress of any size, where one trace is to serve all sizes.
        """
        last = self._stepped
        if last is None or last[0] is not evaluate or last[1:] != (solver, decay):
            self._stepped = (evaluate, solver, decay)
            step = partial(descent.attempt, evaluate, solver, decay=decay)
            self._step = compiled(step, None if like is None else [of_any_size(like)])
        take_step: Callable[[Progress], Progress] = self._step
        return take_step

    def _forget(self) -> None:
        """Lets what was compiled go before it is made anew: it takes much memory."""
        self._key = self._objective = self._protected = self._stepped = self._step = None
        self._targets, self._painted = {}, {}

    def _paint(
        self,
        objective: Objective,
        seen: Sequence[Sequence[np.ndarray]],
        blend: Sequence[float],
    ) -> None:
        """Sets the style images, each measured once while there are few others: many photos come
        with the same few paintings, at the same few sizes."""
        digest = hashlib.sha256(repr((tuple(blend), [len(views) for views in seen])).encode())
        for view in itertools.chain(*seen):
            digest.update(repr(view.shape).encode() + np.ascontiguousarray(view).data)
        key = digest.digest()
        targets = self._painted.pop(key, None) or objective.style_targets(seen, blend)
        objective.set_style_targets(targets)
        self._painted[key] = targets
        while self._painted and sum(map(_bytes, self._painted.values())) > _KEPT:
            del self._painted[next(iter(self._painted))]

    def _set(self, kind: str, arrays: Sequence[np.ndarray], measure: Callable[[], None]) -> None:
        """Measures targets, unless they are those that are there."""
        last = self._targets.pop(kind, ())  # what is left halfway counts for nothing
        if len(last) != len(arrays) or not all(map(np.array_equal, last, arrays)):
            measure()
        self._targets[kind] = arrays


def _bytes(targets: dict[str, Nest]) -> int:
    return sum(int(tf.size(leaf)) * leaf.dtype.size for leaf in tf.nest.flatten(targets))
