"""The studio's server: what it takes and refuses, what it keeps, what it survives."""

from __future__ import annotations

import http.server
import io
import os
import re
import shutil
import signal
import struct
import threading
import time
import urllib.request
import zlib
from pathlib import Path

import numpy as np
import pytest
import stylizers
from PIL import Image
from studio import QUICK, Studio

from nst_tf import assets
from nst_tf.apps import command
from nst_tf.apps import studio as app
from nst_tf.pictures import images
from nst_tf.stylizer.network import Stylizer


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    folder = tmp_path_factory.mktemp("studio")
    stylizers.stirred(["night"]).save(folder / "quick.keras")
    flags = (f"--stylizers={folder / 'quick.keras'}", "--names=studio.example")
    with Studio(folder, *flags) as running:
        deadline = time.monotonic() + 60
        while len(running.state()["samples"]) < 2 + len(assets.TEXTURES):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield running


@pytest.fixture(scope="module")
def pair(studio):
    photo = studio.give(assets.SCENE.read_bytes(), "a%20photo.png")[1]
    painting = studio.give(assets.PAINTING.read_bytes(), "painting.png")[1]
    return photo["id"], painting["id"]


def wanted(pair, **cells):
    return {"content": pair[0], "styles": [pair[1]], "cells": {**QUICK, **cells}}


def png(width, height):
    """A PNG's head that promises so many pixels, of which there are none."""

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    row = zlib.compress(bytes(3 * width + 1) * min(height, 200), 1)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", row) + chunk(b"IEND", b"")


def test_its_process_has_no_tensorflow(studio):
    studio.painter()
    maps = Path(f"/proc/{studio.process.pid}/maps").read_text()
    assert "site-packages" in maps and "tensorflow" not in maps


def test_who_does_not_know_the_token_or_comes_from_elsewhere_is_refused(studio):
    plain = studio.address
    try:
        studio.address = plain.rsplit("/", 2)[0] + "/"
        assert studio.ask("")[0] == 404 and studio.ask("api/state")[0] == 404
        assert studio.ask("x" * 22 + "/api/state")[0] == 404
    finally:
        studio.address = plain
    assert studio.ask("api/state")[0] == 200
    assert studio.ask("api/state", Host="evil.example")[0] == 421
    for origin in ("http://evil.example", "null"):
        assert studio.ask("api/orders", {}, Origin=origin)[0] == 403
        assert studio.ask("api/state", Origin=origin)[0] == 403
    own = plain.split("/")[2]
    assert studio.ask("api/state", Origin=f"http://{own}")[0] == 200


def test_pictures_are_kept_once_turned_and_shown(studio):
    draw = np.random.default_rng(0)
    picture = Image.fromarray(draw.integers(0, 256, (30, 50, 3), np.uint8))
    exif = picture.getexif()
    exif[274] = 6
    data = io.BytesIO()
    picture.save(data, "JPEG", exif=exif)
    status, told = studio.give(data.getvalue(), "../../etc/passwd%00.jpg")
    assert status == 200 and (told["width"], told["height"]) == (30, 50)
    assert "/" not in told["name"] and ".." not in told["name"].split(".jpg")[0]
    assert studio.give(data.getvalue(), "again.jpg")[1]["id"] == told["id"]
    assert studio.ask(f"api/pictures/{told['id']}")[1] == data.getvalue()
    small = Image.open(io.BytesIO(studio.ask(f"api/pictures/{told['id']}?small")[1]))
    assert small.size == (30, 50)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b"no picture", "not a picture"),
        (assets.SCENE.read_bytes()[:5000], ""),
        (png(10_000, 10_000), "10000 x 10000 pixels are too many"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), ""),
        (b"<svg onload=alert(1)>", "not a picture"),
    ],
)
def test_what_is_no_picture_is_refused_in_the_packages_words(studio, data, words):
    before = {path.name for path in (studio.folder / "pictures").iterdir()}
    status, told = studio.give(data)
    assert status == 400 and words in told["error"] and str(studio.folder) not in told["error"]
    assert {path.name for path in (studio.folder / "pictures").iterdir()} == before


def test_more_bytes_than_may_be_are_not_read(studio):
    from nst_tf.studio.shelf import MOST_BYTES

    status, told = studio.give(bytes(MOST_BYTES + 1))
    assert status == 413 and "100 MiB" in told["error"]


