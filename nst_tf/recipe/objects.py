"""Objects of the user's in place of names: what they must have, and how a manifest tells them."""

from __future__ import annotations

import dataclasses
import inspect
import reprlib
from collections.abc import Sequence
from typing import Any

from nst_tf.errors import SettingsError

#: What an optimizer of Keras has, of any of its versions.
_OPTIMIZER = ("apply_gradients", "get_config", "learning_rate")
#: `losses.statistics.Statistic`.
_STATISTIC = ("additive", "measure", "finish", "distance", "width_factor")


class Given:
    """A picture in the place of a picture's name; equal to itself alone.

    Attributes:
      picture: as `images.load` takes it.
    """

    def __init__(self, picture: Any) -> None:
        self.picture = picture


class Same:
    """An object in a key: equal to itself alone, whatever its own `==` says, as of arrays.

    Attributes:
      thing: which must not change, since what is compiled with it does not.
    """

    def __init__(self, thing: Any) -> None:
        self.thing = thing

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and other.thing is self.thing

    def __hash__(self) -> int:
        return id(self.thing)


def check_optimizer(value: Any, names: Sequence[str]) -> None:
    """Raises SettingsError where `value`, which is no name, is no optimizer of Keras either."""
    _check("optimizer", value, _OPTIMIZER, f"one of {', '.join(names)}, or an optimizer of Keras")


def check_statistic(value: Any, names: Sequence[str]) -> None:
    """Raises SettingsError where `value`, which is no name, is no statistic either."""
    wanted = f"one of {', '.join(names)}, or a statistic (nst_tf.losses.statistics.Statistic)"
    _check("style_loss", value, _STATISTIC, wanted)


def _check(field: str, value: Any, methods: Sequence[str], wanted: str) -> None:
    if inspect.isclass(value):
        raise SettingsError(
            f"{field} is the class {value.__name__}: make one, such as {value.__name__}()"
        )
    # Of a class, as an attribute's value may not be there yet.
    missing = [name for name in methods if not hasattr(type(value), name)]
    missing = [name for name in missing if name not in getattr(value, "__dict__", {})]
    if missing:
        lacks = "" if len(missing) == len(methods) else f", and has no {', '.join(missing)}"
        raise SettingsError(
            f"{field} is {reprlib.repr(value)}, of type {type(value).__name__}{lacks}: use {wanted}"
        )


def plain(value: Any) -> Any:
    """A field's value for JSON: one that is an object, in words that tell it from others."""
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(plain, value))
    if isinstance(value, Given):
        return "given"
    return words(value)


def words(thing: Any) -> str:
    """What tells an object from others, where that can be said: a function's name, a class and
    what it was configured with."""
    if inspect.isroutine(thing):
        return f"{thing.__module__}.{thing.__qualname__}"
    if dataclasses.is_dataclass(thing):
        return repr(thing)
    kind = type(thing)
    name = f"{kind.__module__}.{kind.__qualname__}"
    if kind.__module__.partition(".")[0] in ("keras", "tf_keras"):  # wherever in it
        name = kind.__name__
    config = configured(thing) if hasattr(thing, "get_config") else {}
    return f"{name}({', '.join(f'{key}={_number(one)}' for key, one in config.items())})"


def configured(thing: Any) -> dict[str, Any]:
    """The configuration of an object of Keras, without the name, which may count its like."""
    return {key: value for key, value in thing.get_config().items() if key != "name"}


def _number(value: Any) -> str:
    """A value as one would write it: Keras has numbers in float32."""
    return f"{value:.7g}" if isinstance(value, float) else repr(value)
