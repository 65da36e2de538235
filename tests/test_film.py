"""Films, read back with PyAV's decoder and with Pillow's."""

import configparser
import sys
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import nst_tf
from nst_tf import assets
from nst_tf.apps.main import main
from nst_tf.errors import FileError, PictureError
from nst_tf.pictures import images
from nst_tf.run.record import Step
from nst_tf.run.transfer import StyleTransfer
from nst_tf.run.workshop import Workshop
from nst_tf.watch.film import FORMATS, Film

SIZE = (47, 63)  # odd, which H.264 does not hold


def test_the_extra_brings_what_a_curve_is_drawn_with():
    setup = configparser.ConfigParser()
    setup.read(Path(__file__).parent.parent / "setup.cfg")
    assert {"av", "matplotlib"} <= set(setup["options.extras_require"]["film"].split())


@pytest.fixture(scope="module")
def run(tiny_weights, scene, painting):
    workshop = Workshop()

    def make(*watchers, **options):
        options = {
            "preset": "gatys2016",
            "size": 63,
            "iterations": 7,
            "optimizer": "adam",
            "learning_rate": 0.05,
            "workshop": workshop,
            **options,
        }
        return StyleTransfer(scene, painting, weights=tiny_weights, callbacks=watchers, **options)

    return make


@pytest.fixture(scope="module")
def filmed(run, tmp_path_factory):
    """A run filmed in every way at once: the folder, the run and the images of its iterations."""
    folder = tmp_path_factory.mktemp("films")
    made = run(
        *(Film(folder / f"film{suffix}", fps=10) for suffix in FORMATS),
        Film(folder / "third.gif", every=3, fps=5),
        Film(folder / "curve.mp4", curve=True),
    )
    arrays = [step.array for step in made]
    return folder, made, arrays


def read(path):
    """The frames, float [height, width, 3] in [0, 1], and how long each is shown, in ms."""
    if path.suffix == ".mp4":
        with av.open(str(path)) as container:
            (stream,) = container.streams
            assert stream.codec_context.name == "h264"
            assert stream.codec_context.pix_fmt == "yuv420p"
            frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
            assert container.duration / 1e6 == pytest.approx(len(frames) / stream.average_rate)
            shown = [1000 / float(stream.average_rate)] * len(frames)
    else:
        frames, shown = [], []
        with Image.open(path) as image:
            assert image.info["loop"] == 0  # for ever
            for number in range(image.n_frames):
                image.seek(number)
                frames.append(np.asarray(image.convert("RGB")))
                shown.append(image.info["duration"])
    return [frame / 255 for frame in frames], shown


def step(iteration, array):
    return Step(iteration, iteration + 1, 0.0, {}, 0.0, 0.0, 0.0, tf.constant(array[np.newaxis]))


def error(frame, picture):
    """Mean absolute difference in brightness; films hold colour at half the resolution."""
    return np.abs((frame - picture) @ [0.2126, 0.7152, 0.0722]).mean()


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_film_shows_the_run(filmed, suffix):
    folder, made, _ = filmed
    frames, shown = read(folder / f"film{suffix}")
    assert sum(shown) == pytest.approx(8 * 100 + 1000)  # the result stands for a second
    assert len(frames) == 8 + 10
    size = (48, 64, 3) if suffix == ".mp4" else (*SIZE, 3)
    assert all(frame.shape == size for frame in frames)
    first, last = (frame[:47, :63] for frame in (frames[0], frames[-1]))
    result = made.result().array
    assert error(first, made.initial_image) < 0.02
    assert error(last, result) < 0.02
    assert error(result, made.initial_image) > 0.04


