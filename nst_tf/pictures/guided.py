"""The guided filter: smoothing that stops at the edges of another picture.

He, Sun and Tang, "Guided Image Filtering", ECCV 2010 and PAMI 35(6), 2013.
"""

from __future__ import annotations

import numpy as np

from nst_tf.errors import SettingsError


def guided_filter(guide: np.ndarray, maps: np.ndarray, radius: int, deviation: float) -> np.ndarray:
    """Maps made linear in the guide, window by window: equations 5, 6 and 8 of the paper.

    Where the guide is flat every map is averaged; across an edge of the guide it keeps its own.
    The cost does not depend on the radius. It is linear in the maps, and leaves constant ones as
    they are.

    Args:
      guide: [height, width].
      maps: [height, width, channels].
      radius: of the windows, which are 2 radius + 1 pixels wide and end where the picture does.
      deviation: the root of the paper's epsilon, in the guide's own unit: an edge much lower than
        that is smoothed over, one much higher is kept.

    Returns:
      float64 [height, width, channels].

    Raises:
      SettingsError: a radius below 0, a deviation that is not above 0, or shapes that do not fit.
    """
    if radius < 0 or not deviation > 0:
        raise SettingsError(
            f"a guided filter of radius {radius} and deviation {deviation:g}: use a radius from 0, "
            "and a deviation above 0"
        )
    if maps.ndim != 3 or maps.shape[:2] != guide.shape:
        raise SettingsError(
            f"a guide of shape {list(guide.shape)} for maps of shape {list(maps.shape)}: use "
            "[height, width] and [height, width, channels]"
        )
    # Moments about the means of all: differences of large sums would lose what is small.
    light = np.asarray(guide, np.float64)[..., np.newaxis]
    light = light - light.mean()
    centre = maps.mean((0, 1), dtype=np.float64)
    maps = maps - centre
    mean_light, mean_maps = box(light, radius), box(maps, radius)
    variance = np.maximum(box(light * light, radius) - mean_light**2, 0)
    slope = (box(light * maps, radius) - mean_light * mean_maps) / (variance + deviation**2)
    offset = mean_maps - slope * mean_light
    return box(slope, radius) * light + box(offset, radius) + centre


def box(maps: np.ndarray, radius: int) -> np.ndarray:
    """The mean of each pixel's window, [height, width, channels], by differences of running sums.

    Windows end where the picture does: at a border fewer pixels are averaged, none is made up.
    """
    maps = np.asarray(maps, np.float64)
    for axis in (0, 1):
        length = maps.shape[axis]
        sums = np.zeros((maps.shape[0] + (axis == 0), maps.shape[1] + (axis == 1), maps.shape[2]))
        np.cumsum(maps, axis, out=sums[1:] if axis == 0 else sums[:, 1:])
        at = np.arange(length)
        first, behind = np.maximum(at - radius, 0), np.minimum(at + radius + 1, length)
        counts = (behind - first).reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
        maps = (sums.take(behind, axis) - sums.take(first, axis)) / counts
    return maps
