"""How much memory this process may still take: of the machine, of its container, of its limits."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

#: Where Linux tells; tests have another.
_ROOT = Path("/")
#: How much of what is at hand is given to one thing.
_SHARE = 0.8
#: Of a control group's memory what the kernel gives back before it runs out: files it has cached.
_CACHED = ("inactive_file", "active_file")


def allowed(more: int = 0) -> int:
    """Bytes that one thing may take of what this process may: others want some, too, and what it
    takes is no more than an estimate.

    Args:
      more: bytes that the process has and can use for it.
    """
    return int(_SHARE * (available() + more))


def available() -> int:
    """Bytes that this process may still take: the least of what is told.

    On Linux what the machine has left without swapping, what the process' control groups (v1 and
    v2: containers, slices) have left, where files that they merely cache count as left, and what
    its limit of addresses (`ulimit -v`) leaves. On other systems the machine's memory as a whole,
    and `sys.maxsize` where not even that is told.
    """
    return max(0, min([*_machine(), *_groups(), *_addresses()], default=_physical()))


def _machine() -> Iterator[int]:
    kilobytes = _table(_ROOT / "proc/meminfo").get("MemAvailable:")
    if kilobytes is not None:
        yield 1024 * kilobytes


def _groups() -> Iterator[int]:
    """Of each control group that this process is in, up to the root, what it has left."""
    for line in _text(_ROOT / "proc/self/cgroup").splitlines():
        number, controllers, path = line.split(":", 2)
        if number == "0":
            mount, limit, usage, of_all = "", "memory.max", "memory.current", ""
        elif "memory" in controllers.split(","):
            mount, limit, usage = "memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
            of_all = "total_"
        else:
            continue
        top = _ROOT / "sys/fs/cgroup" / mount
        group = top / path.lstrip("/")
        # A container may see its own group as the root, yet read the host's path of it.
        for folder in (group, *group.parents):
            if not folder.is_relative_to(top):
                break
            most, taken = _text(folder / limit).strip(), _text(folder / usage).strip()
            if most.isdigit() and taken.isdigit():
                table = _table(folder / "memory.stat")
                cached = sum(table.get(of_all + kind, 0) for kind in _CACHED)
                yield int(most) - int(taken) + cached


def _addresses() -> Iterator[int]:
    try:
        import resource
    except ImportError:  # Windows
        return
    most = resource.getrlimit(resource.RLIMIT_AS)[0]
    pages = _text(_ROOT / "proc/self/statm").split()
    if most != resource.RLIM_INFINITY and pages:
        yield most - int(pages[0]) * resource.getpagesize()


def _physical() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return sys.maxsize


def _table(path: Path) -> dict[str, int]:
    """A file of lines that begin with a name and a number."""
    lines = (line.split() for line in _text(path).splitlines())
    return {words[0]: int(words[1]) for words in lines if len(words) > 1 and words[1].isdigit()}


def _text(path: Path) -> str:
    """What a file of the system says; nothing where there is none, or nobody may read it."""
    try:
        return path.read_text()
    except (OSError, ValueError):
        return ""