def test_an_order_is_painted_and_kept(studio, pair):
    status, foreseen = studio.ask("api/estimate", wanted(pair))
    assert status == 200 and (foreseen["width"], foreseen["height"]) == (48, 36)
    assert foreseen["memory"] > 100 << 20
    status, order = studio.ask("api/orders", wanted(pair, seed="3", init="noise"))
    assert status == 200
    order = studio.wait(order["id"], "done", "failed")
    assert order["state"] == "done" and order["names"]["content"] == "scene.png"
    data = {kind: studio.ask(f"api/results/{order['id']}.{kind}")[1] for kind in KINDS}
    told = data["json"]
    assert told["settings"]["seed"] == 3 and told["settings"]["init"] == "noise"
    assert told["settings"]["size"] == 48 and told["total"] == order["loss"]
    assert images.load(data["png"]).shape == (36, 48, 3)
    assert [data[kind][24] for kind in ("png", "16.png")] == [8, 16]  # bits, as the heads say
    deep, plain = images.load(data["16.png"]), images.load(data["png"])
    np.testing.assert_allclose(deep, plain, atol=1.01 / 255)
    assert data["png"] == (studio.folder / "results" / f"{order['id']}.png").read_bytes()
    assert studio.ask("api/estimate", wanted(pair))[1]["seconds"] > 0  # known by now


KINDS = ("png", "16.png", "json", "jpg")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"content": "../../x"}, "no such picture"),
        ({"content": None}, "choose a photo"),
        ({"content": "0" * 20}, "there is no picture"),
        ({"styles": []}, "choose a painting"),
        ({"styles": ["/etc/passwd"]}, "no such picture"),
        ({"cells": {"size": "wide"}}, "size"),
        ({"cells": {"init": "/etc/passwd"}}, ""),
        ({"cells": {"network": "/etc/passwd"}}, "no network"),
        ({"cells": {"weights": "/etc/passwd"}}, ""),
        ({"cells": {"begin": "/etc/passwd"}}, "no stylizer"),
        ({"cells": {"more": "../x"}}, "no such picture"),
        ({"cells": {"flagfile": "/etc/passwd"}}, "flagfile"),
        ({"cells": []}, "no order"),
    ],
)
def test_an_order_that_cannot_be_is_refused(studio, pair, change, words):
    order = {**wanted(pair), **change}
    for path in ("api/orders", "api/estimate"):
        status, told = studio.ask(path, order)
        assert status == 400 and words in told["error"], told
    assert studio.ask("api/orders", b"{")[0] == 400


def test_stopped_it_is_kept_and_goes_on_where_it_was(studio, pair):
    """Orders wait in turn; who is stopped in the queue is not painted."""
    long = {"evaluations": "3000", "size": "64"}
    first = studio.ask("api/orders", wanted(pair, **long))[1]["id"]
    second = studio.ask("api/orders", wanted(pair))[1]["id"]
    third = studio.ask("api/orders", wanted(pair))[1]["id"]
    studio.begun(first)
    assert [studio.order(one)["place"] for one in (first, second, third)] == [None, 1, 2]
    assert studio.ask(f"api/orders/{first}/preview")[1][:3] == b"\xff\xd8\xff"
    studio.ask(f"api/orders/{third}/stop", b"")
    studio.ask(f"api/orders/{first}/stop", b"")
    order = studio.wait(first, "stopped")
    assert order["iterations"] > 0 and (studio.folder / "results" / f"{first}.png").is_file()
    assert studio.wait(second, "done")
    assert studio.order(third)["state"] == "stopped" and "width" not in studio.order(third)
    before = order["iterations"]
    assert studio.ask(f"api/orders/{first}/go-on", b"")[0] == 200
    studio.wait(first, "painting")
    time.sleep(0.5)
    studio.ask(f"api/orders/{first}/stop", b"")
    after = studio.wait(first, "stopped")
    assert after["iterations"] > before  # on from there, not from the beginning
    manifest = studio.ask(f"api/results/{first}.json")[1]
    assert [row["iteration"] for row in manifest["history"]][:3] == [0, 1, 2]
    assert studio.ask(f"api/orders/{second}/go-on", b"")[0] == 400
    for one in (first, third):
        assert studio.ask(f"api/orders/{one}/forget", b"")[0] == 200
    assert studio.order(first) is None
    assert not list((studio.folder / "results").glob(f"{first}*"))


