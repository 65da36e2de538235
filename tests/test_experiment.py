"""`nst-tf experiment`: the page, the table and the record, and what goes wrong."""

import base64
import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from nst_tf import assets, locks, page
from nst_tf.apps.main import main
from nst_tf.errors import FileError, OutputError, PictureError
from nst_tf.experiments import feature_maps, report
from nst_tf.experiments.classical import Classical
from nst_tf.experiments.grid import Folder
from nst_tf.experiments.plan import Inputs
from nst_tf.experiments.sweeps import SWEEPS
from nst_tf.pictures import images
from nst_tf.run import jobs
from nst_tf.run.jobs import Jobs, Worker
from nst_tf.run.workshop import Workshop
from nst_tf.watch.progress_bar import JobsBar

PICTURES = [str(assets.SCENE), str(assets.PAINTING)]
#: The fewer layers there are, the sooner they are compiled.
SHALLOW = ["--content_layers=conv2_1", "--style_layers=conv1_1"]
SMALL = ["--weights=mini", "--size=36", "--evaluations=4", "--quiet", *SHALLOW]


class Reader(HTMLParser):
    """What a page holds."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.ids, self.links, self.styles, self.words = Counter(), [], [], [], []
        self.alts, self.captions, self.svgs, self.open = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.tags[tag] += 1
        self.open.append(tag)
        self.ids += [values["id"]] if "id" in values else []
        self.alts += [values["alt"]] if "alt" in values else []
        self.styles += [values[key] for key in values if key in ("style", "clip-path")]
        self.links += [values[key] for key in values if key in ("src", "href", "xlink:href")]

    def handle_endtag(self, tag):
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data):
        self.words.append(data.strip())
        if self.open[-1:] == ["figcaption"]:
            self.captions.append(data)
        if self.open[-1:] == ["style"]:
            self.styles.append(data)


def read(folder) -> Reader:
    return Reader((folder / "index.html").read_text())


def experiment(*arguments):
    return main(["experiment", *map(str, arguments)])


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """A photo of 16 bits on its side, whose name is markup."""
    path = tmp_path_factory.mktemp("odd") / "a<b>&'\".tif"
    images.save(images.load(assets.SCENE, 64), path, bits=16)
    return path


@pytest.fixture(scope="module")
def made(odd, tmp_path_factory):
    folder = tmp_path_factory.mktemp("experiment")
    flags = ["--values=10,100", "--snapshots=1,2", f"--out={folder / 'out'}"]
    logs = f"--logdir={folder / 'logs'}"
    assert experiment("ratio", odd, PICTURES[1], *SMALL, *flags, logs) == 0
    return folder


def test_what_is_written(made):
    pictures = {f"beta-{beta}{end}" for beta in (10, 100) for end in ("", "-0001", "-0002")}
    names = {f"{picture}.png" for picture in pictures} | {"beta-10.json", "beta-100.json"}
    names |= {"index.html", "results.csv", "run.json"}
    assert {path.name for path in (made / "out").iterdir()} == names


def test_the_page_says_which_row_is_ahead(tmp_path, capsys):
    options = ["--weights=mini", "--size=32", "--values=0.3,1", "--snapshots=1,3", "--quiet"]
    options += SHALLOW
    pictures = [str(assets.SCENE), str(assets.PAINTING)]
    assert main(["experiment", "learning-rate", *pictures, f"--out={tmp_path}", *options]) == 0
    runs = json.loads((tmp_path / "run.json").read_text())["runs"]
    said = []
    for moment in (1, 3):
        losses = {
            f"step {run['varied']['learning_rate']:g}": min(
                row["total"] for row in run["history"] if row["iteration"] <= moment
            )
            for run in runs.values()
        }
        ahead = min(losses, key=losses.get)
        said.append(f"after {moment} iterations {ahead} ({losses[ahead]:.4g})")
    assert f"Smallest loss: {', '.join(said)}." in (tmp_path / "index.html").read_text()


def test_the_page_stands_alone(made, odd):
    html = read(made / "out")
    assert html.tags["img"] == 2 + 2 and html.tags["svg"] == 2 and html.tags["script"] == 0
    assert all(
        link.startswith(("data:image/jpeg;base64,", "data:image/png;base64,", "#"))
        for link in html.links
    )
    assert not any("url(" in style.replace("url(#", "") for style in html.styles)
    assert f"content: {odd.name}" in html.alts and f"content: {odd.name}" in html.captions
    assert not html.tags["b"]
    assert html.captions[2:] == ["β = 100", "β = 10"]
    assert html.words.count("The weight of style") == 2  # title and heading


def test_the_plots_are_apart(made):
    html = read(made / "out")
    assert len(set(html.ids)) == len(html.ids) > 20
    refers = [link[1:] for link in html.links if link.startswith("#")]
    refers += [style[5:-1] for style in html.styles if style.startswith("url(#")]
    assert refers and set(refers) <= set(html.ids)


def test_a_picture_on_the_page_is_the_picture(made, odd):
    """Of 16 bits, too, which Pillow alone would clip."""
    expected = images.load(odd)
    shown = page.Picture(odd, "").data
    with Image.open(io.BytesIO(base64.b64decode(shown.partition(",")[2]))) as image:
        pixels = np.asarray(image) / 255
    assert pixels.shape == expected.shape and np.abs(pixels - expected).mean() < 0.03


def test_the_table_and_the_record_agree(made):
    with (made / "out" / "results.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    record = json.loads((made / "out" / "run.json").read_text())
    assert record["experiment"] == "ratio"
    assert [line["run"] for line in lines] == list(record["runs"]) == ["beta-100", "beta-10"]
    for line in lines:
        run = record["runs"][line["run"]]
        best = min(run["history"], key=lambda row: row["total"])
        assert float(line["style_weight"]) == run["varied"]["style_weight"]
        assert run["settings"]["style_weight"] == run["varied"]["style_weight"]
        for name in ("total", "content", "style", "tv", "content/conv2_1", "style/conv1_1"):
            assert float(line[name]) == best[name]
        for name in ("iterations", "evaluations", "seconds"):
            assert float(line[name]) == run[name]
        assert line["stopped"] == run["stopped"] == "finished"


def test_every_run_of_the_grid_is_in_tensorboard(made):
    event_accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator"
    )
    from tensorboard.plugins.hparams import metadata

    for beta in (10, 100):
        log = event_accumulator.EventAccumulator(str(made / "logs" / f"beta-{beta}")).Reload()
        content = log.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
        hparams = metadata.parse_session_start_info_plugin_data(content).hparams
        varied = {name: value.number_value for name, value in hparams.items()}
        assert varied == {"style_weight": beta}
        assert "loss/total" in log.Tags()["tensors"]


@pytest.mark.parametrize("name", SWEEPS)
def test_a_page_of_no_results(tmp_path, name):
    plan = SWEEPS[name](Inputs(*PICTURES[:1], tuple(PICTURES), "mini"))
    report.write(plan, {}, Folder(tmp_path))
    html = read(tmp_path)
    assert html.tags["img"] == 3
    assert html.tags["svg"] == len(plan.curves)
    assert f"{len(plan.cells)} of {len(plan.cells)} runs are not done yet." in html.words
    assert (tmp_path / "results.csv").read_text().startswith("run,")
    assert json.loads((tmp_path / "run.json").read_text())["runs"] == {}


@pytest.mark.parametrize("name", ["ratio", "feature-maps", "classical"])
def test_the_folder_is_ones_own_until_all_is_written(tmp_path, monkeypatch, name):
    def write(*_, **__):
        with pytest.raises(OutputError, match="in use"):
            locks.check(tmp_path)
        return "written"

    monkeypatch.setattr(report, "write", write)
    monkeypatch.setattr(feature_maps, "run", write)
    monkeypatch.setattr(Classical, "write", write)
    monkeypatch.setattr(Worker, "run", lambda self, work: {})
    assert experiment(name, *PICTURES, *SMALL, f"--out={tmp_path}") == 0
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def workshop():
    return Workshop()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["reconstruct", "learning-rate", "film", "snapshots"])
def test_a_panel_for_each_of_the_plan(tmp_path, workshop, name):
    """Of a loss without content, of moments of one run, of films."""
    values = {"reconstruct": ("conv1_1", "conv2_1"), "learning-rate": ("0.1",)}.get(name, ())
    changes = {"size": 36, "iterations": 3, "optimizer": "adam"}
    plan = SWEEPS[name](Inputs(*PICTURES[:1], (PICTURES[1],), "mini", None, changes, values))
    folder = Folder(tmp_path)
    manifests = Jobs(folder.jobs(plan.cells), workshop=workshop).run()
    report.write(plan, manifests, folder)
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*.png")}
    html, panels = read(tmp_path), sum(len(row.panels) for row in plan.rows)
    assert html.tags["img"] + html.tags["video"] == 2 + panels
    assert html.tags["video"] == (name == "film")
    # The page's own files are none of the runs'.
    again = Jobs(folder.jobs(plan.cells), workshop=workshop).run()
    assert again == json.loads(json.dumps(manifests))
    assert before == {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*.png")}


@pytest.mark.parametrize("name", ["index.html", "results.csv", "run.json"])
def test_what_cannot_be_written_is_no_matter_of_pictures(tmp_path, name):
    plan = SWEEPS["ratio"](Inputs(PICTURES[0], (PICTURES[1],), "mini"))
    (tmp_path / name).mkdir()
    with pytest.raises(FileError, match=rf"cannot write .*{name}: ") as caught:
        report.write(plan, {}, Folder(tmp_path))
    assert not isinstance(caught.value, PictureError) and "\n" not in str(caught.value)


def test_the_largest_picture_does_not_swell_the_page(tmp_path):
    """A photo of a camera is shown as large as a page needs it."""
    path = tmp_path / "large.png"
    noise = np.random.default_rng(0).random((300, 400, 3), np.float32)
    images.save(images.resize(noise, 2400, 3200), path)
    plan = SWEEPS["ratio"](Inputs(str(path), (PICTURES[1],), "mini"))
    report.write(plan, {}, Folder(tmp_path))
    assert (tmp_path / "index.html").stat().st_size < 1_500_000


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["bogus", *PICTURES, "--out={}"], "no experiment 'bogus': use one of ratio, "),
        (["ratio", *PICTURES], "--out=DIR"),
        (["ratio", PICTURES[0], "--out={}"], "too few arguments"),
        (["ratio", *PICTURES, "--out={}", "--values=abc"], "abc"),
        (["ratio", *PICTURES, "--out={}", "--workers=0"], "workers"),
        (["ratio", *PICTURES, "--out={}", "--preset=bogus"], "preset"),
        (["ratio", *PICTURES, "--out={}", "--style_layers=conv9_9"], "conv9_9"),
        (["ratio", *PICTURES, "--out={}/file"], "file"),
        (["ratio", *PICTURES, "--out={}/file/below"], "below"),
        (["ratio", "none.jpg", PICTURES[1], "--out={}/new", *SMALL], "none.jpg"),
        (["ratio", *PICTURES, "--out={}/new", "--weights=none.npz"], "none.npz"),
    ],
)
def test_what_cannot_be_is_one_line(tmp_path, capsys, arguments, word):
    (tmp_path / "file").write_text("")
    assert experiment(*(argument.format(tmp_path) for argument in arguments)) == 2
    error = capsys.readouterr().err.strip()
    assert word in error and error.startswith("nst-tf experiment: ") and "\n" not in error
    assert not list(tmp_path.rglob("*.png"))


@pytest.mark.skipif(os.getuid() == 0, reason="root writes everywhere")
def test_a_folder_without_permission_is_one_line(tmp_path, capsys):
    tmp_path.chmod(0o500)
    assert experiment("ratio", *PICTURES, f"--out={tmp_path}") == 2
    assert "permission" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("package", "name", "extra"),
    [
        ("jinja2", "ratio", "experiments"),
        ("matplotlib", "ratio", "experiments"),
        ("av", "film", "film"),
        ("tensorboard.plugins.hparams", "ratio", "tensorboard"),
    ],
)
def test_a_missing_package_is_one_line_before_any_run(
    monkeypatch, tmp_path, capsys, package, name, extra
):
    monkeypatch.setitem(sys.modules, package, None)
    flags = [f"--out={tmp_path / 'out'}", f"--logdir={tmp_path / 'logs'}"]
    assert experiment(name, *PICTURES, *SMALL, *flags) == 2
    error = capsys.readouterr().err
    assert f"pip install 'nst_tf[{extra}]'" in error and error.count("\n") == 1
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


#: Two runs; how long they take, their evaluations say.
LONG = [
    *("experiment", "ratio", *PICTURES, "--out=out", "--weights=mini", "--size=36"),
    *("--values=10,100", "--optimizer=adam", *SHALLOW),
]


def test_ctrl_c_leaves_a_page_and_goes_on(tmp_path, monkeypatch, capfd, workshop):
    monkeypatch.setattr(jobs, "Workshop", lambda: workshop)
    monkeypatch.chdir(tmp_path)
    update = JobsBar.update

    def interrupting(*told):
        signal.raise_signal(signal.SIGINT)
        update(*told)

    with monkeypatch.context() as patch:
        patch.setattr(JobsBar, "update", interrupting)
        # A second Ctrl-C would end it at once: it is to stop after the step of the first.
        assert main([*LONG, "--evaluations=100000"]) == 130
    said = capfd.readouterr()
    assert "2 of 2 runs are left" in said.out and "stopping after this step" in said.err
    assert "2 of 2 runs are not done yet." in read(tmp_path / "out").words
    assert main([*LONG, "--evaluations=4"]) == 0
    html = read(tmp_path / "out")
    assert html.tags["img"] == 4 and not any("not done" in word for word in html.words)
    assert "2/2 runs" in capfd.readouterr().err


@pytest.mark.slow
def test_ctrl_c_ends_two_processes(tmp_path):
    """As a terminal sends it: to all of them."""
    command = [sys.executable, "-m", "nst_tf.apps.main", *LONG]
    process = subprocess.Popen(
        [*command, "--evaluations=100000", "--workers=2"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    seen = b""
    try:
        while b"loss" not in seen:
            seen += (chunk := process.stderr.read1())
            assert chunk, seen
        os.killpg(process.pid, signal.SIGINT)
        out, error = process.communicate(timeout=120)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 130, error
    assert b"Traceback" not in error and b"2 of 2 runs are left" in out
    assert "2 of 2 runs are not done yet." in read(tmp_path / "out").words


def test_help_without_docstrings_has_a_line_for_every_experiment():
    done = subprocess.run(
        [sys.executable, "-OO", "-m", "nst_tf.apps.main", "experiment", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    listed = done.stdout.partition("Experiments:\n")[2].partition("\n\nFlags:")[0].splitlines()
    lines = dict(line.split(maxsplit=1) for line in listed)
    assert lines == {
        **{name: sweep.help for name, sweep in SWEEPS.items()},
        **{name: lines[name] for name in ("feature-maps", "classical")},
    }
    assert all(len(line.split()) > 2 for line in lines.values())


@pytest.mark.slow
def test_a_browser_shows_the_page(made, tmp_path):
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no chromium")
    count = (
        "<script>document.body.dataset.sizes = [...document.images].map(image => image.complete && "
        "image.naturalWidth).concat([...document.querySelectorAll('svg')].map(plot => "
        "'svg' + Math.round(plot.getBoundingClientRect().height))).join(' ')</script>"
    )
    copy = tmp_path / "copy.html"
    copy.write_text((made / "out" / "index.html").read_text().replace("</body>", count + "</body>"))
    done = subprocess.run(
        [
            chromium, "--headless", "--no-sandbox", "--disable-gpu",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--no-first-run", f"--user-data-dir={tmp_path / 'profile'}",
            "--dump-dom", copy.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )  # fmt: skip
    sizes = done.stdout.partition('data-sizes="')[2].partition('"')[0].split()
    assert sizes[0] == "64" and sizes[2:4] == ["36", "36"]
    assert int(sizes[1]) > 0
    assert len(sizes) == 6 and all(int(size.removeprefix("svg")) > 200 for size in sizes[4:])
