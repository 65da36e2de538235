"""The studio's page in a browser: choose, paint, watch, stop, keep; and whoever cannot see it."""

from __future__ import annotations

import os
import re
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from axe_core_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright
from studio import QUICK, Studio

from nst_tf import assets
from nst_tf.pictures import images

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser():
    program = shutil.which("chromium")
    if not program:
        pytest.skip("no chromium")
    # Playwright speaks with the browser over the page's own address: no proxy is to be between.
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    with Studio(tmp_path_factory.mktemp("studio")) as running:
        yield running


@pytest.fixture
def page(browser, studio):
    context = browser.new_context(accept_downloads=True)
    opened = context.new_page()
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
    opened.goto(studio.address)
    opened.wait_for_selector("#contents .tile")
    yield opened
    context.close()
    # A refused request is one of the browser's own lines, and what the page shows is tested.
    assert not [error for error in errors if "Failed to load resource" not in error]


@pytest.fixture
def files(tmp_path, scene, painting):
    for name, picture in (("photo.png", scene), ("night.jpg", painting)):
        images.save(picture, tmp_path / name)
    (tmp_path / "broken.jpg").write_bytes(b"no picture at all")
    return tmp_path


def choose(page, files):
    page.set_input_files("#contents input[type=file]", files / "photo.png")
    page.set_input_files("#styles input[type=file]", files / "night.jpg")
    page.wait_for_selector("#contents input:checked", state="attached")
    page.wait_for_selector("#styles input:checked", state="attached")


def test_choose_paint_watch_stop_keep(page, files, studio, tmp_path):
    choose(page, files)
    page.select_option("[name=preset]", "gatys2016")
    page.fill("[name=size]", "64")
    page.fill("[name=seed]", "7")
    page.wait_for_selector("#estimate:has-text('64 × 48 pixels')")
    page.click("text=Every setting")
    page.fill("[name=evaluations]", "5000")
    page.click("#paint")
    seen = set()
    deadline = time.monotonic() + 90
    while len(seen) < 4:
        assert time.monotonic() < deadline
        image = page.query_selector("#preview[data-number]")
        if image:
            seen.add(image.get_attribute("data-number"))
        time.sleep(0.02)
    assert re.search(r"iteration \d+, loss \d", page.inner_text("#counts"))
    page.wait_for_selector("svg.curve")
    page.click("text=Stop and keep")
    page.wait_for_selector("#picture .slider")
    (order,) = (one for one in studio.state()["orders"] if one["cells"].get("seed") == "7")
    assert order["state"] == "stopped" and order["iterations"] >= 1
    # Before and after: as much of the photo as the slider says.
    slider = page.get_by_label("the photo to the left, the result to the right")
    slider.focus()
    before = page.eval_on_selector(".pair", "one => one.style.getPropertyValue('--cut')")
    page.keyboard.press("ArrowLeft")
    after = page.eval_on_selector(".pair", "one => one.style.getPropertyValue('--cut')")
    assert (before, after) == ("50%", "49%")
    page.click("text=1:1")
    shown = page.eval_on_selector(".pair", "one => one.getBoundingClientRect().width")
    assert shown == order["width"]
    with page.expect_download() as download:
        page.click("#keep >> text='PNG'")
    saved = tmp_path / "saved.png"
    download.value.save_as(saved)
    kept = studio.folder / "results" / f"{order['id']}.png"
    assert saved.read_bytes() == kept.read_bytes()
    assert download.value.suggested_filename.startswith("photo-")
    page.click("text=As a command")
    line = page.inner_text("#keep pre")
    assert line.startswith("nst-tf stylize photo.png night.jpg -o out.png --preset=gatys2016")
    assert "--size=64" in line and "--seed=7" in line and "--evaluations=5000" in line
    # Reloaded, it is there, and a second tab sees the same.
    page.reload()
    page.wait_for_selector("#gallery .tile")
    page.click("#gallery .tile >> nth=0")
    page.wait_for_selector("#picture .slider")
    page.click("text=Again with these settings")
    assert page.input_value("[name=seed]") == "7" and page.input_value("[name=size]") == "64"
    page.click("text=Use as painting")
    page.wait_for_selector("#styles .tile[title='photo-painted.png']")


def test_several_paintings_have_shares(page, files, studio):
    choose(page, files)
    page.check("#styles .tile[title='texture_bricks.png'] input", force=True)
    page.wait_for_selector("#shares input >> nth=1")
    page.fill("#shares input >> nth=0", "3")
    page.fill("[name=size]", "64")
    page.select_option("[name=preset]", "gatys2016")
    page.click("text=Every setting")
    page.fill("[name=evaluations]", "3")
    before = len(studio.state()["orders"])
    page.click("#paint")
    orders = studio.ordered(before)
    order = studio.wait(orders[0]["id"], "done", "failed")
    assert order["state"] == "done" and len(order["styles"]) == 2
    assert order["cells"]["style_blend"] == "3,1"


def test_two_results_are_compared(page, studio):
    pair = [studio.give(path.read_bytes())[1]["id"] for path in (assets.SCENE, assets.PAINTING)]
    made = []
    for seed in ("1", "2"):
        order = {"content": pair[0], "styles": pair[1:], "cells": {**QUICK, "seed": seed}}
        made.append(studio.ask("api/orders", order)[1]["id"])
        studio.wait(made[-1], "done")
    page.wait_for_selector(f"#gallery img[src*='{made[1]}.jpg']")
    for number in made:
        page.click(f"#gallery button:has(img[src*='{number}.jpg'])")
        page.wait_for_selector(f"#picture img[src*='{number}.png']")
        if number == made[0]:
            page.click("text=Compare with another")
    page.wait_for_selector(f"#picture img.before[src*='{made[0]}.png']")
    assert page.get_by_label("the other result to the left, the result to the right").count() == 1


