"""What a batch is to paint and what its pictures are called, before anything is painted."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from nst_tf.apps import batch as app
from nst_tf.apps import command
from nst_tf.batch import names, orders, plan
from nst_tf.batch.orders import Order
from nst_tf.errors import FileError, OutputError, PictureError, SettingsError
from nst_tf.pictures import images
from nst_tf.recipe import presets
from nst_tf.run.job import Job


@pytest.fixture
def folder(tmp_path, scene):
    (tmp_path / "photos").mkdir()
    for name in ("b.jpg", "a.png", ".hidden.png"):
        images.save(scene[:32, :48], tmp_path / "photos" / name)
    (tmp_path / "photos" / "notes.txt").write_text("no picture")
    return tmp_path / "photos"


def test_a_folder_stands_for_its_pictures_a_pattern_for_what_it_matches(folder):
    a, b = str(folder / "a.png"), str(folder / "b.jpg")
    assert orders.files([str(folder)]) == [a, b]
    assert orders.files([b, str(folder / "*.png"), str(folder)]) == [b, a]
    with pytest.raises(PictureError, match="no file matches"):
        orders.files([str(folder / "*.webp")])
    (folder / "empty").mkdir()
    with pytest.raises(PictureError, match="no picture is in the folder"):
        orders.files([str(folder / "empty")])


def test_every_photo_in_every_style_or_pair_by_pair():
    crossed = orders.crossed(["a", "b"], ["x", "y", "z"])
    assert [(one.content, *one.styles) for one in crossed] == [
        (content, style) for content in "ab" for style in "xyz"
    ]
    paired = orders.paired(["a", "b"], ["x", "y"])
    assert [(one.content, *one.styles) for one in paired] == [("a", "x"), ("b", "y")]
    with pytest.raises(SettingsError, match="2 photos and 1 paintings"):
        orders.paired(["a", "b"], ["x"])


def test_a_table_is_read_line_by_line_whichever_way_it_is_written(tmp_path):
    (tmp_path / "t.csv").write_text(
        "content,style,size,output,mirrored\n"
        'a.jpg,"x.jpg; y.jpg",64,one,true\n'
        ",,,,\n"
        "/abs/b.jpg,,,,\n",
        encoding="utf-8-sig",
    )
    lines = [
        {
            "content": "a.jpg",
            "style": ["x.jpg", "y.jpg"],
            "size": 64,
            "output": "one",
            "mirrored": True,
        },
        {"content": "/abs/b.jpg", "style": None},
    ]
    (tmp_path / "t.jsonl").write_text("\n\n".join(map(json.dumps, lines)))
    for name, numbers in (("t.csv", (2, 4)), ("t.jsonl", (1, 3))):
        table = str(tmp_path / name)
        first, *others = orders.read(table, ["p.jpg", "q.jpg"])
        assert first.content == str(tmp_path / "a.jpg")
        assert first.styles == (str(tmp_path / "x.jpg"), str(tmp_path / "y.jpg"))
        assert (first.cells, first.output) == ({"size": "64", "mirrored": "true"}, "one")
        assert first.place == f"{table}, line {numbers[0]}"
        # What names no style comes in each that the command names.
        assert [one.styles for one in others] == [("p.jpg",), ("q.jpg",)]
        assert {one.content for one in others} == {"/abs/b.jpg"}
        assert {one.place for one in others} == {f"{table}, line {numbers[1]}"}


@pytest.mark.parametrize(
    ("name", "text", "error", "words"),
    [
        ("t.csv", "", FileError, "one of them content"),
        ("t.csv", "photo\na.jpg\n", FileError, "one of them content"),
        ("t.csv", "content,content\na,b\n", FileError, "each column once"),
        ("t.csv", "content\n", FileError, "no line with a picture"),
        ("t.csv", "content,size\n,3\n", SettingsError, "line 2 names no photo"),
        ("t.csv", "content\na.jpg\n", SettingsError, "line 2 names no style"),
        ("t.csv", "content\na.jpg,b\n", FileError, "2 cells for 1 columns"),
        ("t.csv", 'content\n"a.jpg\n', FileError, "no CSV"),
        ("t.csv", b"content\n\xff\n", FileError, "UTF-8"),
        ("t.jsonl", "{", FileError, "line 1 is not JSON"),
        ("t.jsonl", "[1]", FileError, "line 1 is no object"),
    ],
)
def test_what_is_no_table_is_told_in_a_line(tmp_path, name, text, error, words):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(error, match=words):
        orders.read(str(path))


def outputs(*given: Order, template: str = names.TEMPLATE, folder: Path = Path("out")):
    return [path.as_posix() for path in names.outputs(given, template, folder)]


def test_names_come_of_a_template():
    one = Order("in/a.jpg", ("p/x.jpg", "y.png"), {"who": "me/you", "size": "64"})
    two = Order("in/b.c.tiff", ("x.jpg",), {"who": "her"}, "own/name.jpg")
    assert outputs(one, two) == ["out/a--x+y.png", "out/own/name.jpg"]
    template = "{who}/{folder}-{content}-{number}.webp"
    assert outputs(one, two, template=template)[0] == "out/me-you/in-a-1.webp"
    many = [Order(f"{number}.jpg", ("x",)) for number in range(12)]
    assert outputs(*many, template="{number}")[::11] == ["out/01.png", "out/12.png"]
    assert outputs(Order("a.jpg", ("scream=0.5+night=1",))) == ["out/a--scream=0.5+night=1.png"]


@pytest.mark.parametrize(
    "name", ["../a.png", "/a.png", "b/../../a.png", "..", "b/", "c:\\a", "a\0"]
)
def test_no_name_leads_out_of_the_folder(name):
    order = Order("a.jpg", ("x.jpg",), output=name, place="t.csv, line 2")
    try:
        (path,) = outputs(order)
    except SettingsError as error:
        assert "t.csv, line 2" in str(error)
    else:  # what another system takes for a way out is a plain name here
        assert Path(path).resolve().is_relative_to(Path("out").resolve()), path


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{contents}", "'contents', which is not there: use content, folder, number, style"),
        ("{content", "no template"),
        ("{content!r}", "plain names"),
        ("{content:>9}", "plain names"),
        ("{}", "plain names"),
        ("{content.x}", "plain names"),
    ],
)
def test_a_template_that_cannot_be_filled_in_is_refused(template, words):
    with pytest.raises(SettingsError, match=words):
        outputs(Order("a.jpg", ("x.jpg",)), template=template)


def test_no_two_pictures_have_one_name():
    """Nor one manifest, which has no suffix of theirs."""
    for other in ("in/a.jpg", "b/a.jpg", "b/A.jpg", "b/a.png"):
        with pytest.raises(SettingsError, match="would both be"):
            outputs(Order("in/a.jpg", ("x.jpg",)), Order(other, ("x.jpg",)))
    same = [Order("in/a.jpg", ("x",), output=name) for name in ("a.jpg", "a.png")]
    with pytest.raises(SettingsError, match="would both be"):
        outputs(*same)


def test_what_is_read_is_not_written_over(folder):
    order = Order(str(folder / "a.png"), ("x.jpg",))
    with pytest.raises(OutputError, match="one of the pictures to read"):
        outputs(order, template="{content}", folder=folder)


def test_a_result_is_not_painted_again(folder):
    """As a pattern would have it that finds what the first time has left."""
    order = Order(str(folder / "a.png"), ("x.jpg",))
    assert outputs(order, template="{content}-{style}", folder=folder)
    (folder / "a.json").write_text('{"nst_tf": "0.2.0"}')
    with pytest.raises(SettingsError, match="is a result in --out"):
        outputs(order, template="{content}-{style}", folder=folder)


def job(folder, name, shape, style="x.jpg", **changes):
    """A run of a photo of some shape."""
    path = folder / f"{name}.png"
    images.save(np.zeros([*shape, 3], np.float32), path)
    settings = presets.settings(changes.pop("preset", "gatys2016"), **changes)
    return Job(name, settings, str(path), (style,), "mini", folder / "out.png")


def test_runs_that_share_a_graph_follow_each_other(tmp_path):
    """Of one scale that is of one shape; else a graph serves all, and a painting's targets stay."""
    large = {"size": 512, "evaluations": 5}
    tall, wide = (64, 32), (32, 64)
    given = [
        job(tmp_path, "a", tall, **large),
        job(tmp_path, "b", wide, "y.jpg", **large),
        job(tmp_path, "c", tall, "y.jpg", **large),
        job(tmp_path, "d", wide, **large),
        job(tmp_path, "e", tall, "y.jpg", **large, pooling="avg"),
        job(tmp_path, "f", tall, preset="crisp"),
        job(tmp_path, "g", wide, "y.jpg", preset="crisp"),
        job(tmp_path, "h", wide, preset="crisp"),
    ]
    names_of = [one.name for one in plan.sharing(given)]
    assert sorted(names_of) == list("abcdefgh")
    assert names_of[:3] == ["h", "f", "g"]  # style by style, whatever the shape
    assert names_of[3:5] == ["d", "b"] and names_of[5:7] == ["a", "c"]  # shape by shape
    assert names_of[7] == "e"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["{folder}", "--out={out}"], "name the paintings"),
        (["{folder}", "--styles={a}"], "name the folder"),
        (["{folder}", "--styles={a}:{a}", "--out={out}"], "takes no masks"),
        (["{folder}", "--styles={a}", "--out={out}", "--names={{who}}"], "'who'"),
        (["{table}", "{a}", "--out={out}"], "name it alone"),
        (["{table}", "--pairs", "--out={out}"], "without --pairs"),
        (["{table}", "--out={out}"], "column 'shoe' that nothing heeds"),
        (["{table}", "--out={out}", "--names={{shoe}}"], "line 2: .*size"),
        (["{folder}", "--styles={a}", "--out={out}", "--weights=gone.h5"], "gone.h5"),
        (["{folder}", "--out={out}", "--stylizer=gone.keras"], "gone.keras"),
        (["{folder}", "--out={out}", "--stylizer=s", "--preset=crisp"], None),
        (
            ["{folder}", "--out={out}", "--stylizer=s", "--size=64", "--evaluations=3"],
            "evaluations",
        ),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_painted(
    folder, tmp_path, capsys, arguments, words
):
    table = tmp_path / "table.csv"
    table.write_text("content,style,size,shoe\nphotos/a.png,photos/b.jpg,small,9\n")
    given = {"folder": folder, "a": folder / "a.png", "out": tmp_path / "out", "table": table}
    argv = [argument.format(**given) for argument in arguments]
    assert command.run("batch", app.main, argv) == command.BAD_INPUT
    said = capsys.readouterr().err
    assert said.startswith("nst-tf batch: ") and said.count("\n") == 1
    if words:
        assert re.search(words, said), said
    assert not (tmp_path / "out").exists()
