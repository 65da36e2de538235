"""What the tests share: where real weights and pictures lie, small pictures, tiny networks."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# A user's own setting must not leak into the tests.
os.environ.pop("NST_TF_WEIGHTS", None)

import tensorflow as tf

from nst_tf import assets
from nst_tf.network import machine
from nst_tf.network import weights as weights_module
from nst_tf.pictures import images
from nst_tf.recipe import layers
from nst_tf.run.transfer import StyleTransfer
from nst_tf.run.workshop import Workshop

# Processes that tests start, in whichever folder, find the package that is tested.
PATHS = str(assets.SCENE.parent.parent.parent), os.environ.get("PYTHONPATH")
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, PATHS))

# Whoever started the tests in the background, or under nohup, has these ignored, which processes
# inherit and commands respect.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

# TensorFlow's own objects, a million, stay: without them to look through, and looking less often,
# tracing takes a tenth less.
gc.freeze()
gc.set_threshold(50_000, 20, 50)

#: Real VGG19 weights and pictures, which are not part of the project. Tests that want them skip
#: where they are absent.
SHARED = Path(os.environ.get("NST_TF_SHARED", Path(__file__).parent.parent.parent / "shared"))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests that try a thing hundreds of times are run where they are asked for: `-m long`."""
    if "long" in config.option.markexpr:
        return
    left_out = [item for item in items if item.get_closest_marker("long")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


@pytest.fixture(scope="session", autouse=True)
def any_processor() -> Iterator[None]:
    """The same dtype is chosen on every machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(machine, "processor", set)
        yield


@pytest.fixture(autouse=True)
def same_numbers(request: pytest.FixtureRequest) -> None:
    """A test draws the same numbers whatever ran before it, and in whichever process."""
    draw = getattr(request.module, "draw", None)
    if isinstance(draw, np.random.Generator):
        draw.bit_generator.state = np.random.default_rng(0).bit_generator.state


@pytest.fixture
def without_graphs() -> Iterator[None]:
    """For tests that ask many objectives for a value or two each, of which the graphs, not the
    values take the time: what is asked is the same without. With graphs others ask for it."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture(scope="session")
def vgg19_file() -> Path:
    path = SHARED / "weights" / "vgg19_imagenet_notop.h5"
    if not path.is_file():
        pytest.skip(f"no ImageNet weights at {path}")
    return path


@pytest.fixture(scope="session")
def vgg19(vgg19_file):
    return weights_module.load(vgg19_file)


@pytest.fixture(scope="session")
def neckarfront() -> Path:
    return _shared_picture("neckarfront.jpg")


@pytest.fixture(scope="session")
def starry_night() -> Path:
    return _shared_picture("starry_night.jpg")


def _shared_picture(name: str) -> Path:
    path = SHARED / "images" / name
    if not path.is_file():
        pytest.skip(f"no picture at {path}")
    return path


@pytest.fixture(scope="session")
def random_weights():
    return weights_module.random(0)


@pytest.fixture(scope="session")
def tiny_weights():
    """A VGG-shaped network of 4 channels a layer: everything but the width, in no time."""
    draw = np.random.default_rng(1)
    kernels, biases, before = {}, {}, 3
    for name in layers.NAMES:
        scale = np.sqrt(2 / (9 * before)) * (1 / 60 if before == 3 else 1)
        kernels[name] = (draw.standard_normal((3, 3, before, 4)) * scale).astype(np.float32)
        biases[name] = (0.1 * draw.standard_normal(4)).astype(np.float32)
        before = 4
    return weights_module.Weights(kernels, biases, "tiny")


@pytest.fixture(scope="session")
def workshop() -> Workshop:
    """Of all that `stylize` makes: compiling is what takes the time."""
    return Workshop()


@pytest.fixture(scope="session")
def stylize(tiny_weights, scene, painting, workshop):
    """Makes a run of the tiny network, `stylize(FIELD=value)`."""

    def run(content=scene, style=painting, **options):
        usual = {"preset": "gatys2016", "size": 48, "evaluations": 12, "workshop": workshop}
        return StyleTransfer(content, style, **{"weights": tiny_weights, **usual, **options})

    return run


@pytest.fixture(scope="session")
def exported(tiny_weights, tmp_path_factory) -> Path:
    """The tiny network as a SavedModel with every signature, and where there is what writes them
    with requests to warm up: the folder of its version."""
    from nst_tf.export import saved_model, serving

    folder = tmp_path_factory.mktemp("models") / "tiny"
    warmup = serving.can_write_warmup()
    return saved_model.export(folder, weights=tiny_weights, size=48, warmup=warmup)


@pytest.fixture(scope="session")
def scene() -> np.ndarray:
    return images.load(assets.SCENE, 64)


@pytest.fixture(scope="session")
def painting() -> np.ndarray:
    return images.load(assets.PAINTING, 64)
