"""Which results are pairs, and the page that shows them."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from pathlib import Path

import pytest
from voting import NAMES, folders, make_page, paint, run, votes

from nst_tf.errors import FileError
from nst_tf.judge import vote
from nst_tf.judge.vote import Pair


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_page(tmp_path_factory.mktemp("vote"))


def data_of(page) -> dict:
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page)
    return json.loads(text)


# Which pictures are pairs


def test_pairs_have_one_name_and_others_are_told(tmp_path):
    first, second = folders(tmp_path)
    found = vote.find_pairs(first, second, tmp_path / "contents", tmp_path / "styles")
    assert [pair.name for pair in found.pairs] == NAMES
    assert found.only_first == ["only of red"] and found.only_second == ["only of blue"]
    assert found.pairs[0].results == (first / f"{NAMES[0]}.png", second / f"{NAMES[0]}.PNG")
    assert found.pairs[2].content == tmp_path / "contents" / "photo2.jpg"
    assert found.pairs[2].styles == (tmp_path / "styles" / "wave.jpg",)
    without = vote.find_pairs(first, second)
    assert without.pairs[2] == Pair(NAMES[2], found.pairs[2].results)


def manifest_of(result, content, *styles, **other):
    """What `Result.save` leaves beside a picture, as far as inputs go."""
    inputs = [
        {"path": str(path), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()} | other
        for path in (content, *styles)
    ]
    written = {"nst_tf": "0", "content": inputs[0], "styles": inputs[1:]}
    result.with_suffix(".json").write_text(json.dumps(written))


def test_manifests_come_before_names(tmp_path):
    first, second = folders(tmp_path)
    content = paint(tmp_path / "elsewhere" / "c.png", "green")
    styles = [paint(tmp_path / "elsewhere" / f"s{k}.png", (k, 0, 0)) for k in range(2)]
    by_name = (tmp_path / "contents" / "photo0.jpg", (tmp_path / "styles" / "wave.jpg",))

    def found():
        pair = vote.find_pairs(first, second, tmp_path / "contents", tmp_path / "styles").pairs[0]
        return pair.content, pair.styles

    assert found() == by_name
    # The second's alone, then both, then where the first was given the content as an array.
    manifest_of(second / f"{NAMES[0]}.PNG", content, *styles)
    assert found() == (content, tuple(styles))
    manifest_of(first / f"{NAMES[0]}.png", content, *styles)
    assert found() == (content, tuple(styles))
    # Another style image: nobody can say which one to show.
    manifest_of(first / f"{NAMES[0]}.png", content, styles[1])
    assert found() == (content, by_name[1])
    (first / f"{NAMES[0]}.json").write_text('{"content": "of something else"}')
    assert found() == (content, tuple(styles))
    # The file is another one by now, or gone.
    paint(content, "black")
    assert found() == (by_name[0], tuple(styles))
    styles[0].unlink()
    assert found() == by_name


def test_a_run_leaves_what_is_read(tmp_path):
    """The record's own words for a file, and for an array, which has none to show."""
    record = pytest.importorskip("nst_tf.run.record")
    content = paint(tmp_path / "c.png", "green")
    result = paint(tmp_path / "a" / "x.png", "red")
    paint(tmp_path / "b" / "x.png", "blue")
    inputs = {"content": record.identity_of(content), "styles": [record.identity_of([[0.5]])]}
    result.with_suffix(".json").write_text(json.dumps(inputs))
    (pair,) = vote.find_pairs(tmp_path / "a", tmp_path / "b").pairs
    assert pair.content == content and pair.styles == ()


def test_methods_are_called_as_their_folders(tmp_path):
    names = vote.method_names
    assert names(Path("runs/gatys"), Path("runs/adain/")) == ("gatys", "adain")
    assert names(Path("gatys/out"), Path("adain/out")) == ("gatys/out", "adain/out")
    with pytest.raises(FileError, match="are the same folder"):
        names(tmp_path, tmp_path / "x" / "..")


# What is drawn


def pairs_of(count):
    return [Pair(f"p{k}", (Path(f"a/p{k}"), Path(f"b/p{k}"))) for k in range(count)]


def test_sides_and_order_are_drawn():
    """Over 400 seeds each pair is as often on each side and in each place: ±0.1 is four sigma."""
    pairs, left, place = pairs_of(5), {}, {}
    for seed in range(400):
        for index, showing in enumerate(vote.draw(pairs, seed, 0)):
            left[showing.pair.name] = left.get(showing.pair.name, 0) + (not showing.swapped)
            key = showing.pair.name, index
            place[key] = place.get(key, 0) + 1
    assert all(count / 400 == pytest.approx(0.5, abs=0.1) for count in left.values())
    assert len(place) == 25
    assert all(count / 400 == pytest.approx(0.2, abs=0.08) for count in place.values())


@pytest.mark.parametrize(("count", "repeats", "again"), [(5, 3, 3), (2, 3, 2), (4, 0, 0)])
def test_repeats_come_last_and_swapped(count, repeats, again):
    showings = vote.draw(pairs_of(count), 7, repeats)
    once, twice = showings[:count], showings[count:]
    assert {showing.pair.name for showing in once} == {f"p{k}" for k in range(count)}
    assert [showing.repeat for showing in showings] == [False] * count + [True] * again
    for before, after in zip(once, twice, strict=False):
        assert after.pair == before.pair and after.swapped != before.swapped
    assert showings == vote.draw(pairs_of(count), 7, repeats)


