"""How the image descends: one protocol (`base`), one file an algorithm."""

from __future__ import annotations

from typing import Any

from nst_tf.optimizers import addons
from nst_tf.optimizers.adam import Adam
from nst_tf.optimizers.base import Evaluate, Point, Solver, State
from nst_tf.optimizers.gradient_descent import GradientDescent
from nst_tf.optimizers.lbfgs import LBFGS
from nst_tf.optimizers.tfp_lbfgs import TFPLBFGS
from nst_tf.recipe import choices

__all__ = [
    "LBFGS",
    "TFPLBFGS",
    "Adam",
    "Evaluate",
    "GradientDescent",
    "Point",
    "Solver",
    "State",
    "create",
]

_SOLVERS: dict[str, Any] = {
    "lbfgs": LBFGS,
    "adam": Adam,
    "gd": GradientDescent,
    "tfp-lbfgs": TFPLBFGS,
}


def create(name: str, learning_rate: float | None = None) -> Solver:
    """The solver of a name, with its own learning rate where None is given.

    Raises:
      SettingsError: no optimizer has this name, or it is one of tensorflow-addons, which is not
        here.
    """
    choices.check_optimizer(name)
    if name.startswith("tfa."):
        return addons.create(name, learning_rate)
    options = {} if learning_rate is None else {"learning_rate": learning_rate}
    return _SOLVERS[name](**options)
