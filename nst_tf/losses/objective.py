"""Targets and weights to one compiled value and gradient of an image."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf

from nst_tf.errors import SettingsError
from nst_tf.losses import own_terms, statistics
from nst_tf.losses.border import mirrored
from nst_tf.losses.evaluation import Evaluation, value_and_gradient
from nst_tf.losses.laplacian import laplacian
from nst_tf.losses.measured import Whole
from nst_tf.losses.own_terms import Term
from nst_tf.losses.regional import Regional, at_layer
from nst_tf.losses.self_similarity import self_similarity
from nst_tf.losses.statistics import Nest, Statistic
from nst_tf.losses.strips import Strips
from nst_tf.losses.terms import (
    Terms,
    content_terms,
    laplacian_terms,
    structure_terms,
    style_terms,
    total,
    tv_terms,
    weights_of,
)
from nst_tf.network import engine as engines
from nst_tf.network import machine, vgg
from nst_tf.network.compiled import compiled
from nst_tf.recipe import layers
from nst_tf.recipe.settings import Settings

#: A style image, float32 [height, width, 3]; or several views of one.
Painting: TypeAlias = np.ndarray | tf.Tensor | Sequence[np.ndarray | tf.Tensor]


class Objective(tf.Module):
    """L_total of an image, against a content image and one or more style images (`terms`).

    Call it with an image, `[1, height, width, 3]` RGB in [0, 1] (values beyond are allowed while it
    is optimised), for an `Evaluation`. It is compiled once: new targets of the same shapes, and new
    weights, take effect without another trace.

    Args:
      model: from `vgg.build_model`, with every content and style layer among its outputs.
      content_layers: c_l by layer, keyed as the model's outputs are.
      style_layers: w_l by layer.
      structure_layers: whose self-similarity is kept, with their weights.
      content_loss: form, one of `choices.CONTENT_LOSSES`.
      style_loss: one of `choices.STYLE_LOSSES`, or a statistic of your own.
      tv_loss: form, one of `choices.TV_LOSSES`.
      content_weight: α.
      structure_weight: of all structure layers.
      laplacian_weight: of the picture's Laplacian, which is left out at 0.
      style_weight: β.
      tv_weight: γ.
      tile: None to measure a picture as a whole; else strip by strip, for the same result in less
        memory (`strips.Strips`).
      engine: how the network is computed, one of `choices.ENGINES` (`engine.stages`).
      any_size: whether one trace serves pictures of all sizes, as those of several scales; without
        a tile only.
      winograd_ends: of such pictures, `engine.winograd_ends`; None for no end.
      regions: into how many regions `set_regions` is to divide the picture, each with a style of
        its own (`regional.Regional`); 0 for a picture that has one style everywhere.
      terms: of your own, beside those.
      mirror: whether pictures are seen with their mirror image around (`border`).

    Raises:
      SettingsError: an unknown form.
    """

    def __init__(
        self,
        model: tf.keras.Model,
        content_layers: Mapping[str, float],
        style_layers: Mapping[str, float],
        *,
        structure_layers: Mapping[str, float] = MappingProxyType({}),
        content_loss: str = "mean",
        style_loss: str | Statistic = "gram-mean",
        tv_loss: str = "squared",
        content_weight: float = 1.0,
        structure_weight: float = 1.0,
        laplacian_weight: float = 0.0,
        style_weight: float = 1.0,
        tv_weight: float = 0.0,
        tile: int | None = None,
        engine: str = "auto",
        any_size: bool = False,
        winograd_ends: int | None = None,
        regions: int = 0,
        terms: Sequence[Term] = (),
        mirror: bool = False,
    ) -> None:
        super().__init__(name="objective")
        self._own_terms = own_terms.checked(terms)
        weights = {
            "content": content_weight,
            **({"structure": structure_weight} if structure_layers else {}),
            **({"laplacian": laplacian_weight} if laplacian_weight else {}),
            "style": style_weight,
            "tv": tv_weight,
            **{f"content/{key}": weight for key, weight in content_layers.items()},
            **{f"structure/{key}": weight for key, weight in structure_layers.items()},
            **{f"style/{key}": weight for key, weight in style_layers.items()},
            **{term.name: term.weight for term in self._own_terms},
        }
        #: Of the terms, by name, as variables that the compiled function reads.
        self.weights = {name: _scalar(weight) for name, weight in weights.items()}
        self._content_loss, self._tv_loss = content_loss, tv_loss
        self._plain = self._statistic = statistics.named(style_loss)
        if regions:
            self._statistic = Regional(self._plain)
        self._regions = regions
        self._around: Callable[[tf.Tensor], tf.Tensor] = mirrored if mirror else tf.identity
        self._masks: dict[str, tf.Variable] = {}
        self._content_layers, self._style_layers = tuple(content_layers), tuple(style_layers)
        self._structure_layers = tuple(structure_layers)
        kept = tuple(dict.fromkeys([*content_layers, *structure_layers]))
        wanted = [*kept, *style_layers]
        stages = engines.stages(model, wanted, machine.choose_engine(engine))
        self._half = any(stage.dtype == "float16" for stage in stages)
        by_stage = {stage.name: stage.channels for stage in stages}
        self._channels = {key: by_stage[vgg.layer_name(key)] for key in style_layers}
        self._content_targets: dict[str, tf.Variable] = {}
        self._structure_targets: dict[str, tf.Variable] = {}
        self._laplacian_target: dict[str, tf.Variable] = {}
        self._style_targets: dict[str, Nest] = {}
        looked_at = (kept, self._style_layers, self._statistic)
        #: Whether one trace serves pictures of all sizes.
        self.any_size = any_size and tile is None
        if tile is None:
            any_picture = [tf.TensorSpec([1, None, None, 3], tf.float32)]
            measure: Any = Whole(stages, *looked_at)
            ends = winograd_ends if self.any_size else None
            chosen = stages if ends is None else engines.directly(stages, ends)
            self._measure: Any = Whole(chosen, *looked_at)
        else:
            any_picture = None  # strips are cut from a known size: one trace each
            measure = self._measure = Strips(stages, *looked_at, tile)
        # Traced once for both kinds of targets: a trace takes a second.
        self._measured = compiled(lambda image: measure(self._around(image)), any_picture)
        self._evaluate = compiled(
            lambda image: value_and_gradient(
                self._terms, image, self._of_network if self._half else None
            ),
            any_picture if self.any_size else None,
        )

    @classmethod
    def from_settings(
        cls,
        settings: Settings,
        model: tf.keras.Model,
        *,
        tile: int | None = None,
        engine: str = "auto",
        any_size: bool = False,
        winograd_ends: int | None = None,
        regions: int = 0,
        terms: Sequence[Term] = (),
    ) -> Objective:
        """The objective of a recipe: its layers, its forms and all its weights.

        Args:
          settings: of the recipe.
          model: its feature model (`feature_model.feature_model`).
          tile: as for `Objective`; likewise what follows.
        """
        objective = cls(
            model,
            settings.content_layers,
            settings.style_layers,
            structure_layers=settings.structure_layers,
            laplacian_weight=settings.laplacian_weight,
            content_loss=settings.content_loss,
            style_loss=settings.style_loss,
            tv_loss=settings.tv_loss,
            tile=tile,
            engine=engine,
            any_size=any_size,
            winograd_ends=winograd_ends,
            regions=regions,
            terms=terms,
            mirror=settings.padding == "mirror",
        )
        objective.set_recipe_weights(settings)
        return objective

    def set_weights(self, **weights: float) -> None:
        """Changes α, β, γ (`content`, `style`, `tv`); a layer's as `**{"style/conv1_1": 0.5}`."""
        for name, weight in weights.items():
            if name not in self.weights:
                raise SettingsError(
                    f"no weight {name!r} in this objective: use one of {', '.join(self.weights)}"
                )
            self.weights[name].assign(weight)

    def set_recipe_weights(self, settings: Settings) -> None:
        """Changes all weights to those of a recipe with the same layers."""
        self.set_weights(**weights_of(settings))

    def set_content(self, picture: np.ndarray | tf.Tensor) -> None:
        """Makes `picture`, float32 [height, width, 3] RGB in [0, 1], the content image."""
        kept = (*self._content_layers, *self._structure_layers)
        batch = self._batch(picture, kept)
        if "laplacian" in self.weights:
            _assign(self._laplacian_target, {"laplacian": laplacian(batch)}, self.any_size)
        if kept:
            maps = self._measured(batch).features
            content = {key: maps[key] for key in self._content_layers}
            _assign(self._content_targets, content, self.any_size)
            structure = {key: self_similarity(maps[key]) for key in self._structure_layers}
            _assign(self._structure_targets, structure, self.any_size)

    def set_regions(self, masks: np.ndarray) -> None:
        """Says which parts of the picture the style images are for, the first one the first's.

        Args:
          masks: float32 [height, width, regions] from 0, at the picture's size. What is 0 in all
            of them has no style.

        Raises:
          SettingsError: another number of regions than the objective was made for.
        """
        if masks.ndim != 3 or masks.shape[-1] != self._regions:
            raise SettingsError(
                f"masks of shape {list(masks.shape)} for an objective of {self._regions} regions: "
                "give [height, width, regions]"
            )
        whole = self._around(tf.convert_to_tensor(masks, tf.float32)[tf.newaxis])
        by_layer = {key: at_layer(whole, key) for key in self._style_layers}
        _assign(self._masks, by_layer, self.any_size)

    def set_styles(self, pictures: Sequence[Painting], blend: Sequence[float] = ()) -> None:
        """Makes `pictures`, each as in `set_content`, the style images.

        Their statistics are blended into one target, Σ_k b_k A_k with Σ_k b_k = 1. For the squared
        forms of Gram matrices this has the gradient of Σ_k b_k E(G, A_k); the values differ by a
        constant. Of an objective of several regions, each is the target of its own region instead.

        Args:
          pictures: at least one; their sizes may differ. For one of them several views of it may
            stand (`views.views`), which share its part.
          blend: b_k, scaled to sum to 1; empty for equal shares.

        Raises:
          SettingsError: not one blend weight for each picture, several pictures or views and a
            statistic that cannot be blended, or not one picture for each of several regions.
        """
        self.set_style_targets(self.style_targets(pictures, blend))

    def style_targets(
        self, pictures: Sequence[Painting], blend: Sequence[float] = ()
    ) -> dict[str, Nest]:
        """What `set_style_targets` takes of style images, by style layer: the arguments and errors
        are those of `set_styles`."""
        shares = blend_shares(pictures, blend)
        if self._regions > 1 and (len(pictures) != self._regions or blend):
            raise SettingsError(
                f"{len(pictures)} style images for {self._regions} regions: give one for each, "
                "and no blend weights"
            )
        if not self._style_layers:
            return {}
        measured = [
            [self._measured(self._batch(view, self._style_layers)).statistics for view in views]
            for views in map(views_of, pictures)
        ]
        found: dict[str, Nest] = {}
        for key in self._style_layers:
            # Of a style image all is one region.
            seen = [
                [by_layer[key].regions[0] if self._regions else by_layer[key] for by_layer in views]
                for views in measured
            ]
            nests = [
                statistics.blend(self._plain, views, [1 / len(views)] * len(views))
                for views in seen
            ]
            if self._regions < 2:
                nests = [statistics.blend(self._plain, nests, shares)]
            targets = tuple(statistics.prepare(self._plain, nest) for nest in nests)
            found[key] = targets if self._regions else targets[0]
        return found

    def set_style_targets(self, targets: Mapping[str, Nest]) -> None:
        """Makes what `style_targets` has measured, perhaps before others, the target."""
        _assign(self._style_targets, targets)

    def __call__(self, image: tf.Tensor) -> Evaluation:
        """Loss, gradient and every term, at `image`, float32 [1, height, width, 3]."""
        evaluation: Evaluation = self._evaluate(image)
        return evaluation

    @property
    def traces(self) -> int:
        """How often the value and gradient were traced so far."""
        return int(self._evaluate.experimental_get_tracing_count())

    def _batch(self, picture: np.ndarray | tf.Tensor, needs: Sequence[str]) -> tf.Tensor:
        height, width = picture.shape[:2]
        if needs:
            layers.check_size(height, width, map(layers.parse, needs))
        return tf.convert_to_tensor(picture, tf.float32)[tf.newaxis]

    def _terms(self, image: tf.Tensor) -> Terms:
        if self._regions and self._style_layers and not self._masks:
            raise SettingsError(f"{self._regions} regions without masks: call set_regions first")
        measured = self._measure(self._around(image), self._masks)
        # Without weight, total variation is still reported; its gradient, a tenth of a small
        # network's time, is left out.
        tv = tf.cond(
            self.weights["tv"] > 0,
            lambda: tv_terms(image, self._tv_loss),
            lambda: tv_terms(tf.stop_gradient(image), self._tv_loss),
        )
        batch = {
            **content_terms(measured.features, self._content_targets, self._content_loss),
            **structure_terms(measured.features, self._structure_targets),
            **self._style_terms(measured.statistics, image),
            **tv,
        }
        for target in self._laplacian_target.values():
            batch |= laplacian_terms(image, target)
        ours = {name: tf.squeeze(loss, 0) for name, loss in batch.items()}
        return total({**ours, **own_terms.of_image(self._own_terms, image)}, self.weights)

    def _of_network(self, terms: Terms) -> tf.Tensor:
        """L_total without the user's own terms, which may be negative and are float32; []."""
        own = {term.name for term in self._own_terms}
        kinds = [name for name in self.weights if "/" not in name and name not in own]
        return tf.add_n([self.weights[kind] * terms[kind] for kind in kinds])

    def _style_terms(self, finished: Mapping[str, Nest], image: tf.Tensor) -> Terms:
        """Of what the statistic finishes with, by layer, at an image: float32 [1] by name."""
        return style_terms(finished, self._style_targets, self._statistic, self._channels)


