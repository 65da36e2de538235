"""Gram matrices to files of `nst_tf.data.Corpus`, for `nst-tf nearest`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import apache_beam as beam
import numpy as np

from nst_tf.beam.manifest import checked, numbered, sharded
from nst_tf.beam.storing import write_file


class WriteStyles(beam.PTransform):
    """(name, `{layer: Gram matrix}`) to NAME-00000-of-00004.npz and so on. Gives their paths.

    Args:
      name: of the files, with their folder, on any file system.
      layers: those that are kept, in their order.
      size: longer side in pixels that the pictures were looked at.
      network: the hash of its numbers, `Weights.sha256`.
      shards: how many files.

    Raises:
      SettingsError: no such number.
    """

    def __init__(
        self, name: str, layers: Sequence[str], size: int, network: str, shards: int = 1
    ) -> None:
        super().__init__()
        self._name, self._layers, self._size = name, tuple(layers), size
        self._network, self._shards = network, checked(shards)

    def expand(self, pcoll: Any) -> Any:
        how = self._name, self._layers, self._size, self._network, self._shards
        return (
            pcoll
            | "Sketch" >> beam.Map(_sketched, self._layers)
            | "Shard" >> beam.Map(sharded, self._shards)
            | "Together" >> beam.GroupByKey()
            | "Write" >> beam.Map(_written, *how)
        )


def _sketched(
    element: tuple[str, Mapping[str, np.ndarray]], layers: Sequence[str]
) -> tuple[str, np.ndarray]:
    from nst_tf.data.corpus import sketch

    name, grams = element
    styles = [sketch(grams[layer][np.newaxis]).numpy()[0] for layer in layers]
    return name, np.stack(styles).astype(np.float16)


def _written(
    element: tuple[int, Iterable[tuple[str, np.ndarray]]],
    name: str,
    layers: Sequence[str],
    size: int,
    network: str,
    shards: int,
) -> str:
    from nst_tf.data.corpus import Corpus

    shard, styles = element
    by_name = dict(styles)
    names = sorted(by_name)
    corpus = Corpus(names, np.stack([by_name[one] for one in names]), layers, size, network)
    path = f"{name}-{numbered(shard, shards)}.npz"
    write_file(path, corpus.encode())
    return path
