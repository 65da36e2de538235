"""What tells a picture from others."""

from __future__ import annotations

import hashlib
import os
from typing import Any

import numpy as np

from nst_tf import reading
from nst_tf.pictures.images import Picture


def identity_of(picture: Picture) -> dict[str, Any]:
    """What tells an input from others: the file and its hash, or the shape and the pixels'.

    Args:
      picture: of which a file object was read already (`images.held`).

    Raises:
      FileError: a file that cannot be read.
    """
    if isinstance(picture, (str, os.PathLike)):
        return {"path": os.fspath(picture), "sha256": reading.sha256(picture, reading.MOST)}
    if isinstance(picture, bytes):
        return {"bytes": len(picture), "sha256": hashlib.sha256(picture).hexdigest()}
    array = np.ascontiguousarray(picture)
    return {"shape": list(array.shape), "sha256": hashlib.sha256(array.tobytes()).hexdigest()}
