"""`nst-tf judge`: the measures together, single pictures, a protocol, the page."""

import csv
import json
import shutil
import subprocess

import numpy as np
import pytest

from nst_tf import assets, locks
from nst_tf.apps import command
from nst_tf.apps.main import main
from nst_tf.classical import methods as classical
from nst_tf.errors import NSTError, OutputError, SettingsError
from nst_tf.judge import report
from nst_tf.judge.measures import OTHERS, Judge, style_measures
from nst_tf.network import weights as weights_module
from nst_tf.pictures import images

PAIR = [str(assets.SCENE), str(assets.PAINTING)]
PROTOCOL = [
    "--protocol=small",
    "--methods=gatys2016,reinhard",
    "--weights=mini",
    "--size=64",
    "--evaluations=3",
    "--quiet",
]


def judge(*arguments):
    return main(["judge", *map(str, arguments)])


def read_csv(path):
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def judges(tmp_path_factory):
    """Two networks that judge. A process keeps them for as long as it is asked for the same."""
    mini, path = weights_module.load("mini"), tmp_path_factory.mktemp("weights") / "other.npz"
    kernels = {name: np.flip(kernel, (0, 1)) for name, kernel in mini.kernels.items()}
    weights_module.Weights(kernels, mini.biases, "other").save(path)
    return f"--judges=mini,{path}"


@pytest.fixture(scope="module")
def measured():
    made = Judge({"mini": weights_module.load("mini")})
    return made, images.load(assets.SCENE, 64), images.load(assets.PAINTING, 64)


def test_every_measure_has_a_column(measured):
    made, content, style = measured
    found = made(0.5 * content + 0.5 * images.cover(style, *content.shape[:2]), content, style)
    assert set(found) == {measure.key for measure in (*style_measures("mini"), *OTHERS)}
    for measure in (*style_measures("mini"), *OTHERS):
        assert measure.help.endswith(".")


def test_identity_keeps_all_and_gains_nothing(measured):
    made, content, style = measured
    found = made(content, content, style)
    assert [found[key] for key in ("gram@mini", "w2@mini")] == [0, 0]
    assert found["ssim"] == pytest.approx(1, abs=1e-12)
    assert [found[key] for key in ("cfsd", "edges_lost", "edges_added")] == [0, 0, 0]


def test_the_painting_gains_all(measured):
    made, _, style = measured
    other = images.load(assets.SCENE, 64)
    content = images.cover(other, *style.shape[:2])
    found = made(style, content, style)
    assert [found[key] for key in ("gram@mini", "w2@mini")] == [1, 1]
    assert found["palette"] == pytest.approx(0, abs=1e-9)
    assert found["outside"] == 0


def test_nothing_is_kept_of_another_pair(measured):
    """Content and style are measured once and kept: not for longer than they last."""
    made, content, style = measured
    first = made(content, style=style, content=np.flipud(content))
    made(style, style, content)
    assert made(content, style=style, content=np.flipud(content)) == first


@pytest.fixture(scope="module")
def out(judges, tmp_path_factory):
    folder = tmp_path_factory.mktemp("judged")
    assert judge(*PROTOCOL, judges, f"--out={folder}") == 0
    return folder


def test_the_table_has_its_rows(out, judges):
    rows = read_csv(out / "results.csv")
    assert [row["method"] for row in rows] == ["identity", "style", "gatys2016@mini", "reinhard"]
    assert {row["content"] for row in rows} == {"scene.png"}
    identity, style, gatys, _ = rows
    assert float(identity["ssim"]) == pytest.approx(1)
    assert float(identity["w2@other"]) == 0
    assert float(style["palette"]) < 1
    assert 0 < float(gatys["gram@mini"]) < 1
    assert float(gatys["peak_memory"]) > 1e8
    assert identity["seconds"] == ""
    record = json.loads((out / "judge.json").read_text())
    assert [row["method"] for row in record["table"]] == [row["method"] for row in rows]
    assert record["table"][2]["medians"]["ssim"][0] == float(gatys["ssim"])
    assert record["settings of gatys2016"] == {"size": 64, "evaluations": 3}
    assert float(gatys["ratio@mini"]) == 1
    assert record["networks"] == {"mini": "mini", "other": judges.rpartition(",")[2]}
    assert weights_module.load("mini").sha256 in record["judge mini"]
    table = read_csv(out / "table.csv")
    assert table[2]["gram@mini"] == gatys["gram@mini"]


