"""Bad input: one clear line on standard error, exit code 2, no traceback, nothing written."""

import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

import nst_tf
from nst_tf.apps.main import main
from nst_tf.errors import NSTError
from nst_tf.pictures import images

PICTURE = np.random.default_rng(0).random((24, 32, 3), np.float32)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory with two good pictures and everything that is bad."""
    monkeypatch.chdir(tmp_path)
    images.save(PICTURE, "photo.png")
    images.save(1 - PICTURE, "painting.jpg")
    Path("empty.png").touch()
    Path("text.png").write_text("hello")
    Path("cut.jpg").write_bytes(Path("painting.jpg").read_bytes()[:300])
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "blue")]
    frames[0].save("animated.gif", save_all=True, append_images=frames[1:])
    images.save(np.zeros((9, 40, 3)), "thin.png")
    Path("folder.png").mkdir()
    Path("loop.png").symlink_to("loop.png")
    Path("words.txt").write_text("no weights")
    np.savez("other.npz", pixels=np.zeros(3))
    np.save("array.npy", np.zeros(3))
    Path("array.npy").rename("array.npz")
    Path("cut.npz").write_bytes(Path("other.npz").read_bytes()[:80])
    with h5py.File("other.h5", "w") as file:
        file["conv1_1/kernel"] = np.zeros((64, 3, 3, 3), np.float32)
    Path("cut.h5").write_bytes(Path("other.h5").read_bytes()[:1000])
    return tmp_path


@pytest.fixture
def fails(folder, capfd, monkeypatch):
    """Runs a command that must fail before a network is built, and returns its one line."""

    def no_network(*_arguments, **_options):
        raise AssertionError("a network was built in spite of bad input")

    monkeypatch.setattr("nst_tf.network.vgg.build_model", no_network)
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir() if path.is_file()}

    def run(*arguments: str) -> str:
        assert main(list(arguments)) == 2
        out, err = capfd.readouterr()
        assert out == "" and err.count("\n") == 1 and "Traceback" not in err, err
        after = {path: path.stat().st_mtime_ns for path in folder.iterdir() if path.is_file()}
        assert after == before
        return err

    return run


GOOD = ("stylize", "photo.png", "painting.jpg", "--weights=random", "-o", "out.png")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["stylize"]),
        (["draw"], ["'draw'", "stylize"]),
        (["stylize"], ["too few", "CONTENT STYLE"]),
        (["stylize", "photo.png"], ["too few"]),
        (["stylize", "photo.png", "painting.jpg", "--siez=3"], ["siez", "size"]),
        (["train", "painting.jpg"], ["name the photos and a folder: --photos=DIR"]),
        (
            ["train", "painting.jpg", "--photos=.", "--out=a", "--sizes=a"],
            ["sizes are 'a': use some such as 128,256"],
        ),
        (["train", "painting.jpg", "--photos=.", "--out=a", "--strength=2"], ["strength", "2"]),
        (["paint", "photo.png"], ["name the network: --stylizer="]),
        (["paint", "photo.png", "--stylizer=a", "--styles=a=b"], ["'a=b' is not NAME or NAME=SH"]),
        (["plot"], ["too few", "RUN.json"]),
        (["plot", "photo.png"], ["photo.png"]),
        (["plot", "missing.json"], ["missing.json", "No such file"]),
    ],
)
def test_a_bad_command(fails, arguments, words):
    line = fails(*arguments)
    assert all(word in line for word in words), line


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("--preset=gatys", ["gatys2015", "ratio-sweep-base"]),
        ("--size=big", ["size", "big"]),
        ("--tile=big", ["tile is 'big'", "use auto, off"]),
        ("--tile=-5", ["tile is '-5'"]),
        ("--size=-3", ["size is -3"]),
        ("--size=10000000000", ["size 10000000000", "of memory", " fits"]),
        ("--evaluations=0", ["evaluations is 0"]),
        ("--optimizer=sgd", ["sgd", "lbfgs"]),
        ("--learning_rate=0", ["learning_rate is 0"]),
        ("--style_layers=conv9_9", ["conv9_9", "conv5_4"]),
        ("--style_layers=conv1_1=much", ["conv1_1", "much"]),
        ("--content_layers=conv1_1=-1", ["conv1_1", "-1"]),
        ("--style_weight=-1", ["style_weight is -1"]),
        ("--style_weight=nan", ["style_weight is nan"]),
        ("--style_blend=1,2", ["2 weights", "1 style"]),
        ("--style_blend=a", ["style_blend", "'a'"]),
        ("--snapshots=0", ["snapshots is 0"]),
        ("--init=missing.png", ["missing.png"]),
        ("--init=text.png", ["text.png is not a picture"]),
        ("--bits=12", ["8 or 16"]),
        ("--seed=-1", ["seed is -1"]),
        ("--film=film.gif --film_every=0", ["every of a film is 0"]),
    ],
)
def test_a_bad_flag(fails, flag, words):
    line = fails(*GOOD, *flag.split())
    assert all(word in line for word in words), line


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("missing.png", "No such file"),
        ("empty.png", "empty.png is empty"),
        ("text.png", "not a picture"),
        ("cut.jpg", "cut short"),
        ("animated.gif", "animated"),
        ("folder.png", "is a directory"),
        ("loop.png", "cannot read loop.png"),
        ("two\nlines.png", "two lines.png"),
        ("thin.png", "thin.png: 40x9 pixels are too few for conv5_1: it takes at least 16x16"),
    ],
)
@pytest.mark.parametrize("place", [1, 2])
def test_a_bad_picture(fails, name, words, place):
    arguments = [*GOOD, "--size=0"]
    arguments[place] = name
    assert words in fails(*arguments)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["-o", "out.xyz"], "suffixes .png"),
        (["-o", "out"], "suffixes .png"),
        (["-o", "missing/out.png"], "no directory"),
        (["-o", "folder.png"], "is a directory"),
        (["-o", "loop.png"], "cannot write loop.png"),
        (["-o", "out.jpg", "--bits=16"], "16 bits"),
        (["-o", "photo.png"], "photo.png is one of the pictures to read"),
        (["-o", "empty.png", "--init=empty.png"], "one of the pictures to read"),
        (["--sheet=out.png"], "two outputs are both out.png"),
        (["-o", "out.webp", "--film=out.webp"], "two outputs are both out.webp"),
        (["--film=film.avi"], "suffixes .mp4, .webp, .gif"),
        (["--film=missing/film.mp4"], "no directory"),
        (["--film=animated.gif", "--init=animated.gif"], "one of the pictures to read"),
        (["--logdir=photo.png"], "photo.png is no folder"),
        (["--logdir=words.txt/logs"], "words.txt is no folder"),
        (["--logdir=loop.png/logs"], "cannot write into the folder loop.png/logs"),
        (["--sheet=painting.jpg"], "one of the pictures to read"),
        (["--sheet=sheet.gif"], "suffixes .png"),
    ],
)
def test_a_bad_target(fails, flags, words):
    assert words in fails(*GOOD, *flags)


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ("missing.h5", "no weights file missing.h5"),
        ("folder.png", "no weights file folder.png"),
        ("words.txt", "not a readable"),
        ("other.npz", "names no layer"),
        ("array.npz", "not a readable"),
        ("cut.npz", "cut short"),
        ("other.h5", "[64, 3, 3, 3] instead of [3, 3, 3, 64]"),
        ("cut.h5", "cut short"),
        ("a" * 300, "no weights file"),
    ],
)
def test_bad_weights_name_what_works_here(fails, weights, words):
    line = fails(*GOOD, f"--weights={weights}")
    assert words in line and "what works here: 'mini'" in line


def test_bad_weights_of_the_environment_variable(fails, monkeypatch):
    monkeypatch.setenv("NST_TF_WEIGHTS", "gone.h5")
    line = fails("stylize", "photo.png", "painting.jpg", "-o", "out.png")
    assert "gone.h5 (from $NST_TF_WEIGHTS)" in line


@pytest.mark.parametrize(
    "changes",
    [
        {"content_layers": ["conv4_2"]},
        {"style_layers": "conv1_1"},
        {"style_layers": None},
        {"style_blend": 0.5},
        {"snapshots": 100},
        {"init": 3},
        {"normalise": "yes"},
        {"size": "512"},
        {"size": True},
    ],
)
def test_settings_of_the_wrong_kind(changes):
    with pytest.raises(nst_tf.SettingsError) as caught:
        nst_tf.Settings(**{"evaluations": 1, **changes})
    assert next(iter(changes)) in str(caught.value) and "\n" not in str(caught.value)


def test_numpy_numbers_and_paths_are_fine(folder):
    made = nst_tf.Settings(
        size=np.int64(64), evaluations=2, style_weight=np.float32(2), init=folder
    )
    assert made.size == 64 and type(made.size) is int
    assert made.style_weight == 2 and type(made.style_weight) is float
    assert made.init == str(folder)


@pytest.mark.parametrize(
    ("content", "style", "options"),
    [
        ("photo.png", [], {}),
        ("photo.png", "painting.jpg", {"weights": 3}),
        ("photo.png", "painting.jpg", {"preset": "none"}),
        ("photo.png", "painting.jpg", {"sise": 3}),
        (None, "painting.jpg", {}),
    ],
)
def test_bad_arguments_from_python(folder, content, style, options):
    with pytest.raises(NSTError) as caught:
        nst_tf.StyleTransfer(content, style, **{"weights": "random", **options})
    assert "\n" not in str(caught.value)


LATE = """
import sys
from nst_tf.apps import command
from nst_tf.errors import NSTError

def late(argv):
    command.import_tensorflow()
    assert "tensorflow" in sys.modules
    raise NSTError("too late")

sys.exit(command.run("stylize", late, []))
"""


@pytest.mark.slow
@pytest.mark.parametrize("level", [None, "3"])
def test_in_a_process_of_its_own(folder, level):
    """TensorFlow's notices, warnings and all: still one line, whoever has set their level."""
    kept = {key: value for key, value in os.environ.items() if key != "TF_CPP_MIN_LOG_LEVEL"}
    kept |= {"TF_CPP_MIN_LOG_LEVEL": level} if level else {}
    done = subprocess.run([sys.executable, "-c", LATE], capture_output=True, text=True, env=kept)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "nst-tf stylize: too late\n"
