"""Several replicas learn as one with the whole batch."""

import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from nst_tf import assets
from nst_tf.errors import SettingsError
from nst_tf.pictures import images
from nst_tf.stylizer import training
from nst_tf.stylizer.course import Course

#: Logical devices are made before TensorFlow begins, so in a process of their own.
LEARN = """
import sys
import tensorflow as tf
from nst_tf.stylizer import training
from nst_tf.stylizer.course import Course

cpu, = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
folder = sys.argv[1]
layers = {"content_layers": {"conv2_1": 1.0}, "style_layers": {"conv1_1": 1.0, "conv2_1": 1.0}}
course = Course(overrides=layers, width=1 / 16, sizes=(32,), steps=4, batch=2, style_size=48)
for name, strategy in (
    ("one", None),
    ("two", tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])),
):
    paintings = [f"{folder}/a.png", f"{folder}/b.png"]
    out = f"{folder}/{name}"
    training.train(paintings, f"{folder}/photos", out, course, sheet_every=1, strategy=strategy)
"""


def test_two_learn_as_one(tmp_path):
    """By the loss of each step and of photos that they never saw."""
    (tmp_path / "photos").mkdir()
    scene, draw = images.load(assets.SCENE, 96), np.random.default_rng(0)
    for number in range(8):
        part = scene[number : number + 48, 2 * number :][:, :64] * draw.uniform(0.3, 1)
        images.save(part, tmp_path / "photos" / f"{number}.png")
    painting = images.load(assets.PAINTING, 64)
    images.save(painting, tmp_path / "a.png")
    images.save(painting[..., ::-1] ** 3, tmp_path / "b.png")
    command = [sys.executable, "-c", LEARN, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    one, two = (
        json.loads((tmp_path / name / "training.json").read_text())["history"]
        for name in ("one", "two")
    )
    assert [row["step"] for row in two] == [1, 2, 3, 4]
    for key in ("loss", "held_out"):
        ours, theirs = ([row[key] for row in history] for history in (two, one))
        np.testing.assert_allclose(ours, theirs, rtol=1e-4)


def test_a_batch_without_equal_parts(tmp_path, monkeypatch):
    strategy = tf.distribute.get_strategy()
    monkeypatch.setattr(type(strategy), "num_replicas_in_sync", 3)
    with pytest.raises(SettingsError, match="a batch of 4 has no equal parts for 3 replicas: use"):
        training.train(["a.png"], tmp_path, tmp_path, Course(batch=4), strategy=strategy)
