"""Terms of the user's own, beside those of the recipe: any function of the picture."""

from __future__ import annotations

import inspect
import math
import numbers
import reprlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from nst_tf.errors import SettingsError
from nst_tf.losses.terms import Terms
from nst_tf.recipe import objects

#: Names that a row of the history has already.
TAKEN = (
    *("total", "content", "structure", "laplacian", "style", "tv"),
    *("iteration", "evaluations", "seconds", "gradient_norm", "learning_rate", "step_length"),
)


class Term(NamedTuple):
    """A term of the loss: weight · loss(image) is added to L_total.

        nst_tf.Term("dark", lambda image: tf.reduce_mean(image), weight=10.0)

    Attributes:
      name: in the history, beside `content`, `style` and `tv`.
      loss: the image, float32 [1, height, width, 3] RGB, to one number, float32 []; of TensorFlow
        operations, differentiable. It is traced where sizes may be unknown: `tf.shape(image)` has
        them. The same function compiles once; one that is made anew at each run, at each run.
      weight: a number from 0.
    """

    name: str
    loss: Callable[[tf.Tensor], tf.Tensor]
    weight: float = 1.0


def checked(terms: Term | Callable[[tf.Tensor], tf.Tensor] | Iterable[Any]) -> tuple[Term, ...]:
    """The terms that are meant; of a function alone the name is its own and the weight 1.

    Raises:
      SettingsError: one is no term, or its name or weight cannot be used.
    """
    alone = isinstance(terms, Term) or callable(terms)
    if not alone and (isinstance(terms, (str, dict)) or not isinstance(terms, Iterable)):
        raise SettingsError(f"terms is {reprlib.repr(terms)}: give a list of nst_tf.Term")
    found: list[Term] = []
    for term in [terms] if alone else terms:  # type: ignore[union-attr]
        if not isinstance(term, Term) and callable(term) and not inspect.isclass(term):
            term = Term(getattr(term, "__name__", type(term).__name__), term)
        if not isinstance(term, Term) or not callable(term.loss):
            raise SettingsError(
                f"a term is {reprlib.repr(term)}: give nst_tf.Term(name, function, weight)"
            )
        if not isinstance(term.name, str) or not term.name.isidentifier():
            raise SettingsError(
                f"a term has the name {term.name!r}: give one of letters, such as "
                'nst_tf.Term("dark", function)'
            )
        if term.name in (*TAKEN, *(one.name for one in found)):
            raise SettingsError(f"a term has the name {term.name!r}, which is taken: give another")
        number = isinstance(term.weight, numbers.Real) and not isinstance(term.weight, bool)
        if not number or not 0 <= term.weight < math.inf:
            raise SettingsError(
                f"the weight of the term {term.name} is {term.weight!r}: use a finite number of at "
                "least 0"
            )
        found.append(term._replace(weight=float(term.weight)))
    return tuple(found)


def of_image(terms: Sequence[Term], image: tf.Tensor) -> Terms:
    """The terms at an image, float32 [1, height, width, 3]: float32 [] by name.

    Raises:
      SettingsError: one gives no number.
    """
    losses: Terms = {}
    for term in terms:
        loss = term.loss(image)
        try:
            loss = tf.convert_to_tensor(loss)
            whole = loss.shape.rank == 0 and loss.dtype.is_floating
        except (TypeError, ValueError):
            whole = False
        if not whole:
            raise SettingsError(
                f"the term {term.name} gives {reprlib.repr(loss)}: give one number, a float, "
                "such as tf.reduce_mean(...)"
            )
        losses[term.name] = tf.cast(loss, tf.float32)
    return losses


def identity(terms: Sequence[Term]) -> list[dict[str, Any]]:
    """What tells them from others, as plain values."""
    return [
        {"name": term.name, "weight": term.weight, "loss": objects.words(term.loss)}
        for term in terms
    ]
