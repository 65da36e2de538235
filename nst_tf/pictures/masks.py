"""Masks: where in the result a style image is to be seen, and where the photo is to stay.

A mask is a picture whose luminance counts, black for nowhere and white for here; gray is a part of
it, what is transparent is nowhere. It may have any size and is stretched to the photo's.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from nst_tf.errors import SettingsError
from nst_tf.pictures import images
from nst_tf.pictures.images import Picture

#: Of sRGB's values as they are encoded (Rec. 709): a gray pixel's luminance is its value.
_LUMINANCE = (0.2126, 0.7152, 0.0722)


@dataclass(frozen=True)
class Masked:
    """A style image with a mask, as a run takes it in place of the style image alone.

    Attributes:
      picture: the style image, as `images.load` takes it.
      mask: where in the result it is to be seen, likewise; an array may be of bool.
    """

    picture: Picture
    mask: Picture


def held(style: Picture | Masked) -> Picture | Masked:
    """A style image in a form that can be read again, its mask too; see `images.held`."""
    if isinstance(style, Masked):
        return Masked(images.held(style.picture), images.held(style.mask))
    return images.held(style)


def parse(argument: str) -> str | Masked:
    """Reads `painting.jpg:mask.png`, or `painting.jpg` alone.

    A file of the whole name wins; else the last colon counts that has a file on either side, so
    that names and drives may hold colons, too.

    Raises:
      SettingsError: nothing stands behind the colon.
    """
    if os.path.exists(argument):
        return argument
    colons = [at for at, letter in enumerate(argument) if letter == ":"]
    splits = [(argument[:at], argument[at + 1 :]) for at in reversed(colons)]
    for enough in (all, any):  # with one file alone it is the other that is missing
        for picture, mask in splits:
            if enough(map(os.path.isfile, (picture, mask))):
                if not mask:
                    raise SettingsError(f"{argument}: name the mask behind the colon")
                return Masked(picture, mask)
    return argument


def refuse(arguments: Sequence[str], what: str) -> None:
    """Raises SettingsError where one of these arguments has a mask: `what` takes none."""
    for argument in arguments:
        if isinstance(parsed := parse(argument), Masked):
            mask: Any = parsed.mask
            raise SettingsError(f"{what} takes no masks: leave {mask} out of {argument}")


def read(mask: Picture, height: int, width: int) -> np.ndarray:
    """A mask at the size of the result, float32 [height, width] in [0, 1].

    Raises:
      PictureError: it is no picture that can be read.
      SettingsError: it is black everywhere.
    """
    mask = images.held(mask)
    if not isinstance(mask, (str, os.PathLike, bytes, Image.Image)):
        mask = np.asarray(mask)
        if np.issubdtype(mask.dtype, np.integer) and mask.size and mask.max() == 1:
            raise SettingsError(
                f"a mask of {mask.dtype} has values up to 1 alone, of which 255 would be white: "
                "use bool, floats, or 0 and 255"
            )
        mask = mask.astype(np.float32) if mask.dtype == bool else mask
    luminance = images.load(mask, ground="black").astype(np.float64) @ _LUMINANCE
    if not luminance.max() > 0:
        name = mask if isinstance(mask, (str, os.PathLike)) else "a mask"
        raise SettingsError(f"{name} is black everywhere: paint white what it is to choose")
    return resize(luminance.astype(np.float32)[..., np.newaxis], height, width)[..., 0]


def resize(masks: np.ndarray, height: int, width: int) -> np.ndarray:
    """Masks at another size, float32 [h, w, masks] to [height, width, masks].

    By weighted means alone, over as much as a new pixel covers: nothing aliases, black stays black
    beside an edge, and what summed to 1 does so still.
    """
    if masks.shape[:2] == (height, width):
        return masks
    resized = [
        Image.fromarray(np.ascontiguousarray(mask)).resize(
            (width, height), Image.Resampling.BILINEAR
        )
        for mask in np.moveaxis(masks, -1, 0)
    ]
    return np.clip(np.stack([np.asarray(mask) for mask in resized], axis=-1), 0, 1)


def shares(masks: Sequence[np.ndarray | None]) -> np.ndarray:
    """What share of each place belongs to each style image.

    Masks of several style images are divided by their sum, so that shares sum to 1 wherever one of
    them is not black. Where all are black no style is asked for, and the photo's content alone
    counts. A single style image's mask stays as it is.

    Args:
      masks: float32 [height, width] in [0, 1], one for each style image. None, of one of them at
        most, is the rest: 1 less the others' sum, where that is not above 1.

    Returns:
      float32 [height, width, style images].

    Raises:
      SettingsError: two style images want the rest.
    """
    given = [mask for mask in masks if mask is not None]
    if len(masks) - len(given) > 1:
        raise SettingsError(
            f"{len(masks) - len(given)} of {len(masks)} style images have no mask, and one alone "
            "can have the rest: give each of the others a mask"
        )
    rest = np.maximum(1 - np.sum(given, axis=0), 0)
    stacked = np.stack([rest if mask is None else mask for mask in masks], axis=-1)
    if len(masks) == 1:
        return stacked
    total = stacked.sum(axis=-1, keepdims=True)
    return np.divide(stacked, total, out=np.zeros_like(stacked), where=total > 0)


def laid_over(image: Any, photo: Any, protect: Any) -> Any:
    """The photo laid over an image where it is protected: p · photo + (1 − p) · image.

    Args:
      image: [..., height, width, 3], an array or a tensor; likewise the photo.
      photo: of the same shape.
      protect: p in [0, 1], [..., height, width, 1].
    """
    return protect * photo + (1.0 - protect) * image
