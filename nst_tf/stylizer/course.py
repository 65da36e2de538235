"""What decides what a stylizer learns, as one value."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from nst_tf.errors import SettingsError

#: Of the network that the package brings along, its width.
BASE_WIDTH = 0.25


class Stage(NamedTuple):
    """Steps with crops of one size.

    Attributes:
      size: of a crop's side in pixels.
      begin: the steps before it; likewise end, those at its end.
      whole: whether all is learnt, or only what each style has of its own.
    """

    size: int
    begin: int
    end: int
    whole: bool = True


@dataclass(frozen=True)
class Course:
    """What decides what is learnt.

    Attributes:
      weights: the network of the losses, as `weights.load` has it.
      preset: whose losses they are.
      overrides: fields of `Settings` other than the preset's (`overrides.LossOverrides`).
      width: of the stylizer.
      base: the stylizer that it begins with: `auto` for the package's own where `width` is its,
        `none` to begin anew, or a file of one.
      styles_first: of the steps, the share in which only what each style has of its own is learnt,
        where there is a base.
      sizes: sides in pixels of the crops of each stage.
      steps: of all stages. All take about as long: those with smaller crops have more of them.
      batch: crops a step.
      style_size: pixels of the paintings' longer side, which says how large strokes will be, in
        photos of any size.
      learning_rate: the largest.
      seed: of the crops and of the first weights.

    Raises:
      SettingsError: a value that cannot be used.
    """

    weights: str = "mini"
    preset: str = "crisp"
    overrides: Mapping[str, Any] = field(default_factory=dict)
    width: float = BASE_WIDTH
    base: str = "auto"
    styles_first: float = 0.1
    sizes: tuple[int, ...] = (128, 256)
    steps: int = 2000
    batch: int = 4
    style_size: int = 384
    learning_rate: float = 2e-3
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("steps", 1), ("batch", 1), ("style_size", 16), ("seed", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise SettingsError(f"{name} is {value!r}: use a whole number from {least}")
        if not self.sizes or min(self.sizes) < 32:
            raise SettingsError(f"sizes are {list(self.sizes)}: use some from 32, such as 128,256")
        if not 0 <= self.styles_first <= 1:
            raise SettingsError(f"styles_first is {self.styles_first!r}: use a share from 0 to 1")
        if not 0 < self.learning_rate < 1:
            raise SettingsError(f"learning_rate is {self.learning_rate!r}: use one such as 0.002")

    @property
    def has_base(self) -> bool:
        """Whether it begins with a stylizer of other paintings."""
        return self.base != "none" and (self.base != "auto" or self.width == BASE_WIDTH)

    def stages(self) -> Iterator[Stage]:
        """Those that have a step."""
        shares = list(itertools.accumulate(size**-2 for size in self.sizes))
        ends = [round(share / shares[-1] * self.steps) for share in shares]
        first = round(self.styles_first * self.steps) if self.has_base else 0
        for size, begin, end in zip(self.sizes, [0, *ends], ends, strict=False):
            cut = min(max(begin, first), end)
            if begin < cut:
                yield Stage(size, begin, cut, whole=False)
            if cut < end:
                yield Stage(size, cut, end)

    def share(self, step: int) -> float:
        """What share of the work is done after so many steps."""
        stages = list(self.stages())
        done = sum(
            stage.size**2 * (min(max(step, stage.begin), stage.end) - stage.begin)
            for stage in stages
        )
        return done / sum(stage.size**2 * (stage.end - stage.begin) for stage in stages)
