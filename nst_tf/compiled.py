"""tf.function for objects of which a program may make many."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf


def compiled(function: Callable[..., Any], input_signature: Any = None) -> Any:
    """`function` as a tf.function of its own, traced when first called.

    TensorFlow warns of retracing where one piece of code is traced again and again. It tells them
    apart by their code; a partial has none, and is itself.
    """
    return tf.function(functools.partial(function), input_signature=input_signature)
