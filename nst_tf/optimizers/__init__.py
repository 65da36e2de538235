"""How the image descends: one protocol (`base`), one file an algorithm."""

from __future__ import annotations

from typing import Any

from nst_tf.optimizers import addons, keras_optimizer
from nst_tf.optimizers.adam import Adam
from nst_tf.optimizers.base import Evaluate, Point, Solver, State
from nst_tf.optimizers.gradient_descent import GradientDescent
from nst_tf.optimizers.lbfgs import LBFGS
from nst_tf.optimizers.pyramid import Pyramid
from nst_tf.optimizers.tfp_lbfgs import TFPLBFGS
from nst_tf.recipe import choices

__all__ = [
    "LBFGS",
    "TFPLBFGS",
    "Adam",
    "Evaluate",
    "GradientDescent",
    "Point",
    "Pyramid",
    "Solver",
    "State",
    "create",
]

_SOLVERS: dict[str, Any] = {
    "lbfgs": LBFGS,
    "adam": Adam,
    "gd": GradientDescent,
    "pyramid": Pyramid,
    "tfp-lbfgs": TFPLBFGS,
}


def create(name: str | Any, learning_rate: float | None = None, bounded: bool = False) -> Solver:
    """The solver of a name, with its own learning rate where None is given.

    Args:
      name: of the optimizer; or an optimizer of Keras, which has a rate of its own and no bounds.
      learning_rate: in its own units.
      bounded: whether every value of the image is kept in [0, 1].

    Raises:
      SettingsError: no optimizer has this name, or it knows no bounds, or it is one of
        tensorflow-addons, which is not here.
    """
    if not isinstance(name, str):
        return keras_optimizer.like(name)
    choices.check_optimizer(name, bounded)
    if name.startswith("tfa."):
        return addons.create(name, learning_rate)
    options: dict[str, Any] = {"bounded": True} if bounded else {}
    if learning_rate is not None:
        options["learning_rate"] = learning_rate
    return _SOLVERS[name](**options)
