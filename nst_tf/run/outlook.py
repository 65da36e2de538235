"""What is done about the memory that a run takes: strips, or a refusal that names what fits.

Nothing here needs TensorFlow, so that a run that cannot be is refused before that is loaded.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from nst_tf import memory_at_hand
from nst_tf.errors import SettingsError, in_bytes
from nst_tf.network import weights
from nst_tf.pictures import heads
from nst_tf.pictures.images import Picture
from nst_tf.pictures.masks import Masked
from nst_tf.recipe import layers, sizes
from nst_tf.recipe.choices import Tile
from nst_tf.recipe.settings import Settings
from nst_tf.run.memory import Need
from nst_tf.run.meter import resident

#: The tiles that `auto` chooses from.
TILES = (1024, 512, 384, 256)
#: Bytes that the process has taken when TensorFlow is loaded.
_TENSORFLOW = 600 << 20
#: What a GPU is taken to have for a run: TensorFlow cannot tell.
_GPU_BYTES = 4 << 30
#: The engines and types that take the least and the most, of those that `auto` may stand for.
_LEAST, _MOST = ("keras", "mixed_bfloat16"), ("winograd", "float32")
_UNITS = {"": 0, "k": 10, "m": 20, "g": 30, "t": 40}


class Outlook(NamedTuple):
    """What is foreseen of a run.

    Attributes:
      tile: as strips have it; None where pictures are measured as a whole.
      whole: bytes of the process at its peak, measured as a whole.
      peak: likewise as it is measured.
      room: bytes that the process may take.
      crowded: whether it wants what idle workshops hold.
    """

    tile: int | None
    whole: int
    peak: int
    room: int
    crowded: bool = False


@dataclass(frozen=True)
class Room:
    """What a run may take.

    Attributes:
      left: bytes besides what the process has taken.
      taken: what it has, besides what idle workshops hold.
      said: by whom, in words; empty for what the machine has at hand.
      strict: whether what takes more is refused: not where a GPU's memory is but guessed.
      idle: bytes of those left that idle workshops hold.
      workers: how many processes have as much each.
    """

    left: int
    taken: int
    said: str = ""
    strict: bool = True
    idle: int = 0
    workers: int = 1

    @property
    def of_one(self) -> int:
        """Bytes that would be left where one process had it all."""
        return (self.left + self.taken) * self.workers - self.taken


class Share(int):
    """Bytes that each of several processes may take, as `max_memory`: `share`."""

    workers = 1


def room(max_memory: int | str | None = None, gpu: bool = False, idle: int = 0) -> Room:
    """What is at hand for a run.

    Args:
      max_memory: what the process may take in all, as `parse` reads it; None for four fifths of
        what machine, container and limits leave.
      gpu: whether feature maps are in a GPU's memory.
      idle: bytes that workshops hold which the run uses again, or can let go (`workshops.idle`).

    Raises:
      SettingsError: it is no number of bytes.
    """
    held = resident()
    idle = min(idle, held) * (not gpu)
    taken = held - idle
    loaded = max(taken, _TENSORFLOW)
    if max_memory is not None:
        loaded = 0 if gpu else loaded
        left = parse(max_memory) - loaded
        said = in_bytes(max_memory) if isinstance(max_memory, int) else str(max_memory)
        workers = max_memory.workers if isinstance(max_memory, Share) else 1
        of = f"each of {workers} workers may take" if workers > 1 else "max_memory is"
        return Room(left, loaded, f"{of} {said}", idle=idle, workers=workers)
    if gpu:
        return Room(_GPU_BYTES, 0, strict=False)
    left = memory_at_hand.allowed(idle) - (loaded - taken)
    return Room(left, loaded, idle=idle)


def share(max_memory: int | str | None, processes: int, gpu: bool = False) -> Share | None:
    """What each of several processes may take, as `room` has it: they share what there is, and
    none of them can tell what the others are about to take.

    Args:
      max_memory: what all of them may take; likewise gpu.
      processes: how many.
    """
    if max_memory is None and gpu:
        return None
    of_all = memory_at_hand.allowed() if max_memory is None else parse(max_memory)
    part = Share(of_all // processes)
    part.workers = processes
    return part


def parse(text: int | str) -> int:
    """Bytes of `6GiB`, `6G`, `512MiB`, or of a number of bytes; powers of 2 throughout.

    Raises:
      SettingsError: it is none of these, or below one byte.
    """
    if isinstance(text, int) and abs(text) > 1 << 60:  # Python writes no number of 5000 digits
        text = "more than any machine has" if text > 0 else "below 0"
    words = str(text).strip().lower()
    match = re.fullmatch(r"(\d{1,15}(?:\.\d{1,9})?)\s*([kmgt]?)(?:i?b)?", words)
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


def decide(tile: Tile, needs: Sequence[Need], within: Room) -> list[Outlook]:
    """What is foreseen of each stage of a run, strips or none decided.

    That is done once a run, and written down: what is at hand changes, and other strips round
    otherwise. A run that is made again, or gone on with, has the strips that were written. Where
    these do not fit any more it is refused, as is every run that does not: what it was to repeat
    is still there, and who wants to dare it says so by max_memory.

    Args:
      tile: as for `tile_for`, of every stage; or those that were decided before, one a stage.
      needs: of each stage.
      within: what the run may take.

    Raises:
      SettingsError: it does not fit; or `tile` is a list, and not one a stage.
    """
    if isinstance(tile, (int, str)):
        return [outlook(tile, need, within) for need in needs]
    if len(tile) != len(needs):
        raise SettingsError(
            f"tile is a list of {len(tile)}, one a stage, and the run has {len(needs)}: use auto"
        )
    pairs = zip(tile, needs, strict=True)
    return [outlook(one, need, within, decided=True) for one, need in pairs]


def outlook(tile: int | str, need: Need, within: Room, decided: bool = False) -> Outlook:
    """What is foreseen of a run, or of a stage.

    Args:
      tile: as for `tile_for`; likewise need.
      within: what it may take.
      decided: whether the tile is that of a run that was begun or made before, which has no other
        size either.

    Raises:
      SettingsError: it does not fit; the text names the size that does.
    """
    chosen = tile_for(tile, need, within.left)
    taken, whole, peak = within.taken, need.bytes(), need.bytes(chosen)
    if within.strict and peak > within.left:
        raise SettingsError(_refusal(tile, need, within, peak, decided))
    crowded = within.idle > 0 and peak > within.left - within.idle
    return Outlook(chosen, taken + whole, taken + peak, taken + within.left, crowded)


def _refusal(tile: int | str, need: Need, within: Room, peak: int, decided: bool) -> str:
    shape = need.result if max(need.result) else need.content
    there = within.said or f"{in_bytes(within.left)} are at hand"
    total = within.taken * bool(within.said) + peak
    told = (
        f"size {max(shape)}, {shape[1]}x{shape[0]} pixels, takes about {in_bytes(total)} of memory"
    )
    alone = within.workers > 1 and _fits(tile, need, within.of_one)
    if decided:
        more = "allow it more by max_memory" + " or fewer workers" * alone
        return f"{told} with tile={tile}, as it was begun, and {there}: {more}"
    ways = []
    if size := _fitting(tile, need, within.left):
        ways.append(f"size={size}")
    if need.settings.optimizer in ("lbfgs", "tfp-lbfgs"):
        other = replace(need, settings=need.settings.replace(optimizer="adam"))
        ways += ["optimizer=adam"] * _fits(tile, other, within.left)
    if tile != "auto" and _fits("auto", need, within.left):
        ways.append("tile=auto")
    ways += ["fewer workers"] * alone
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


def check_early(
    settings: Settings,
    content: Picture,
    style: Picture | Masked | Sequence[Picture | Masked],
    network: Any,
    *,
    tile: Tile,
    engine: str,
    dtype: str,
    within: Room,
) -> None:
    """Refuses a run before its pictures are read at their size, as far as their heads tell it.

    Args:
      settings: of the run.
      content: as `StyleTransfer` takes it; likewise style.
      network: from `weights.at_once`.
      tile: as for `decide`.
      engine: one of `choices.ENGINES`; likewise dtype. Of `auto`, which TensorFlow decides on,
        nothing is refused that any of them could hold; what is said then of sizes holds for all.
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
    channels, shape = weights.channels(network), sizes.scaled(photo, size)
    decided = not isinstance(tile, (int, str))
    last = tile if isinstance(tile, (int, str)) else tile[-1]

    def check(engines: str, dtypes: str) -> None:
        how = engines if engine == "auto" else engine, dtypes if dtype == "auto" else dtype
        need = Need(settings, channels, shape, styles, how[0], how[1], regions)
        outlook(last, need.scaled(size), within, decided)

    try:
        check(*_LEAST)
    except SettingsError:
        check(*_MOST)
        raise
