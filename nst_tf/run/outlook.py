"""What is done about the memory that a run takes: strips, or a refusal that names what fits.

Nothing here needs TensorFlow, so that a run that cannot be is refused before that is loaded.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from nst_tf import memory_at_hand
from nst_tf.errors import SettingsError
from nst_tf.network import weights
from nst_tf.pictures import heads
from nst_tf.pictures.images import Picture
from nst_tf.pictures.masks import Masked
from nst_tf.recipe import layers, sizes
from nst_tf.recipe.settings import Settings
from nst_tf.run.memory import Need
from nst_tf.run.meter import resident

#: The tiles that `auto` chooses from.
TILES = (1024, 512, 384, 256)
#: Bytes that the process has taken when TensorFlow is loaded.
_TENSORFLOW = 600 << 20
#: How much of the memory at hand a run is given: others want some, and an estimate is no more.
_SHARE = 0.8
#: What a GPU is taken to have for a run: TensorFlow cannot tell.
_GPU_BYTES = 4 << 30
_UNITS = {"": 0, "k": 10, "m": 20, "g": 30, "t": 40}


class Outlook(NamedTuple):
    """What is foreseen of a run.

    Attributes:
      tile: as strips have it; None where pictures are measured as a whole.
      whole: bytes of the process at its peak, measured as a whole.
      peak: likewise as it is measured.
      room: bytes that the process may take.
    """

    tile: int | None
    whole: int
    peak: int
    room: int


@dataclass(frozen=True)
class Room:
    """What a run may take.

    Attributes:
      left: bytes besides what the process has taken.
      taken: what it has.
      said: in whose words: `max_memory`, or empty for what the machine has at hand.
      strict: whether what takes more is refused: not where a GPU's memory is but guessed.
    """

    left: int
    taken: int
    said: str = ""
    strict: bool = True


def room(max_memory: int | str | None = None, gpu: bool = False) -> Room:
    """What is at hand for a run.

    Args:
      max_memory: what the process may take in all, as `parse` reads it; None for four fifths of
        what machine, container and limits leave.
      gpu: whether feature maps are in a GPU's memory.

    Raises:
      SettingsError: it is no number of bytes.
    """
    taken = resident()
    loaded = max(taken, _TENSORFLOW)
    if max_memory is not None:
        loaded = 0 if gpu else loaded
        return Room(parse(max_memory) - loaded, loaded, str(max_memory))
    if gpu:
        return Room(_GPU_BYTES, 0, strict=False)
    return Room(int(_SHARE * memory_at_hand.available()) - (loaded - taken), loaded)


def parse(text: int | str) -> int:
    """Bytes of `6GiB`, `6G`, `512MiB`, or of a number of bytes; powers of 2 throughout.

    Raises:
      SettingsError: it is none of these, or below one byte.
    """
    match = re.fullmatch(r"(\d{1,15}(?:\.\d{1,9})?)\s*([kmgt]?)(?:i?b)?", str(text).strip().lower())
    size = int(float(match[1]) * 2 ** _UNITS[match[2]]) if match else 0
    if isinstance(text, bool) or size < 1:
        raise SettingsError(f"max_memory is {text!r}: use a size such as 6GiB or 800MiB")
    return size


def tile_for(tile: int | str, need: Need, left: int) -> int | None:
    """The tile for `strips.Strips`; None where a picture is measured as a whole.

    Args:
      tile: `auto`: strips where a whole picture takes more than is left, as large as fit; `off`:
        never; a number: this tile.
      need: of the picture.
      left: bytes for it.
    """
    if isinstance(tile, int):
        return tile
    if tile == "off" or need.bytes() <= left:
        return None
    return next((size for size in TILES if need.bytes(size) <= left), TILES[-1])


def outlook(tile: int | str, need: Need, within: Room) -> Outlook:
    """What is foreseen of a run.

    Args:
      tile: as for `tile_for`; likewise need.
      within: what it may take.

    Raises:
      SettingsError: it does not fit; the text names the size that does.
    """
    chosen = tile_for(tile, need, within.left)
    taken, whole, peak = within.taken, need.bytes(), need.bytes(chosen)
    if within.strict and peak > within.left:
        raise SettingsError(_refusal(tile, need, within, peak))
    return Outlook(chosen, taken + whole, taken + peak, taken + within.left)


def _refusal(tile: int | str, need: Need, within: Room, peak: int) -> str:
    shape = need.result if max(need.result) else need.content
    there = "max_memory is " + within.said if within.said else f"{gib(within.left)} are at hand"
    total = within.taken * bool(within.said) + peak
    told = f"size {max(shape)}, {shape[1]}x{shape[0]} pixels, takes about {gib(total)} of memory"
    ways = []
    if size := _fitting(tile, need, within.left):
        ways.append(f"size={size}")
    if need.settings.optimizer in ("lbfgs", "tfp-lbfgs"):
        other = replace(need, settings=need.settings.replace(optimizer="adam"))
        ways += ["optimizer=adam"] * _fits(tile, other, within.left)
    if tile != "auto" and _fits("auto", need, within.left):
        ways.append("tile=auto")
    end = " or ".join(ways) + " fits" if ways else "no size fits"
    return f"{told}, and {there}: {end}"


def _fits(tile: int | str, need: Need, left: int) -> bool:
    return need.bytes(tile_for(tile, need, left)) <= left


def _fitting(tile: int | str, need: Need, left: int) -> int:
    """The largest size that fits, of two figures; 0 where none does."""
    low, high = 0, max(*need.result, *need.content)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _fits(tile, need.scaled(middle), left) else (low, middle)
    least = layers.smallest_size([layers.parse(key) for key in need.settings.layers])
    digits = 10 ** max(0, len(str(low)) - 2)
    return low // digits * digits if low >= least else 0


def gib(size: float) -> str:
    """A number of bytes, for people."""
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{max(size, 0) / 2**20:.0f} MiB"


def check_early(
    settings: Settings,
    content: Picture,
    style: Picture | Masked | Sequence[Picture | Masked],
    network: Any,
    *,
    tile: int | str,
    engine: str,
    dtype: str,
    within: Room,
) -> None:
    """Refuses a run before its pictures are read at their size, as far as their heads tell it.

    Args:
      settings: of the run.
      content: as `StyleTransfer` takes it; likewise style.
      network: from `weights.at_once`.
      tile: as for `tile_for`.
      engine: one of `choices.ENGINES` but auto; likewise dtype.
      within: what the run may take.

    Raises:
      SettingsError: it does not fit.
    """
    given = list(style) if isinstance(style, (list, tuple)) else [style]
    masks = sum(isinstance(one, Masked) for one in given)
    shapes = [
        heads.shape(one.picture if isinstance(one, Masked) else one) for one in (content, *given)
    ]
    known = [shape for shape in shapes if shape is not None]
    if len(known) < len(shapes) or len(known) < 2:
        return  # what is wrong with it is said where it is read
    photo, *paintings = known
    size = settings.size or max(photo)
    side = sizes.seen_at(settings, size)
    styles = [sizes.scaled(shape, side or max(shape)) for shape in paintings]
    regions = len(given) if masks else 0
    need = Need(
        settings,
        weights.channels(network),
        sizes.scaled(photo, size),
        styles,
        engine,
        dtype,
        regions,
    )
    outlook(tile, need.scaled(size), within)
