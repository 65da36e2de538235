"""A stylizer by its file alone: what it paints of a photo in one pass.

Keras finds its class by the name in the file (`registration`), so that who begins with what it
paints need not know how it does.
"""

from __future__ import annotations

import json
import os
import warnings
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from nst_tf import reading
from nst_tf.errors import FileError

#: The name that Keras has written for its class.
_NAME = "nst_tf>Stylizer"
#: Bytes of the configuration: a few hundred, with many names of styles some thousand.
_MOST = 1_000_000


def painted(
    path: str | os.PathLike[str],
    photo: np.ndarray,
    paintings: Mapping[str, float] | None = None,
) -> np.ndarray:
    """What a stylizer paints of a photo, in the styles of some paintings.

    Args:
      path: of `stylizer.keras` of `nst-tf train`, or what `Stylizer.save` wrote.
      photo: float32 [height, width, 3] in [0, 1].
      paintings: by name, each with its share. Where one is none of its styles, or none is given,
        all its styles in equal parts; of several, a warning says so.

    Returns:
      Float32, of the photo's shape, in [0, 1].

    Raises:
      FileError: the file cannot be read, or holds none.
      PictureError: there is not the memory to paint it.
    """
    stylizer = load(path)
    made: np.ndarray = stylizer.paint(photo, styles=_styles(path, stylizer, paintings or {}))
    return made


def _styles(
    path: str | os.PathLike[str], stylizer: Any, paintings: Mapping[str, float]
) -> list[float] | None:
    """The share of each of its styles; None for equal parts."""
    known = stylizer.paintings
    if paintings and paintings.keys() <= set(known):
        shares: list[float] = stylizer.shares(paintings)
        return shares
    if len(known) > 1:
        given = ", ".join(paintings) or "pictures without names"
        warnings.warn(
            f"{path} begins with all its styles in equal parts: they are {', '.join(known)}, and "
            f"the run's paintings {given}. Name the paintings' files like its styles to begin with "
            "those",
            stacklevel=2,
        )
    return None


def load(path: str | os.PathLike[str]) -> Any:
    """The stylizer in a file, in float32 whatever it was trained in, and no other model: nothing is
    made of what another's names.

    Raises:
      FileError: the file cannot be read, or holds none.
    """
    reading.opened(path, reading.MOST_WEIGHTS).close()
    model: Any = None
    try:
        name = _name(path)
        if name == _NAME:
            model = tf.keras.models.load_model(os.fspath(path), compile=False)
    except Exception as error:  # zip, JSON, HDF5 and Keras each raise what they like
        reason = " ".join(str(error).split())[:200]
        raise FileError(f"{path} is no stylizer that can be read: {reason}") from error
    if model is None:
        raise FileError(f"{path} holds another model, no stylizer: {name}")
    config = model.get_config()
    if config["dtype"] == "float32":
        return model
    whole = type(model)(**{**config, "dtype": "float32"})
    whole.set_weights(model.get_weights())
    return whole


def _name(path: str | os.PathLike[str]) -> str:
    """That of the class of the model in a `.keras` file."""
    with zipfile.ZipFile(path) as archive, archive.open("config.json") as file:
        config = json.loads(file.read(_MOST))
    return str(config.get("registered_name") or config["class_name"])[:200]
