"""Where a run puts itself aside, and goes on from after whatever ended it.

A checkpoint's folder says what run it is of, and has the last two iterations that were kept, each
in a folder of its own. That one is written beside under another name, and gets its own once the
disk has all of it: whatever stops the process, nobody finds half of one.

A run has its folder to itself for as long as it lasts; whoever comes second is refused.
"""

from __future__ import annotations

import contextlib
import json
import math
import numbers
import os
import reprlib
import shutil
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from PIL import Image

from nst_tf import files, locks, reading
from nst_tf.errors import (
    CheckpointError,
    DamagedCheckpointError,
    FileError,
    NSTError,
    SettingsError,
)
from nst_tf.pictures import images
from nst_tf.recipe import choices
from nst_tf.recipe.choices import Tile
from nst_tf.run.descent import Counts
from nst_tf.run.track import Track
from nst_tf.version import __version__

#: What lies in the folder: what the run is, and its iterations.
_RUN, _PLACES = "run.json", "iteration-" + 8 * "[0-9]"
#: What TensorFlow's files are called there, and how it names a value in them.
_FILES, _KEY = "descent", "{}/.ATTRIBUTES/VARIABLE_VALUE"
#: What of an input says where it was found, and not what it is.
_WHERE = ("path", "source", "kind", "file_sha256", "bytes")


class Checkpoint:
    """The checkpoint of one run.

    Args:
      folder: where; it is made when the run begins.
      every: seconds from one iteration that is kept to the next; the last one is kept in any case.
      identity: what tells the run from others, as plain values.

    Attributes:
      folder: likewise.
      keep_end: whether the last step is kept of a run that has come to its own end, too; not where
        the checkpoint goes once the result is there.

    Raises:
      CheckpointError: the folder has a checkpoint of another run.
      DamagedCheckpointError: it cannot be read what the checkpoint is of.
      SettingsError: `every` is no time.
      FileError: the folder has other files, or cannot be read or written.
    """

    def __init__(
        self, folder: str | os.PathLike[str], every: float, identity: Mapping[str, Any]
    ) -> None:
        self.folder, self._every = checked(folder, every)
        self._identity = _about(identity)
        self._check()
        self.keep_end = True
        self._now: _Now | None = None
        self._kept: list[Path] = []  # those that are known to be sound, the last one last
        self._last = time.monotonic()

    @staticmethod
    def tile(folder: str | os.PathLike[str], identity: Mapping[str, Any]) -> Tile | None:
        """The strips of the run that a folder has a checkpoint of, for one that is to go on with
        it: other memory at hand would have it choose others.

        Args:
          folder: as for `Checkpoint`.
          identity: likewise, but for the `tile`.

        Returns:
          What `StyleTransfer` takes as tile; None where there is no such checkpoint, or none that
          can be read, or one of another run: `Checkpoint` says what is wrong with it.
        """
        try:
            told = dict(reading.read_json(Path(folder) / _RUN))
            tile = choices.check_tile(told.pop("tile"))
            same = dict(_told(told)) == dict(_told(_about(identity)))
        except (NSTError, TypeError, ValueError, KeyError):
            return None
        one_each = isinstance(tile, list) and len(tile) == len(identity["stages"])
        return tile if same and one_each else None

    @property
    def iteration(self) -> int | None:
        """The last iteration that was kept; None where none was."""
        places = self._places()
        return _iteration(places[-1]) if places else None

    @contextlib.contextmanager
    def open(self, track: Track) -> Iterator[None]:
        """Makes the folder and has it for the block: a run that was put aside goes on from where it
        was, and the last step that is told is kept in the end, whatever ends it (`keep_end`).

        Args:
          track: of the run, which has not begun; it is left alone where nothing was kept.

        Raises:
          DamagedCheckpointError: nothing of what was kept can be read.
          OutputError: another run has the folder, or it cannot be written.
        """
        files.make_folder(self.folder)
        with locks.alone(self.folder):
            self._take_up(track)
            done = False
            try:
                yield
                done = track.stopped != "interrupted"
            finally:
                if self.keep_end or not done:
                    self.keep()

    def _take_up(self, track: Track) -> None:
        self._now, self._kept = None, []
        self._check()  # another run may have begun here since
        for part in files.parts(self.folder):  # of what was killed while it wrote
            files.discard(part)
        if not (self.folder / _RUN).exists():
            files.write(self.folder / _RUN, json.dumps(self._identity, indent=1))
        places = self._places()
        for place in reversed(places):
            try:
                _read(place, track)
            except _IterationError as error:
                if place == places[0]:
                    raise DamagedCheckpointError(
                        f"nothing in the checkpoint {self.folder} can be read ({error}): delete "
                        "the folder to begin anew"
                    ) from error
                warnings.warn(f"{error}: going on from the iteration kept before", stacklevel=3)
            else:
                self._kept = [place]
                for other in places[: max(0, places.index(place) - 1)]:
                    shutil.rmtree(other, ignore_errors=True)
                break
        self._last = time.monotonic()

    def after_step(self, track: Track) -> None:
        """Told of every step; what is kept is never in the midst of one."""
        self._now = _Now.of(track)
        if time.monotonic() - self._last >= self._every:
            self.keep()

    def keep(self) -> None:
        """Keeps the last step that it was told of. Where that fails, it says so in a warning: the
        run, and what was kept before, are worth more."""
        if self._now is None:
            return
        place = self.folder / f"iteration-{self._now.iteration:08}"
        if self._kept[-1:] == [place]:
            return
        try:
            _write(place, self._now)
            self._kept = [*self._kept[-1:], place]
            for other in set(self._places()) - set(self._kept):
                shutil.rmtree(other, ignore_errors=True)
        except (OSError, tf.errors.OpError) as error:
            warnings.warn(
                f"cannot write the checkpoint {place} ({_reason(error)}): the run goes on without",
                stacklevel=3,
            )
        self._last = time.monotonic()

    def _places(self) -> list[Path]:
        return sorted(self.folder.glob(_PLACES), key=_iteration)

    def _check(self) -> None:
        """Finds out whether the folder is this run's, or free to be."""
        path = self.folder / _RUN
        try:
            others = sorted(os.listdir(self.folder)) if self.folder.exists() else []
        except OSError as error:
            raise FileError(f"cannot read the folder {self.folder}: {error.strerror}") from error
        if _RUN not in others:
            if any(not name.startswith(".") for name in others):
                raise FileError(
                    f"the folder {self.folder} has other files than a checkpoint's, such as "
                    f"{others[-1]}: name one that is new or empty"
                )
            return
        try:
            before = dict(_told(reading.read_json(path)))
        except (FileError, AttributeError) as error:
            raise DamagedCheckpointError(
                f"cannot read {path}, which says what the checkpoint is of: delete the folder to "
                "begin anew"
            ) from error
        now = dict(_told(self._identity))
        names = [name for name in {**now, **before} if before.get(name) != now.get(name)]
        if names:
            changes = [f"{name} was {before.get(name)}, is {now.get(name)}" for name in names[:3]]
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            raise CheckpointError(
                f"the checkpoint {self.folder} is of another run: {'; '.join(changes)}{more}; "
                "go on with what it was, or name another folder"
            )


