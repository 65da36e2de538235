"""How much memory is left, against what made-up systems say and what a real one does."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from nst_tf import memory_at_hand

GIB = 1 << 30


@pytest.fixture
def system(tmp_path, monkeypatch):
    """Writes files of a made-up system: `system({"proc/meminfo": "MemAvailable: 1 kB"})`."""
    monkeypatch.setattr(memory_at_hand, "_ROOT", tmp_path)

    def write(files: dict[str, str]) -> None:
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)

    write({"proc/meminfo": f"MemTotal: 1 kB\nMemAvailable:  {8 * GIB // 1024} kB\nHugePages: x\n"})
    return write


def group(folder: str, limit: str, usage: int, cached: int = 0) -> dict[str, str]:
    return {
        f"sys/fs/cgroup/{folder}/memory.max": f"{limit}\n",
        f"sys/fs/cgroup/{folder}/memory.current": f"{usage}\n",
        f"sys/fs/cgroup/{folder}/memory.stat": f"anon 7\ninactive_file {cached}\n",
    }


def test_the_machine(system):
    assert memory_at_hand.available() == 8 * GIB


def test_a_group_of_the_second_version_with_less(system):
    system({"proc/self/cgroup": "0::/a/b\n"} | group("a/b", str(4 * GIB), 3 * GIB, GIB // 2))
    assert memory_at_hand.available() == GIB + GIB // 2


def test_a_group_above_with_less(system):
    system({"proc/self/cgroup": "0::/a/b\n"} | group("a/b", "max", 1) | group("a", str(GIB), 1))
    assert memory_at_hand.available() == GIB - 1


def test_a_container_sees_its_own_group_as_the_root(system):
    system({"proc/self/cgroup": "0::/docker/1234\n"} | group("", str(2 * GIB), GIB))
    assert memory_at_hand.available() == GIB


def test_a_group_with_more_than_the_machine(system):
    system({"proc/self/cgroup": "0::/a\n"} | group("a", str(16 * GIB), GIB))
    assert memory_at_hand.available() == 8 * GIB


def test_a_group_that_has_taken_more_than_its_limit(system):
    system({"proc/self/cgroup": "0::/a\n"} | group("a", str(GIB), 2 * GIB))
    assert memory_at_hand.available() == 0


def test_a_group_of_the_first_version(system):
    folder = "sys/fs/cgroup/memory/docker"
    system(
        {
            "proc/self/cgroup": "12:cpu,cpuacct:/other\n5:memory:/docker\n1:name=systemd:/a:b\n",
            f"{folder}/memory.limit_in_bytes": str(2 * GIB),
            f"{folder}/memory.usage_in_bytes": str(GIB),
            f"{folder}/memory.stat": f"inactive_file 1\ntotal_inactive_file {GIB // 4}\n",
        }
    )
    assert memory_at_hand.available() == GIB + GIB // 4


def test_no_system_that_tells(tmp_path, monkeypatch):
    monkeypatch.setattr(memory_at_hand, "_ROOT", tmp_path)
    assert memory_at_hand.available() >= 1 << 24


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="Linux tells")
def test_a_limit_of_addresses():
    """Half of what is left can be taken, all of it again cannot."""
    script = (
        "import resource; from nst_tf import memory_at_hand\n"
        f"resource.setrlimit(resource.RLIMIT_AS, ({GIB}, {GIB}))\n"
        "left = memory_at_hand.available(); some = bytearray(left // 2)\n"
        "try: more = bytearray(left)\n"
        "except MemoryError: print(left)\n"
    )
    run = partial(subprocess.run, capture_output=True, text=True, check=True)
    assert 0 < int(run([sys.executable, "-c", script]).stdout) < GIB
