"""What a run is given, read once: the pictures at its size, the image it starts from."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from nst_tf.errors import SettingsError
from nst_tf.pictures import colours, images, initial
from nst_tf.pictures.images import Picture
from nst_tf.recipe import layers
from nst_tf.recipe.settings import Settings
from nst_tf.run import record


class Inputs(NamedTuple):
    """The pictures of a run, each float32 [height, width, 3] in [0, 1].

    Attributes:
      content: at the size of the result.
      styles: at theirs.
      start: the initial image, of the content image's shape.
      identity: what tells the pictures from others, as plain values.
    """

    content: np.ndarray
    styles: list[np.ndarray]
    start: np.ndarray
    identity: dict[str, Any]


def load(settings: Settings, content: Picture, style: Picture | Sequence[Picture]) -> Inputs:
    """Reads the pictures at the sizes that the settings ask for.

    Raises:
      SettingsError: no style image, not one weight for each, or too few pixels for the network.
      PictureError: one cannot be read.
    """
    sources = list(style) if isinstance(style, (list, tuple)) else [style]
    if not sources:
        raise SettingsError("name at least one style image")
    if settings.style_blend and len(settings.style_blend) != len(sources):
        raise SettingsError(
            f"{len(settings.style_blend)} weights in style_blend for {len(sources)} "
            "style images: give one for each, or none"
        )
    photo = images.load(content, settings.size)
    style_size = settings.style_size or settings.size
    if settings.style_size is None and settings.stroke_size != 1:
        style_size = max(1, round(max(photo.shape[:2]) * settings.stroke_size))
    styles = [images.load(picture, style_size) for picture in sources]
    for source, picture in zip((content, *sources), (photo, *styles), strict=True):
        height, width = picture.shape[:2]
        try:
            layers.check_size(height, width, map(layers.parse, settings.layers))
        except SettingsError as error:
            name = source if isinstance(source, (str, os.PathLike)) else "a picture"
            raise SettingsError(f"{name}: {error}") from error
    if settings.colours == "matched":
        styles = [colours.match(picture, photo) for picture in styles]
    start = initial.image(settings.init, photo, styles, settings.seed)
    identity: dict[str, Any] = {
        "content": record.identity_of(content),
        "styles": [record.identity_of(picture) for picture in sources],
    }
    if files := initial.files(settings.init):
        identity["init"] = [record.identity_of(path) for path in files]
    return Inputs(photo, styles, start, identity)
