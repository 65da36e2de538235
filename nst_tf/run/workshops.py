"""The process's workshops: each lent to one run at a time, a few kept for the runs that follow."""

from __future__ import annotations

import contextlib
import gc
import reprlib
import threading
from collections.abc import Iterator
from typing import Any

from nst_tf.errors import SettingsError
from nst_tf.run.meter import Growth
from nst_tf.run.workshop import Workshop

#: How many are kept while no run uses them. One holds a network and its graphs: with VGG19 and
#: pictures of 512 pixels about half a gigabyte, with mini a tenth of that.
KEPT = 3


class Workshops:
    """Workshops by what their last runs compiled; of those that are not lent, the last few used.

    Any thread may take and give back.

    Args:
      kept: how many.

    Attributes:
      growth: the memory that the runs left which had one of them.
    """

    def __init__(self, kept: int = KEPT) -> None:
        self._kept, self.growth = kept, Growth()
        # Entered again where a garbage collector ends a run that was left, in the midst of these.
        self._lock = threading.RLock()
        self._idle: list[tuple[Any, Workshop]] = []  # the one that was used last stands last

    def take(self, key: Any) -> Workshop:
        """A workshop that nobody else has now: the last one of an equal key, else a new one.

        Args:
          key: what a run compiles; compared by ==.
        """
        with self._lock:
            for at, (of, workshop) in reversed(list(enumerate(self._idle))):
                if of == key:
                    del self._idle[at]
                    return workshop
            # A new one will need memory of its own: what is too much goes first.
            self._shorten(self._kept - 1)
        return Workshop()

    def give_back(self, key: Any, workshop: Workshop) -> None:
        """Keeps a workshop for the next run of an equal key, while few others come after it."""
        with self._lock:
            self._idle.append((key, workshop))
            self._shorten(self._kept)

    def _shorten(self, kept: int) -> None:
        del self._idle[: max(0, len(self._idle) - kept)]

    def clear(self) -> None:
        """Lets go of all that are not lent."""
        with self._lock, self.growth.counted():
            self._idle.clear()
            gc.collect()  # graphs refer to themselves


#: Of this process: those of the runs that are given none.
OF_PROCESS = Workshops()


def clear_workshops() -> None:
    """Frees what runs have left compiled in this process: networks, graphs, targets.

    `stylize` and `StyleTransfer` keep the last few for later runs that compile the same, so that
    these begin at once. Runs that are under way are not disturbed, and keep theirs.
    """
    OF_PROCESS.clear()


def idle(workshop: Workshop | None) -> int:
    """Bytes of memory that a run may count as its own, since earlier ones left them.

    Args:
      workshop: that the run was given, or None.
    """
    own = workshop.growth.idle if isinstance(workshop, Workshop) else 0
    return OF_PROCESS.growth.idle + own


class Place:
    """Where a run takes place: in the workshop that it was given, else in one of the process's.

    Args:
      workshop: given, or None.
      key: as `Workshops.take` has it.
      crowded: whether the run wants the memory of idle workshops: they go before it begins.

    Raises:
      SettingsError: what is given is none.
    """

    def __init__(self, workshop: Workshop | None, key: Any, crowded: bool = False) -> None:
        if workshop is not None and not isinstance(workshop, Workshop):
            raise SettingsError(f"workshop is {reprlib.repr(workshop)}: give an nst_tf.Workshop")
        self._own, self._key, self._crowded = workshop, key, crowded
        self._lent: Workshop | None = None

    @contextlib.contextmanager
    def open(self) -> Iterator[Workshop]:
        """The workshop, for as long as the outermost of such blocks; nobody else has it there."""
        if self._lent is not None:
            yield self._lent
            return
        growth = OF_PROCESS.growth if self._own is None else self._own.growth
        self._lent = lent = self._own or OF_PROCESS.take(self._key)
        if self._crowded:
            OF_PROCESS.clear()
        try:
            with growth.counted():
                yield lent
        finally:
            self._lent = None
            if self._own is not lent:
                OF_PROCESS.give_back(self._key, lent)

    def keep(self) -> Workshop:
        """A workshop for good, and not the one that a run is under way in: whoever is handed its
        objective finds it as it was, and disturbs nobody."""
        self._own = self._own or OF_PROCESS.take(self._key)
        return self._own
