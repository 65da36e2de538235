"""Files of answers, added up."""

from __future__ import annotations

import re

import pytest
from voting import run, votes, write

from nst_tf.judge import vote


def test_the_count_of_made_up_answers(tmp_path):
    methods, counts = vote.count(write(tmp_path, votes()))
    assert methods == ("gatys", "adain")
    assert {name: tuple(counted.chosen) for name, counted in counts.items()} == {
        "content": (13, 20),
        "style": (19, 20),
        "wall": (1, 20),
    }
    assert [counted.ahead() for counted in counts.values()] == [None, 0, 1]
    assert all(counted.alike == (3, 4) for counted in counts.values())
    # Wilson's formula with z = 1.96: 13 of 20.
    assert counts["content"].chosen.interval() == pytest.approx((0.4329, 0.8188), abs=1e-4)


def test_the_table(tmp_path, capsys):
    assert run("--count", *write(tmp_path, votes())) == 0
    title, _, head, *rows, _, consistency = capsys.readouterr().out.splitlines()
    assert title == "gatys against adain, 1 voter: the share that chose gatys"
    assert [re.split(r"\s{2,}", row) for row in rows] == [
        ["keeps the content", "65 %", "43.3 to 81.9 %", "20", "no difference shown", ALIKE],
        ["shows the style", "95 %", "76.4 to 99.1 %", "20", "gatys ahead", ALIKE],
        ["on the wall", "5 %", "0.9 to 23.6 %", "20", "adain ahead", ALIKE],
    ]
    assert re.split(r"\s{2,}", head.strip()) == [
        "gatys", "95 % interval", "answers", "alike when repeated",
    ]  # fmt: skip
    expected = "consistency, repeated questions answered alike: 9 of 12, 75 % (46.8 to 91.1 %)"
    assert consistency == expected


ALIKE = "3 of 4, 75 % (30.1 to 95.4 %)"


def test_several_voters_are_added_up(tmp_path):
    """Whichever of the two methods the page called its first, and whatever is left unanswered."""
    other = votes(content=(2, 10), wall=(4, 5), alike=1, sitting="two")
    other["methods"].reverse()
    for answer in other["answers"]:
        if answer["repeat"]:
            del answer["content"]
    methods, counts = vote.count(write(tmp_path, votes(), other))
    assert methods == ("gatys", "adain")
    assert counts["content"] == ((15, 30), (3, 4))
    assert counts["style"] == ((38, 40), (4, 8))
    assert counts["wall"] == ((5, 25), (4, 8))


def test_nothing_answered_yet(tmp_path, capsys):
    assert run("--count", *write(tmp_path, {**votes(), "answers": []})) == 0
    text = capsys.readouterr().out
    assert text.count("no difference shown") == 3 and "answered alike: none" in text


def changed(**changes):
    made = votes()
    made["answers"][0].update(changes)
    return made


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (["no json"], "answers-0.json is not JSON: Expecting value"),
        (["[]"], "is no file of answers"),
        (['{"methods": ["a", "b"]}'], "is no file of answers"),
        ([{**votes(), "methods": ["gatys"]}], "is no file of answers"),
        ([{**votes(), "answers": {"a": 1}}], "is no file of answers"),
        ([changed(content="someone")], "is no file of answers"),
        ([changed(left="someone")], "is no file of answers"),
        ([changed(pair="p1")], "is no file of answers"),
        ([changed(repeat="no")], "is no file of answers"),
        ([votes(), votes()], "answers-0.json and {}/answers-1.json are of one sitting"),
        (
            [votes(), {**votes(), "methods": ["gatys", "other"], "answers": []}],
            "answers-1.json compares gatys and other, {}/answers-0.json gatys and adain",
        ),
    ],
)
def test_files_that_cannot_be_counted(tmp_path, capsys, files, words):
    assert run("--count", *write(tmp_path, *files)) == 2
    error = capsys.readouterr().err
    assert words.format(tmp_path) in error and error.count("\n") == 1


def test_one_file_twice(tmp_path, capsys):
    (path,) = write(tmp_path, votes())
    assert run("--count", path, path) == 2
    assert "are of one sitting" in capsys.readouterr().err


def test_no_file(tmp_path, capsys):
    assert run("--count", tmp_path / "none.json") == 2
    assert "none.json: No such file" in capsys.readouterr().err
