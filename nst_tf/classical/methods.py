"""The methods by name, and how to call any of them."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from nst_tf.classical.checks import Report, silent
from nst_tf.errors import NSTError, SettingsError


@dataclass(frozen=True)
class Method:
    """A method from before neural networks.

    Attributes:
      help: what it does, in a few words.
      paper: that it implements.
      transfer: the function for style transfer, `module.function` of this room; None for none.
      synthesize: likewise, for texture synthesis.
      seeded: whether its functions take a seed and a report; the others are done at once.
      version: grows where it gives other pictures than before, so that old ones are made again.
    """

    help: str
    paper: str
    transfer: str | None = None
    synthesize: str | None = None
    seeded: bool = True
    version: int = 1


#: By the name that the command line and the judge know them by.
METHODS: Mapping[str, Method] = MappingProxyType(
    {
        "sampling": Method(
            "a pixel at a time, by its neighbourhood",
            "Efros and Leung 1999",
            synthesize="sampling.synthesize",
        ),
        "wei-levoy": Method(
            "a pixel at a time, coarse to fine, by tree-structured vector quantisation",
            "Wei and Levoy 2000",
            synthesize="wei_levoy.synthesize",
        ),
        "quilting": Method(
            "blocks, cut where they differ least",
            "Efros and Freeman 2001",
            "quilting.transfer",
            "quilting.synthesize",
        ),
        "analogies": Method(
            "a pixel at a time, by what a smoothed painting is to the painting",
            "Hertzmann et al. 2001",
            "analogies.transfer",
        ),
        "graph-cuts": Method(
            "patches, joined by minimum cuts",
            "Kwatra et al. 2003",
            synthesize="graph_cuts.synthesize",
        ),
        "texture-optimization": Method(
            "all patches at once, coarse to fine",
            "Kwatra et al. 2005; Elad and Milanfar 2017",
            "texture_optimization.transfer",
            "texture_optimization.synthesize",
        ),
        "reinhard": Method(
            "colours alone: mean and deviation in lαβ",
            "Reinhard et al. 2001",
            "colour.reinhard",
            seeded=False,
        ),
        "monge-kantorovich": Method(
            "colours alone: the linear map of least transport",
            "Pitié and Kokaram 2007",
            "colour.monge_kantorovich",
            seeded=False,
        ),
    }
)
#: Those that paint a photo, and those that grow a texture.
TRANSFERS = tuple(name for name, method in METHODS.items() if method.transfer)
SYNTHESES = tuple(name for name, method in METHODS.items() if method.synthesize)


def transfer(
    name: str, content: np.ndarray, style: np.ndarray, *, seed: int = 0, report: Report = silent
) -> np.ndarray:
    """A photo painted by one of `TRANSFERS`.

    Args:
      name: of the method.
      content: the content image [height, width, 3], in [0, 1].
      style: the style image, likewise, of any size.
      seed: of what is drawn at random.
      report: told the share of the work that is done.

    Returns:
      float32, of the content's shape, in [0, 1].

    Raises:
      SettingsError: no such method, or pictures that it cannot use.
      NSTError: SciPy or scikit-image is missing.
    """
    _check(name, "painting method", TRANSFERS)
    return _call(METHODS[name], METHODS[name].transfer, (content, style), seed, report)


def synthesize(
    name: str,
    texture: np.ndarray,
    height: int,
    width: int,
    *,
    seed: int = 0,
    report: Report = silent,
) -> np.ndarray:
    """More of a texture, by one of `SYNTHESES`.

    Args:
      name: of the method.
      texture: [height, width, 3], in [0, 1].
      height: of the result in pixels; likewise width.
      seed: of what is drawn at random.
      report: told the share of the work that is done.

    Returns:
      float32 [height, width, 3], in [0, 1].

    Raises:
      SettingsError: no such method, or a texture or size that it cannot use.
      NSTError: SciPy or scikit-image is missing.
    """
    _check(name, "texture method", SYNTHESES)
    return _call(METHODS[name], METHODS[name].synthesize, (texture, height, width), seed, report)


def _check(name: str, what: str, known: tuple[str, ...]) -> None:
    if name not in known:
        raise SettingsError(f"no {what} {name!r}: use one of {', '.join(known)}")


def _call(
    method: Method, where: str | None, arguments: tuple[object, ...], seed: int, report: Report
) -> np.ndarray:
    module, _, name = str(where).partition(".")
    try:
        function: Callable[..., np.ndarray] = getattr(
            importlib.import_module(f"nst_tf.classical.{module}"), name
        )
        if method.seeded:
            return function(*arguments, seed=seed, report=report)
        made = function(*arguments)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("nst_tf"):
            raise
        raise NSTError(
            f"this method needs {error.name}: pip install 'nst_tf[classical]'"
        ) from error
    report(1.0)
    return made
