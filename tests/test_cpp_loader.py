"""The SavedModel in TF Serving's own C++ loader, compiled here against TensorFlow's headers."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from nst_tf import assets, images
from nst_tf.export import saved_model

SOURCE = Path(__file__).parent / "load_saved_model.cc"


@pytest.fixture(scope="module")
def loader(tmp_path_factory):
    if shutil.which("g++") is None:
        pytest.skip("no g++ to compile the loader with")
    library = Path(tf.sysconfig.get_lib())
    shared = [*library.glob("libtensorflow_cc.so.*"), *library.glob("libtensorflow_framework.so.*")]
    if len(shared) < 2:
        pytest.skip("this TensorFlow has no C++ library")
    program = tmp_path_factory.mktemp("cpp") / "load_saved_model"
    command = ["g++", "-O0", "-o", str(program), str(SOURCE), *tf.sysconfig.get_compile_flags()]
    command = [flag for flag in command if not flag.startswith("--std")]
    done = subprocess.run(
        [*command, "-std=c++17", "-Wl,--no-as-needed", *map(str, shared), f"-Wl,-rpath,{library}"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return program


@pytest.mark.slow
def test_a_photo_through_the_cpp_loader(loader, tiny_weights, tmp_path):
    version = saved_model.export(tmp_path / "tiny", weights=tiny_weights, size=48)
    photo = tmp_path / "photo.jpg"
    images.save(images.load(assets.SCENE, 96), photo)
    done = subprocess.run(
        [str(loader), str(version), "image_bytes_grams", str(photo)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = {key: list(map(float, rest)) for key, *rest in map(str.split, done.stdout.splitlines())}
    signature = tf.saved_model.load(str(version)).signatures["image_bytes_grams"]
    expected = signature(image_bytes=tf.constant([photo.read_bytes()]))
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        values = value.numpy().astype(np.float64)
        assert found[name][0] == values.size
        np.testing.assert_allclose(found[name][1:], [values.sum(), np.abs(values).max()], rtol=1e-4)