class _Now(NamedTuple):
    """A run after a step, as it is kept."""

    iteration: int
    leaves: Sequence[tf.Tensor]
    start: tf.Tensor | None
    number: int
    begun: Counts
    history: Sequence[Mapping[str, float]]
    spent: Mapping[str, float | int | None]
    snapshots: Mapping[int, Image.Image]

    @classmethod
    def of(cls, track: Track) -> _Now:
        assert track.progress is not None
        return cls(
            int(track.progress.iteration),
            tf.nest.flatten(track.progress),
            track.start,
            track.number,
            track.begun,
            list(track.history),
            dict(track.spent),
            dict(track.snapshots),
        )


class _IterationError(Exception):
    """An iteration that was kept, and cannot be read."""


def _write(place: Path, now: _Now) -> None:
    """Writes what is kept into a folder, which is there whole or not at all."""
    told = {
        "leaves": len(now.leaves),
        "first": now.start is None,
        "number": now.number,
        "begun": now.begun,
        "history": now.history,
        "spent": now.spent,
        "snapshots": list(now.snapshots),
    }
    shots = [np.asarray(image) for image in now.snapshots.values()]
    part = files.part_beside(place)
    try:
        part.mkdir()
        tf.train.Checkpoint(
            told=tf.Variable(json.dumps(told)),
            leaves=[tf.Variable(leaf) for leaf in now.leaves],
            start=tf.Variable(tf.zeros([]) if now.start is None else now.start),
            snapshots=tf.Variable(np.asarray(shots, np.uint8)),
        ).write(str(part / _FILES))
        for path in (*part.iterdir(), part):
            _sync(path)
        shutil.rmtree(place, ignore_errors=True)  # one that could not be read
        part.rename(place)
        _sync(place.parent)
    finally:
        files.discard(part)


