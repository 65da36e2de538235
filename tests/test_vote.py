"""`nst-tf vote`: which pictures are pairs, what the page shows and gives, and what is counted."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from nst_tf.apps import command
from nst_tf.apps import vote as app
from nst_tf.errors import FileError
from nst_tf.judge import vote
from nst_tf.judge.vote import Pair

#: One colour a folder, so that a picture says whose it is.
COLOURS = {"gatys": "red", "adain": "blue", "contents": "lime", "styles": "yellow"}
NAMES = [f"photo{k}--wave" for k in range(4)]


def run(*arguments):
    return command.run("vote", app.main, [str(argument) for argument in arguments])


def paint(path, colour, size=(48, 32)) -> Path:
    path.parent.mkdir(exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path


def folders(root) -> tuple[Path, Path]:
    """Two methods' results of four pairs, and of each one that the other has not."""
    for method in ("gatys", "adain"):
        for name in [*NAMES, f"only of {COLOURS[method]}"]:
            paint(root / method / f"{name}.png", COLOURS[method])
        (root / method / "notes.txt").touch()
    paint(root / "adain" / f"{NAMES[0]}.png", "blue").rename(root / "adain" / f"{NAMES[0]}.PNG")
    for k in range(4):
        paint(root / "contents" / f"photo{k}.jpg", "lime")
    paint(root / "styles" / "wave.jpg", "yellow")
    return root / "gatys", root / "adain"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A page of four pairs, of which two come again."""
    root = tmp_path_factory.mktemp("vote")
    inputs = (f"--contents={root / 'contents'}", f"--styles={root / 'styles'}")
    assert run(*folders(root), *inputs, f"--out={root / 'vote.html'}", "--repeats=2") == 0
    return root


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


# The count


def votes(content=(13, 20), style=(19, 20), wall=(1, 20), alike=3, sitting="one"):
    """Made-up answers: of so many pairs so many times gatys; of four repeats so many alike."""
    answers = [{"pair": f"p{k}", "repeat": False, "left": "adain"} for k in range(20)]
    for name, (chosen, total) in {"content": content, "style": style, "wall": wall}.items():
        for k, answer in enumerate(answers[:total]):
            answer[name] = "gatys" if k < chosen else "adain"
    other = {"gatys": "adain", "adain": "gatys"}
    for k, answer in enumerate(answers[:4]):
        again = {key: answer[key] if k < alike else other[answer[key]] for key in vote.QUESTIONS}
        answers.append({"pair": answer["pair"], "repeat": True, "left": "gatys", **again})
    return {
        "nst_tf": "0",
        "seed": 0,
        "methods": ["gatys", "adain"],
        "sitting": sitting,
        "answers": answers,
    }


def write(folder, *files) -> list[Path]:
    paths = [folder / f"answers-{k}.json" for k in range(len(files))]
    for path, content in zip(paths, files, strict=True):
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    return paths


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
        (["no json"], "answers-0.json is no file of answers that a page of nst-tf vote gave"),
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


# The page in a browser


#: Windows' numbers, by which Chromium knows what a key does.
KEYS = {"Tab": 9, "Enter": 13, "ArrowLeft": 37, "ArrowRight": 39, "1": 49, "2": 50}


#: A program's command line, with two of its files as those that Chromium's tools read and write.
AS_3_AND_4 = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.dup2(int(sys.argv[2]), 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


def high_pipe() -> list[int]:
    """Both ends of a pipe, away from 3 and 4."""
    low = os.pipe()
    high = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in low]
    for end in low:
        os.close(end)
    return high


class Browser:
    """Chromium without a window, led through the pipe that its developer tools speak over."""

    def __init__(self, program, folder):
        self.downloads = folder / "downloads"
        (its_input, self.output), (self.input, its_output) = high_pipe(), high_pipe()
        self.process = subprocess.Popen(
            [
                sys.executable, "-c", AS_3_AND_4, str(its_input), str(its_output),
                program, "--headless", "--no-sandbox", "--disable-gpu",
                "--disable-background-networking", "--disable-component-update", "--disable-sync",
                "--no-first-run", f"--user-data-dir={folder / 'profile'}",
                "--remote-debugging-pipe", "about:blank",
            ],
            pass_fds=(its_input, its_output),
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(its_input)
        os.close(its_output)
        self.count, self.pending, self.session = 0, b"", {}
        allowed = {"behavior": "allow", "downloadPath": str(self.downloads)}
        self.call("Browser.setDownloadBehavior", **allowed)
        (target,) = (
            target["targetId"]
            for target in self.call("Target.getTargets")["targetInfos"]
            if target["type"] == "page"
        )
        made = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self.session = {"sessionId": made["sessionId"]}

    def call(self, method, **params):
        self.count += 1
        message = {"id": self.count, "method": method, "params": params, **self.session}
        os.write(self.output, json.dumps(message).encode() + b"\0")
        while True:
            while b"\0" not in self.pending:
                assert select.select([self.input], [], [], 60)[0], f"no answer to {method}"
                part = os.read(self.input, 1 << 20)
                assert part, f"the browser ended at {method}"
                self.pending += part
            text, _, self.pending = self.pending.partition(b"\0")
            answer = json.loads(text)
            if answer.get("id") == self.count:
                assert "error" not in answer, answer
                return answer["result"]

    def run(self, script):
        given = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in given, given
        return given["result"].get("value")

    def open(self, path):
        self.call("Page.navigate", url=path.as_uri())
        self.wait("document.readyState === 'complete' && document.body.children.length > 0")

    def wait(self, condition):
        deadline = time.monotonic() + 30
        while not self.run(condition):
            assert time.monotonic() < deadline, condition
            time.sleep(0.02)

    def press(self, *keys):
        for key in keys:
            text = {"Enter": "\r", "1": "1", "2": "2"}.get(key)
            event = {"key": key, "windowsVirtualKeyCode": KEYS[key]}
            extra = {"text": text} if text else {}
            self.call("Input.dispatchKeyEvent", type="keyDown", **event, **extra)
            self.call("Input.dispatchKeyEvent", type="keyUp", **event)

    def click(self, selector, index=0, times=1):
        box = self.run(
            f"(() => {{ const found = document.querySelectorAll({json.dumps(selector)})[{index}];"
            "found.scrollIntoView({block: 'center'}); const box = found.getBoundingClientRect();"
            "return [box.x + box.width / 2, box.y + box.height / 2]; })()"
        )
        event = {"x": box[0], "y": box[1], "button": "left"}
        for click in range(1, times + 1):
            for kind in ("mousePressed", "mouseReleased"):
                self.call("Input.dispatchMouseEvent", type=kind, clickCount=click, **event)

    def text(self):
        return self.run("document.body.innerText")

    def downloaded(self):
        deadline = time.monotonic() + 30
        # The browser makes the file first and fills it then.
        while not (found := [p for p in self.downloads.glob("answers-*.json") if p.stat().st_size]):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        (path,) = found
        content = json.loads(path.read_text())
        path.unlink()
        return path.name, content

    def close(self):
        with contextlib.suppress(AssertionError, OSError):
            self.call("Browser.close")
        self.process.wait(30)
        os.close(self.input)
        os.close(self.output)


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no chromium")
    browser = Browser(program, tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.close()


@pytest.fixture()
def browser(chromium, made):
    """The page as a new voter sees it."""
    chromium.open(made / "vote.html")
    chromium.run("localStorage.clear()")
    chromium.open(made / "vote.html")
    return chromium


#: Of the results on display, from left to right, which method's colour they have.
SHOWN = """(async () => {
  const colours = [];
  for (const image of document.querySelectorAll("#results img")) {
    await image.decode();
    const canvas = document.createElement("canvas").getContext("2d");
    canvas.drawImage(image, 0, 0);
    const [red, , blue] = canvas.getImageData(5, 5, 1, 1).data;
    colours.push(red > 200 ? "gatys" : blue > 200 ? "adain" : "?");
  }
  return colours;
})()"""


def test_answers_by_keys(browser, made):
    """Whatever was on the side that was chosen, by the colour of the picture itself."""
    expected, keys = [], (("1", 0), ("2", 1), ("ArrowLeft", 0), ("ArrowRight", 1), ("2", 1))
    for k in range(6):
        assert f"Pair {k + 1} of 6, {18 - 3 * k} answers left" in browser.text()
        shown = browser.run(SHOWN)
        assert sorted(shown) == ["adain", "gatys"]
        answers = {"left": shown[0]}
        for j, name in enumerate(vote.QUESTIONS):
            key, side = keys[(k + 2 * j) % 5]
            browser.press(key)
            answers[name] = shown[side]
        expected.append(answers)
    assert "That was all" in browser.text() and "0 answers left" in browser.text()
    browser.click("#download-all")
    name, content = browser.downloaded()
    assert name == f"answers-{content['sitting']}.json"
    assert (content["methods"], content["seed"]) == (["gatys", "adain"], 0)
    drawn = vote.draw(vote.find_pairs(made / "gatys", made / "adain").pairs, 0, 2)
    for answer, showing, given in zip(content["answers"], drawn, expected, strict=True):
        assert answer == {"pair": showing.pair.name, "repeat": showing.repeat, **given}


def test_the_file_can_be_counted(browser, tmp_path, capsys):
    """Always the right one: as the sides of repeats are swapped, none is answered alike."""
    browser.press(*["2"] * 18)
    browser.click("#download-all")
    (path,) = write(tmp_path, browser.downloaded()[1])
    assert run("--count", path) == 0
    assert "0 of 6, 0 %" in capsys.readouterr().out


def test_answers_by_clicks_reload_and_back(browser, made):
    assert browser.run("document.querySelector('#download').disabled")
    shown = [browser.run(SHOWN)]
    for index in (0, 3, 4):  # two buttons a question
        browser.click(".question button", index)
    assert "Pair 2 of 6, 15 answers left" in browser.text()
    browser.click(".question button", 1)
    browser.open(made / "vote.html")
    assert "Pair 2 of 6, 14 answers left" in browser.text()
    pressed = (
        "[...document.querySelectorAll('.question button')].map(b => b.ariaPressed === 'true')"
    )
    assert browser.run(pressed) == [False, True, False, False, False, False]
    shown.append(browser.run(SHOWN))
    browser.click("#back")
    assert browser.run(pressed) == [True, False, False, True, True, False]
    browser.click(".question button", 1)  # a change of mind stays with its pair
    assert "Pair 1 of 6, 14 answers left" in browser.text()
    browser.click("#next")
    assert "Pair 2 of 6, 14 answers left" in browser.text()
    assert browser.run("document.querySelector('#next').disabled")
    browser.click("#download")
    _, content = browser.downloaded()
    chosen = [{k: v for k, v in one.items() if k in vote.QUESTIONS} for one in content["answers"]]
    assert chosen == [
        {"content": shown[0][1], "style": shown[0][1], "wall": shown[0][0]},
        {"content": shown[1][1]},
    ]


def test_another_voter_begins_anew(browser):
    browser.press(*["1"] * 18)
    browser.click("#download-all")
    _, first = browser.downloaded()
    browser.run("window.confirm = () => false")
    browser.click("#anew")
    assert "That was all" in browser.text()
    browser.run("window.confirm = () => true")
    browser.click("#anew")
    assert "Pair 1 of 6, 18 answers left" in browser.text()
    browser.press("1")
    browser.click("#download")
    _, second = browser.downloaded()
    assert len(second["answers"]) == 1 and second["sitting"] != first["sitting"]


def test_a_browser_that_keeps_nothing(browser, made):
    assert "Answers stay in this browser" in browser.text()
    refuse = "Object.defineProperty(window, 'localStorage', {get() { throw new Error('no') }})"
    added = browser.call("Page.addScriptToEvaluateOnNewDocument", source=refuse)
    try:
        browser.call("Page.enable")
        browser.open(made / "vote.html")
        browser.press("1", "1", "1")
        assert "Pair 2 of 6, 15 answers left" in browser.text()
        assert "This browser keeps nothing" in browser.text()
    finally:
        browser.call("Page.removeScriptToEvaluateOnNewDocument", **added)


def test_a_double_click_is_one_answer(browser):
    """On a screen where the next pair's button comes to lie where the last one was."""
    size = {"width": 1200, "height": 1200, "deviceScaleFactor": 1, "mobile": False}
    browser.call("Emulation.setDeviceMetricsOverride", **size)
    try:
        browser.press("1", "1")
        browser.click(".question button", 5, times=2)
        assert "Pair 2 of 6, 15 answers left" in browser.text()
    finally:
        browser.call("Emulation.clearDeviceMetricsOverride")


