"""A fixed style: paintings that are measured once, and that go with a loss's configuration."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import TypeGuard

import numpy as np
import tensorflow as tf

from nst_tf.errors import PictureError
from nst_tf.losses import terms
from nst_tf.losses.objective import blend_shares
from nst_tf.losses.statistics import Nest
from nst_tf.pictures import images, views
from nst_tf.pictures.images import Picture
from nst_tf.recipe.settings import Settings

#: One painting or several, which are blended.
Paintings = Picture | Sequence[Picture]

#: Pixels of the longer side, at most, where the settings say no `style_size`.
LARGEST = 512
#: Of a picture in a configuration, as RFC 2397 has it.
_DATA = "data:image/png;base64,"


def read_paintings(given: Paintings, style_size: int | None) -> list[np.ndarray]:
    """Paintings at their size, float32 [height, width, 3] in whole steps of 1 / 255, so that
    `to_text` keeps them as they are.

    Args:
      given: pictures (`images.load`), or what `to_text` made of some.
      style_size: pixels of the longer side; None for their own, at most `LARGEST`.

    Raises:
      PictureError: one cannot be read.
    """
    paintings = []
    for one in given if isinstance(given, (list, tuple)) else [given]:
        if is_text(one):
            try:
                one = base64.b64decode(one.removeprefix(_DATA))
            except ValueError as error:
                raise PictureError("a painting that a saved loss holds is damaged") from error
        picture = images.load(one)
        size = style_size or min(LARGEST, max(picture.shape[:2]))
        picture = images.to_uint8(images.load(picture, size))
        paintings.append(picture.astype(np.float32) / 255)
    return paintings


def to_text(painting: np.ndarray) -> str:
    """A painting of `read_paintings` as a data URL, which a configuration in JSON can hold."""
    file = io.BytesIO()
    images.to_pil(painting).save(file, "PNG")
    return _DATA + base64.b64encode(file.getvalue()).decode()


def is_text(given: object) -> TypeGuard[str]:
    """Whether it is what `to_text` makes of a painting."""
    return isinstance(given, str) and given.startswith(_DATA)


def style_targets(
    paintings: Sequence[np.ndarray], model: tf.keras.Model, settings: Settings, apart: bool
) -> dict[str, Nest]:
    """What pictures of any size are compared with, by style layer, as arrays: of all paintings in
    one, batches of one; or apart, batches of as many as there are.

    Args:
      paintings: at least one, of `read_paintings`.
      model: with the style layers among its outputs.
      settings: whose statistic is taken, and how the paintings are seen and blended.
      apart: whether each is a style of its own.

    Raises:
      SettingsError: one is too small, there is not one weight in `style_blend` for each, or several
        pictures or views are to be blended of a statistic that cannot be.
    """
    styles = [[painting] for painting in paintings] if apart else [paintings]
    measured = [_target(style, model, settings) for style in styles]
    targets: dict[str, Nest] = tf.nest.map_structure(
        lambda *leaves: np.concatenate([leaf.numpy() for leaf in leaves]), *measured
    )
    return targets


def _target(
    paintings: Sequence[np.ndarray], model: tf.keras.Model, settings: Settings
) -> dict[str, Nest]:
    """Of one style."""
    shares: list[float] = []
    ways: list[np.ndarray] = []
    for painting, share in zip(
        paintings, blend_shares(paintings, settings.style_blend), strict=True
    ):
        seen = views.views(painting, settings.rotations, settings.mirrored, settings.stroke_sizes)
        ways += seen
        shares += [share / len(seen)] * len(seen)
    maps = (model(tf.convert_to_tensor(view, tf.float32)[tf.newaxis]) for view in ways)
    return terms.style_targets(maps, shares, settings)
