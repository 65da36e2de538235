"""All measures of one result, and what each is called in tables."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from nst_tf.errors import SettingsError
from nst_tf.judge import palette, structure
from nst_tf.judge.coherence import CoherenceJudge
from nst_tf.judge.style import Measured, StyleJudge
from nst_tf.network.weights import Weights
from nst_tf.pictures import images


@dataclass(frozen=True)
class Measure:
    """A column.

    Attributes:
      key: in CSV and JSON.
      heading: on a page.
      better: `more`, `less`; empty where neither is.
      help: what it is, in a sentence.
    """

    key: str
    heading: str
    better: str
    help: str


def style_measures(label: str) -> tuple[Measure, ...]:
    """The columns of style gained under a network.

    Args:
      label: of the network, such as `vgg19`.
    """
    return (
        Measure(
            f"gram@{label}",
            f"style gained, Gram, {label}",
            "more",
            f"1 − d(result) / d(content), d the distance of Gram matrices to the painting's under "
            f"{label} (judge/style.py).",
        ),
        Measure(
            f"gram_nepers@{label}",
            f"in nepers, Gram, {label}",
            "more",
            f"ln d(content) − ln d(result) of Gram matrices under {label}.",
        ),
        Measure(
            f"w2@{label}",
            f"style gained, W2, {label}",
            "more",
            f"1 − d(result) / d(content), d the squared Wasserstein-2 distance of moments under "
            f"{label}.",
        ),
        Measure(
            f"w2_nepers@{label}",
            f"in nepers, W2, {label}",
            "more",
            f"ln d(content) − ln d(result) of squared Wasserstein-2 distances under {label}.",
        ),
    )


def ratio_measure(label: str, reference: str) -> Measure:
    """The column of style gained in units of what a reference gained, of the same pair.

    Args:
      label: of the network.
      reference: name of the row that it is compared with.
    """
    return Measure(
        f"ratio@{label}",
        f"ratio of logarithms, {label}",
        "more",
        f"nepers gained (Gram, {label}) by those of {reference} (style.ratio_of_logarithms).",
    )


#: Longer side in pixels beyond which CFSD is taken of a smaller picture: its time grows with the
#: square of the number of pixels, and would be nearly all of the judge's.
COHERENCE_SIZE = 256

#: The columns that ask for no network of choice.
OTHERS = (
    Measure(
        "cfsd",
        "CFSD",
        "less",
        "content feature structural distance: how much of what hangs together in the photo no "
        f"longer does (judge/coherence.py); at {COHERENCE_SIZE} pixels where there are more.",
    ),
    Measure("ssim", "SSIM", "more", "structural similarity of the luminance to the photo's."),
    Measure(
        "edges_lost",
        "edges lost",
        "less",
        "mean distance from the photo's edges to the result's, as a share of the diagonal.",
    ),
    Measure("edges_added", "edges added", "less", "from the result's edges to the photo's."),
    Measure("palette", "palette, ΔE", "less", "earth mover's distance to the painting's palette."),
    Measure(
        "outside", "foreign colours", "less", "share of pixels of a colour the painting has not."
    ),
)
#: What making the picture took; not of results that were made elsewhere.
COSTS = (
    Measure("seconds", "seconds", "less", "of the run, compilation included."),
    Measure("cpu_seconds", "CPU seconds", "less", "of all threads; hardly depends on other work."),
    Measure(
        "peak_memory",
        "peak memory, MiB",
        "less",
        "the largest resident size of the process meanwhile, with all that it held before.",
    ),
)


class Judge:
    """Measures results of pairs of pictures, those of one pair after the other.

    Args:
      networks: that style gained is measured under, by label. CFSD is measured under `vgg19` where
        that is among them, else under the first.

    Raises:
      SettingsError: no network.
    """

    def __init__(self, networks: Mapping[str, Weights]) -> None:
        if not networks:
            raise SettingsError("no network to judge by: name one, such as mini")
        self.labels = tuple(networks)
        self.structural = "vgg19" if "vgg19" in networks else self.labels[0]
        self._judges = {label: StyleJudge(weights) for label, weights in networks.items()}
        self._coherence = CoherenceJudge(networks[self.structural])
        self._measured: dict[str, tuple[np.ndarray, Measured]] = {}

    def __call__(
        self, result: np.ndarray, content: np.ndarray, style: np.ndarray
    ) -> dict[str, float]:
        """Every measure by its key.

        Args:
          result: float32 [height, width, 3], RGB in [0, 1].
          content: the content image, likewise, of the same size.
          style: the style image, likewise, of any size.

        Raises:
          SettingsError: result and content differ in size.
          NSTError: scikit-image or POT is missing.
        """
        result, content = structure.pair(result, content)
        found: dict[str, float] = {}
        for label, judge in self._judges.items():
            ours = judge.measure(result)
            gained = judge.gained(
                ours, self._once(label, "content", content), self._once(label, "style", style)
            )
            found[f"gram@{label}"], found[f"gram_nepers@{label}"] = gained.gram
            found[f"w2@{label}"], found[f"w2_nepers@{label}"] = gained.wasserstein
        edges = structure.edge_distance(result, content)
        return found | {
            "cfsd": self._coherence.distance(*map(_shrunk, (result, content))),
            "ssim": structure.ssim(result, content),
            "edges_lost": edges.lost,
            "edges_added": edges.added,
            "palette": palette.palette_distance(result, style),
            "outside": palette.share_outside(result, style),
        }

    def _once(self, label: str, kind: str, picture: np.ndarray) -> Measured:
        """What a network says of the content or style image: kept as long as that is the same."""
        kept = self._measured.get(f"{kind}@{label}")
        if kept is None or not np.array_equal(kept[0], picture):
            kept = picture, self._judges[label].measure(picture)
            self._measured[f"{kind}@{label}"] = kept
        return kept[1]


def check_installed() -> None:
    """Finds out before the long work whether everything can be measured.

    Raises:
      NSTError: a library is missing; says what to install.
    """
    for module, library in (("skimage", "scikit-image"), ("ot", "POT"), ("scipy", "scipy")):
        if importlib.util.find_spec(module) is None:
            raise structure.needs(library)


def _shrunk(picture: np.ndarray) -> np.ndarray:
    return images.load(picture, min(COHERENCE_SIZE, max(picture.shape[:2])))
