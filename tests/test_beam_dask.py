"""Beam on a real cluster: a scheduler of Dask and two worker processes, of which one is killed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from nst_tf.pictures import images

pytest.importorskip("apache_beam")
Client = pytest.importorskip("distributed").Client

CLUSTER = Path(__file__).parent.parent / "scripts" / "dask_cluster.py"
COUNT = 10
#: Each picture takes long enough to be killed in its midst.
HOW = ("--preset=draft", "--weights=mini", "--size=64", "--evaluations=40", "--min_scale=0")


def begun(*arguments, **how):
    quiet = {"stderr": subprocess.DEVNULL, "start_new_session": True, "text": True}
    return subprocess.Popen([sys.executable, *map(str, arguments)], **quiet, **how)


def ended(process):
    """Ends a process and those that it began."""
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(20)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.fixture
def cluster():
    process = begun(CLUSTER, "--workers=2", "--port=0", stdout=subprocess.PIPE)
    try:
        assert process.stdout
        line = process.stdout.readline()
        assert line.startswith("scheduler: tcp://127.0.0.1:"), line
        yield line.split()[1]
    finally:
        ended(process)


def made(out):
    return list(out.glob("*.json"))


@pytest.mark.slow
def test_a_worker_is_killed_and_every_picture_is_there_once(cluster, tmp_path, scene, painting):
    photos, out = tmp_path / "photos", tmp_path / "out"
    for folder in (photos, out):
        folder.mkdir()
    for number in range(COUNT):
        images.save(np.roll(scene, 3 * number, 1), photos / f"{number}.png")
    images.save(painting, tmp_path / "painting.png")
    with Client(cluster) as client:
        first = client.run(os.getpid)
    assert len(set(first.values())) == 2
    command = ("-m", "nst_tf.apps.main", "beam", "stylize", photos, f"--out={out}", "--shards=2")
    how = (f"--styles={tmp_path / 'painting.png'}", "--names={content}", *HOW)
    where = ("--runner=DaskRunner", f"--dask_client_address={cluster}")
    process = begun(*command, *how, *where, stdout=subprocess.DEVNULL)
    try:
        while len(made(out)) < 3:
            assert process.poll() is None, "it ended before a worker was killed"
            time.sleep(0.01)
        os.kill(next(iter(first.values())), signal.SIGKILL)
        killed_at = len(made(out))
        assert process.wait(240) == 0
    finally:
        ended(process)
    assert killed_at < COUNT
    with Client(cluster) as client:
        then = set(client.run(os.getpid).values())
    assert len(then - set(first.values())) == 1  # the nanny has begun another
    listed = [
        json.loads(line)["output"]
        for path in out.glob("manifest-*-of-00002.jsonl")
        for line in path.read_text().splitlines()
    ]
    names = [f"{number}.png" for number in range(COUNT)]
    assert sorted(listed) == names  # each once
    assert sorted(path.name for path in out.glob("*.png")) == names
    for name in names:
        told = json.loads((out / name).with_suffix(".json").read_text())
        assert images.load(out / name).shape == (told["image"]["height"], told["image"]["width"], 3)
    kinds = {path.suffix for path in out.iterdir()}
    assert kinds == {".png", ".json", ".jsonl"}  # and no half of a file
