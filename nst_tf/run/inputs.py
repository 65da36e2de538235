"""What a run is given, read once: the pictures at its size, the image it starts from.

Without TensorFlow, for which nobody whose pictures cannot be read should have to wait.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nst_tf.errors import SettingsError
from nst_tf.pictures import colours, images, initial, masks, views
from nst_tf.pictures.identity import identity_of
from nst_tf.pictures.images import Picture
from nst_tf.pictures.masks import Masked
from nst_tf.recipe import choices, layers, sizes
from nst_tf.recipe.objects import Given
from nst_tf.recipe.settings import Settings

#: A style image, with a mask or without.
Style = Picture | Masked


class Inputs(NamedTuple):
    """The pictures of a run, each float32 [height, width, 3] in [0, 1].

    Attributes:
      content: at the size of the result.
      styles: at theirs.
      start: the initial image, of the content image's shape.
      identity: what tells the pictures from others, as plain values.
      regions: the share of each style image at each place of the result, float32 [height, width,
        style images], or of all of them [height, width, 1]; None where they are blended everywhere.
      protect: how much of the photo stays at each place, float32 [height, width, 1]; None for none.
    """

    content: np.ndarray
    styles: list[np.ndarray]
    start: np.ndarray
    identity: dict[str, Any]
    regions: np.ndarray | None = None
    protect: np.ndarray | None = None


def load(
    settings: Settings,
    content: Picture,
    style: Style | Sequence[Style],
    protect: Picture | None = None,
) -> Inputs:
    """Reads the pictures at the sizes that the settings ask for, and the masks at the photo's.

    Raises:
      SettingsError: no style image, not one weight for each, too few pixels for the network, or
        masks that leave a style image no place (`masks.shares`).
      PictureError: one cannot be read.
    """
    given = list(style) if isinstance(style, (list, tuple)) else [style]
    if not given:
        raise SettingsError("name at least one style image")
    # Each is read more than once: what tells it from others, and its pixels.
    content, protect = images.held(content), images.held(protect)
    given = [masks.held(one) for one in given]
    sources = [one.picture if isinstance(one, Masked) else one for one in given]
    chosen = [one.mask if isinstance(one, Masked) else None for one in given]
    if settings.style_blend and len(settings.style_blend) != len(sources):
        raise SettingsError(
            f"{len(settings.style_blend)} weights in style_blend for {len(sources)} "
            "style images: give one for each, or none"
        )
    check_blend(settings, len(given) if all(mask is None for mask in chosen) else 1)
    photo = images.load(content, settings.size)
    seen_at = sizes.seen_at(settings, max(photo.shape[:2]))
    styles = [images.load(picture, seen_at) for picture in sources]
    for source, picture in zip((content, *sources), (photo, *styles), strict=True):
        # The smallest way in which it is seen.
        furthest = 1.0 if picture is photo else views.smallest(settings.stroke_sizes)
        height, width = (max(1, round(furthest * side)) for side in picture.shape[:2])
        try:
            layers.check_size(height, width, map(layers.parse, settings.layers))
        except SettingsError as error:
            name = source if isinstance(source, (str, os.PathLike)) else "a picture"
            raise SettingsError(f"{name}: {error}") from error
    if settings.colours == "matched":
        styles = [colours.match(picture, photo) for picture in styles]
    named = _named(sources, settings.style_blend)
    start = initial.image(settings.init, photo, styles, settings.seed, named)
    # A mask is told with its picture: a run without it must not be taken for one with it.
    identity: dict[str, Any] = {
        "content": _identity(content, protect=protect),
        "styles": [
            _identity(picture, mask=mask) for picture, mask in zip(sources, chosen, strict=True)
        ],
    }
    if isinstance(settings.init, Given):
        identity["init"] = [identity_of(initial.given(settings.init))]
    elif files := initial.files(settings.init):
        identity["init"] = [identity_of(path) for path in files]
    kept = None if protect is None else masks.read(protect, *photo.shape[:2])[..., np.newaxis]
    regions = _regions(settings, photo, sources, chosen, kept)
    return Inputs(photo, styles, start, identity, regions, kept)


def check_blend(settings: Settings, count: int) -> None:
    """Raises SettingsError where several style images, or views of one, are asked for with a
    statistic that cannot be blended."""
    if settings.style_loss == choices.NEIGHBOURS:
        return
    asked = [name for name in ("rotations", "mirrored", "stroke_sizes") if getattr(settings, name)]
    asked = [f"{count} style images"] * (count > 1) + asked
    style_loss = settings.style_loss
    if isinstance(style_loss, str):
        additive = style_loss not in choices.SORTED
    else:
        additive = style_loss.additive
    if asked and not additive:
        raise SettingsError(
            f"style_loss={style_loss} knows one style image, seen one way: leave out "
            f"{' and '.join(asked)}"
        )


def _named(sources: Sequence[Picture], blend: Sequence[float]) -> dict[str, float]:
    """The style images' shares by their files' names, as `training.train` names styles; empty where
    one has none."""
    shares: dict[str, float] = {}
    for source, share in zip(sources, blend or [1.0] * len(sources), strict=True):
        if not isinstance(source, (str, os.PathLike)):
            return {}
        name = Path(source).stem
        shares[name] = shares.get(name, 0.0) + share
    return shares


def _regions(
    settings: Settings,
    photo: np.ndarray,
    sources: Sequence[Picture],
    chosen: Sequence[Picture | None],
    protect: np.ndarray | None,
) -> np.ndarray | None:
    """As in `Inputs`: what the masks choose, where the photo does not stay."""
    masked = any(mask is not None for mask in chosen)
    if masked and settings.style_blend:
        raise SettingsError(
            "style_blend is for style images without masks: a mask's gray says how much of its own"
        )
    if not masked and protect is None:
        return None
    if settings.style_loss == choices.NEIGHBOURS:
        raise SettingsError(
            f"style_loss={choices.NEIGHBOURS} knows no regions: leave out the masks and what is "
            "protected, or use another preset"
        )
    height, width = photo.shape[:2]
    regions = np.ones((height, width, 1), np.float32)
    if masked:
        regions = masks.shares(
            [None if mask is None else masks.read(mask, height, width) for mask in chosen]
        )
    if protect is not None:
        regions = regions * (1 - protect)
    for source, region in zip(sources, np.moveaxis(regions, -1, 0), strict=False):
        if not region.max() > 0:
            name = f"{source}: " if isinstance(source, (str, os.PathLike)) else "a style image: "
            raise SettingsError(
                f"{name}the other masks, and what is protected, leave it no place in the picture"
            )
    return regions


def _identity(picture: Picture, **more: Picture | None) -> dict[str, Any]:
    others = {name: identity_of(one) for name, one in more.items() if one is not None}
    return {**identity_of(picture), **others}
