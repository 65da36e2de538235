"""From measures of many results to a table with a row a method."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from nst_tf.judge import measures
from nst_tf.judge.intervals import median_interval
from nst_tf.judge.measures import Measure
from nst_tf.judge.methods import Method
from nst_tf.judge.protocol import Pair
from nst_tf.judge.style import ratio_of_logarithms

#: A result is a failure where less style was gained than this, or less structure is left of the
#: photo than a tenth of what the untouched photo has.
GAINED, KEPT = 0.3, 0.1


@dataclass(frozen=True)
class Judged:
    """One result with its measures.

    Attributes:
      method: that made it.
      pair: of pictures that it was made of.
      values: by the measure's key; None for what is undefined or was not measured.
    """

    method: Method
    pair: Pair
    values: Mapping[str, float | None]

    def fair(self, labels: Sequence[str], distance: str = "w2") -> float | None:
        """Style gained under a network that the method did not optimise.

        Args:
          labels: of the networks that judge, in their order.
          distance: `gram` or `w2`.

        Returns:
          None where there is none.
        """
        label = fair_label(self.method, labels)
        return None if label is None else self.values.get(f"{distance}@{label}")


def fair_label(method: Method, labels: Sequence[str]) -> str | None:
    """The first network that may judge a method: one that it did not optimise."""
    return next((label for label in labels if label != method.network), None)


@dataclass(frozen=True)
class Cell:
    """A median over pairs, with its interval over styles; None where nothing was measured."""

    median: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Row:
    """A method's line.

    Attributes:
      method: of the line.
      cells: by the measure's key.
      count: how many results were judged.
      failures: how many of them failed; None where no network may judge.
      missing: names of the pairs without a result.
    """

    method: Method
    cells: Mapping[str, Cell]
    count: int
    failures: int | None
    missing: Sequence[str] = ()


def columns(labels: Sequence[str], reference: str | None = None) -> list[Measure]:
    """All of the table's columns.

    Args:
      labels: of the networks that judge.
      reference: the row whose gains are a unit; None for none.
    """
    style = [measure for label in labels for measure in measures.style_measures(label)]
    if reference is not None:
        style += [measures.ratio_measure(label, reference) for label in labels]
    return [*style, *measures.OTHERS, *measures.COSTS]


def with_ratios(
    judged: Sequence[Judged], labels: Sequence[str], reference: str | None
) -> list[Judged]:
    """The results, with what they gained in units of the reference's gain on the same pair.

    Args:
      judged: results without ratios.
      labels: of the networks that judge.
      reference: the row whose gains are a unit; None for none.
    """
    units = {result.pair.name: result for result in judged if result.method.name == reference}
    return [
        replace(result, values={**result.values, **_ratios(result, units, labels)})
        for result in judged
    ]


def _ratios(
    result: Judged, units: Mapping[str, Judged], labels: Sequence[str]
) -> dict[str, float | None]:
    ratios: dict[str, float | None] = {}
    for label in labels if result.pair.name in units else ():
        gains = [
            one.values.get(f"gram_nepers@{label}") for one in (result, units[result.pair.name])
        ]
        if gains[0] is not None and gains[1]:
            ratios[f"ratio@{label}"] = ratio_of_logarithms(gains[0], gains[1])
    return ratios


def rows(
    methods: Sequence[Method],
    judged: Sequence[Judged],
    pairs: Sequence[Pair],
    labels: Sequence[str],
    reference: str | None = None,
) -> list[Row]:
    """The table: medians over all pairs, with 95 % intervals from resampling whole styles.

    Args:
      methods: a row each, in this order.
      judged: their results.
      pairs: of which there should be results.
      labels: of the networks that judge.
      reference: the row whose gains are a unit; None for none.

    Raises:
      NSTError: SciPy is missing.
    """
    table = []
    for method in methods:
        own = [result for result in judged if result.method == method]
        there = {result.pair.name for result in own}
        table.append(
            Row(
                method,
                {measure.key: _cell(own, measure.key) for measure in columns(labels, reference)},
                len(own),
                _failures(own, labels),
                [pair.name for pair in pairs if pair.name not in there],
            )
        )
    return table


def failed(result: Judged, labels: Sequence[str]) -> bool | None:
    """Whether a result failed; None where no network may judge it."""
    gained, kept = result.fair(labels), result.values.get("ssim")
    if gained is None or kept is None:
        return None
    return gained < GAINED or kept < KEPT


def worst(judged: Sequence[Judged], labels: Sequence[str], count: int = 10) -> list[Judged]:
    """The results that lack most of style gained or of structure kept, the worst first.

    How bad one is, is its smaller share of what would have been no failure. The rows that are
    always there are left out.
    """
    made = [result for result in judged if not result.method.still]
    return sorted(made, key=lambda result: _margin(result, labels))[:count]


def _margin(result: Judged, labels: Sequence[str]) -> float:
    gained, kept = result.fair(labels), result.values.get("ssim")
    if gained is None or kept is None:
        return math.inf
    return min(gained / GAINED, kept / KEPT)


def _failures(results: Sequence[Judged], labels: Sequence[str]) -> int | None:
    verdicts = [failed(result, labels) for result in results]
    known = [verdict for verdict in verdicts if verdict is not None]
    return sum(known) if known else None


def _cell(results: Sequence[Judged], key: str) -> Cell:
    found = [
        (value, result.pair.style)
        for result in results
        if (value := result.values.get(key)) is not None
    ]
    if not found:
        return Cell(None, None, None)
    values, styles = zip(*found, strict=True)
    return Cell(*median_interval(values, styles))
