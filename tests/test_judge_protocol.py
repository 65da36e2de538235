"""Pairs, methods and their names."""

import json
from pathlib import Path

import pytest

from nst_tf import assets
from nst_tf.errors import PictureError, SettingsError
from nst_tf.judge import methods, protocol
from nst_tf.judge.protocol import Pair
from nst_tf.network import weights as weights_module
from nst_tf.pictures import images
from nst_tf.recipe import presets
from nst_tf.run.classical_work import Painting
from nst_tf.run.job import Job


@pytest.fixture
def folder(tmp_path):
    """A folder with the pictures of all lists."""
    for listed in json.loads(assets.PROTOCOLS.read_text()).values():
        for name in [*listed.get("contents", ()), *listed.get("styles", ())]:
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "size", "contents", "styles"), [("small", 512, 8, 5), ("full", 256, 20, 10)]
)
def test_the_lists_are_as_large_as_promised(folder, name, size, contents, styles):
    made = protocol.load(name, str(folder))
    assert (made.size, len(made.contents), len(made.styles)) == (size, contents, styles)
    assert len({pair.name for pair in made.pairs}) == contents * styles


def test_the_brief_list_has_every_photo_of_the_small_one_once_and_every_painting(folder):
    small, brief = (protocol.load(name, str(folder)) for name in ("small", "brief"))
    assert brief.size == small.size
    assert [pair.content for pair in brief.pairs] == list(small.contents)
    assert {pair.style for pair in brief.pairs} == set(small.styles)
    assert set(brief.pairs) < set(small.pairs)


def test_the_small_list_holds_no_picture_that_mini_was_trained_on(folder):
    """Held out are every tenth photo and every eighth painting (`mini.txt`); names have gaps."""
    made = protocol.load("small", str(folder))
    held = {"001", "011", "021", "031", "041", "060", "071", "083", "093", "103", "113", "123"}
    assert {path.stem.removeprefix("photo_") for path in made.contents} <= held
    assert all(int(path.stem.removeprefix("painting_")) % 8 == 1 for path in made.styles)


def test_bundled_pictures_stand_in():
    made = protocol.load("small", size=64)
    assert made.pairs == [Pair(assets.SCENE, assets.PAINTING)]
    assert made.size == 64
    assert made.pairs[0].name == "scene--painting"


def test_folders_of_ones_own(folder, tmp_path):
    made = protocol.load("full", contents=str(folder / "photos"), styles=str(assets.PAINTING))
    assert len(made.contents) == 20
    assert made.styles == (assets.PAINTING,)


def test_missing_pictures_are_named(folder):
    (folder / "photos" / "photo_021.jpg").unlink()
    with pytest.raises(PictureError, match=r"1 of the protocol's 8 pictures .*photo_021\.jpg$"):
        protocol.load("small", str(folder))


def test_two_pictures_of_one_name_are_refused(tmp_path):
    for name in ("a.png", "a.jpg"):
        images.save(images.load(assets.SCENE, 32), tmp_path / name)
    with pytest.raises(SettingsError, match="two pairs are called a--painting"):
        protocol.load("small", contents=str(tmp_path))


def test_a_row_for_every_network():
    rows = methods.choose(["gatys2016", "quilting"], {"vgg19": "v.h5", "mini": "mini"})
    names = [row.name for row in rows]
    assert names == ["identity", "style", "gatys2016@vgg19", "gatys2016@mini", "quilting"]
    assert [row.network for row in rows] == [None, None, "vgg19", "mini", None]


def test_what_a_row_has_to_do():
    pair, changes = Pair(Path("p/a.jpg"), Path("q/b.jpg")), {"evaluations": 7, "seed": 3}
    identity, _, gatys, reinhard = methods.choose(["gatys2016", "reinhard"], {"mini": "mini"})
    assert identity.work(pair, Path("out"), 32, changes) is None
    expected = presets.settings("gatys2016", size=32, evaluations=7, seed=3)
    assert gatys.work(pair, Path("out"), 32, changes) == Job(
        "gatys2016@mini/a--b",
        expected,
        "p/a.jpg",
        ("q/b.jpg",),
        "mini",
        Path("out/gatys2016@mini/a--b.png"),
    )
    assert reinhard.work(pair, Path("out"), 32, changes) == Painting(
        "reinhard/a--b", "reinhard", "p/a.jpg", "q/b.jpg", 32, Path("out/reinhard/a--b.png"), 3
    )


