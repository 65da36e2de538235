"""The objective of a recipe inside a graph, for pictures of any size.

`losses.objective` keeps its targets in variables; a graph that is saved has none of its own. Here
they are tensors, which are handed on from who measures them to who compares with them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import tensorflow as tf

from nst_tf.losses.border import Model, seen_by
from nst_tf.losses.evaluation import Evaluation, value_and_gradient
from nst_tf.losses.laplacian import laplacian
from nst_tf.losses.statistics import Nest
from nst_tf.losses.terms import (
    Terms,
    against,
    laplacian_terms,
    style_targets,
    targets_of,
    total,
    tv_terms,
    weights_of,
)
from nst_tf.network.compiled import any_size, compiled
from nst_tf.pictures import scaling, views
from nst_tf.recipe.settings import Settings

#: What an image is compared with, by kind: nests of tensors.
Targets = dict[str, Any]


class GraphObjective:
    """L_total of an image against targets, which one trace takes of pictures of all sizes.

    Args:
      model: of the recipe's layers at least.
      settings: of the recipe.
    """

    def __init__(self, model: Model, settings: Settings) -> None:
        self._model, self._settings = seen_by(model, settings), settings
        any_picture = tf.TensorSpec([None, None, 3], tf.float32)
        self._targets = compiled(self._measured, [any_picture, any_picture])
        self._evaluate: Any = None

    def targets(self, content: tf.Tensor, style: tf.Tensor) -> Targets:
        """What an image of the content image's size is compared with.

        Args:
          content: float32 [height, width, 3] in [0, 1].
          style: likewise, of any size; seen in all the ways that the settings ask for.
        """
        targets: Targets = self._targets(content, style)
        return targets

    def against(self, targets: Targets) -> Callable[[tf.Tensor], Evaluation]:
        """The value and gradient of an image, float32 [1, height, width, 3]."""
        if self._evaluate is None:
            any_image = tf.TensorSpec([1, None, None, 3], tf.float32)
            self._evaluate = compiled(self._evaluation, [any_image, any_targets(targets)])
        return lambda image: self._evaluate(image, targets)

    def _evaluation(self, image: tf.Tensor, targets: Targets) -> Evaluation:
        return value_and_gradient(
            partial(self._terms, targets), image, lambda terms: terms["total"]
        )

    def _terms(self, targets: Targets, image: tf.Tensor) -> Terms:
        settings = self._settings
        terms = against(targets, self._model(image), settings)
        terms |= tv_terms(image, settings.tv_loss)
        if "laplacian" in targets:
            terms |= laplacian_terms(image, targets["laplacian"])
        return total({name: loss[0] for name, loss in terms.items()}, weights_of(settings))

    def _measured(self, content: tf.Tensor, style: tf.Tensor) -> Targets:
        settings, photo = self._settings, content[tf.newaxis]
        targets: Targets = targets_of(["content", "structure"], self._model(photo), settings)
        if settings.laplacian_weight:
            targets["laplacian"] = laplacian(photo)
        return {**targets, "style": self._style_targets(style)}

    def _style_targets(self, style: tf.Tensor) -> dict[str, Nest]:
        settings = self._settings
        if not settings.style_layers:
            return {}
        seen = scaling.at_sizes(style, settings.stroke_sizes)
        ways = views.ways(seen, settings.rotations, settings.mirrored, tf.image.rot90)
        maps = (self._model(view[tf.newaxis]) for view in ways)
        return style_targets(maps, [1 / len(ways)] * len(ways), settings)


def any_targets(targets: Targets) -> Any:
    """The specification of targets like these at any size: of maps and places there are more or
    fewer, statistics have one shape."""
    others = {kind: nest for kind, nest in targets.items() if kind != "structure"}
    similar = {key: tf.TensorSpec([1, None, None]) for key in targets["structure"]}
    return {**any_size(others), "structure": similar}
