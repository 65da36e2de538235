"""The fields of `Settings` as keyword arguments, for type checkers and editors.

With `**overrides: Unpack[Overrides]` a field that is misspelt is an error before anything runs. A
type checker cannot derive these from a dataclass; `tests/test_typing.py` demands that both agree.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypedDict

from nst_tf.errors import SettingsError


class NetworkOverrides(TypedDict, total=False):
    """How the feature model is made of the network's numbers."""

    pooling: str
    rescale_pooling: bool
    padding: str
    normalise: bool
    seed: int  # of random weights


class LayerOverrides(NetworkOverrides, total=False):
    """With the layers that features are taken from, where none are named."""

    content_layers: Mapping[str, float]
    style_layers: Mapping[str, float]
    structure_layers: Mapping[str, float]


class ContentOverrides(NetworkOverrides, total=False):
    """What is part of L_content."""

    content_layers: Mapping[str, float]
    content_loss: str


class SeenOverrides(TypedDict, total=False):
    """How style images are seen, and what each counts."""

    style_size: int | None
    style_blend: tuple[float, ...]
    rotations: bool
    mirrored: bool
    stroke_sizes: tuple[float, ...]


class StyleOverrides(NetworkOverrides, SeenOverrides, total=False):
    """What is part of L_style."""

    style_layers: Mapping[str, float]
    style_loss: str | Any  # a name, or a statistic of your own


class LossOverrides(ContentOverrides, StyleOverrides, total=False):
    """What is part of L_total."""

    structure_layers: Mapping[str, float]
    tv_loss: str
    strength: float
    content_weight: float
    style_weight: float
    structure_weight: float
    laplacian_weight: float
    tv_weight: float


class Overrides(LossOverrides, total=False):
    """Every field but `preset`, which is a parameter beside these."""

    size: int | None
    stroke_size: float
    min_scale: int | None
    max_scale: int | None
    content_share: float
    colours: str
    grain: str
    init: str | Any  # a word, a path or a picture
    optimizer: str | Any  # a name, or a Keras optimizer
    learning_rate: float | None
    bounded: bool
    average: float
    iterations: int | None
    evaluations: int | None
    snapshot_every: int
    snapshots: tuple[int, ...]


class Changes(Overrides, total=False):
    """Every field."""

    preset: str


def check(what: str, given: Iterable[str], known: type) -> None:
    """Whether fields have an effect on something that is not a whole run.

    Args:
      what: it is, for an error's text.
      given: names of fields of `Settings`; others are left for `Settings` to refuse.
      known: the class here that lists those with an effect.

    Raises:
      SettingsError: one has none.
    """
    for name in given:
        if name in Overrides.__annotations__ and name not in known.__annotations__:
            raise SettingsError(
                f"{name} has no effect on {what}: leave it out, or use one of "
                f"{', '.join(sorted(known.__annotations__))}"
            )