def test_answers_by_tab_and_enter(browser):
    """Six buttons in their order; then the next pair has the focus on its first."""
    browser.press("Tab", "Enter", "Tab", "Tab", "Tab", "Enter", "Tab", "Enter")
    assert "Pair 2 of 6, 15 answers left" in browser.text()
    assert (
        browser.run("document.activeElement.parentElement.parentElement.dataset.name") == "content"
    )
    browser.press("Enter")
    browser.click("#download")
    first, second = browser.downloaded()[1]["answers"]
    left, right = first["left"], {"gatys": "adain", "adain": "gatys"}[first["left"]]
    assert [first[name] for name in vote.QUESTIONS] == [left, right, left]
    assert second["content"] == second["left"]


def test_nothing_visible_tells_the_methods(browser):
    told = "[document.title, document.body.innerText, ...[...document.querySelectorAll('*')]"
    told += ".flatMap(e => [e.title, e.alt, e.ariaLabel])].join(' ').toLowerCase()"
    seen = []
    for _ in range(7):
        seen.append(browser.run(told))
        browser.press("1", "1", "1")
    assert all("content image" in text and "style image" in text for text in seen[:6])
    assert "that was all" in seen[6] and "only of blue, only of red" in seen[0]
    for text in seen:
        assert not [word for word in ("gatys", "adain", "photo", "wave") if word in text]


