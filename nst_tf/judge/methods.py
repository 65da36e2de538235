"""Which methods are compared, and the work that makes their pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nst_tf.classical import methods as classical
from nst_tf.errors import SettingsError
from nst_tf.judge.protocol import Pair
from nst_tf.network import weights as weights_module
from nst_tf.network.weights import Weights
from nst_tf.pictures import folders
from nst_tf.recipe import presets
from nst_tf.run.classical_work import Painting
from nst_tf.run.job import Job
from nst_tf.run.jobs import Work

#: The rows that are always there: the untouched content, and the style image in its place.
IDENTITY, STYLE = "identity", "style"


@dataclass(frozen=True)
class Method:
    """A row of the table.

    Attributes:
      name: of the row, and of the folder with its pictures.
      network: the label of the network that it optimises with; None where there is none.
      preset: its recipe; None of a classical method.
      weights: that network, as `weights.load` takes it.
      results: the folder of pictures that were made elsewhere, or the one that there is; None
        where they are ours to make.
    """

    name: str
    network: str | None = None
    preset: str | None = None
    weights: str | None = None
    results: Path | None = None

    @property
    def still(self) -> bool:
        """Whether it is one of the rows that are always there."""
        return self.name in (IDENTITY, STYLE)

    def picture(self, pair: Pair, folder: Path) -> Path:
        """Where the result of a pair lies; nowhere in the rows that are always there.

        Raises:
          SettingsError: two pictures of a folder could be it.
        """
        if self.results is None:
            return folder / self.name / f"{pair.name}.png"
        if not self.results.is_dir():
            return self.results
        found = [path for path in folders.pictures(self.results) if path.stem == pair.name]
        if len(found) > 1:
            raise SettingsError(f"{self.results} has {len(found)} pictures called {pair.name}")
        return found[0] if found else self.results / f"{pair.name}.png"

    def work(self, pair: Pair, folder: Path, size: int, changes: Mapping[str, Any]) -> Work | None:
        """What makes the result of a pair; None where nothing is to be made.

        Args:
          pair: of pictures.
          folder: for the pictures of all methods.
          size: longer side in pixels.
          changes: fields of `Settings`, of those that have a preset.
        """
        if self.results is not None or self.still:
            return None
        name, output = f"{self.name}/{pair.name}", self.picture(pair, folder)
        content, style = str(pair.content), str(pair.style)
        if self.preset is None:
            return Painting(
                name, self.name, content, style, size, output, int(changes.get("seed", 0))
            )
        settings = presets.settings(self.preset, **{**changes, "size": size})
        return Job(name, settings, content, (style,), str(self.weights), output)


def choose(
    names: Sequence[str],
    networks: Mapping[str, str],
    results: Sequence[tuple[str, str]] = (),
) -> list[Method]:
    """The methods by their names: presets (one row for each network) and classical ones.

    Args:
      names: of them.
      networks: what `weights.load` takes, by label.
      results: names of rows of pictures that were made elsewhere, and their folders.

    Returns:
      The rows, with those of identity and style first.

    Raises:
      SettingsError: a name that is unknown, or there twice; a folder that is not there.
    """
    rows = [Method(IDENTITY), Method(STYLE)]
    for name in names:
        if name in presets.PRESETS:
            rows += [
                Method(f"{name}@{label}", label, name, source) for label, source in networks.items()
            ]
        elif name in classical.TRANSFERS:
            rows.append(Method(name))
        elif name not in (IDENTITY, STYLE):
            known = ", ".join((*presets.PRESETS, *classical.TRANSFERS))
            raise SettingsError(f"no method {name!r}: use {known}")
    for name, folder in results:
        if not Path(folder).is_dir():
            raise SettingsError(f"no folder {folder} with results of {name}")
        rows.append(Method(name, results=Path(folder)))
    row_names = [row.name for row in rows]
    for name in row_names:
        if row_names.count(name) > 1:
            raise SettingsError(f"the method {name} is there twice")
    return rows


def label(weights: Weights) -> str:
    """What a network is called in the table: `vgg19` and `mini` are known whatever their file.

    Args:
      weights: of the network.
    """
    if weights.kind == "random":
        return weights.kind
    known = weights_module.recognise(weights)
    if known is not None:
        return known
    stem = Path(weights.source).stem
    # What only has their name is not taken for them.
    return f"{stem}-file" if stem in ("vgg19", "mini") else stem


def labels(sources: Sequence[str]) -> dict[str, str]:
    """What `weights.load` takes, by the networks' labels.

    Raises:
      SettingsError: two networks have one label.
      WeightsError: one cannot be had.
    """
    found: dict[str, tuple[str, str]] = {}
    for source in sources:
        weights = weights_module.load(source)
        name = label(weights)
        if found.setdefault(name, (source, weights.sha256))[1] != weights.sha256:
            raise SettingsError(f"two networks are called {name}: rename the file {source}")
    return {name: source for name, (source, _) in found.items()}
