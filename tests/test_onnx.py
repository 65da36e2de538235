"""The SavedModel converted by tf2onnx, in onnxruntime: pictures of any size go through."""

import subprocess
import sys

import numpy as np
import pytest
import rounding
import tensorflow as tf

pytest.importorskip("tf2onnx")
onnxruntime = pytest.importorskip("onnxruntime")


NAMES = ("serving_default", "grams")


@pytest.fixture(scope="module")
def converted(exported, tmp_path_factory):
    """The models of both signatures, converted side by side."""
    folder, processes = tmp_path_factory.mktemp("onnx"), []
    command = [sys.executable, "-m", "tf2onnx.convert", f"--saved-model={exported}", "--tag=serve"]
    for name in NAMES:
        options = [f"--signature_def={name}", f"--output={folder}/{name}.onnx", "--opset=17"]
        pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
        processes.append(subprocess.Popen([*command, *options], **pipes))
    for process in processes:
        _, errors = process.communicate()
        assert process.returncode == 0, errors[-2000:]
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_onnxruntime_gives_what_tensorflow_gives(exported, converted, name):
    path = converted / f"{name}.onnx"
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    signature = tf.saved_model.load(str(exported)).signatures[name]
    for shape in ((1, 48, 48, 3), (2, 50, 67, 3)):
        pictures = np.random.default_rng(0).random(shape).astype(np.float32)
        expected = signature(pictures=tf.constant(pictures))
        assert set(names) == set(expected)
        for key, value in zip(names, session.run(names, {"pictures": pictures}), strict=True):
            # 13 layers of 4 channels, and sums of squares over the positions.
            bound = 2 * rounding.of_sums(27, *[36] * 12, 50 * 67)
            rounding.assert_close(value, expected[key], bound, key)
