"""Several processes, as on several machines, learn as one with the whole batch."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from nst_tf import assets
from nst_tf.errors import SettingsError
from nst_tf.pictures import images
from nst_tf.stylizer import replicas

#: Trains at a tiny size, by nst_tf's own command but for the layers.
LEARN = """
import sys
from nst_tf.stylizer import training
from nst_tf.stylizer.course import Course

folder, out, steps = sys.argv[1:]
layers = {"content_layers": {"conv2_1": 1.0}, "style_layers": {"conv1_1": 1.0, "conv2_1": 1.0}}
course = Course(
    overrides=layers, width=1 / 16, sizes=(32,), steps=int(steps), batch=2, style_size=48
)
paintings = [f"{folder}/a.png", f"{folder}/b.png"]
training.train(
    paintings, f"{folder}/photos", out, course, sheet_every=2, checkpoint_every=0, dtype="float32"
)
"""
#: Seconds in which all that is begun here ends.
LIMIT = 240


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("workers")
    (folder / "photos").mkdir()
    scene, draw = images.load(assets.SCENE, 96), np.random.default_rng(0)
    for number in range(8):
        part = scene[number : number + 48, 2 * number :][:, :64] * draw.uniform(0.3, 1)
        images.save(part, folder / "photos" / f"{number}.png")
    painting = images.load(assets.PAINTING, 64)
    images.save(painting, folder / "a.png")
    images.save(painting[..., ::-1] ** 3, folder / "b.png")
    return folder


def begin(folder, out, steps, workers=1):
    """The processes of a training."""
    ports = []
    for _ in range(workers):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            ports.append(free.getsockname()[1])
    cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
    begun = []
    for index in range(workers):
        environment = dict(os.environ, CUDA_VISIBLE_DEVICES="-1")
        if workers > 1:
            task = {"type": "worker", "index": index}
            environment["TF_CONFIG"] = json.dumps({"cluster": cluster, "task": task})
        command = [sys.executable, "-c", LEARN, str(folder), str(out), str(steps)]
        log = open(out.with_name(f"{out.name}-{index}.log"), "ab")  # noqa: SIM115
        begun.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
        log.close()
    return begun


def end(processes):
    """Waits for all; their exit codes."""
    limit = time.monotonic() + LIMIT
    try:
        return [process.wait(max(1, limit - time.monotonic())) for process in processes]
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()


def history(out):
    return json.loads((out / "training.json").read_text())["history"]


@pytest.fixture(scope="module")
def alone(folder):
    """What one process learns."""
    assert end(begin(folder, folder / "alone", 6)) == [0]
    return history(folder / "alone")


def compare(found, alone, key):
    assert [row["step"] for row in found] == [2, 4, 6]
    ours, theirs = ([row[key] for row in rows] for rows in (found, alone))
    np.testing.assert_allclose(ours, theirs, rtol=1e-4)


@pytest.mark.slow
def test_two_processes_learn_as_one(folder, alone, tmp_path):
    out = tmp_path / "two"
    assert end(begin(folder, out, 6, workers=2)) == [0, 0], logs(tmp_path)
    for key in ("loss", "held_out"):
        compare(history(out), alone, key)
    # The first alone has written.
    sheets = sorted(path.name for path in (out / "sheets").iterdir())
    assert sheets == [f"step-00000{step}.jpg" for step in (2, 4, 6)]
    names = {"training.json", "stylizer.keras", "sheets", "checkpoints", ".lock"}
    assert {path.name for path in out.iterdir()} <= names


@pytest.mark.long
def test_two_that_were_killed_go_on(folder, alone, tmp_path):
    out = tmp_path / "killed"
    killed = begin(folder, out, 6, workers=2)
    limit = time.monotonic() + LIMIT
    while not (out / "training.json").exists() and time.monotonic() < limit:
        time.sleep(0.02)
    for process in killed:
        process.send_signal(signal.SIGKILL)
    end(killed)
    assert history(out)[-1]["step"] < 6
    assert end(begin(folder, out, 6, workers=2)) == [0, 0], logs(tmp_path)
    compare(history(out), alone, "held_out")


@pytest.mark.long
def test_where_one_is_killed_the_other_says_so(folder, tmp_path):
    out = tmp_path / "left"
    first, second = begin(folder, out, 2000, workers=2)
    limit = time.monotonic() + LIMIT
    while not (out / "training.json").exists() and time.monotonic() < limit:
        time.sleep(0.02)
    second.kill()
    assert end([first, second])[0] == 1
    assert "another worker has ended" in logs(tmp_path)


def logs(folder):
    return "".join(path.read_text()[-1500:] for path in sorted(folder.glob("*.log")))


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"cluster": {"worker": ["a:1", "b:2"]}}',
        '{"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "worker", "index": 2}}',
        '{"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "ps", "index": 0}}',
    ],
)
def test_what_cannot_be_used_is_refused(text, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(SettingsError, match="TF_CONFIG"):
        replicas.strategy(4)
