"""What a piece of work takes of the machine: time, processor time, memory."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path


class Meter:
    """Measures from the moment it is made.

    Processor time hardly depends on what else the machine has to do; seconds do.
    """

    def __init__(self) -> None:
        self._began, self._cpu_began = time.perf_counter(), time.process_time()
        # Linux keeps the largest resident size of a process until it is told to forget it.
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")

    @property
    def seconds(self) -> float:
        """Since it was made."""
        return time.perf_counter() - self._began

    def spent(self) -> dict[str, float | int | None]:
        """What was taken since it was made.

        Returns:
          `cpu_seconds`, of all threads of this process; `peak_memory`, the largest resident size of
          the whole process in that time in bytes, None where the system does not tell it.
        """
        cpu = round(time.process_time() - self._cpu_began, 4)
        return {"cpu_seconds": cpu, "peak_memory": _peak()}


def _peak() -> int | None:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        return None