def test_a_mask_says_where(studio, pair, tmp_path):
    """What is protected stays photo, and a mask is not shown among the pictures."""
    mask = np.zeros([36, 48, 3], np.float32)
    mask[:, :24] = 1
    images.save(mask, tmp_path / "mask.png")
    shown = len(studio.state()["pictures"])
    told = studio.ask("api/pictures?name=mask.png&mask", (tmp_path / "mask.png").read_bytes())[1]
    assert len(studio.state()["pictures"]) == shown
    order = {**wanted(pair), "masks": {"protect": told["id"]}}
    done = studio.wait(studio.ask("api/orders", order)[1]["id"], "done", "failed")
    assert done["state"] == "done", done
    made = images.load(studio.folder / "results" / f"{done['id']}.png")
    photo = images.load(assets.SCENE, 48)
    np.testing.assert_allclose(made[:, :20], photo[:, :20], atol=1.01 / 255)
    assert np.abs(made[:, 30:] - photo[:, 30:]).mean() > 0.02
    order = {**wanted(pair), "masks": {pair[1]: told["id"]}}
    assert studio.ask("api/estimate", order)[0] == 200
    done = studio.wait(studio.ask("api/orders", order)[1]["id"], "done", "failed")
    (style,) = studio.ask(f"api/results/{done['id']}.json")[1]["styles"]
    assert style["mask"]["sha256"].startswith(told["id"])
    for masks in ({"other": told["id"]}, {"protect": "../x"}, {"protect": "0" * 20}, [1]):
        assert studio.ask("api/orders", {**wanted(pair), "masks": masks})[0] == 400


def test_more_of_a_result_begins_with_it(studio, pair):
    first = studio.ask("api/orders", wanted(pair))[1]["id"]
    studio.wait(first, "done")
    more = studio.ask("api/orders", wanted(pair, more=first))[1]["id"]
    order = studio.wait(more, "done", "failed")
    assert order["state"] == "done"
    before, after = (studio.ask(f"api/results/{one}.json")[1] for one in (first, more))
    assert after["history"][0]["total"] == pytest.approx(before["saved_total"], rel=0.02)
    assert after["total"] < before["total"]


def test_what_has_gone_since_does_not_stop_the_others(studio, pair):
    gone = studio.give(png_of(7), "gone.png")[1]["id"]
    long = studio.ask("api/orders", wanted(pair, evaluations="3000", size="64"))[1]["id"]
    waits = studio.ask("api/orders", wanted((gone, pair[1])))[1]["id"]
    after = studio.ask("api/orders", wanted(pair, seed="9"))[1]["id"]
    studio.wait(long, "painting")
    (studio.folder / "pictures" / gone).unlink()
    studio.ask(f"api/orders/{long}/stop", b"")
    assert "there is no picture" in studio.wait(waits, "failed")["note"]
    assert studio.wait(after, "done")


def png_of(seed):
    """A small picture's file."""
    data = io.BytesIO()
    draw = np.random.default_rng(seed)
    Image.fromarray(draw.integers(0, 256, (40, 40, 3), np.uint8)).save(data, "PNG")
    return data.getvalue()


def test_it_begins_with_what_a_stylizer_paints(studio, pair):
    """Which is there at once, to be refined."""
    plain, begun = (
        studio.ask("api/orders", wanted(pair, evaluations="1", **how))[1]["id"]
        for how in ({}, {"begin": "quick"})
    )
    pictures = []
    for number in (plain, begun):
        assert studio.wait(number, "done", "failed")["state"] == "done"
        pictures.append(images.load(studio.folder / "results" / f"{number}.png"))
    network = Stylizer.load(studio.folder / "quick.keras")
    painted = network.paint(images.load(assets.SCENE, 48))
    np.testing.assert_allclose(pictures[1], painted, atol=1.01 / 255)
    assert np.abs(pictures[0] - pictures[1]).mean() > 0.02


def test_a_film_is_kept_with_the_picture(studio, pair):
    order = studio.ask("api/orders", wanted(pair, film="true"))[1]["id"]
    assert studio.wait(order, "done", "failed")["state"] == "done"
    film = studio.ask(f"api/results/{order}.mp4")[1]
    assert film[4:8] == b"ftyp"  # as MP4 files begin


