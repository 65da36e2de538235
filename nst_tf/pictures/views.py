"""The ways in which a painting is seen: as it is, turned, mirrored, from further away.

A painting has its strokes one way round and in one size. Seen in other ways as well, it has more to
offer to a photo whose lines run otherwise and whose parts lie nearer or further.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nst_tf.pictures import images


def views(
    painting: np.ndarray,
    rotations: bool = False,
    mirrored: bool = False,
    sizes: Sequence[float] = (),
) -> list[np.ndarray]:
    """Every way that is asked for, with every other one; the painting itself first.

    Args:
      painting: float32 [height, width, 3] in [0, 1].
      rotations: whether also turned by 90, 180 and 270 degrees.
      mirrored: whether also left for right.
      sizes: factors below 1 of its height and width.
    """
    height, width = painting.shape[:2]
    seen = [
        images.resize(painting, max(1, round(size * height)), max(1, round(size * width)))
        for size in (1.0, *sizes)
    ]
    return ways(seen, rotations, mirrored, np.rot90)


def ways(
    seen: Sequence[Any], rotations: bool, mirrored: bool, rot90: Callable[[Any, int], Any]
) -> list[Any]:
    """The ways round of pictures [height, width, 3], arrays or tensors.

    Args:
      seen: the pictures.
      rotations: as for `views`; likewise mirrored.
      rot90: what turns such a picture by 90 degrees so many times: NumPy's or TensorFlow's.
    """
    if mirrored:
        seen = [way for picture in seen for way in (picture, picture[:, ::-1])]
    turns = range(4 if rotations else 1)
    return [rot90(picture, turn) for picture in seen for turn in turns]


def smallest(sizes: Sequence[float]) -> float:
    """The factor of the smallest view: 1 where no other size is asked for."""
    return min((1.0, *sizes))