def views_of(painting: Painting) -> Sequence[np.ndarray | tf.Tensor]:
    """The views of a style image, of which it may be the only one."""
    return painting if isinstance(painting, (list, tuple)) else [painting]


def blend_shares(pictures: Sequence[Painting], blend: Sequence[float] = ()) -> list[float]:
    """b_k, which sum to 1: as `blend` has them, or equal.

    Raises:
      SettingsError: no picture, or not one blend weight for each.
    """
    if not pictures:
        raise SettingsError("name at least one style image")
    if len(blend) and len(blend) != len(pictures):
        raise SettingsError(
            f"{len(blend)} blend weights for {len(pictures)} style images: "
            "give one for each, or none"
        )
    shares = np.asarray(blend if len(blend) else [1.0] * len(pictures), np.float64)
    normal: list[float] = (shares / shares.sum()).astype(np.float32).tolist()
    return normal


def _scalar(value: float) -> tf.Variable:
    return tf.Variable(value, trainable=False, dtype=tf.float32)


def _assign(targets: dict[str, Nest], values: Mapping[str, Nest], any_size: bool = False) -> None:
    """Puts new targets into the variables that the compiled function reads; where these are maps
    of any size, other ones will fit."""

    def variable(value: tf.Tensor) -> tf.Variable:
        # A host program may have set Keras' dtype policy; the variable's own type is explicit.
        shape = [1, None, None, *value.shape[3:]] if any_size else value.shape
        return tf.Variable(value, trainable=False, dtype=value.dtype, shape=tf.TensorShape(shape))

    for name, nest in values.items():
        if name not in targets:
            targets[name] = tf.nest.map_structure(variable, nest)
            continue
        leaves = list(zip(tf.nest.flatten(targets[name]), tf.nest.flatten(nest), strict=True))
        for target, value in leaves:
            if not target.shape.is_compatible_with(value.shape):
                raise SettingsError(
                    f"the new content image gives {name} the shape {value.shape[1:3]} instead of "
                    f"{target.shape[1:3]}: make a new objective for another size"
                )
        for target, value in leaves:
            target.assign(value)
