"""What one TensorFlow wrote, in another: `$NST_TF_OTHER_PYTHON` is a Python that has the other."""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import rounding

import nst_tf
from nst_tf.export import verify

OTHER = os.environ.get("NST_TF_OTHER_PYTHON")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not OTHER, reason="$NST_TF_OTHER_PYTHON names no other Python"),
]

EXPORT = """
import sys
import numpy as np
from nst_tf import Weights
from nst_tf.export import saved_model
kernels, biases = (np.load(path) for path in sys.argv[2:])
weights = Weights(dict(kernels), dict(biases), "tiny")
saved_model.export(sys.argv[1], weights=weights, size=48)
"""


def test_the_other_loads_what_this_one_wrote(exported, tiny_weights, scene):
    errors = verify.verify(exported, scene, tiny_weights, python=OTHER)
    assert "stylize" in errors
    for name, error in errors.items():
        rounding.assert_below(error, rounding.of_served(name), name)


def test_this_one_loads_what_the_other_wrote(tiny_weights, scene, tmp_path):
    kernels, biases = tmp_path / "kernels.npz", tmp_path / "biases.npz"
    np.savez(kernels, **tiny_weights.kernels)
    np.savez(biases, **tiny_weights.biases)
    done = subprocess.run(
        [OTHER, "-c", EXPORT, tmp_path / "tiny", kernels, biases],
        env={**os.environ, "PYTHONPATH": str(Path(nst_tf.__file__).parent.parent)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    errors = verify.verify(tmp_path / "tiny", scene, tiny_weights)
    assert "stylize" in errors
    for name, error in errors.items():
        rounding.assert_below(error, rounding.of_served(name), name)
