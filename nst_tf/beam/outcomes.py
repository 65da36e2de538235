"""What becomes of a picture: a value under its name, or a failure; and the two told apart.

Both go the same way until they are told apart by filters, not by tags, which not every runner keeps
(Beam's for Dask does not).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.metrics import Metrics

#: Of the metrics.
NAMESPACE = "nst_tf"


class Failure(NamedTuple):
    """What could not be done.

    Attributes:
      name: of the picture.
      reason: why, in one line.
    """

    name: str
    reason: str


class Split(NamedTuple):
    """What a transform gives.

    Attributes:
      good: a PCollection of (name, value).
      failed: a PCollection of `Failure`, the dead letters.
    """

    good: Any
    failed: Any


def split(outcomes: Any) -> Split:
    """Tells a PCollection of (name, value or `Failure`) apart."""
    return Split(
        outcomes | "Good" >> beam.Filter(_is_good),
        outcomes | "Failed" >> beam.Filter(_is_failure) | "Reasons" >> beam.Map(_value),
    )


def _is_good(outcome: tuple[str, Any]) -> bool:
    return not isinstance(outcome[1], Failure)


def _is_failure(outcome: tuple[str, Any]) -> bool:
    return isinstance(outcome[1], Failure)


def _value(outcome: tuple[str, Any]) -> Any:
    return outcome[1]


class Counts:
    """Beam's metrics of a step: pictures, failures, and milliseconds a picture."""

    def __init__(self, step: str) -> None:
        self._pictures = Metrics.counter(NAMESPACE, f"{step}_pictures")
        self._failures = Metrics.counter(NAMESPACE, f"{step}_failures")
        self._milliseconds = Metrics.distribution(NAMESPACE, f"{step}_milliseconds")

    def add(self, outcome: object, seconds: float) -> None:
        """Counts one picture.

        Args:
          outcome: what became of it.
          seconds: that it took.
        """
        (self._failures if isinstance(outcome, Failure) else self._pictures).inc()
        self._milliseconds.update(round(1000 * seconds))
