"""What TensorBoard's own reader, and its page in a browser, make of a run's logs."""

import io
import json
import re
import shutil
import subprocess
import sys
import time
import urllib.request

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata
from tensorboard.util import tensor_util

import nst_tf
from nst_tf import assets
from nst_tf.apps.main import main
from nst_tf.errors import FileError, NSTError, PictureError
from nst_tf.pictures import images
from nst_tf.run.workshop import Workshop
from nst_tf.watch.tensorboard import TensorBoard


@pytest.fixture(scope="module")
def stylize(tiny_weights, scene, painting):
    workshop = Workshop()

    def run(*callbacks, **options):
        options = {"size": 48, "iterations": 5, "optimizer": "adam", **options}
        options = {"preset": "gatys2016", **options}
        options = {"weights": tiny_weights, "workshop": workshop, **options}
        return nst_tf.stylize(scene, painting, callbacks=callbacks, **options)

    return run


class Recorder(nst_tf.Callback):
    """Keeps the image of every iteration."""

    def __init__(self):
        self.arrays = []

    def on_begin(self, run):
        self.run = run

    def on_step(self, run, step):
        self.arrays.append(step.array)

    def on_end(self, run):
        pass


@pytest.fixture(scope="module")
def logged(stylize, tmp_path_factory):
    """A run, its logs as TensorBoard's reader has them, and its images."""
    folder = tmp_path_factory.mktemp("logs") / "new" / "run"
    recorder = Recorder()
    result = stylize(TensorBoard(folder, image_every=2), recorder)
    return result, read(folder), recorder


def read(folder) -> EventAccumulator:
    return EventAccumulator(str(folder), size_guidance={"tensors": 0}).Reload()


def values(log: EventAccumulator, tag: str) -> dict:
    return {event.step: tensor_util.make_ndarray(event.tensor_proto) for event in log.Tensors(tag)}


def decoded(strings) -> np.ndarray:
    """A picture as TensorBoard holds it: width, height, PNG."""
    width, height, png = strings
    pixels = np.asarray(Image.open(io.BytesIO(png)))
    assert pixels.shape == (int(height), int(width), 3)
    return pixels


def test_every_term_of_every_iteration_is_a_scalar(logged):
    result, log, _ = logged
    tags = {f"loss/{name}": name for name in ("total", "content", "style", "tv")}
    tags |= {f"layers/{name}": name for name in result.history[0] if "/" in name}
    names = ("gradient_norm", "learning_rate", "step_length", "evaluations")
    tags |= {f"optimizer/{name}": name for name in names}
    kept = set(result.history[0]) - {"iteration", "seconds"}
    assert set(tags.values()) == kept and len(tags) == 14
    for tag, name in tags.items():
        assert log.SummaryMetadata(tag).plugin_data.plugin_name == "scalars"
        expected = {row["iteration"]: row[name] for row in result.history}
        assert values(log, tag) == pytest.approx(expected, rel=1e-6), tag


def test_the_pictures(logged):
    _, log, recorder = logged
    pastiches = values(log, "pictures/pastiche")
    assert list(pastiches) == [0, 2, 4, 5]  # every second, and the last
    for iteration, strings in pastiches.items():
        expected = np.clip(recorder.arrays[iteration], 0, 1) * 255
        np.testing.assert_allclose(decoded(strings), expected, atol=0.51)
    for name, picture in (("content", recorder.run.content), ("style", recorder.run.styles[0])):
        (strings,) = values(log, f"pictures/{name}").values()
        np.testing.assert_array_equal(decoded(strings), images.to_uint8(picture))


def test_the_settings_are_a_table(logged):
    result, log, _ = logged
    (text,) = values(log, "settings")[0].reshape(-1)
    rows = dict(re.findall(r"^\| (\w+) \| (.*) \|$", text.decode(), re.MULTILINE))
    assert log.SummaryMetadata("settings").plugin_data.plugin_name == "text"
    extra = {"setting", "image", "weights", "engine", "dtype"}
    assert set(rows) == set(result.settings.asdict()) | extra
    assert "conv1_1=0.2" in rows["style_layers"] and rows["style_size"] == ""
    assert rows["preset"] == "gatys2016" and rows["optimizer"] == "adam"
    assert rows["image"] == "48 x 36" and rows["weights"] == "tiny"


def test_without_hparams_every_plain_setting_is_one(logged):
    result, log, _ = logged
    content = log.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    start = metadata.parse_session_start_info_plugin_data(content)
    assert start.group_name == "new/run"
    assert start.hparams["style_weight"].number_value == result.settings.style_weight
    assert start.hparams["optimizer"].string_value == "adam"
    assert "style_layers" not in start.hparams and "evaluations" not in start.hparams


