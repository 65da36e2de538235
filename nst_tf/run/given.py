"""What is given to watch a run, as callbacks (`transfer.Callback`)."""

from __future__ import annotations

import inspect
import reprlib
from collections.abc import Callable, Iterable
from typing import Any

from nst_tf.errors import SettingsError
from nst_tf.run.record import Step

#: What a callback is told of.
_TOLD = ("on_begin", "on_step", "on_end")


class _OfSteps:
    """A function of a step as a callback."""

    def __init__(self, function: Callable[[Step], Any]) -> None:
        self._function = function

    def on_begin(self, run: Any) -> None:
        """Nothing."""

    def on_step(self, run: Any, step: Step) -> None:
        """Calls it."""
        self._function(step)

    def on_end(self, run: Any) -> None:
        """Nothing."""


def as_callbacks(given: Any) -> list[Any]:
    """What watches a run, as a list.

    Raises:
      SettingsError: it is none, or one of them is neither a callback nor a function.
    """
    if hasattr(given, "on_step") or not isinstance(given, Iterable):
        raise SettingsError(f"callbacks is {reprlib.repr(given)}: give a list")
    return [_callback(one) for one in given]


def _callback(given: Any) -> Any:
    if all(hasattr(given, name) for name in _TOLD):
        if not inspect.isclass(given):
            return given
        raise SettingsError(f"a callback is the class {given.__name__}: make one of it")
    if callable(given) and not inspect.isclass(given):
        return _OfSteps(given)
    raise SettingsError(
        f"a callback is {reprlib.repr(given)}: give a function of a step, or what inherits from "
        "nst_tf.Callback"
    )