@pytest.mark.parametrize("suffix", FORMATS)
def test_changes_too_small_to_see_add_up(suffix, scene, painting, tmp_path):
    """libwebp's own encoder of animations drops them, frame after frame, as FFmpeg uses it."""
    blends = [scene + share * (painting - scene) for share in np.linspace(0, 0.4, 80)]
    run = SimpleNamespace(content=scene, history=[], best=blends[-1])
    film = Film(tmp_path / f"film{suffix}")
    film.on_begin(run)
    for iteration, blend in enumerate(blends):
        film.on_step(run, step(iteration, blend))
    film.on_end(run)
    frames, _ = read(tmp_path / f"film{suffix}")
    assert len(frames) == 80 + 25
    shown = [*blends, *[blends[-1]] * 25]
    assert max(error(frame, blend) for frame, blend in zip(frames, shown, strict=True)) < 0.03


def test_a_frame_every_so_often(filmed):
    folder, _, arrays = filmed
    frames, shown = read(folder / "third.gif")
    assert len(frames) == 3 + 5 and shown == [200] * 8  # of iterations 0, 3 and 6, and the result
    for frame, iteration in zip(frames, (0, 3, 6), strict=False):
        assert error(frame, np.clip(arrays[iteration], 0, 1)) < 0.02


def test_a_curve_beside_the_picture(filmed):
    folder, made, _ = filmed
    frames, _ = read(folder / "curve.mp4")
    assert len(frames) == 8 + 25 and frames[0].shape == (48, 63 + 47, 3)
    assert error(frames[0][:47, :63], made.initial_image) < 0.02
    assert all(np.median(frame[:, 64:]) > 0.95 for frame in frames)  # white paper


def test_the_curve_is_logarithmic(tmp_path):
    history = [{"evaluations": n, "total": 1e9 * 0.7**n} for n in range(1, 40)]
    white = np.ones((256, 4, 3), np.float32)
    run = SimpleNamespace(content=white, best=white, history=history[:1])
    film = Film(tmp_path / "film.gif", curve=True, fps=10)
    film.on_begin(run)
    film.on_step(run, step(0, white))
    run.history = history
    film.on_step(run, step(1, white))
    film.on_end(run)
    frames, _ = read(tmp_path / "film.gif")
    panels = [np.round(255 * frame[:, 4:]).astype(int) for frame in frames]
    first, last = panels[0], panels[-1]
    assert first.shape == last.shape == (256, 256, 3)
    assert np.abs(panels[1] - last).max() == 0
    spots = [np.nonzero(panel[..., 2] - panel[..., 0] > 100) for panel in (first, last)]
    assert 0 < len(spots[0][0]) < 100 < len(spots[1][0])  # a point, then a line
    assert np.corrcoef(*spots[1])[0, 1] > 0.999  # straight, and downwards


def test_nothing_else_is_left(filmed):
    names = {"film.mp4", "film.webp", "film.gif", "third.gif", "curve.mp4"}
    assert {file.name for file in filmed[0].iterdir()} == names


def test_colours_are_kept(tiny_weights, painting, tmp_path):
    """Even ones, where halved resolution costs nothing: the matrix and the range must be right."""
    for number, colour in enumerate([(1, 0, 0), (0, 1, 0), (0, 0, 1), (0.2, 0.5, 0.8)]):
        path = tmp_path / f"{number}.mp4"
        flat = np.full((32, 32, 3), colour, np.float32)
        nst_tf.stylize(
            flat,
            painting,
            preset="gatys2016",
            weights=tiny_weights,
            size=32,
            iterations=0,
            callbacks=[Film(path)],
        )
        frames, _ = read(path)
        np.testing.assert_allclose(frames[0], flat, atol=3 / 255)
        with av.open(str(path)) as container:
            context = container.streams[0].codec_context
            assert (context.colorspace, context.color_primaries, context.color_range) == (1, 1, 1)


