"""The package inside a program that has set everything first: an import changes none of it."""

import importlib
import os
import subprocess
import sys

import pytest
import tensorflow as tf

import nst_tf.keras
from nst_tf import errors, registration

HOST = """
import logging, random, sys, warnings
import nst_tf
assert "tensorflow" not in sys.modules
# They add filters of their own; what is asked here is whether ours do.
import numpy as np, scipy.fft, tensorflow as tf
# Beam changes more of its host, once; nst_tf.beam is for those who have it.
import apache_beam.ml.inference.base, apache_beam.runners.dask.dask_runner
from absl import flags, logging as absl_logging
tf.keras.mixed_precision.set_global_policy("mixed_bfloat16")
tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(3)
logging.getLogger().setLevel(logging.ERROR)
tf.get_logger().setLevel("ERROR")
absl_logging.set_verbosity(-1)
flags.DEFINE_string("weights", "mine", "A host's own flag.")
random.seed(1), np.random.seed(1), tf.random.set_seed(1)


def state():
    return (
        tf.keras.mixed_precision.global_policy().name,
        tf.config.threading.get_intra_op_parallelism_threads(),
        tf.config.threading.get_inter_op_parallelism_threads(),
        logging.getLogger().level,
        list(logging.getLogger().handlers),
        tf.get_logger().level,
        absl_logging.get_verbosity(),
        list(warnings.filters),
        sorted(flags.FLAGS),
        random.getstate(),
        repr(np.random.get_state()),
    )


def draw():
    tf.random.set_seed(1)
    return float(tf.random.uniform([]))


before, number = state(), draw()
import pkgutil, importlib
names = [one.name for one in pkgutil.walk_packages(nst_tf.__path__, "nst_tf.")]
for name in names:
    if name != "nst_tf.export.probe":
        importlib.import_module(name)
changed = [index for index, (a, b) in enumerate(zip(before, state())) if a != b]
print(len(names), "changed", changed, draw() == number)
"""


@pytest.mark.slow
def test_importing_every_module_changes_nothing_of_its_host():
    done = subprocess.run([sys.executable, "-c", HOST], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("changed [] True"), done.stdout


@pytest.fixture
def saved(tiny_weights, tmp_path):
    """The folder of a user's own model with our classes in it, saved in both forms."""
    inputs = tf.keras.Input((16, 16, 3))
    maps = nst_tf.FeatureExtractor("conv1_1", tiny_weights, preset="gatys2015")(inputs)
    grams = nst_tf.keras.GramMatrix()(maps["conv1_1"])
    model = tf.keras.Model(inputs, tf.keras.layers.Flatten()(grams))
    for ending in ("keras", "h5"):
        model.save(tmp_path / f"model.{ending}")
    return tmp_path


LOADED = """
import sys, types
import nst_tf
assert not {"tensorflow", "keras"} & set(sys.modules)
import tensorflow as tf
for ending in ("keras", "h5"):
    print([type(layer).__name__ for layer in tf.keras.models.load_model(f"model.{ending}").layers])
for name in ("data", "keras", "film", "tensorboard", "export", "filters"):
    assert isinstance(getattr(nst_tf, name), types.ModuleType) and name in dir(nst_tf), name
"""


@pytest.mark.slow
def test_a_saved_model_is_loaded_and_all_is_there_after_the_import_alone(saved):
    done = subprocess.run(
        [sys.executable, "-c", LOADED], cwd=saved, capture_output=True, text=True, env=os.environ
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.strip().splitlines()
    assert len(lines) == 2 and lines[0] == lines[1]
    assert "FeatureExtractor" in lines[0] and "GramMatrix" in lines[0]


def test_a_saved_model_is_loaded_where_keras_was_there_first(saved, monkeypatch):
    registered = tf.keras.utils.get_custom_objects()
    for name in registration.CLASSES:
        monkeypatch.delitem(registered, f"nst_tf>{name}")
    with pytest.raises((TypeError, ValueError)):
        tf.keras.models.load_model(saved / "model.h5")
    registration.register()
    model = tf.keras.models.load_model(saved / "model.h5")
    assert nst_tf.FeatureExtractor in map(type, model.layers)


def test_every_class_of_ours_is_registered():
    """What the decorators register is the list, and in place of the substitutes."""
    for module in registration.CLASSES.values():
        importlib.import_module(module)
    ours = {
        name.removeprefix("nst_tf>"): made.__module__
        for name, made in tf.keras.utils.get_custom_objects().items()
        if name.startswith("nst_tf>")
    }
    assert ours == registration.CLASSES


def test_every_error_that_users_meet_is_found_at_the_top():
    made = {name: value for name, value in vars(errors).items() if isinstance(value, type)}
    ours = {name for name, value in made.items() if issubclass(value, BaseException)}
    assert {"NSTError", "OutputError", "CheckpointError", "DamagedCheckpointError"} < ours
    assert ours <= set(nst_tf.__all__)
    assert all(getattr(nst_tf, name) is getattr(errors, name) for name in ours)


NAMES = """
import sys
import tensorflow as tf
tf.keras.layers
before = set(sys.modules)
import nst_tf, nst_tf.keras, nst_tf.export.saved_model
for name in nst_tf.__all__:
    getattr(nst_tf, name)
new = {module.partition(".")[0] for module in set(sys.modules) - before}
print(*sorted(new - sys.stdlib_module_names))
"""


@pytest.mark.slow
def test_beside_tensorflow_it_imports_pillow_alone():
    """Neither SciPy, matplotlib nor TensorFlow Probability, which would be felt."""
    done = subprocess.run([sys.executable, "-c", NAMES], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["PIL", "nst_tf"]
