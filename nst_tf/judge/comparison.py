"""Methods compared on a protocol: what is to be painted, what is to be judged, what came out."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from nst_tf import reading
from nst_tf.errors import FileError
from nst_tf.judge import table
from nst_tf.judge.judging import Judging
from nst_tf.judge.measures import COSTS
from nst_tf.judge.methods import Method
from nst_tf.judge.protocol import Pair, Protocol
from nst_tf.judge.table import Judged, Row
from nst_tf.run.jobs import Manifest, Work


@dataclass(frozen=True)
class Comparison:
    """What is compared with what.

    Attributes:
      protocol: the pairs of pictures.
      methods: the rows.
      folder: for pictures and measures.
      networks: those that judge: what `weights.load` takes, by label.
      failed: names of paintings (METHOD/PAIR) that failed; what lies in their place is older.
    """

    protocol: Protocol
    methods: Sequence[Method]
    folder: Path
    networks: Mapping[str, str]
    failed: Collection[str] = ()

    @property
    def reference(self) -> str | None:
        """The row whose gains are a unit for the others': the first of a preset."""
        return next((method.name for method in self.methods if method.preset), None)

    def paintings(self, changes: Mapping[str, Mapping[str, Any]]) -> list[Work]:
        """What makes the pictures, a method after the other.

        Args:
          changes: fields of `Settings` by preset; those of "" are for methods without one.
        """
        works = [
            method.work(pair, self.folder, self.protocol.size, changes.get(method.preset or "", {}))
            for method in self.methods
            for pair in self.protocol.pairs
        ]
        return [work for work in works if work is not None]

    def judgings(self) -> list[Judging]:
        """What judges the pictures that are there, a pair after the other."""
        return [
            Judging(
                f"{method.name}/{pair.name}",
                method,
                pair,
                self.protocol.size,
                method.picture(pair, self.folder),
                tuple(self.networks.items()),
                # A row of results may have a name that no folder can have.
                self.folder / "judged" / quote(method.name, "@")[-100:] / f"{pair.name}.json",
            )
            for pair in self.protocol.pairs
            for method in self.methods
            if self._is_there(method, pair)
        ]

    def judged(self, manifests: Mapping[str, Manifest]) -> list[Judged]:
        """The results with their measures, and with what making them took.

        Args:
          manifests: of the judgings, by their names.
        """
        judged = [
            Judged(
                judging.method,
                judging.pair,
                {**manifests[judging.name]["measures"], **_costs(judging)},
            )
            for judging in self.judgings()
            if judging.name in manifests
        ]
        return table.with_ratios(judged, list(self.networks), self.reference)

    def rows(self, judged: Sequence[Judged]) -> list[Row]:
        """The table (`table.rows`)."""
        return table.rows(
            self.methods, judged, self.protocol.pairs, list(self.networks), self.reference
        )

    def missing(self) -> list[Path]:
        """The results that are not there."""
        return [
            method.picture(pair, self.folder)
            for method in self.methods
            for pair in self.protocol.pairs
            if not self._is_there(method, pair)
        ]

    def _is_there(self, method: Method, pair: Pair) -> bool:
        if method.still:
            return True
        failed = f"{method.name}/{pair.name}" in self.failed
        return not failed and method.picture(pair, self.folder).is_file()


def _costs(judging: Judging) -> dict[str, float | None]:
    """What making a picture took, where it is ours and its manifest says so."""
    if judging.method.still or judging.method.results is not None:
        return {}
    try:
        manifest = reading.read_json(judging.result.with_suffix(".json"))
        return {measure.key: manifest.get(measure.key) for measure in COSTS}
    except (FileError, AttributeError):
        return {}
