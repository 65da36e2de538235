"""The page as a voter uses it: in Chromium, by keys and clicks."""

from __future__ import annotations

import re
import shutil
import time

import pytest
from chromium import Browser
from voting import make_page, run, write

from nst_tf.judge import vote


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_page(tmp_path_factory.mktemp("vote"))


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
    reopen(chromium, made, "Pair 1 of 6, 18 answers left")
    return chromium


def reopen(browser, made, text):
    """Opens the page until it has what was stored: that goes to the browser's own process, behind
    the page's back, and the next page may be sooner."""
    for _ in range(30):
        browser.open(made / "vote.html")
        if text in browser.text():
            return
        time.sleep(0.1)
    assert text in browser.text()


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
    reopen(browser, made, "Pair 2 of 6, 14 answers left")
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
