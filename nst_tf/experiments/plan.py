"""What an experiment consists of: its runs, and how their pictures and curves are laid out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nst_tf.errors import SettingsError
from nst_tf.recipe import layers, presets
from nst_tf.recipe.settings import Settings

#: What an experiment takes where neither the user nor the experiment says otherwise: small enough
#: for a grid on a processor, large enough to see strokes.
SIZE, EVALUATIONS = 256, 200


@dataclass(frozen=True)
class Inputs:
    """What the user names.

    Attributes:
      content: path of the content image.
      styles: paths of the style images.
      weights: the network, as `weights.load` takes it.
      preset: the recipe to start from; None for the experiment's own.
      changes: fields of `Settings` that the user set.
      values: what to vary over; empty for the experiment's own values.
    """

    content: str
    styles: tuple[str, ...]
    weights: str
    preset: str | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)
    values: tuple[str, ...] = ()

    def settings(self, preset: str = presets.PUBLISHED, **defaults: Any) -> Settings:
        """The settings to vary: a preset's, changed by the experiment's defaults, by the user's.

        Args:
          preset: where the user names none.
          **defaults: fields of `Settings`.
        """
        limits = ("iterations", "evaluations")
        if any(name in self.changes for name in limits):
            defaults = {key: value for key, value in defaults.items() if key not in limits}
        name, changes = self.preset or preset, {"size": SIZE, **defaults, **self.changes}
        if not presets.has_own_end(name, changes):
            changes["evaluations"] = EVALUATIONS
        return presets.settings(name, **changes)

    def words(self, *defaults: str) -> list[str]:
        """The values as they are.

        Raises:
          SettingsError: one is there twice.
        """
        return self._each(str, defaults, "")

    def numbers(self, *defaults: float) -> list[float]:
        """The values as numbers.

        Raises:
          SettingsError: one is no finite number of at least 0, or is there twice.
        """
        return self._each(float, defaults, "use finite numbers of at least 0")

    def whole_numbers(self, *defaults: int) -> list[int]:
        """The values as whole numbers.

        Raises:
          SettingsError: one is none of at least 0, or is there twice.
        """
        return self._each(int, defaults, "use whole numbers of at least 0")

    def layers(self, *defaults: str) -> list[str]:
        """The values as layers, by their papers' names.

        Raises:
          SettingsError: there is none, VGG19 has not one of them, or one is there twice.
        """
        return layers.distinct(self.words(*defaults))

    def comparable(self, **defaults: Any) -> Settings:
        """Settings of a normalised network, with the β that makes a pastiche of any start: its
        features are about 1 in every layer, so that one layer can take another's place.

        Args:
          **defaults: fields of `Settings`.
        """
        balanced = {"style_weight": 10.0, "learning_rate": None, **defaults}
        return self.settings("ratio-sweep-base", **balanced)

    def moments(self, chosen: Sequence[int], usual: Sequence[int]) -> tuple[int, ...]:
        """The iterations to look at: those chosen, else the usual ones up to the user's end, and
        that.

        Raises:
          SettingsError: one of those chosen is there twice, or is not reached.
        """
        iterations, evaluations = (self.changes.get(name) for name in ("iterations", "evaluations"))
        # The initial image takes an evaluation, every iteration at least one.
        ends = [iterations, None if evaluations is None else max(1, evaluations - 1)]
        end = min((limit for limit in ends if limit is not None), default=max(chosen or usual))
        if not chosen:
            return (*(moment for moment in usual if moment < end), end)
        check_unique("iterations", [str(moment) for moment in chosen])
        if max(chosen) > end:
            raise SettingsError(f"iteration {max(chosen)} is not reached: the run ends at {end}")
        return tuple(sorted(chosen))

    def _each(self, kind: type, defaults: Iterable[Any], hint: str) -> list[Any]:
        what = f"the values {','.join(self.values)}"
        try:
            values = [kind(value) for value in self.values] or list(defaults)
        except ValueError as error:
            raise SettingsError(f"{what}: {hint}") from error
        if kind is not str and not all(0 <= number < math.inf for number in values):
            raise SettingsError(f"{what}: {hint}")
        check_unique(what, [value if isinstance(value, str) else f"{value:g}" for value in values])
        return values


def check_unique(what: str, names: Sequence[str]) -> None:
    """Raises SettingsError where one of the names is there twice."""
    for name in names:
        if names.count(name) > 1:
            raise SettingsError(f"{what}: {name} is there twice")


@dataclass(frozen=True)
class Cell:
    """One run of an experiment.

    Attributes:
      name: of its files.
      varied: what sets it apart, by name: its columns in results.csv.
      settings: of the run.
      content: path of the content image.
      styles: paths of the style images.
      weights: the network.
      films: files of films to make of it, and whether the loss is drawn beside the picture.
    """

    name: str
    varied: Mapping[str, Any]
    settings: Settings
    content: str
    styles: tuple[str, ...]
    weights: str
    films: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True)
class Panel:
    """A picture on the page: a cell's result, or its image after an iteration, or a film of it."""

    cell: Cell
    caption: str
    iteration: int | None = None
    film: str | None = None


@dataclass(frozen=True)
class Row:
    """Pictures side by side, with what they have in common."""

    label: str
    panels: list[Panel]


@dataclass(frozen=True)
class Curves:
    """One plot: a term of the loss of several cells, by name, against evaluations, iterations or
    seconds."""

    title: str
    cells: Mapping[str, Cell]
    x: str = "evaluations"
    term: str = "total"


@dataclass(frozen=True)
class Plan:
    """An experiment before it is run.

    Attributes:
      name: of the experiment.
      title: of the page.
      text: what is varied and what there is to see; a blank line between paragraphs.
      rows: of the page's pictures. Their cells, each once, are what is run.
      curves: of the page's plots.
      notes: further lines for people, such as what was left out.
    """

    name: str
    title: str
    text: str
    rows: list[Row]
    curves: list[Curves] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for panel in (panel for row in self.rows for panel in row.panels):
            if panel.cell not in self.cells:
                raise SettingsError(f"two runs would both be called {panel.cell.name}")

    @property
    def cells(self) -> list[Cell]:
        """The runs, each once, in the order of the page."""
        by_name = {panel.cell.name: panel.cell for row in self.rows for panel in row.panels}
        return list(by_name.values())


@dataclass(frozen=True)
class Sweep:
    """An experiment that is runs under varied settings: a function that plans it, with its name.

    Attributes:
      name: as the command line knows it.
      help: what it shows, in a few words.
      plan: what the user names to the experiment's plan.
    """

    name: str
    help: str
    plan: Callable[[Inputs], Plan]

    def __call__(self, inputs: Inputs) -> Plan:
        return self.plan(inputs)


def sweep(text: str) -> Callable[[Callable[[Inputs], Plan]], Sweep]:
    """Makes a `Sweep` of the function below it: its help is no docstring, which -OO takes away."""
    return lambda plan: Sweep(plan.__name__.replace("_", "-"), text, plan)


def plain(name: str) -> str:
    """A name that a file may have."""
    return "".join(letter if letter.isalnum() or letter in "._" else "-" for letter in name)