def test_several_styles_each_have_their_picture(tiny_weights, scene, painting, tmp_path):
    nst_tf.stylize(
        scene, [painting, scene], weights=tiny_weights, size=32, iterations=0, preset="gatys2016",
        callbacks=[TensorBoard(tmp_path, hparams={"blend": (1, 2)})],
    )  # fmt: skip
    log = read(tmp_path)
    assert {"pictures/style_1", "pictures/style_2"} < set(log.Tags()["tensors"])
    content = log.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    hparams = metadata.parse_session_start_info_plugin_data(content).hparams
    assert {name: value.string_value for name, value in hparams.items()} == {"blend": "(1, 2)"}


def test_a_missing_package_is_one_line_before_any_work(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "tensorboard.plugins.hparams", None)
    pictures = [str(assets.SCENE), str(assets.PAINTING)]
    folder = tmp_path / "logs"
    arguments = ["--weights=mini", "-o", str(tmp_path / "out.png"), f"--logdir={folder}"]
    assert main(["stylize", *pictures, *arguments]) == 2
    error = capsys.readouterr().err
    assert "pip install 'nst_tf[tensorboard]'" in error and error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(FileError, match="is no folder") as caught:
        TensorBoard(tmp_path / "file" / "logs")
    assert not isinstance(caught.value, PictureError) and "\n" not in str(caught.value)


class Late(nst_tf.Callback):
    """Cannot begin at first."""

    begun = 0

    def on_begin(self, run):
        self.begun += 1
        if self.begun == 1:
            raise RuntimeError("too early")


@pytest.mark.parametrize("first", ["board", "late"])
def test_a_run_that_another_keeps_from_beginning(stylize, tmp_path, first):
    watchers = {"board": TensorBoard(tmp_path / "logs"), "late": Late()}
    watchers = [watchers.pop(first), *watchers.values()]
    with pytest.raises(RuntimeError, match="too early"):
        stylize(*watchers)
    assert not (tmp_path / "logs").exists() or "loss/total" not in read(
        tmp_path / "logs"
    ).Tags().get("tensors", ())
    result = stylize(*watchers)
    log = read(tmp_path / "logs")
    expected = {row["iteration"]: row["total"] for row in result.history}
    assert values(log, "loss/total") == pytest.approx(expected, rel=1e-6)
    assert list(values(log, "pictures/pastiche")) == [0, 5]


def test_a_folder_that_vanishes_is_one_line(stylize, tmp_path):
    (tmp_path / "logs").mkdir()
    board = TensorBoard(tmp_path / "logs" / "run")
    (tmp_path / "logs").rmdir()
    (tmp_path / "logs").touch()
    with pytest.raises(NSTError, match="cannot write logs to") as caught:
        stylize(board)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_a_grid_in_the_page_itself(stylize, tmp_path):
    """TensorBoard serves three runs; Chromium, without a window, opens its page."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no chromium")
    losses = {}
    for weight in (1.0, 10.0, 100.0):
        board = TensorBoard(tmp_path / "logs" / f"{weight:g}", hparams={"style_weight": weight})
        losses[weight] = stylize(board, style_weight=weight).history[-1]["total"]
    server = subprocess.Popen(
        [
            sys.executable, "-m", "tensorboard.main", f"--logdir={tmp_path / 'logs'}",
            "--host=127.0.0.1", "--port=0", "--load_fast=false",
        ],
        stderr=(tmp_path / "server.txt").open("wb"),
    )  # fmt: skip
    try:
        url = served_at(server, tmp_path / "server.txt")
        page = open_page(chromium, f"{url}#timeseries", tmp_path)
        question = {"startIndex": 0, "sliceSize": 9, "allowedStatuses": ["STATUS_UNKNOWN"]}
        request = urllib.request.Request(
            f"{url}data/plugin/hparams/session_groups",
            json.dumps(question).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            groups = json.load(answer)["sessionGroups"]
    finally:
        server.terminate()
        server.wait(30)
    for title in ("loss/total", "loss/style", "layers/style/conv1_1", "optimizer", "pictures"):
        assert f'title="{title}"' in page, title
    text = " ".join(re.sub(r"<[^>]*>", " ", page).split())
    assert re.search("Run 1 10 100 ", text)
    table = {
        group["hparams"]["style_weight"]: {
            metric["name"]["tag"]: metric["value"] for metric in group["metricValues"]
        }
        for group in groups
    }
    assert {weight: row["loss/total"] for weight, row in table.items()} == pytest.approx(losses)
    assert all(set(row) == {"loss/total", "loss/content", "loss/style"} for row in table.values())


def served_at(server, output) -> str:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and server.poll() is None:
        for word in output.read_text().split():
            if word.startswith("http://127.0.0.1:"):
                return word
        time.sleep(0.2)
    raise AssertionError(output.read_text())


def open_page(chromium, url, folder) -> str:
    done = subprocess.run(
        [
            chromium, "--headless", "--no-sandbox", "--disable-gpu",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--no-first-run", f"--user-data-dir={folder / 'profile'}", "--window-size=1600,4000",
            "--virtual-time-budget=20000", "--dump-dom", url,
        ],
        capture_output=True,
        text=True,
        timeout=180,
    )  # fmt: skip
    (folder / "page.html").write_text(done.stdout)
    return done.stdout
