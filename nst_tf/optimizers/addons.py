"""tensorflow-addons' optimizers behind the protocol: `tfa.NAME`.

It works with TensorFlow 2.15.1 on Python 3.11 or older only. Each has tensorflow-addons' defaults,
with these exceptions. The gradient comes in units of its first RMS, and so the learning rate, 0.02
where none is given, is in units of the image for all: of LAMB a share of the image's own RMS. The
decay of AdamW and SGDW is 0: nothing should draw a picture towards black. NovoGrad averages its
gradients, as Adam does, and its rate is multiplied by the root of the number of values, because its
step has a norm. COCOB has no learning rate.
"""

from __future__ import annotations

import platform
import warnings
from typing import Any

import tensorflow as tf

from nst_tf.errors import SettingsError
from nst_tf.optimizers.keras_optimizer import KerasOptimizer
from nst_tf.recipe import choices

_ARGUMENTS: dict[str, dict[str, Any]] = {
    "AdamW": {"weight_decay": 0.0},
    "SGDW": {"weight_decay": 0.0},
    "NovoGrad": {"grad_averaging": True},
}


def create(value: str, learning_rate: float | None = None) -> KerasOptimizer:
    """The solver that `tfa.NAME` or `tfa.Lookahead(INNER)` stands for.

    Raises:
      SettingsError: there is no such one, or tensorflow-addons cannot be imported.
    """
    name, inner = choices.parse_addon(value)
    available = _import(value).optimizers
    stepping = inner or name

    def make(rate: float) -> tf.keras.optimizers.legacy.Optimizer:
        if stepping == "adam":
            optimizer = tf.keras.optimizers.legacy.Adam(rate)
        elif stepping == "COCOB":
            optimizer = available.COCOB()
        else:
            arguments = _ARGUMENTS.get(stepping, {})
            optimizer = getattr(available, stepping)(learning_rate=rate, **arguments)
        return available.Lookahead(optimizer) if inner else optimizer

    if stepping == "COCOB" and learning_rate is not None:
        raise SettingsError(f"learning_rate is {learning_rate}: {value} has none, leave it out")
    rate = {} if learning_rate is None else {"learning_rate": learning_rate}
    return KerasOptimizer(
        value, make, **rate, unit_gradient=True, steps_have_norm=stepping == "NovoGrad"
    )


def _import(value: str) -> Any:
    try:
        with warnings.catch_warnings():
            # that its development has ended: known to whoever asks for it
            warnings.simplefilter("ignore")
            import tensorflow_addons
    except (ImportError, AttributeError) as error:  # Keras 3 lacks what it imports
        raise SettingsError(
            f"{value} needs tensorflow-addons, which works with TensorFlow 2.15.1 on Python 3.11 "
            "or older only: pip install 'nst_tf[addons]' (this is TensorFlow "
            f"{tf.__version__} on Python {platform.python_version()})"
        ) from error
    return tensorflow_addons
