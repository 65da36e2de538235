"""Everything that can be set about a run, in one value, checked once.

Each field says beside its default what the rest of the package needs to know of it: its kind, from
which follows what a changed value costs; its help, from which the command line's flags and
docs/settings.md are made; its choices. Its type stands in `overrides.py` as well.
"""

from __future__ import annotations

import dataclasses
import difflib
import numbers
import os
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from typing_extensions import Unpack

from nst_tf.errors import SettingsError
from nst_tf.recipe import choices, layers, objects, values
from nst_tf.recipe.overrides import Changes

#: A field's kind. `GRAPH`: part of the compiled function, which another value needs anew. `DATA`:
#: what that function reads, or what is done outside of it. `KEYS`: a mapping of which the keys are
#: part of the graph and the values data. `SWITCH`: a number; whether it is 0 is part of the graph,
#: how large it is data.
GRAPH, DATA, KEYS, SWITCH = "graph", "data", "keys", "switch"
KINDS = (GRAPH, DATA, KEYS, SWITCH)


def strength_factors(strength: float) -> dict[str, float]:
    """What a strength s multiplies the weights of the terms by: α by (2 (1 − s))², β by (2 s)².

    From no style at 0 by way of the weights themselves at 0.5 to no content at 1. Whatever else
    keeps the photo goes with α.
    """
    content = (2 * (1 - strength)) ** 2
    return {
        **dict.fromkeys(("content", "structure", "laplacian"), content),
        "style": (2 * strength) ** 2,
        "tv": 1.0,
    }