def _read(place: Path, track: Track) -> None:
    """Reads what was kept into the track of a run."""
    try:
        reader = tf.train.load_checkpoint(str(place / _FILES))
        told = json.loads(reader.get_tensor(_KEY.format("told")))
        leaves = [
            tf.constant(reader.get_tensor(_KEY.format(f"leaves/{index}")))
            for index in range(told["leaves"])
        ]
        start = tf.constant(reader.get_tensor(_KEY.format("start")))
        shots = reader.get_tensor(_KEY.format("snapshots"))
    except Exception as error:  # what is damaged makes TensorFlow raise this and that
        raise _IterationError(f"{place} is damaged ({_reason(error)})") from error
    track.leaves, track.number, track.begun = leaves, told["number"], Counts(*told["begun"])
    track.start = None if told["first"] else start
    track.history, track.spent = told["history"], told["spent"]
    for iteration, pixels in zip(told["snapshots"], shots, strict=True):
        track.snapshots[iteration] = images.to_pil(pixels / np.float32(255))


def checked(folder: Any, every: Any) -> tuple[Path, float]:
    """The folder for a checkpoint and the seconds between two, as `Checkpoint` takes them.

    Raises:
      SettingsError: it is no path, or no time.
      OutputError: it cannot be written into.
    """
    if not isinstance(folder, (str, os.PathLike)):
        raise SettingsError(f"checkpoint is {reprlib.repr(folder)}: give the path of a folder")
    if not isinstance(every, numbers.Real) or not 0 <= float(every) < math.inf:
        raise SettingsError(f"checkpoint_every is {every!r}: use seconds, 0 for every step")
    files.check_folder(Path(folder))
    return Path(folder), float(every)


def forget(folder: Path) -> None:
    """Does away with a checkpoint, if there is one. What it is of goes last: whatever stops this,
    half of it is one still.

    Args:
      folder: of the checkpoint, which no run has now.
    """
    for place in folder.glob(_PLACES):
        shutil.rmtree(place, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


def _sync(path: Path) -> None:
    """Returns once the disk has it; not every system can say so of a folder."""
    with contextlib.suppress(OSError) if path.is_dir() else contextlib.nullcontext():
        descriptor = os.open(path, os.O_RDWR if path.is_file() else os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _about(identity: Mapping[str, Any]) -> dict[str, Any]:
    """What a checkpoint says of its run, as it is read again."""
    about = {"nst_tf": __version__, "tensorflow": tf.__version__, **identity}
    told: dict[str, Any] = json.loads(json.dumps(about))
    return told


def _iteration(place: Path) -> int:
    return int(place.name.rpartition("-")[2])


def _reason(error: Exception) -> str:
    said = getattr(error, "strerror", None) or getattr(error, "message", None) or str(error)
    return str(said).partition("\n")[0]


def _told(identity: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """What an identity consists of, by name: a picture or a network is one thing, its content."""
    if isinstance(identity, Mapping):
        if "sha256" in identity:
            yield name, _Input(identity)
        for key, value in identity.items():
            if key not in ("sha256", *_WHERE):
                prefix = f"{name}." if name and name != "settings" else ""
                yield from _told(value, prefix + key)
    elif isinstance(identity, list) and any(isinstance(value, Mapping) for value in identity):
        for index, value in enumerate(identity):
            yield from _told(value, f"{name}[{index}]")
    else:
        yield name, identity


class _Input:
    """A picture or a network: the same where its content is, wherever that was found."""

    def __init__(self, identity: Mapping[str, Any]) -> None:
        self._sha256 = str(identity["sha256"])
        where = [str(identity[key]) for key in _WHERE[:2] if key in identity]
        self._text = f"{' '.join([*where, 'with'])} sha256 {self._sha256[:12]}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Input) and other._sha256 == self._sha256

    def __hash__(self) -> int:
        return hash(self._sha256)

    def __str__(self) -> str:
        return self._text
