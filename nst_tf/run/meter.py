"""What a piece of work takes of the machine: time, processor time, memory."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path


class Meter:
    """Measures from the moment it is made.

    Processor time hardly depends on what else the machine has to do; seconds do.

    Args:
      seconds: that an earlier part of the same work took: they are added.
      spent: on that part, as `spent` says: likewise.
    """

    def __init__(
        self, seconds: float = 0.0, spent: Mapping[str, float | int | None] | None = None
    ) -> None:
        before = spent or {}
        self._began = time.perf_counter() - seconds
        self._cpu_began = time.process_time() - (before.get("cpu_seconds") or 0)
        self._peak_before = before.get("peak_memory") or 0

    @property
    def seconds(self) -> float:
        """Since it was made, and of the part before."""
        return time.perf_counter() - self._began

    def spent(self) -> dict[str, float | int | None]:
        """What was taken.

        Returns:
          `cpu_seconds`, of all threads of this process since the meter was made, and of the part
          before; `peak_memory`, the largest resident size in bytes of this process, since it began
          or since `forget_peak`, and of the one of the part before, None where the system does not
          tell it.
        """
        cpu = round(time.process_time() - self._cpu_began, 4)
        peak = _peak()
        return {
            "cpu_seconds": cpu,
            "peak_memory": None if peak is None else max(peak, self._peak_before),
        }


class Growth:
    """What memory some work has left the process with, which more of it uses again: most of what is
    let go TensorFlow does not give back to the system. Any thread may use it."""

    def __init__(self) -> None:
        # Entered again where a garbage collector ends a run that was left, in the midst of these.
        self._lock = threading.RLock()
        self._first: int | None = None
        self._works, self._before, self._bytes = 0, 0, 0

    @contextlib.contextmanager
    def counted(self) -> Iterator[None]:
        """Counts what the process grows by, or shrinks, while any of such blocks is open."""
        with self._lock:
            if not self._works:
                self._before = resident()
            if self._first is None:
                self._first = self._before
            self._works += 1
        try:
            yield
        finally:
            with self._lock:
                self._works -= 1
                if not self._works:
                    self._bytes = max(0, self._bytes + resident() - self._before)

    @property
    def idle(self) -> int:
        """Bytes that the next work may count as its own; none while other work is under way."""
        with self._lock:
            if self._works or self._first is None:
                return 0
            return max(0, min(self._bytes, resident() - self._first))


def forget_peak() -> None:
    """Lets the peak of this process's memory begin anew, where the system knows how (Linux).

    It is the whole process's, which may be somebody else's: whoever runs jobs calls this, no run.
    """
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def resident() -> int:
    """Bytes of memory that this process has now; 0 where the system does not tell."""
    return _told("VmRSS:") or 0


def _peak() -> int | None:
    return _told("VmHWM:")


def _told(name: str) -> int | None:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(name))
    except (OSError, StopIteration):
        return None