def test_the_page_shows_them(out):
    page = (out / "index.html").read_text()
    assert page.count("<img") >= 4 + 2 * 3  # the contact sheet, and two results with their pair
    assert page.count("<svg") == 2
    for word in ("identity", "gatys2016@mini", "Worst, 1", "scene--painting"):
        assert word in page
    assert page.index("<table") < page.index("<img")


def test_it_goes_on_where_it_was(out, judges, capsys, monkeypatch):
    write = report.write

    def alone(*arguments):
        with pytest.raises(OutputError, match="in use"):  # until all is written
            locks.check(out)
        return write(*arguments)

    monkeypatch.setattr(report, "write", alone)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*--*")}
    assert judge(*PROTOCOL, judges, f"--out={out}") == 0
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*--*")} == before
    assert "style gained, Gram, mini" in capsys.readouterr().out


def test_a_picture_that_changed_is_judged_again(out, judges, tmp_path):
    shutil.copytree(out, tmp_path / "copy")
    picture = tmp_path / "copy" / "reinhard" / "scene--painting.png"
    ssim = float(read_csv(tmp_path / "copy" / "results.csv")[3]["ssim"])
    images.save(1 - images.load(picture), picture)
    assert judge(*PROTOCOL, judges, f"--out={tmp_path / 'copy'}") == 0
    assert float(read_csv(tmp_path / "copy" / "results.csv")[3]["ssim"]) < ssim - 0.5


@pytest.mark.slow
def test_two_processes_say_the_same(out, tmp_path):
    """As one did: three results are judged in two processes."""
    command = ["--protocol=small", "--methods=reinhard", "--judges=mini", "--size=64"]
    assert judge(*command, "--workers=2", "--quiet", f"--out={tmp_path}") == 0
    here = {row["method"]: row for row in read_csv(out / "results.csv")}
    there = read_csv(tmp_path / "results.csv")
    assert [row["method"] for row in there] == ["identity", "style", "reinhard"]
    for row in there:
        for key in ("gram@mini", "w2@mini", "cfsd", "ssim", "palette"):
            one = float(here[row["method"]][key])
            assert float(row[key]) == pytest.approx(one, rel=1e-3, abs=1e-6)


def test_results_of_another_program(out, judges, tmp_path, capsys):
    """A row of a folder: judged as our own, or said to be missing."""
    others = tmp_path / "others"
    others.mkdir()
    shutil.copy(out / "reinhard" / "scene--painting.png", others / "scene--painting.png")
    arguments = ["--protocol=small", judges, "--size=64", "--quiet", f"--out={tmp_path}"]
    assert judge(*arguments, f"--results=theirs={others},none={out}") == 2
    written = capsys.readouterr().out
    assert f"missing: {out}/scene--painting.png" in written
    rows = {row["method"]: row for row in read_csv(tmp_path / "results.csv")}
    assert list(rows) == ["identity", "style", "theirs"]
    own = {row["method"]: row for row in read_csv(out / "results.csv")}["reinhard"]
    assert rows["theirs"]["ssim"] == own["ssim"]
    assert rows["theirs"]["seconds"] == ""
    assert f"missing: {out}/scene--painting.png" in (tmp_path / "index.html").read_text()


def test_another_programs_json_is_not_ours(out, judges, tmp_path):
    others = tmp_path / "others"
    others.mkdir()
    shutil.copy(out / "reinhard" / "scene--painting.png", others / "scene--painting.png")
    (others / "scene--painting.json").write_text('{"seconds": "12 s", "peak_memory": 1e999}')
    arguments = ["--protocol=small", judges, "--size=64", "--quiet", f"--out={tmp_path}"]
    assert judge(*arguments, f"--results=theirs={others}") == 0
    assert read_csv(tmp_path / "results.csv")[2]["seconds"] == ""


def test_methods_may_change_and_what_is_judged_stays(out, judges):
    before = {path: path.stat().st_mtime_ns for path in (out / "judged").rglob("*.json")}
    swapped = [flag.replace("gatys2016,reinhard", "reinhard,gatys2016") for flag in PROTOCOL]
    assert judge(*swapped, judges, f"--out={out}") == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert judge(*PROTOCOL, judges, f"--out={out}") == 0