def setting(default: Any, kind: str, text: str, choices: tuple[str, ...] = ()) -> Any:
    """A field of `Settings`.

    Args:
      default: its value where none is given.
      kind: one of `KINDS`.
      text: what it is for, in words for people.
      choices: its possible values, where it has such.
    """
    metadata = {"kind": kind, "help": text, "choices": choices}
    if isinstance(default, Mapping):
        return dataclasses.field(default_factory=lambda: dict(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of a run; `docs/settings.md` lists them, with what each is for.

    `presets.py` holds every published recipe as such a value.
    """

    preset: str = setting("custom", DATA, "Name of the recipe that the settings started from.")
    size: int | None = setting(
        512, DATA, "Longer side of the result in pixels; 0 keeps the content's own."
    )
    style_size: int | None = setting(
        None,
        DATA,
        "Longer side of the style images; 0 for size times stroke_size, or with size 0 for their "
        "own.",
    )
    stroke_size: float = setting(
        1.0,
        DATA,
        "Size of the strokes: how many times as large as the result the painting is seen.",
    )
    strength: float = setting(
        0.5, DATA, "How much style, from 0 (the photo) to 1; at 0.5 alpha and beta are as given."
    )
    min_scale: int | None = setting(
        None,
        DATA,
        "From coarse to fine: several scales, each the square root of 2 larger than the one "
        "before, of which the first has about so many pixels on the longer side; 0 for a single "
        "scale. With scales, iterations and evaluations hold at 512 pixels; others get as many "
        "times more as they are smaller.",
    )
    max_scale: int | None = setting(
        None,
        DATA,
        "Optimise at so many pixels on the longer side at most; a larger result is that enlarged, "
        "with the content image's detail. 0 for all of it.",
    )
    content_layers: Mapping[str, float] = setting(
        {"conv4_2": 1.0},
        KEYS,
        "Layers of the content loss, with their weights or without: conv4_2,conv2_2=0.5 (':pre' is "
        "before the ReLU). Without a weight, a layer takes the preset's for it or its block.",
    )
    style_layers: Mapping[str, float] = setting(
        {f"conv{block}_1": 0.2 for block in range(1, 6)},
        KEYS,
        "Layers of the style loss, with their weights or without: conv1_1,conv2_1=0.5,conv3_1:pre.",
    )
    structure_layers: Mapping[str, float] = setting(
        {},
        KEYS,
        "Layers whose self-similarity is kept, as which parts of the content image look alike and "
        "which do not, with their weights or without (1): conv3_1.",
    )
    content_loss: str = setting("mean", GRAPH, "Form of the content loss.", choices.CONTENT_LOSSES)
    style_loss: str | Any = setting(
        "gram-mean",
        GRAPH,
        "Form of the style loss; in Python also a statistic of your own.",
        choices.STYLE_LOSSES,
    )
    tv_loss: str = setting("squared", GRAPH, "Form of total variation.", choices.TV_LOSSES)
    content_weight: float = setting(1.0, DATA, "Alpha, of the content loss.")
    style_weight: float = setting(1.0, DATA, "Beta, of the style loss: more is more style.")
    structure_weight: float = setting(
        1.0, DATA, "Of structure_layers' self-similarity: more keeps more of what is where."
    )
    laplacian_weight: float = setting(
        0.0, SWITCH, "Of the picture's Laplacian: more keeps more of the content image's lines."
    )
    tv_weight: float = setting(0.0, DATA, "Gamma, of total variation: more is smoother.")
    style_blend: tuple[float, ...] = setting(
        (), DATA, "Weight of each style image, such as 3,1; equal by default."
    )
    content_share: float = setting(
        0.9,
        DATA,
        "Of style_loss=neighbours: how much of the content image, beside the result so far, there "
        "is in what a scale looks for neighbours of. From 0 to 1; more keeps more of its shapes, "
        "and so does less strength.",
    )
    rotations: bool = setting(
        False, DATA, "Take the style images turned by 90, 180 and 270 degrees as well."
    )
    mirrored: bool = setting(False, DATA, "Take the style images mirrored as well.")
    stroke_sizes: tuple[float, ...] = setting(
        (),
        DATA,
        "Take the style images smaller as well, by these factors below 1: with stroke_size=2 and "
        "0.5,0.25 there are strokes of 2, 1 and 0.5.",
    )
    colours: str = setting(
        "free",
        DATA,
        "Colours of the result: as the losses make them; the content image's; the painting's "
        "matched to the whole content image's before the run; or the painting's palette, strictly.",
        choices.COLOURS,
    )
    grain: str = setting(
        "free",
        DATA,
        "Fine detail of the result: as the losses make it; or the painting's: no place has more of "
        "it than the painting's places have, or than the content image has there.",
        choices.GRAINS,
    )
    pooling: str = setting("max", GRAPH, "The network's pooling.", choices.POOLINGS)
    rescale_pooling: bool = setting(False, GRAPH, "Scale avg and l2 pooling to max pooling's mean.")
    padding: str = setting(
        "zero",
        GRAPH,
        "Beyond the picture's border: zeros, as the network was trained; the edge repeated (the "
        "first convolution's); or 8 pixels of the mirror image (the losses').",
        choices.PADDINGS,
    )
    normalise: bool = setting(True, GRAPH, "Normalise the network as Gatys et al. 2016 describe.")
    init: str | Any = setting(
        "content",
        DATA,
        f"Initial image: {', '.join(choices.INITIAL_IMAGES)}, a file, stylizer:FILE "
        "(what that network of nst-tf train paints of the photo, in those of its styles that are "
        "named like the paintings' files), or a mix: content=0.7,noise=0.3; in Python also a "
        "picture.",
    )
    optimizer: str | Any = setting(
        "lbfgs",
        DATA,
        f"How the image descends: {', '.join(choices.OPTIMIZERS)}; or one of tensorflow-addons "
        "(TensorFlow 2.15.1), such as tfa.RectifiedAdam or 'tfa.Lookahead(tfa.RectifiedAdam)'; in "
        "Python also any optimizer of Keras.",
    )
    learning_rate: float | None = setting(
        None,
        DATA,
        "Step length: of adam, pyramid and tfa's in units of the image (black to white is 1), of "
        "gd the factor on the gradient, of lbfgs the share of the quasi-Newton step. By default "
        "the optimizer's own.",
    )
    bounded: bool = setting(
        False, DATA, f"Keep every value of the image in [0, 1]: {', '.join(choices.OWN)}."
    )
    average: float = setting(
        0.0,
        DATA,
        "Decay of the iterates' moving average, which then is the result: 0 takes the image with "
        "the smallest loss, 0.99 about the last hundred iterations.",
    )
    iterations: int | None = setting(
        None, DATA, "Stop after so many iterations (accepted steps), in place of the preset's end."
    )
    evaluations: int | None = setting(
        None,
        DATA,
        "Stop with the iteration that reaches so many losses and gradients, in place of the "
        "preset's end. With iterations too: whichever comes first.",
    )
    snapshot_every: int = setting(
        0, DATA, "Also keep the image every so many iterations: out-0050.png; 0 for none."
    )
    snapshots: tuple[int, ...] = setting((), DATA, "Also keep it at these iterations: 100,200.")
    seed: int = setting(0, DATA, "Of noise and of random weights.")

    def __post_init__(self) -> None:
        for name in ("content_layers", "style_layers", "structure_layers"):
            self._set(name, values.layer_weights(name, getattr(self, name)))
        if not self.content_layers and not self.style_layers:
            raise SettingsError("name at least one content layer or style layer")
        for name in (
            *("content_weight", "structure_weight", "laplacian_weight", "style_weight"),
            *("tv_weight", "stroke_size", "strength", "average", "content_share"),
        ):
            self._set(name, values.number(name, getattr(self, name)))
        if self.average >= 1:
            raise SettingsError(f"average is {self.average}: use a number below 1")
        for name in ("strength", "content_share"):
            if getattr(self, name) > 1:
                raise SettingsError(f"{name} is {getattr(self, name)}: use a number from 0 to 1")
        self._set("stroke_sizes", values.each("stroke_sizes", self.stroke_sizes, values.number))
        for size in self.stroke_sizes:
            if not 0 < size < 1:
                raise SettingsError(f"stroke_sizes has {size}: use factors between 0 and 1")
        if self.stroke_size == 0:
            raise SettingsError("stroke_size is 0: use a number above 0")
        if self.stroke_size != 1 and self.style_size is not None:
            raise SettingsError(
                "style_size and stroke_size both size the strokes: give one of them"
            )
        self._set("style_blend", values.each("style_blend", self.style_blend, values.number))
        if self.style_blend and sum(self.style_blend) == 0:
            raise SettingsError("style_blend: at least one weight must be above 0")
        if self.learning_rate is not None:
            self._set("learning_rate", values.number("learning_rate", self.learning_rate))
            if self.learning_rate == 0:
                raise SettingsError("learning_rate is 0: use a number above 0")
        for name, least in (
            *(("size", 1), ("style_size", 1), ("min_scale", 1), ("max_scale", 1)),
            *(("iterations", 0), ("evaluations", 1)),
        ):
            if getattr(self, name) is not None:
                self._set(name, values.integer(name, getattr(self, name), least))
        if self.iterations is None and self.evaluations is None:
            raise SettingsError("set iterations or evaluations: one of them must end the run")
        for name in ("snapshot_every", "seed"):
            self._set(name, values.integer(name, getattr(self, name), 0))
        self._set(
            "snapshots", values.each("snapshots", self.snapshots, partial(values.integer, least=1))
        )
        for name in ("normalise", "rescale_pooling", "bounded", "rotations", "mirrored"):
            if not isinstance(getattr(self, name), bool):
                raise SettingsError(f"{name} is {getattr(self, name)!r}: use True or False")
        if self.init is None or isinstance(self.init, numbers.Number):
            raise SettingsError(f"init is {self.init!r}: use a word, a path or a picture")
        if isinstance(self.init, (str, os.PathLike)):
            self._set("init", os.fspath(self.init))
        elif not isinstance(self.init, objects.Given):
            self._set("init", objects.Given(self.init))
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name == "style_loss" and not isinstance(value, str):
                objects.check_statistic(value, choices.STYLE_LOSSES)
            elif field.metadata.get("choices"):
                choices.check(field.name, value, field.metadata["choices"])
        choices.check_padding(self.padding, self.style_loss)
        if isinstance(self.optimizer, str):
            choices.check_optimizer(self.optimizer, self.bounded)
        else:
            self._check_given_optimizer()

    def _check_given_optimizer(self) -> None:
        objects.check_optimizer(self.optimizer, choices.OPTIMIZERS)
        name = type(self.optimizer).__name__
        if self.learning_rate is not None:
            raise SettingsError(
                f"learning_rate is {self.learning_rate}: {name} brings its own, leave it out"
            )
        if self.bounded:
            raise SettingsError(
                f"{name} knows no bounds: use {' or '.join(choices.OWN)}, or leave out bounded"
            )

    def _set(self, name: str, value: Any) -> None:
        """Replaces a field by its checked, plain form, which frozen dataclasses allow only here."""
        object.__setattr__(self, name, value)

    @property
    def layers(self) -> list[str]:
        """The layers that features are taken from, each once, in the network's order."""
        of_losses = (*self.content_layers, *self.structure_layers, *self.style_layers)
        wanted = {layers.parse(key) for key in of_losses}
        order = sorted(wanted, key=lambda layer: (layers.NAMES.index(layer.name), str(layer)))
        return [str(layer) for layer in order]

    @property
    def graph_key(self) -> tuple[Hashable, ...]:
        """What of the settings is part of the compiled function: equal keys can share one."""
        key: list[Hashable] = []
        for field in dataclasses.fields(self):
            if field.metadata.get("kind") == GRAPH:
                value = getattr(self, field.name)
                key.append(value if isinstance(value, (str, bool)) else objects.Same(value))
            elif field.metadata.get("kind") == KEYS:
                key.append(tuple(getattr(self, field.name)))
            elif field.metadata.get("kind") == SWITCH:
                key.append(getattr(self, field.name) > 0)
        return tuple(key)

    def check_aim(self, others: float = 0) -> None:
        """Raises SettingsError where a run would do nothing, since all that it measures weighs 0.

        Args:
          others: the largest weight among terms of the user's own.
        """
        factors = strength_factors(self.strength)
        weights = {
            "content": self.content_weight * max(self.content_layers.values(), default=0),
            "style": self.style_weight * max(self.style_layers.values(), default=0),
            "structure": self.structure_weight * max(self.structure_layers.values(), default=0),
            "laplacian": self.laplacian_weight,
            "tv": self.tv_weight,
        }
        if not others and not any(factors[kind] * weight for kind, weight in weights.items()):
            raise SettingsError(
                "every weight of the loss is 0, so that no picture is better than another: set "
                "content_weight, style_weight or another one above 0"
            )

    def snapshot_due(self, iteration: int) -> bool:
        """Whether the image of this iteration is to be kept."""
        every = self.snapshot_every
        due = iteration in self.snapshots or (every > 0 and iteration % every == 0)
        return due and iteration > 0

    def replace(self, **fields: Unpack[Changes]) -> Settings:
        """These settings with some fields changed.

        Where the optimizer changes, the new one's own learning rate holds, and bounds only where it
        knows them, unless given. One of `iterations` and `evaluations` that is given alone ends it.

        Raises:
          SettingsError: a field is unknown or its value cannot be used.
        """
        changes: dict[str, Any] = {**fields}
        known = [field.name for field in dataclasses.fields(self)]
        for name in changes:
            if name not in known:
                close = difflib.get_close_matches(name, known, 1)
                hint = f"did you mean {close[0]}?" if close else f"use one of {', '.join(known)}"
                raise SettingsError(f"no setting {name!r}: {hint}")
        if changes.get("optimizer", self.optimizer) != self.optimizer:
            changes.setdefault("learning_rate", None)
            knows_bounds = changes["optimizer"] in choices.OWN
            changes.setdefault("bounded", self.bounded and knows_bounds)
        for limit, other in (("iterations", "evaluations"), ("evaluations", "iterations")):
            if changes.get(limit) is not None:
                changes.setdefault(other, None)
        return dataclasses.replace(self, **changes)

    def asdict(self) -> dict[str, Any]:
        """The fields as plain values, for JSON; objects in words."""
        fields = dataclasses.fields(self)
        return {field.name: objects.plain(getattr(self, field.name)) for field in fields}