def test_a_mask_is_painted_over_the_photo(page, files, studio):
    choose(page, files)
    page.click("text=Only in some places")
    page.click("text=Paint what stays photo")
    page.wait_for_selector("dialog canvas")
    box = page.query_selector("dialog canvas").bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 0.2 * box["width"], middle)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.5 * box["width"], middle, steps=5)
    page.mouse.up()
    page.click("text=Take it")
    page.wait_for_selector("text=Change what stays photo")
    with page.expect_download() as download:
        page.click("text=its mask")
    mask = images.load(str(download.value.path()))
    height, width = mask.shape[:2]
    assert (width, height) == (1024, 768)
    assert mask[height // 2, width // 3].min() > 0.99 and mask[height // 8].max() < 0.01
    page.fill("[name=size]", "64")
    page.select_option("[name=preset]", "gatys2016")
    page.click("text=Every setting")
    page.fill("[name=evaluations]", "2")
    before = len(studio.state()["orders"])
    page.click("#paint")
    orders = studio.ordered(before)
    assert list(orders[0]["masks"]) == ["protect"]
    assert studio.wait(orders[0]["id"], "done", "failed")["state"] == "done"
    page.click("text=As a command")
    assert "--protect=mask-" in page.inner_text("#keep pre")


def test_what_is_refused_is_said_in_the_packages_words(page, files):
    page.set_input_files("#contents input[type=file]", files / "broken.jpg")
    page.wait_for_selector("#trouble:has-text('broken.jpg: the file is not a picture')")
    choose(page, files)
    page.click("text=Every setting")
    page.fill("[name=style_layers]", "conv9_9")
    page.wait_for_selector("#trouble:has-text('conv9_9')")


def test_a_picture_is_dropped_and_pasted(page, files):
    count = len(page.query_selector_all("#contents .tile"))
    page.eval_on_selector_all(
        "#contents",
        f"""
        async (found) => {{
          const canvas = document.createElement('canvas');
          canvas.width = canvas.height = {20 + count};
          const blob = await new Promise((done) => canvas.toBlob(done));
          const data = new DataTransfer();
          data.items.add(new File([blob], 'dropped.png'));
          found[0].dispatchEvent(new DragEvent('drop', {{dataTransfer: data, bubbles: true}}));
          canvas.width = {50 + count};
          const other = await new Promise((done) => canvas.toBlob(done));
          const clip = new DataTransfer();
          clip.items.add(new File([other], 'pasted.png'));
          document.dispatchEvent(new ClipboardEvent('paste', {{clipboardData: clip}}));
        }}""",
    )
    for name in ("dropped.png", "pasted.png"):
        page.wait_for_selector(f"#contents .tile[title='{name}']")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 800, 1600])
def test_nothing_is_cut_off_and_letters_stand_out(browser, studio, width, scheme):
    """At three widths in both schemes; pictures of it go to $NST_TF_SCREENSHOTS, if that is set."""
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
    )
    page = context.new_page()
    page.goto(studio.address)
    page.wait_for_selector("#contents .tile")
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= width
    for selector in ("body", ".faint", "#paint", "legend", "#trouble"):
        assert contrast(page, selector) >= 4.5, selector
    if folder := os.environ.get("NST_TF_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"studio-{width}-{scheme}.png", full_page=True)
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(browser, studio, scheme):
    # What the page's own rules forbid, other programs in it, is what axe is.
    context = browser.new_context(color_scheme=scheme, bypass_csp=True)
    page = context.new_page()
    page.goto(studio.address)
    page.wait_for_selector("#contents .tile")
    page.click("text=Every setting")
    found = Axe().run(page)["violations"]
    context.close()
    assert not [
        (one["id"], [node["html"] for node in one["nodes"]])
        for one in found
        if one["impact"] in ("serious", "critical")
    ]


def contrast(page, selector):
    """That of an element's letters with what is behind them, by WCAG 2.2."""
    ink, paper = page.eval_on_selector(
        selector,
        """(one) => {
          const ink = getComputedStyle(one).color;
          let under = one;
          while (getComputedStyle(under).backgroundColor === 'rgba(0, 0, 0, 0)') {
            under = under.parentElement;
          }
          return [ink, getComputedStyle(under).backgroundColor];
        }""",
    )

    def luminance(colour):
        values = np.array([float(part) for part in re.findall(r"[\d.]+", colour)[:3]]) / 255
        linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]

    low, high = sorted((luminance(ink), luminance(paper)))
    return (high + 0.05) / (low + 0.05)


def test_all_of_it_can_be_reached_by_the_keyboard_and_has_a_name(page):
    """What a screen reader says of each control, and where Tab leads."""
    nameless = page.evaluate(
        """() => [...document.querySelectorAll('input, select, button, a')].filter((one) =>
             !(one.labels?.length || one.getAttribute('aria-label') || one.textContent.trim()))
             .map((one) => one.outerHTML)"""
    )
    assert nameless == []
    reached = set()
    page.focus("#contents input")
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.name || document.activeElement.id"))
    assert {"styles", "preset", "network", "strength", "colours", "size", "seed"} <= reached
    assert page.get_attribute("#news", "aria-live") == "polite"
    assert page.get_attribute("#trouble", "role") == "alert"


def test_the_pictures_that_it_begins_with_are_the_bundled_ones(page):
    titles = [one.get_attribute("title") for one in page.query_selector_all("#contents .tile")]
    assert {assets.SCENE.name, assets.PAINTING.name} <= set(titles)
