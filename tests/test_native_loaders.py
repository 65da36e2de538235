"""The SavedModel in TF Serving's own C++ loader and in the C API, compiled here against the
headers that TensorFlow installs."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import rounding
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


@pytest.fixture(scope="module")
def compiling(tmp_path_factory):
    """The compilers of `load_saved_model` in `c` and `cc`, side by side: C++ takes 20 s."""
    folder, library = tmp_path_factory.mktemp("loaders"), Path(tf.sysconfig.get_lib())
    shared = [*library.glob("libtensorflow_cc.so.*"), *library.glob("libtensorflow_framework.so.*")]
    if len(shared) < 2:
        pytest.skip("this TensorFlow has no C++ library")
    headers = [flag for flag in tf.sysconfig.get_compile_flags() if not flag.startswith("--std")]
    processes = {}
    for language, compiler, standard in (("cc", "g++", "c++17"), ("c", "gcc", "gnu11")):
        if shutil.which(compiler) is None:
            continue
        source = Path(__file__).with_name(f"load_saved_model.{language}")
        flags = [*headers, f"-std={standard}", "-O0", "-Wl,--no-as-needed", *shared, "-lm"]
        command = [compiler, "-o", folder / language, source, *flags, f"-Wl,-rpath,{library}"]
        processes[language] = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    yield folder, processes
    for process in processes.values():
        if process.poll() is None:  # whoever asked for it was left out
            process.kill()
            process.communicate()


def compiled(language, compiling):
    """The program in a language."""
    folder, processes = compiling
    if language not in processes:
        pytest.skip(f"no compiler for {language} to compile the loader with")
    _, errors = processes[language].communicate()
    assert processes[language].returncode == 0, errors[-3000:]
    return folder / language


def run(*command):
    """What it prints: `{name: [values, sum, largest magnitude]}`."""
    done = subprocess.run([*map(str, command)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return {key: list(map(float, rest)) for key, *rest in map(str.split, done.stdout.splitlines())}


def check(printed, version, photo):
    signature = tf.saved_model.load(str(version)).signatures[SIGNATURE]
    expected = signature(image_bytes=tf.constant([photo.read_bytes()]))
    assert printed.keys() == expected.keys()
    for name, value in expected.items():
        values = value.numpy().astype(np.float64)
        size, total, largest = printed[name]
        assert size == values.size
        # 13 layers of 4 channels, and sums over the positions; of outputs of one sign or two.
        bound = 2 * rounding.of_sums(27, *[36] * 12, 48 * 48)
        rounding.assert_close(largest, np.abs(values).max(), bound, name)
        scale = np.abs(values).sum()
        rounding.assert_close(total / scale, values.sum() / scale, bound, name)


@pytest.mark.slow
def test_a_photo_through_the_cpp_loader(exported, photo, compiling):
    program = compiled("cc", compiling)
    check(run(program, exported, SIGNATURE, photo), exported, photo)


@pytest.mark.slow
def test_a_photo_through_the_c_api(exported, photo, compiling):
    program = compiled("c", compiling)
    model = saved_model_pb2.SavedModel.FromString((exported / "saved_model.pb").read_bytes())
    signature = model.meta_graphs[0].signature_def[SIGNATURE]
    outputs = {info.name: key for key, info in signature.outputs.items()}
    printed = run(program, exported, photo, signature.inputs["image_bytes"].name, *outputs)
    check({outputs[name]: rest for name, rest in printed.items()}, exported, photo)