class Prefixed(http.server.BaseHTTPRequestHandler):
    """A proxy that puts the path /art before all addresses, under a name of its own."""

    def do_GET(self):
        self.passed_on(None)

    def do_POST(self):
        self.passed_on(self.rfile.read(int(self.headers["content-length"])))

    def passed_on(self, data):
        assert self.path.startswith("/art/")
        kept = {key: self.headers[key] for key in ("origin", "content-type") if key in self.headers}
        headers = {**kept, "host": "studio.example"}
        request = urllib.request.Request(
            self.server.origin + self.path.removeprefix("/art"), data, headers
        )
        with urllib.request.urlopen(request) as response:
            body = response.read()
            self.send_response(response.status)
            self.send_header("content-type", response.headers["content-type"])
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *_):
        pass


def test_behind_a_proxy_with_a_path_and_a_name_of_its_own(studio):
    plain = studio.address
    origin, token = plain[: plain.index("/", 8)], plain.split("/")[3]
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Prefixed) as proxy:
        proxy.origin = origin
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        try:
            studio.address = f"http://127.0.0.1:{proxy.server_port}/art/{token}/"
            page = studio.ask("")[1].decode()
            named = re.findall(r'(?:href|src)="((?:static|api)[^"]*)"', page)
            assert len(named) == 2
            assert all(studio.ask(path)[0] == 200 for path in named)
            assert studio.give(assets.SCENE.read_bytes(), "scene.png")[0] == 200
        finally:
            studio.address = plain
            proxy.shutdown()


@pytest.mark.slow
def test_a_painter_that_is_killed_is_begun_anew_and_says_so(studio, pair):
    done = studio.ask("api/orders", wanted(pair))[1]["id"]
    studio.wait(done, "done")
    order = studio.ask("api/orders", wanted(pair, evaluations="3000"))[1]["id"]
    after = studio.ask("api/orders", wanted(pair, seed="1"))[1]["id"]
    studio.begun(order)
    os.kill(studio.painter(), signal.SIGKILL)
    failed = studio.wait(order, "failed")
    assert "ended by signal 9" in failed["note"] and "another has begun" in failed["note"]
    assert studio.wait(after, "done")  # what waited is painted by the new one
    assert studio.ask(f"api/results/{done}.png")[0] == 200


@pytest.mark.slow
def test_the_gallery_is_there_again_and_a_run_that_was_ended_goes_on(tmp_path):
    with Studio(tmp_path) as studio:
        pair = [studio.give(path.read_bytes())[1]["id"] for path in (assets.SCENE, assets.PAINTING)]
        done = studio.ask("api/orders", wanted(pair))[1]["id"]
        studio.wait(done, "done")
        order = studio.ask("api/orders", wanted(pair, evaluations="3000", size="64"))[1]["id"]
        studio.begun(order)
        assert studio.end() == 0
    with Studio(tmp_path) as studio:
        assert {one["id"] for one in studio.state()["orders"]} == {done, order}
        assert studio.ask(f"api/results/{done}.png")[0] == 200
        left = studio.order(order)
        assert left["state"] == "stopped"
        studio.ask(f"api/orders/{order}/go-on", b"")
        studio.wait(order, "painting")
        studio.begun(order)
        assert studio.order(order)["iteration"] > 1
        # A second studio of the same folder would write into it, too.
        argv = ["--nobrowser", "--port=0", f"--dir={tmp_path}"]
        assert command.run("studio", app.main, argv) == command.BAD_INPUT


def test_what_cannot_be_is_told_in_a_line(capsys, studio):
    port = studio.address.split(":")[2].split("/")[0]
    for argv, words in (
        ([f"--port={port}"], "--port=0 takes one that is free"),
        (["--host=192.0.2.1"], "cannot listen to 192.0.2.1"),
        (["--gallery=gone/"], "gone"),
        (["photo.jpg"], "unexpected 'photo.jpg'"),
    ):
        assert command.run("studio", app.main, ["--nobrowser", *argv]) == command.BAD_INPUT
        said = capsys.readouterr().err
        assert words in said and said.count("\n") == 1
    shutil.rmtree("studio", ignore_errors=True)


def test_the_page_is_light():
    """All but the pictures: 300 KB at most."""
    assert sum(path.stat().st_size for path in assets.STUDIO.iterdir()) < 300_000
    page = (assets.STUDIO / "index.html").read_text()
    assert "http://" not in page and "https://" not in page  # nothing comes from elsewhere
