"""What the style loss compares: one small value with four methods, and how to get it by name.

A new statistic is a file like `gram.py` and an entry here; whatever measures pictures, whole or
strip by strip, in a run or in a served model, asks nothing but these methods.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol

import tensorflow as tf

from nst_tf.errors import SettingsError
from nst_tf.losses.gram import Gram
from nst_tf.losses.histogram import Histograms
from nst_tf.losses.moments import MeanVariance
from nst_tf.losses.sliced import SlicedWasserstein
from nst_tf.losses.wasserstein import Wasserstein
from nst_tf.recipe import choices

#: Tensors in tuples, lists, dictionaries or named tuples, as tf.nest takes them.
Nest = Any


class Statistic(Protocol):
    """A statistic of feature maps, and a distance between two of them.

    One may have a method `prepare(blended)` beside these: see `prepare` below.
    """

    @property
    def additive(self) -> bool:
        """Whether what `measure` gives of parts of the positions adds up to what it gives of all.

        Then strips add it up, and the finished nests of several style images are blended. Where it
        does not (sorted values, nearest neighbours), strips keep the layer's maps until they have
        them all, and there can be one style image only.
        """
        ...

    def measure(self, maps: tf.Tensor, mask: tf.Tensor | None = None) -> Nest:
        """What is taken of the positions, such as Σ f fᵀ and their count.

        Args:
          maps: [batch, height, width, channels], any float type.
          mask: the weight of each position, [batch, height, width, 1]; None for 1 everywhere.

        Returns:
          float32 tensors; differentiable to `maps`.
        """
        ...

    def finish(self, measured: Nest) -> Nest:
        """What is compared, such as the mean Gram matrix, of what was measured of all positions."""
        ...

    def distance(self, finished: Nest, target: Nest) -> tf.Tensor:
        """How far a picture's statistic is from the style image's, as `prepare` gives it, float32
        [batch].
        """
        ...

    def width_factor(self, ratio: float) -> float:
        """What the distance in a network with fewer channels is multiplied by, so that a preset's
        weights mean the same there.

        Args:
          ratio: r, how many times as many channels VGG19 has in the layer.
        """
        ...


#: By the name of the style loss, as `Settings.style_loss` has it.
STATISTICS: Mapping[str, Statistic] = MappingProxyType(
    {
        **{form: Gram(form) for form in choices.GRAM_FORMS},
        "wasserstein": Wasserstein(),
        "mean-std": MeanVariance(),
        "sliced": SlicedWasserstein(),
        "histogram": Histograms(),
    }
)


def named(style_loss: str | Statistic) -> Statistic:
    """The statistic that a style loss compares; one that is given as itself is itself.

    Raises:
      SettingsError: an unknown name.
    """
    if not isinstance(style_loss, str):
        return style_loss
    if style_loss == choices.NEIGHBOURS:
        raise SettingsError(
            f"style loss {style_loss!r} looks for its targets in the course of a run and says "
            f"nothing of pictures alone: use one of {', '.join(STATISTICS)}"
        )
    choices.check("style loss", style_loss, tuple(STATISTICS))
    return STATISTICS[style_loss]


def blend(statistic: Statistic, finished: Sequence[Nest], shares: Sequence[float]) -> Nest:
    """One target of several style images: Σ_k b_k A_k, leaf by leaf.

    Args:
      statistic: of which they are.
      finished: one nest a picture.
      shares: b_k, which sum to 1.

    Raises:
      SettingsError: there are several, of a statistic that cannot be blended.
    """
    if len(finished) > 1 and not statistic.additive:
        raise SettingsError(
            f"{statistic} of {len(finished)} style images cannot be blended: name one style image, "
            "seen one way"
        )
    return tf.nest.map_structure(
        lambda *leaves: tf.add_n(
            [share * leaf for share, leaf in zip(shares, leaves, strict=True)]
        ),
        *finished,
    )


def prepare(statistic: Statistic, blended: Nest) -> Nest:
    """The target that `distance` takes, of a finished and blended nest.

    It is called once for a style image, not in every evaluation: what a statistic calculates of the
    target alone, such as a matrix's root, belongs into a method `prepare` of its own. Without one
    the target is the nest itself.
    """
    own = getattr(statistic, "prepare", None)
    return blended if own is None else own(blended)
