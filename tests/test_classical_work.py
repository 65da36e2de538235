"""Classical methods as work: made once, known again, stopped, and the same as called by hand."""

import json
import threading

import numpy as np
import pytest
import tifffile

from nst_tf import assets
from nst_tf.apps.main import main
from nst_tf.classical import colour, methods
from nst_tf.errors import NSTError, SettingsError
from nst_tf.pictures import images
from nst_tf.run.classical_work import Painting, Texture
from nst_tf.run.jobs import Engine, Jobs, Worker
from nst_tf.watch.progress_bar import JobsBar


class Told:
    def __init__(self):
        self.shares, self.finished = [], []

    def update(self, name, done, loss):
        assert loss is None
        self.shares.append(done)

    def finish(self, name):
        self.finished.append(name)


def painting(folder, method="reinhard", **changes):
    made = {
        "name": method,
        "method": method,
        "content": str(assets.SCENE),
        "style": str(assets.PAINTING),
        "size": 48,
        "output": folder / f"{method}.png",
        **changes,
    }
    return Painting(**made)


def test_a_painting_is_what_the_method_gives(tmp_path):
    work = painting(tmp_path)
    manifest = Jobs([work]).run()["reinhard"]
    content, style = images.load(assets.SCENE, 48), images.load(assets.PAINTING, 48)
    expected = images.to_uint8(colour.reinhard(content, style))
    np.testing.assert_array_equal(images.to_uint8(images.load(work.output)), expected)
    assert manifest["paper"] == "Reinhard et al. 2001"
    assert manifest["image"] == {"height": 36, "width": 48}
    assert manifest == json.loads(work.output.with_suffix(".json").read_text())


@pytest.mark.parametrize("name", methods.SYNTHESES)
def test_every_texture_method_goes_by_name(name, tmp_path):
    told = Told()
    work = Texture(name, name, str(assets.TEXTURES["weave"]), 40, tmp_path / "texture.png")
    Jobs([work], observer=told).run()
    assert images.load(work.output).shape == (40, 40, 3)
    assert told.finished == [name]
    assert told.shares == sorted(told.shares)
    assert told.shares[-1] == 100


@pytest.mark.parametrize("name", methods.TRANSFERS)
def test_every_painting_method_goes_by_name(name, tmp_path):
    told = Told()
    Jobs([painting(tmp_path, name, size=64)], observer=told).run()
    picture = images.load(tmp_path / f"{name}.png")
    assert picture.shape == (48, 64, 3)
    assert np.abs(picture - images.load(assets.SCENE, 64)).max() > 0.1
    assert told.shares[-1] == 100


def test_what_is_done_is_known_and_what_changed_is_not(tmp_path):
    Jobs([painting(tmp_path)]).run()
    written = (tmp_path / "reinhard.png").stat().st_mtime_ns
    told = Told()
    Jobs([painting(tmp_path)], observer=told).run()
    assert (tmp_path / "reinhard.png").stat().st_mtime_ns == written
    assert (told.shares, told.finished) == ([], ["reinhard"])
    for change in ({"size": 40}, {"seed": 1}, {"style": str(assets.TEXTURES["grain"])}):
        told = Told()
        Jobs([painting(tmp_path, **change)], observer=told).run()
        assert told.shares, change


def test_a_picture_that_is_gone_is_made_again(tmp_path):
    work = painting(tmp_path)
    Jobs([work]).run()
    work.output.unlink()
    Jobs([work]).run()
    assert work.output.is_file()


def test_stopped_in_the_middle_nothing_is_left_to_be_taken_for_done(tmp_path):
    stopping = threading.Event()
    work = painting(tmp_path, "quilting", size=96)
    worker = Worker(Engine(), lambda *told: stopping.set(), stopping)
    assert worker.run(work) is None
    assert list(tmp_path.iterdir()) == []


def test_two_processes_give_the_same_pictures(tmp_path):
    works = [
        Texture(f"{name}-{here}", "quilting", str(path), 48, tmp_path / here / f"{name}.png")
        for here in ("one", "two")
        for name, path in assets.TEXTURES.items()
    ]
    Jobs(works[:4]).run()
    with JobsBar(works[4:], shown=False) as bar:
        assert len(Jobs(works[4:], workers=2, observer=bar).run()) == 4
    for name in assets.TEXTURES:
        one, two = (images.load(tmp_path / here / f"{name}.png") for here in ("one", "two"))
        np.testing.assert_array_equal(one, two)


def test_one_that_fails_does_not_stop_the_others(tmp_path):
    works = [painting(tmp_path, content="nowhere.png", name="bad"), painting(tmp_path)]
    with pytest.raises(NSTError, match=r"nowhere\.png"):
        Jobs(works).run()
    going = Jobs(works, keep_going=True)
    assert set(going.run()) == {"reinhard"}
    assert "nowhere.png" in str(going.failures["bad"])


PAIR = [str(assets.SCENE), str(assets.PAINTING)]


def test_the_command_paints(tmp_path, capsys):
    out, sheet = tmp_path / "out.tif", tmp_path / "sheet.png"
    flags = ["--method=monge-kantorovich", "--size=48", "--bits=16", f"--sheet={sheet}"]
    assert main(["stylize", *PAIR, "-o", str(out), *flags, "--quiet"]) == 0
    content, style = images.load(assets.SCENE, 48), images.load(assets.PAINTING, 48)
    expected = colour.monge_kantorovich(content, style)
    np.testing.assert_allclose(tifffile.imread(out) / 65535, expected, atol=1 / 65535)
    assert images.load(sheet).shape[0] == 36
    assert f"{out}: Pitié and Kokaram 2007" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([*PAIR, "--evaluations=3"], "--method=quilting knows no --evaluations: leave it out"),
        ([*PAIR, "--film=f.mp4"], "knows no --film"),
        ([*PAIR, PAIR[1]], "takes one style image"),
        (["typo.jpg", PAIR[1]], "typo.jpg"),
    ],
)
def test_what_the_command_refuses_and_leaves_what_was_there(arguments, words, tmp_path, capsys):
    (tmp_path / "out.json").write_text("{}")
    command = ["stylize", *arguments, "-o", str(tmp_path / "out.png"), "--method=quilting"]
    assert main(command) == 2
    error = capsys.readouterr().err
    assert words in error and len(error.splitlines()) == 1
    assert (tmp_path / "out.json").read_text() == "{}"


def test_names_that_are_none():
    picture = np.zeros((8, 8, 3), np.float32)
    with pytest.raises(SettingsError, match="no painting method 'sampling': use one of quilting"):
        methods.transfer("sampling", picture, picture)
    with pytest.raises(SettingsError, match="no texture method 'reinhard': use one of sampling"):
        methods.synthesize("reinhard", picture, 8, 8)
