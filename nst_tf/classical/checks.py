"""What every method here asks of its input, in the same words."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nst_tf.errors import SettingsError

#: Told the share of the work that is done, 0 to 1; what it raises ends the work.
Report = Callable[[float], None]


def picture(array: np.ndarray, name: str) -> np.ndarray:
    """A picture in float64.

    Args:
      array: [height, width, 3], in [0, 1].
      name: what it is called in an error.

    Raises:
      SettingsError: another shape, no pixels, or values that are not in [0, 1].
    """
    array = np.asarray(array)
    if array.ndim != 3 or array.shape[-1] != 3 or 0 in array.shape:
        raise SettingsError(
            f"{name} has the shape {list(array.shape)}: give a picture [height, width, 3]"
        )
    array = array.astype(np.float64)
    if not (np.isfinite(array).all() and array.min() >= 0 and array.max() <= 1):
        raise SettingsError(
            f"{name} has values from {array.min():g} to {array.max():g}: give RGB in [0, 1]"
        )
    return array


def at_least(name: str, value: float, minimum: float) -> None:
    """Raises SettingsError where a parameter is below its minimum, or is no number."""
    if not value >= minimum:
        raise SettingsError(f"{name} is {value:g}: use at least {minimum:g}")


def silent(share: float) -> None:
    """A report that goes nowhere."""
