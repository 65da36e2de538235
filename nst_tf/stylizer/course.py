"""What decides what a stylizer learns, as one value."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from nst_tf.errors import SettingsError


class Stage(NamedTuple):
    """Steps with crops of one size.

    Attributes:
      size: of a crop's side in pixels.
      begin: the steps before it; likewise end, those at its end.
    """

    size: int
    begin: int
    end: int


@dataclass(frozen=True)
class Course:
    """What decides what is learnt.

    Attributes:
      weights: the network of the losses, as `weights.load` has it.
      preset: whose losses they are.
      overrides: fields of `Settings` other than the preset's (`overrides.LossOverrides`).
      width: of the stylizer.
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
    width: float = 0.25
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
        if not 0 < self.learning_rate < 1:
            raise SettingsError(f"learning_rate is {self.learning_rate!r}: use one such as 0.002")

    def stages(self) -> Iterator[Stage]:
        """Those that have a step."""
        shares = list(itertools.accumulate(size**-2 for size in self.sizes))
        ends = [round(share / shares[-1] * self.steps) for share in shares]
        for size, begin, end in zip(self.sizes, [0, *ends], ends, strict=False):
            if begin < end:
                yield Stage(size, begin, end)

    def share(self, step: int) -> float:
        """What share of the work is done after so many steps."""
        stages = list(self.stages())
        done = sum(
            stage.size**2 * (min(max(step, stage.begin), stage.end) - stage.begin)
            for stage in stages
        )
        return done / sum(stage.size**2 * (stage.end - stage.begin) for stage in stages)