def test_what_readers_of_the_screen_are_told(browser):
    groups = browser.run(
        "[...document.querySelectorAll('[role=group]')].map(g => [document.getElementById("
        "g.getAttribute('aria-labelledby')).textContent, g.ariaCurrent,"
        "...[...g.querySelectorAll('button')].map(b => b.ariaLabel)])"
    )
    buttons = ["Picture 1", "Picture 2"]
    expected = [[question, None, *buttons] for question in vote.QUESTIONS.values()]
    expected[0][1] = "step"
    assert groups == expected
    alts = browser.run("[...document.images].map(image => image.alt)")
    assert alts == ["Content image", "Style image", *buttons]
    assert browser.run("document.querySelector('[role=status]').textContent.length > 10")


@pytest.mark.parametrize("width", [360, 1200])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_small_screen_and_in_the_dark(browser, tmp_path, width, scheme):
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.call("Emulation.setDeviceMetricsOverride", **size)
    media = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.call("Emulation.setEmulatedMedia", features=media)
    try:
        assert browser.run("innerWidth") == browser.run("document.body.parentElement.scrollWidth")
        widths = browser.run(
            "[...document.images].slice(2).map(i => i.getBoundingClientRect().width)"
        )
        assert min(widths) > (320 if width == 360 else 450)
        heights = browser.run(
            "[...document.querySelectorAll('.question button')].map(b => b.offsetHeight)"
        )
        assert min(heights) >= 44  # for a thumb
        paper = browser.run("getComputedStyle(document.body).backgroundColor")
        brightness = sum(map(int, re.findall(r"\d+", paper)[:3])) / 765
        assert brightness > 0.9 if scheme == "light" else brightness < 0.15
    finally:
        browser.call("Emulation.clearDeviceMetricsOverride")
        browser.call("Emulation.setEmulatedMedia", features=[])
