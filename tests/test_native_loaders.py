"""The SavedModel in TF Serving's own C++ loader and in the C API, compiled here against the
headers that TensorFlow installs."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from nst_tf import assets
from nst_tf.pictures import images

SIGNATURE = "image_bytes_grams"


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    path = tmp_path_factory.mktemp("photo") / "photo.jpg"
    images.save(images.load(assets.SCENE, 96), path)
    return path


def compiled(compiler, language, folder):
    """The program `load_saved_model` in a language, `c` or `cc`."""
    if shutil.which(compiler) is None:
        pytest.skip(f"no {compiler} to compile the loader with")
    library = Path(tf.sysconfig.get_lib())
    shared = [*library.glob("libtensorflow_cc.so.*"), *library.glob("libtensorflow_framework.so.*")]
    if len(shared) < 2:
        pytest.skip("this TensorFlow has no C++ library")
    source, program = Path(__file__).with_name(f"load_saved_model.{language}"), folder / "load"
    flags = [flag for flag in tf.sysconfig.get_compile_flags() if not flag.startswith("--std")]
    flags += ["-std=c++17" if language == "cc" else "-std=gnu11", "-O0", "-Wl,--no-as-needed"]
    done = subprocess.run(
        [compiler, "-o", program, source, *flags, *shared, f"-Wl,-rpath,{library}", "-lm"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return program


def run(*command):
    """What it prints: `{name: [values, sum, largest magnitude]}`."""
    done = subprocess.run([*map(str, command)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return {key: list(map(float, rest)) for key, *rest in map(str.split, done.stdout.splitlines())}


def check(found, version, photo):
    signature = tf.saved_model.load(str(version)).signatures[SIGNATURE]
    expected = signature(image_bytes=tf.constant([photo.read_bytes()]))
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        values = value.numpy().astype(np.float64)
        assert found[name][0] == values.size
        np.testing.assert_allclose(found[name][1:], [values.sum(), np.abs(values).max()], rtol=1e-4)


@pytest.mark.slow
def test_a_photo_through_the_cpp_loader(exported, photo, tmp_path):
    program = compiled("g++", "cc", tmp_path)
    check(run(program, exported, SIGNATURE, photo), exported, photo)


@pytest.mark.slow
def test_a_photo_through_the_c_api(exported, photo, tmp_path):
    program = compiled("gcc", "c", tmp_path)
    model = saved_model_pb2.SavedModel.FromString((exported / "saved_model.pb").read_bytes())
    signature = model.meta_graphs[0].signature_def[SIGNATURE]
    outputs = {info.name: key for key, info in signature.outputs.items()}
    found = run(program, exported, photo, signature.inputs["image_bytes"].name, *outputs)
    check({outputs[name]: rest for name, rest in found.items()}, exported, photo)
