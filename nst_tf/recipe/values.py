"""Values as settings hold them: checked, and plain.

Each function takes the name of what it checks, for an error's text, and raises SettingsError.
"""

from __future__ import annotations

import math
import numbers
import reprlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from nst_tf.errors import SettingsError
from nst_tf.recipe import layers


def layer_weights(name: str, value: Any) -> dict[str, float]:
    """A weight by layer, of which one is above 0; or no layer."""
    if not isinstance(value, Mapping):
        raise SettingsError(f"{name} is {value!r}: use a dictionary of layers and weights")
    parsed = {
        str(layers.parse(key)): number(f"the weight of {key} in {name}", weight)
        for key, weight in value.items()
    }
    if parsed and not any(parsed.values()):
        raise SettingsError(f"the weights of {name} are all 0: set one above 0, or name no layer")
    return parsed


def each(name: str, value: Any, check: Callable[[str, Any], Any]) -> tuple[Any, ...]:
    """Several values that `check` lets pass."""
    if isinstance(value, (str, Mapping)) or not isinstance(value, Iterable):
        raise SettingsError(f"{name} is {value!r}: use a list of numbers")
    return tuple(check(name, one) for one in value)


def number(name: str, value: Any) -> float:
    """A finite number of at least 0."""
    good = isinstance(value, numbers.Real) and not isinstance(value, bool)
    try:
        found = float(value) if good else math.nan
    except OverflowError:  # a whole number beyond all floats
        found = math.inf
    if not 0 <= found < math.inf:
        raise SettingsError(f"{name} is {reprlib.repr(value)}: use a finite number of at least 0")
    return found


def integer(name: str, value: Any, least: int) -> int:
    """A whole number of at least `least`, below 2**63: as much as TensorFlow counts."""
    good = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if good and int(value) >= 1 << 63:
        raise SettingsError(f"{name} is 2**63 or more: use a smaller whole number")
    if not good or int(value) < least:
        raise SettingsError(f"{name} is {value!r}: use a whole number of at least {least}")
    return int(value)