def test_an_interrupted_run_leaves_its_films(run, tmp_path):
    class CtrlC(nst_tf.Callback):
        def on_step(self, run, step):
            if step.iteration == 3:
                raise KeyboardInterrupt

    paths = [tmp_path / f"film{suffix}" for suffix in FORMATS]
    with pytest.raises(nst_tf.Interrupted) as caught:
        run(*(Film(path, fps=10) for path in paths), CtrlC()).run()
    for path in paths:
        frames, shown = read(path)
        assert sum(shown) == pytest.approx(4 * 100 + 1000)
        assert error(frames[-1][:47, :63], caught.value.result.array) < 0.02


def test_a_run_may_be_filmed_again(run, tmp_path):
    made = run(Film(tmp_path / "film.gif", fps=10))
    lengths = []
    for _ in range(2):
        made.run()
        lengths.append(len(read(tmp_path / "film.gif")[0]))
    assert lengths == [18, 18]


def test_a_full_disk_is_one_line_and_leaves_nothing_half(run, tmp_path, monkeypatch):
    path = tmp_path / "film.mp4"
    path.write_text("an older film")
    made = run(Film(path))

    def full(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises(FileError, match=r"film.mp4: No space left on device") as caught:
        made.run()
    assert str(caught.value).startswith("cannot write") and "\n" not in str(caught.value)
    assert not isinstance(caught.value, PictureError)
    assert [file.name for file in tmp_path.iterdir()] == ["film.mp4"]
    assert path.read_text() == "an older film"
    assert made.result().history[-1]["iteration"] == 7


def test_a_film_that_cannot_be_begun_ends_the_run_once(run, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    film = Film(folder / "film.mp4")
    folder.rmdir()
    made = run(film)
    with pytest.raises(FileError, match="cannot write"):
        made.run()
    assert len(made.result().history) == 1


class Late(nst_tf.Callback):
    """Cannot begin at first."""

    def __init__(self):
        self.begun = 0

    def on_begin(self, run):
        self.begun += 1
        if self.begun == 1:
            raise RuntimeError("too early")


@pytest.mark.parametrize("first", ["film", "late"])
def test_a_run_that_another_keeps_from_beginning_has_no_film(run, tmp_path, first):
    watchers = {"film": Film(tmp_path / "film.gif", fps=10), "late": Late()}
    made = run(watchers.pop(first), *watchers.values())
    with pytest.raises(RuntimeError, match="too early"):
        made.run()
    assert not list(tmp_path.iterdir())
    made.run()
    assert len(read(tmp_path / "film.gif")[0]) == 8 + 10


@pytest.mark.parametrize(
    ("module", "words", "flags"),
    [
        ("av", "pip install 'nst_tf[film]'", []),
        ("matplotlib.figure", "pip install 'nst_tf[plot]'", ["--film_curve"]),
    ],
)
def test_missing_packages_are_one_line_before_any_work(
    monkeypatch, tmp_path, capsys, module, words, flags
):
    monkeypatch.setitem(sys.modules, module, None)
    pictures = [str(assets.SCENE), str(assets.PAINTING)]
    targets = ["-o", str(tmp_path / "out.png"), "--film", str(tmp_path / "film.mp4")]
    assert main(["stylize", *pictures, "--weights=mini", *targets, *flags]) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_the_command_line_films_with_a_curve(tmp_path):
    film, out = tmp_path / "film.webp", tmp_path / "out.png"
    code = main(
        [
            "stylize", str(assets.SCENE), str(assets.PAINTING), "--weights=mini", "--size=48",
            "--preset=gatys2016", "--iterations=4", "-o", str(out), "--quiet", f"--film={film}",
            "--film_every=2",
            "--film_curve", f"--logdir={tmp_path / 'logs'}",
        ]
    )  # fmt: skip
    assert code == 0
    frames, shown = read(film)
    assert sum(shown) == pytest.approx(3 * 40 + 1000)
    assert frames[0].shape == (36, 48 + 36, 3)
    assert error(frames[-1][:, :48], images.load(out)) < 0.02
    assert list((tmp_path / "logs").glob("events*"))
