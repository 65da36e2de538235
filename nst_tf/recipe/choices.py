"""The named alternatives of every setting; what each means stands with the code that does it."""

from __future__ import annotations

import difflib
import numbers
import re
from collections.abc import Sequence
from typing import Any

from nst_tf.errors import SettingsError

POOLINGS = ("max", "avg", "l2")  # network/vgg.py: Pooling
PADDINGS = ("zero", "replicate", "mirror")  # network/vgg.py: build_model; losses/border.py
CONTENT_LOSSES = ("half-sum", "mean", "l2", "relative")  # losses/forms.py: content_loss
GRAM_FORMS = ("gatys2015", "gram-mean", "gram-mean-channels", "l2")  # losses/gram.py: style_loss
DISTRIBUTIONS = ("wasserstein", "mean-std", "sliced", "histogram")  # each a file of losses/
SORTED = ("sliced", "histogram")  # those that are not additive (statistics.Statistic)
NEIGHBOURS = "neighbours"  # losses/neighbour_objective.py
STYLE_LOSSES = (*GRAM_FORMS, *DISTRIBUTIONS, NEIGHBOURS)  # losses/statistics.py: STATISTICS
TV_LOSSES = ("squared", "absolute")  # losses/forms.py: total_variation
LOSS_SCALES = ("normalised", "published")  # keras/losses.py
LOSS_DTYPES = ("float32", "mixed_bfloat16")  # keras/losses.py, stylizer/training.py
ENGINES = ("auto", "keras", "direct", "winograd")  # network/engine.py: stages
DTYPES = ("auto", "float32", "mixed_float16", "mixed_bfloat16")  # network/machine.py: choose_dtype
INITIAL_IMAGES = ("content", "style", "blurred", "noise", "blank")  # pictures/initial.py: image
COLOURS = ("free", "content", "matched", "palette")  # pictures/colours.py
GRAINS = ("free", "painting")  # run/grain.py
OPTIMIZERS = ("lbfgs", "adam", "gd", "tfp-lbfgs", "pyramid")  # optimizers/
#: Those that are written for pictures: they can keep values in [0, 1], and one trace of them serves
#: pictures of all sizes.
OWN = ("lbfgs", "adam", "gd", "pyramid")
#: tensorflow-addons', each as `tfa.NAME`; optimizers/addons.py
ADDONS = (
    *("AdaBelief", "AdamW", "COCOB", "LAMB", "LazyAdam", "Lookahead", "NovoGrad"),
    *("ProximalAdagrad", "RectifiedAdam", "SGDW", "Yogi"),
)
#: Those of tensorflow-addons that make no pastiche, and why.
NO_ADDONS = {
    "ConditionalGradient": "it draws every picture towards black",
    "MovingAverage": "it averages beside the run and leaves the image as it is",
    "MultiOptimizer": "it shares out the layers of a model, and there is but one image",
    "SWA": "it averages beside the run and leaves the image as it is",
}


def check(what: str, value: str, choices: tuple[str, ...]) -> None:
    """Raises SettingsError where `value` is none of the choices."""
    if value not in choices:
        raise SettingsError(f"no {what} {value!r}: use one of {', '.join(choices)}")


#: What `check_tile` takes.
Tile = int | str | Sequence[int | str]


def check_tile(tile: Tile) -> Tile:
    """`tile`, where it is one, or a list of those but auto: one for each stage of a run.

    Raises:
      SettingsError: it is something else.
    """
    if isinstance(tile, (list, tuple)) and tile and "auto" not in tile:
        return [check_one_tile(part) for part in tile]
    return check_one_tile(tile)


def check_one_tile(tile: Any) -> int | str:
    """`tile`, where it is `auto`, `off` or a number above 0.

    Raises:
      SettingsError: it is something else.
    """
    if isinstance(tile, numbers.Integral) and not isinstance(tile, bool) and int(tile) > 0:
        return int(tile)
    if tile not in ("auto", "off"):
        raise SettingsError(f"tile is {tile!r}: use auto, off, or a number of pixels such as 512")
    return str(tile)


def check_optimizer(value: str, bounded: bool = False) -> None:
    """Raises SettingsError where `value` names no optimizer, neither ours nor an addon, or where
    one that can keep values in [0, 1] is wanted and it cannot."""
    if value.startswith("tfa."):
        parse_addon(value)
    elif value not in OPTIMIZERS:
        raise SettingsError(
            f"no optimizer {value!r}: use one of {', '.join(OPTIMIZERS)}, or tfa.NAME of "
            "tensorflow-addons"
        )
    if bounded and value not in OWN:
        raise SettingsError(
            f"{value} knows no bounds: use {' or '.join(OWN)}, or leave out bounded"
        )


def check_padding(padding: str, style_loss: object) -> None:
    """Raises SettingsError where a style loss cannot be had with a padding."""
    if style_loss == NEIGHBOURS and padding == "mirror":
        raise SettingsError(f"style_loss={NEIGHBOURS} knows no padding=mirror: use replicate")


def parse_addon(value: str) -> tuple[str, str | None]:
    """Reads `tfa.NAME` or `tfa.Lookahead(INNER)`, INNER being `adam` or another `tfa.NAME`.

    Returns:
      NAME; and what Lookahead goes around (Adam, where nothing is said), without `tfa.`: None for
      the others, which go around nothing.

    Raises:
      SettingsError: it is none of these.
    """
    match = re.fullmatch(r"tfa\.(\w+)(?:\((adam|tfa\.(?!Lookahead\b)\w+)\))?", value)
    if match is None or (match[2] and match[1] != "Lookahead"):
        raise SettingsError(
            f"optimizer {value!r}: write tfa.NAME, or tfa.Lookahead(INNER) with adam or another "
            "tfa.NAME as INNER"
        )
    name, inner = match[1], (match[2] or "adam").removeprefix("tfa.")
    for addon in (name, inner) if match[2] not in (None, "adam") else (name,):
        if addon in NO_ADDONS:
            raise SettingsError(f"no optimizer 'tfa.{addon}' for pictures: {NO_ADDONS[addon]}")
        if addon not in ADDONS:
            known = {name_of.lower(): name_of for name_of in ADDONS}
            close = difflib.get_close_matches(addon.lower(), known, 1)
            raise SettingsError(
                f"no optimizer 'tfa.{addon}' in tensorflow-addons: "
                + (f"did you mean tfa.{known[close[0]]}?" if close else f"use {', '.join(ADDONS)}")
            )
    return name, inner if name == "Lookahead" else None
