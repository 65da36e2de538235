"""What became of all pictures, in a few files of JSON lines."""

from __future__ import annotations

import json
import posixpath
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam

from nst_tf.beam.outcomes import Failure
from nst_tf.beam.storing import write_file
from nst_tf.errors import SettingsError


class WriteManifest(beam.PTransform):
    """Outcomes, (name, record or `Failure`), to FOLDER/manifest-00000-of-00004.jsonl and so on.

    A line is a record, sorted by their names; failures are in failures-00000-of-00004.jsonl, with
    `name` and `reason`. A file without a line is not written. A name that comes twice, as from work
    that was done again, is there once. Gives the paths of the files.

    Args:
      folder: on any file system.
      shards: how many files of each.
      prefix: of the files' names.

    Raises:
      SettingsError: no such number.
    """

    def __init__(self, folder: str, shards: int = 1, prefix: str = "") -> None:
        super().__init__()
        self._shards = checked(shards)
        self._name = posixpath.join(folder, prefix)

    def expand(self, pcoll: Any) -> Any:
        return (
            pcoll
            | "Shard" >> beam.Map(sharded, self._shards)
            | "Together" >> beam.GroupByKey()
            | "Write" >> beam.ParDo(_Write(self._name, self._shards))
        )


class _Write(beam.DoFn):
    def __init__(self, name: str, shards: int) -> None:
        self._name, self._shards = name, shards

    def process(self, element: tuple[int, Iterable[tuple[str, Any]]]) -> Iterator[str]:
        shard, outcomes = element
        good: dict[str, Any] = {}
        failed: dict[str, Any] = {}
        for name, outcome in outcomes:
            if isinstance(outcome, Failure):
                failed[name] = outcome._asdict()
            else:
                good[name] = outcome
        # What failed once and was done when it was tried again is done.
        failed = {name: told for name, told in failed.items() if name not in good}
        for kind, told in (("manifest", good), ("failures", failed)):
            if told:
                path = f"{self._name}{kind}-{numbered(shard, self._shards)}.jsonl"
                lines = [json.dumps(told[name]) + "\n" for name in sorted(told)]
                write_file(path, "".join(lines).encode())
                yield path


def checked(shards: int) -> int:
    """Raises SettingsError where it is no number of files."""
    if not isinstance(shards, int) or not 1 <= shards <= 99_999:
        raise SettingsError(f"shards is {shards!r}: use a number of files such as 1 or 16")
    return shards


def sharded(outcome: tuple[str, Any], shards: int) -> tuple[int, tuple[str, Any]]:
    """An outcome with the number of the file that it goes to: the same name always to the same."""
    return zlib.crc32(outcome[0].encode()) % shards, outcome


def numbered(shard: int, shards: int) -> str:
    """`00000-of-00004`."""
    return f"{shard:05}-of-{shards:05}"