def test_names_that_cannot_be():
    with pytest.raises(SettingsError, match="no method 'gatys': use gatys2015, gatys2016"):
        methods.choose(["gatys"], {})
    with pytest.raises(SettingsError, match="the method quilting is there twice"):
        methods.choose(["quilting", "quilting"], {})
    with pytest.raises(SettingsError, match="no folder nowhere with results of other"):
        methods.choose([], {}, [("other", "nowhere")])


def test_two_pairs_of_one_name_are_refused(tmp_path):
    """CONTENT--STYLE of a and b--c is that of a--b and c."""
    for folder, names in (("contents", ("a", "a--b")), ("styles", ("b--c", "c"))):
        (tmp_path / folder).mkdir()
        for name in names:
            images.save(images.load(assets.SCENE, 32), tmp_path / folder / f"{name}.png")
    with pytest.raises(SettingsError, match="two pairs are called a--b--c"):
        protocol.load("small", contents=str(tmp_path / "contents"), styles=str(tmp_path / "styles"))


def test_what_is_no_picture_is_none_of_a_folders(tmp_path):
    images.save(images.load(assets.SCENE, 32), tmp_path / "a.PNG")
    for name in ("README.txt", ".hidden.png", "a.json"):
        (tmp_path / name).write_text("")
    assert protocol.load("small", contents=str(tmp_path)).contents == (tmp_path / "a.PNG",)
    (tmp_path / "a.PNG").unlink()
    with pytest.raises(PictureError, match="no picture in the folder"):
        protocol.load("small", contents=str(tmp_path))


def test_a_size_too_small_to_judge_is_refused():
    with pytest.raises(SettingsError, match="a size of 8 pixels is too small: 32 at least"):
        protocol.load("small", size=8)


def test_the_result_of_a_pair_is_the_picture_of_just_that_name(tmp_path):
    for name in ("x--night.a.png", "x--night.csv", "x--night.json", "x--night.jpg", "y--n.png"):
        (tmp_path / name).write_bytes(b"")
    row = methods.choose([], {}, [("theirs", str(tmp_path))])[-1]
    night = Pair(Path("x.jpg"), Path("night.jpg"))
    assert row.picture(night, Path("out")) == tmp_path / "x--night.jpg"
    assert not row.picture(Pair(Path("x.jpg"), Path("none.jpg")), Path("out")).exists()
    (tmp_path / "x--night.webp").write_bytes(b"")
    with pytest.raises(SettingsError, match="2 pictures called x--night"):
        row.picture(night, Path("out"))


def test_networks_are_known_whatever_their_file(tmp_path, random_weights, tiny_weights):
    mini = weights_module.load("mini")
    assert methods.label(mini) == "mini"
    assert methods.label(random_weights) == "random"
    mini.save(tmp_path / "copy.npz")
    random_weights.save(tmp_path / "mini.npz")
    assert methods.label(weights_module.load(tmp_path / "copy.npz")) == "mini"
    assert methods.label(weights_module.load(tmp_path / "mini.npz")) == "mini-file"
    # Four channels are no network that a file may hold.
    assert methods.label(tiny_weights) == "tiny"


def test_vgg19_is_known_whatever_its_file(vgg19):
    assert methods.label(vgg19) == "vgg19"


def test_two_networks_of_one_name_are_refused(tmp_path, random_weights):
    for folder, seed in (("a", 1), ("b", 2)):
        (tmp_path / folder).mkdir()
        weights_module.random(seed).save(tmp_path / folder / "net.npz")
    one, two = (str(tmp_path / folder / "net.npz") for folder in "ab")
    assert methods.labels([one, one, "mini"]) == {"net": one, "mini": "mini"}
    with pytest.raises(SettingsError, match="two networks are called net"):
        methods.labels([one, two])