def test_what_cannot_be_made_is_listed_and_the_rest_is_judged(
    judges, tmp_path, capsys, monkeypatch
):
    transfer = classical.transfer

    def failing(name, *arguments, **options):
        if name == "quilting":
            raise SettingsError("no block fits")
        return transfer(name, *arguments, **options)

    monkeypatch.setattr(classical, "transfer", failing)
    flags = ["--protocol=small", "--methods=quilting,reinhard", judges, "--size=64"]
    (tmp_path / "quilting").mkdir()
    images.save(images.load(assets.SCENE, 64), tmp_path / "quilting" / "scene--painting.png")
    assert judge(*flags, "--quiet", f"--out={tmp_path}") == 2
    written = capsys.readouterr().out
    assert "quilting/scene--painting could not be made: no block fits" in written
    assert f"missing: {tmp_path}/quilting/scene--painting.png" in written
    assert [row["method"] for row in read_csv(tmp_path / "results.csv")][2:] == ["reinhard"]
    assert "no block fits" in (tmp_path / "index.html").read_text()


def test_single_pictures(out, judges, tmp_path, capsys):
    result = out / "gatys2016@mini" / "scene--painting.png"
    assert judge(*PAIR, result, tmp_path / "gone.png", judges, "--quiet") == 2
    written = capsys.readouterr().out
    assert str(result) in written
    assert f"missing: {tmp_path}/gone.png" in written
    value = float(read_csv(out / "results.csv")[2]["ssim"])
    line = next(line for line in written.splitlines() if line.startswith("SSIM"))
    assert f"{value:.3g}" in line.split()


def test_another_size_is_refused_by_name(out, judges, tmp_path, capsys):
    good = out / "reinhard" / "scene--painting.png"
    images.save(images.load(good, 48), tmp_path / "small.png")
    assert judge(*PAIR, good, tmp_path / "small.png", judges, "--quiet") == 2
    assert f"{tmp_path}/small.png has 48x36 pixels, the content image" in capsys.readouterr().err
    images.save(images.resize(images.load(good), 64, 64), tmp_path / "square.png")
    assert judge(*PAIR, tmp_path / "square.png", judges, "--quiet") == 2
    assert "square.png has 64x64 pixels" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "name CONTENT STYLE RESULT..., or a --protocol"),
        (PAIR, "name CONTENT STYLE RESULT..., or a --protocol"),
        ([*PAIR, "nowhere.png"], "none of the results is there: nowhere.png"),
        (["--protocol=small", "--methods=quilting"], "--out=DIR"),
        (["--protocol=small", "photo.jpg", "--out=x"], "leave out photo.jpg"),
        (["--protocol=small", "--out={}", "--results=theirs"], "say NAME=DIR"),
        (["--protocol=small", "--out={}", "--methods=crisps"], "no method 'crisps': use"),
        (["--protocol=small", "--out={}", "--pictures=/none"], "8 of the protocol's 8 pictures"),
        (["--protocol=large", "--out={}"], "should be one of"),
        (["typo.jpg", PAIR[1], PAIR[0]], "typo.jpg"),
        ([PAIR[0], "typo.jpg", PAIR[0]], "typo.jpg"),
        ([*PAIR, PAIR[0], "--size=64"], "judging single pictures knows no --size"),
        (["--protocol=small", "--out={}", "--results=a={},a={}"], "the method a is there twice"),
    ],
)
def test_what_cannot_be(arguments, words, tmp_path, capsys):
    assert judge(*(argument.replace("{}", str(tmp_path)) for argument in arguments)) == 2
    error = capsys.readouterr().err
    assert words in error
    assert len(error.splitlines()) == 1


def test_how_large_a_result_is_stands_in_its_head(tmp_path, monkeypatch):
    images.save(np.zeros((48, 64, 3)), tmp_path / "result.png")
    told, load = [], images.load

    def stop():
        raise NSTError("far enough")

    monkeypatch.setattr(images, "load", lambda *how: told.append(how) or load(*how))
    monkeypatch.setattr(command, "import_tensorflow", stop)
    assert judge(*PAIR, tmp_path / "result.png") == 2
    assert told == [(str(path), 64) for path in PAIR]


def test_help_names_every_method(capsys):
    assert judge("--help") == 0
    written = capsys.readouterr().out
    for word in ("gatys2016", "quilting", "--protocol", "--judges", "identity"):
        assert word in written


@pytest.mark.slow
def test_the_page_in_a_browser(out, tmp_path):
    """What Chromium makes of it: pictures with pixels, no error."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium")
    shot = tmp_path / "page.png"
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    command = [chromium, *flags, f"--user-data-dir={tmp_path}/profile", f"--screenshot={shot}"]
    command += ["--window-size=1400,1200", (out / "index.html").as_uri()]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    assert np.std(images.load(shot)) > 0.05
