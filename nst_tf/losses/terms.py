"""The terms that the loss is a sum of, an open list by name, and their one total.

L_total = α L_content + β L_style + γ L_tv, equation 7 of Gatys et al., CVPR 2016, with total
variation beside it; L_content = Σ_l c_l C_l over the content layers and L_style = Σ_l w_l E_l over
the style layers, equation 5. Taken picture by picture, they train networks: Johnson, Alahi and
Fei-Fei, "Perceptual Losses for Real-Time Style Transfer and Super-Resolution", arXiv:1603.08155.

A term is named `KIND`, or `KIND/PART` where a kind has parts that are weighted among themselves. A
new kind is a function here that names what it gives, and its weight in `weights_of`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from nst_tf.errors import SettingsError
from nst_tf.losses import forms, statistics
from nst_tf.losses.laplacian import laplacian, laplacian_loss
from nst_tf.losses.self_similarity import self_similarity, structure_loss
from nst_tf.losses.statistics import Nest, Statistic
from nst_tf.recipe import layers
from nst_tf.recipe.settings import Settings, strength_factors

#: Losses by name, float32 [batch], or [] of a single picture.
Terms = dict[str, tf.Tensor]


def content_terms(
    maps: Mapping[str, tf.Tensor], targets: Mapping[str, tf.Tensor], form: str
) -> Terms:
    """`content/LAYER`: C_l of every layer of `targets`.

    Args:
      maps: feature maps [batch, height, width, channels] by layer, of these layers at least.
      targets: the content images', of the same shapes.
      form: one of `choices.CONTENT_LOSSES`.
    """
    terms = {}
    for key, target in targets.items():
        factor = forms.content_width_factor(form, layers.width_ratio(key, target.shape[-1]))
        terms[f"content/{key}"] = factor * forms.content_loss(maps[key], target, form)
    return terms


def style_terms(
    finished: Mapping[str, Nest],
    targets: Mapping[str, Nest],
    statistic: Statistic,
    channels: Mapping[str, int],
) -> Terms:
    """`style/LAYER`: E_l of every layer of `targets`.

    Args:
      finished: what `statistic` finishes with, by layer, of these layers at least.
      targets: the style images', of `statistics.prepare`.
      statistic: whose distance is taken.
      channels: of the network's layers.
    """
    terms = {}
    for key, target in targets.items():
        factor = statistic.width_factor(layers.width_ratio(key, channels[key]))
        terms[f"style/{key}"] = factor * statistic.distance(finished[key], target)
    return terms


def structure_terms(maps: Mapping[str, tf.Tensor], targets: Mapping[str, tf.Tensor]) -> Terms:
    """`structure/LAYER`: how far the self-similarity of every layer of `targets` is from these.

    Args:
      maps: feature maps [batch, height, width, channels] by layer, of these layers at least.
      targets: the content images' `self_similarity`, [batch, n, n].
    """
    return {
        f"structure/{key}": structure_loss(self_similarity(maps[key]), target)
        for key, target in targets.items()
    }


def laplacian_terms(image: tf.Tensor, target: tf.Tensor) -> Terms:
    """`laplacian`: of [batch, height, width, 3] against `laplacian` of the content image."""
    return {"laplacian": laplacian_loss(laplacian(image), target)}


def tv_terms(image: tf.Tensor, form: str) -> Terms:
    """`tv`: total variation of [batch, height, width, 3], in a form of `choices.TV_LOSSES`."""
    return {"tv": forms.total_variation(image, form)}


def targets_of(
    kinds: Collection[str], maps: Mapping[str, tf.Tensor], settings: Settings
) -> dict[str, dict[str, Nest]]:
    """What pictures are compared with, by kind and layer: feature maps, and statistics.

    Args:
      kinds: of `content`, `structure` and `style`.
      maps: feature maps [batch, height, width, channels] by layer.
      settings: whose layers and forms are taken.
    """
    targets: dict[str, dict[str, Nest]] = {}
    if "content" in kinds:
        targets["content"] = {key: maps[key] for key in settings.content_layers}
    if "structure" in kinds:
        names = settings.structure_layers
        targets["structure"] = {key: self_similarity(maps[key]) for key in names}
    if "style" in kinds:
        statistic = statistics.named(settings.style_loss)
        targets["style"] = {
            key: statistics.prepare(statistic, statistic.finish(statistic.measure(maps[key])))
            for key in settings.style_layers
        }
    return targets


def style_targets(
    maps: Iterable[Mapping[str, tf.Tensor]], shares: Sequence[float], settings: Settings
) -> dict[str, Nest]:
    """What pictures are compared with, by style layer: one target of several style images.

    Args:
      maps: feature maps by layer, of each style image or view of one.
      shares: of each, which sum to 1.
      settings: whose layers and statistic are taken.

    Raises:
      SettingsError: there are several, of a statistic that cannot be blended.
    """
    statistic = statistics.named(settings.style_loss)
    finished: dict[str, list[Nest]] = {key: [] for key in settings.style_layers}
    for by_layer in maps:
        for key, nests in finished.items():
            nests.append(statistic.finish(statistic.measure(by_layer[key])))
    return {
        key: statistics.prepare(statistic, statistics.blend(statistic, nests, shares))
        for key, nests in finished.items()
    }


def against(
    targets: Mapping[str, Mapping[str, Nest]], maps: Mapping[str, tf.Tensor], settings: Settings
) -> Terms:
    """The terms between pictures and their targets, one for one.

    Args:
      targets: from `targets_of`; content ones of pictures of the same sizes.
      maps: by layer, of the pictures.
      settings: whose layers and forms are taken.
    """
    terms: Terms = {}
    if "content" in targets:
        terms |= content_terms(maps, targets["content"], settings.content_loss)
    if "structure" in targets:
        terms |= structure_terms(maps, targets["structure"])
    if "style" in targets:
        statistic = statistics.named(settings.style_loss)
        finished = {key: statistic.finish(statistic.measure(maps[key])) for key in targets["style"]}
        channels = {key: maps[key].shape[-1] for key in settings.style_layers}
        terms |= style_terms(finished, targets["style"], statistic, channels)
    return terms


def of_maps(
    kinds: Collection[str],
    maps: Mapping[str, tf.Tensor],
    targets: Mapping[str, tf.Tensor],
    settings: Settings,
) -> Terms:
    """The terms between two batches of pictures, one for one, of their whole feature maps.

    Args:
      kinds: of `content`, `structure` and `style`; for the first two the pictures have the same
        sizes.
      maps: by layer, of the pictures.
      targets: by layer, of the pictures that they should be like.
      settings: whose layers and forms are taken.
    """
    return against(targets_of(kinds, targets, settings), maps, settings)


def weights_of(settings: Settings) -> dict[str, float]:
    """The weight of every kind of term, and of the parts that have one: α, β, γ, c_l and w_l.

    Those of the kinds are as the strength leaves them.
    """
    kinds = {
        "content": settings.content_weight,
        **({"structure": settings.structure_weight} if settings.structure_layers else {}),
        **({"laplacian": settings.laplacian_weight} if settings.laplacian_weight else {}),
        "style": settings.style_weight,
        "tv": settings.tv_weight,
    }
    factors = strength_factors(settings.strength)
    return {
        **{kind: factors[kind] * weight for kind, weight in kinds.items()},
        **{f"content/{key}": weight for key, weight in settings.content_layers.items()},
        **{f"structure/{key}": weight for key, weight in settings.structure_layers.items()},
        **{f"style/{key}": weight for key, weight in settings.style_layers.items()},
    }


def total(terms: Terms, weights: Mapping[str, Any], shape: Any = ()) -> Terms:
    """The total of all terms, beside the terms themselves.

    Args:
      terms: of any kinds; one that a weight names and that is not among them is 0.
      weights: of the kinds, and of parts; numbers, tensors or variables.
      shape: of the terms, in case there is none at all.

    Returns:
      `total`, Σ weight · kind; every kind, a sum over its parts if it has some, by its name
      before its weight; and every part before the weight that it has in its kind.

    Raises:
      SettingsError: a term without a weight.
    """
    for name in terms:
        if name not in weights or name.split("/")[0] not in weights:
            raise SettingsError(f"the term {name} has no weight among {', '.join(weights)}")
    kinds = {}
    for kind in (name for name in weights if "/" not in name):
        parts = [
            weights[name] * loss for name, loss in terms.items() if name.startswith(f"{kind}/")
        ]
        kinds[kind] = terms[kind] if kind in terms else tf.add_n(parts or [tf.zeros(shape)])
    summed = tf.add_n([weights[kind] * loss for kind, loss in kinds.items()])
    return {"total": summed, **kinds, **terms}