# The page


def test_the_page_holds_what_was_drawn(made, capsys):
    data = data_of((made / "vote.html").read_text())
    assert data["methods"] == ["gatys", "adain"] and data["seed"] == 0
    pairs = vote.find_pairs(made / "gatys", made / "adain").pairs
    for showing, drawn in zip(data["showings"], vote.draw(pairs, 0, 2), strict=True):
        assert (showing["pair"], showing["repeat"]) == (drawn.pair.name, drawn.repeat)
        assert [showing["left"], showing["right"]] == ["gatys", "adain"][
            :: -1 if drawn.swapped else 1
        ]
    # Eight results, four content images, one style image, each once.
    assert len(data["pictures"]) == 13
    page = (made / "vote.html").read_text()
    assert not re.search(r"(?:src|href)=|url\(|https?://", page)


def test_what_is_said_of_a_page(tmp_path, capsys):
    assert run(*folders(tmp_path), f"--out={tmp_path / 'vote.html'}", "--seed=5") == 0
    first, *others = capsys.readouterr().out.splitlines()
    assert "4 in pairs (3 of them asked about twice; content and style image known of 0)" in first
    assert first.endswith(" 21 questions")
    assert others == [
        "only in gatys, not asked about: only of red",
        "only in adain, not asked about: only of blue",
    ]
    assert data_of((tmp_path / "vote.html").read_text())["seed"] == 5


def test_pictures_are_shrunk(tmp_path):
    for method in ("a", "b"):
        paint(tmp_path / method / "c--s.png", "red", (300, 150))
    paint(tmp_path / "c" / "c.png", "red", (90, 300))
    made = (f"--out={tmp_path / 'v.html'}", f"--contents={tmp_path / 'c'}", "--size=200")
    assert run(tmp_path / "a", tmp_path / "b", *made) == 0
    pictures = data_of((tmp_path / "v.html").read_text())["pictures"]
    sizes = [(picture["width"], picture["height"]) for picture in pictures]
    assert sizes == [(200, 100), (200, 100), (30, 100)]


def test_names_that_are_markup(tmp_path):
    name = "</script><b>&'\""
    for method in ("a", "b"):
        paint(tmp_path / method / "x.png", "red")
    pairs = vote.find_pairs(tmp_path / "a", tmp_path / "b").pairs
    vote.write_page(tmp_path / "v.html", vote.draw(pairs, 0, 0), (name, "b"), missing=[name])
    page = (tmp_path / "v.html").read_text()
    assert data_of(page)["methods"] == [name, "b"] and "<b>" not in page


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["{}/gatys", "{}/adain"], "name the page: --out="),
        (["{}/gatys", "--out={}/v.html"], "name two folders of results, not 1"),
        (["{}/gatys", "{}/none", "--out={}/v.html"], "cannot read the folder"),
        (["{}/gatys", "{}/contents", "--out={}/v.html"], "has the name of one of"),
        (["{}/gatys", "{}/gatys/", "--out={}/v.html"], "are the same folder"),
        (["{}/gatys", "{}/adain", "--out={}/none/v.html"], "no directory"),
        (["{}/gatys", "{}/adain", "--out={}/v.html", "--styles={}/none"], "cannot read the folder"),
        (["{}/gatys", "{}/adain", "--out={}/v.html", "--seed=-1"], "seed"),
        (["{}/gatys", "{}/adain", "--out={}/v.html", "--repeats=-1"], "repeats"),
        (["{}/twice", "{}/adain", "--out={}/v.html"], "has both photo0--wave.jpg and photo0--"),
        (["{}/broken", "{}/adain", "--out={}/v.html"], "photo0--wave.png is empty"),
    ],
)
def test_what_cannot_be_is_one_line(tmp_path, capsys, arguments, words):
    folders(tmp_path)
    for suffix in ("png", "jpg"):
        paint(tmp_path / "twice" / f"{NAMES[0]}.{suffix}", "red")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / f"{NAMES[0]}.png").touch()
    assert run(*(argument.format(tmp_path) for argument in arguments)) == 2
    error = capsys.readouterr().err
    assert words in error and error.startswith("nst-tf vote: ") and error.count("\n") == 1
    assert not (tmp_path / "v.html").exists()


@pytest.mark.parametrize("package", ["jinja2", "scipy"])
def test_without_a_package(made, tmp_path, monkeypatch, capsys, package):
    monkeypatch.setitem(sys.modules, package, None)
    (tmp_path / "a.json").write_text(json.dumps(votes()))
    arguments = {
        "jinja2": (made / "gatys", made / "adain", f"--out={tmp_path / 'v.html'}"),
        "scipy": ("--count", tmp_path / "a.json"),
    }
    assert run(*arguments[package]) == 2
    error = capsys.readouterr().err
    assert f"needs {package}: pip install 'nst_tf[judge]'" in error and error.count("\n") == 1


def test_help_names_every_flag(capsys):
    assert run("--help") == 0
    text = capsys.readouterr().out
    for flag in ("out", "contents", "styles", "seed", "repeats", "size", "count"):
        assert f"--{flag}\n" in text
