"""How large a picture is, without decoding it."""

from __future__ import annotations

import io
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from nst_tf.pictures import encoded
from nst_tf.pictures.images import Picture


def shape(picture: Picture) -> tuple[int, int] | None:
    """Height and width in pixels; None where that is not told, whatever the reason: of a file
    object, which can be read but once, and of what is no picture.

    Args:
      picture: as `images.load` takes it. A photo that lies on its side counts as it lies.
    """
    try:
        if isinstance(picture, (str, os.PathLike)):
            if not Path(picture).is_file():
                return None
            return _of_file(picture)
        if isinstance(picture, bytes):
            return _of_file(io.BytesIO(picture))
        if isinstance(picture, Image.Image):
            return picture.height, picture.width
        if hasattr(picture, "read"):
            return None
        sides = tuple(getattr(picture, "shape", None) or np.shape(picture))
        height, width = sides[1:3] if len(sides) == 4 else sides[:2]
        return int(height), int(width)
    except Exception:  # whoever reads it says what is wrong
        return None


def _of_file(file: Any) -> tuple[int, int]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of large ones, on which whoever decodes it decides
        with encoded.opened(file) as image:
            return image.height, image.width
