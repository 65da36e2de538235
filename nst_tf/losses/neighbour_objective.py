"""The objective whose style is nearest neighbours: targets are found anew as the image goes on.

Kolkin et al., "Neural Neighbor Style Transfer", arXiv:2203.13215. A stage begins with a look for
the neighbours, among the style images' hypercolumns, of a picture between the content image and
what the stage begins with. Then the image descends towards them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from nst_tf.errors import SettingsError
from nst_tf.losses import hypercolumns, neighbours
from nst_tf.losses.objective import Objective, Painting, blend_shares, views_of
from nst_tf.losses.statistics import Nest
from nst_tf.losses.terms import Terms
from nst_tf.recipe.settings import Settings

#: How many hypercolumns of the style images are looked among. Of 512 x 512 pixels' 16384, a quarter
#: of the time leaves neighbours 3 to 6 % further off (with all of them a mean of 0.41 to 0.51).
CANDIDATES = 4096


class NeighbourObjective(Objective):
    """L_total with the distance from neighbours (`neighbours.distances`) as L_style, in one piece.

    It compares nothing before `begin` has been called after `set_content` and `set_styles`. One
    trace serves stages of both kinds.

    Args:
      model: as for `Objective`, likewise content_layers and whatever else there is but the form of
        the style loss.
      style_layers: of the hypercolumns, with factors on their parts.
    """

    def __init__(
        self,
        model: tf.keras.Model,
        content_layers: Mapping[str, float],
        style_layers: Mapping[str, float],
        **options: Any,
    ) -> None:
        if not style_layers:
            raise SettingsError("neighbours are looked for in style layers: name at least one")
        if options.get("regions"):
            raise SettingsError("neighbours know no regions: leave out the masks")
        if options.get("mirror"):
            raise SettingsError("neighbours are not looked for with padding=mirror: use replicate")
        options["style_loss"] = hypercolumns.Maps()
        super().__init__(model, content_layers, style_layers, **options)
        self._needs = (*self._style_layers, hypercolumns.GRID)
        self._content_share = 1.0
        self._content: tf.Tensor | None = None
        none = {key: tf.zeros([1, channels]) for key, channels in self._channels.items()}
        self._centre = {key: _variable(part[0]) for key, part in none.items()}
        self._candidates = {
            key: _variable(part, [None, part.shape[1]]) for key, part in none.items()
        }
        self._matches = _variable(tf.zeros([len(none), 1], tf.int32), [len(none), None])
        self._layerwise = _variable(tf.constant(False))

    def set_recipe_weights(self, settings: Settings) -> None:
        super().set_recipe_weights(settings)
        self._content_share = share_of_content(settings)

    def set_content(self, picture: np.ndarray | tf.Tensor) -> None:
        super().set_content(picture)
        self._content = self._batch(picture, self._needs)

    def style_targets(
        self, pictures: Sequence[Painting], blend: Sequence[float] = ()
    ) -> dict[str, Nest]:
        """The hypercolumns of style images in which neighbours are looked for, by style layer:
        their centre, and what they are around it.

        Args:
          pictures: at least one, or several views of one; their sizes may differ.
          blend: which part of what is looked among each gives, scaled to sum to 1; empty for equal
            parts.

        Raises:
          SettingsError: as `Objective.set_styles`.
        """
        by_picture = zip(map(views_of, pictures), blend_shares(pictures, blend), strict=True)
        parted = [(view, share / len(views)) for views, share in by_picture for view in views]
        views, shares = zip(*parted, strict=True)
        counts = [(view.shape[0] // 4) * (view.shape[1] // 4) for view in views]
        found: dict[str, list[tf.Tensor]] = {key: [] for key in self._style_layers}
        for view, indices in zip(views, neighbours.sample(counts, shares, CANDIDATES), strict=True):
            for key, part in self._columns(self._batch(view, self._needs)).items():
                found[key].append(tf.gather(part, indices))
        targets: dict[str, Nest] = {}
        for key, parts in found.items():
            candidates = tf.concat(parts, 0)
            centre = tf.reduce_mean(candidates, 0)
            targets[key] = (centre, candidates - centre)
        return targets

    def set_style_targets(self, targets: Mapping[str, Nest]) -> None:
        for key, (centre, candidates) in targets.items():
            self._centre[key].assign(centre)
            self._candidates[key].assign(candidates)

    def begin(self, image: tf.Tensor | None, layerwise: bool = False) -> None:
        """Looks for the neighbours that the image is to come near to.

        They are those of the content image; with an image, of the picture between both that the
        recipe's `content_share` says; layer by layer, of the image alone, as it is then to become
        a painting and no longer a photo in one.

        Args:
          image: float32 [1, height, width, 3]; None for the content image.
          layerwise: whether each layer has neighbours of its own.
        """
        if self._content is None:
            raise SettingsError("no content image to look for neighbours of: set_content first")
        picture = self._content if image is None else image
        if image is not None and not layerwise:
            picture = image + self._content_share * (self._content - image)
        queries = self._columns(picture)
        queries = neighbours.around(queries, neighbours.centre(queries))
        if layerwise:
            found = [
                neighbours.nearest({key: part}, {key: self._candidates[key]})
                for key, part in queries.items()
            ]
        else:
            weights = {key: self.weights[f"style/{key}"] for key in queries}
            queries, candidates = (
                {key: weights[key] * part for key, part in parts.items()}
                for parts in (queries, self._candidates)
            )
            found = [neighbours.nearest(queries, candidates)] * len(queries)
        self._matches.assign(tf.stack(found))
        self._layerwise.assign(layerwise)

    def _columns(self, picture: tf.Tensor) -> dict[str, tf.Tensor]:
        return hypercolumns.columns(self._measured(picture).statistics, *picture.shape[1:3])

    def _style_terms(self, finished: Mapping[str, Nest], image: tf.Tensor) -> Terms:
        size = tf.unstack(tf.shape(image)[1:3])
        parts = neighbours.around(hypercolumns.columns(finished, *size), self._centre)
        weights = {key: self.weights[f"style/{key}"] for key in parts}
        loss = neighbours.distances(
            parts, self._candidates, self._matches, weights, self._layerwise
        )
        return {"style": loss[tf.newaxis]}


def share_of_content(settings: Settings) -> float:
    """How much of the content image there is in what neighbours are looked for, as the strength s
    leaves it: its odds are multiplied by (1 − s) / s."""
    content = settings.content_share * (1 - settings.strength)
    image = (1 - settings.content_share) * settings.strength
    return content / (content + image) if content + image else 0.5


def _variable(value: tf.Tensor, shape: Sequence[int | None] | None = None) -> tf.Variable:
    shape = value.shape if shape is None else tf.TensorShape(shape)
    return tf.Variable(value, trainable=False, dtype=value.dtype, shape=shape)
