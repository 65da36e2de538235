"""`nst-tf experiment classical`: textures and a photo, by every method; the page."""

import csv
import json

import pytest

from nst_tf import assets
from nst_tf.apps.main import main
from nst_tf.classical import methods
from nst_tf.pictures import images

PAIR = [str(assets.SCENE), str(assets.PAINTING)]
SMALL = ["--weights=mini", "--size=48", "--evaluations=3", "--quiet"]


def experiment(*arguments):
    return main(["experiment", "classical", *map(str, arguments)])


@pytest.mark.slow
def test_every_method_is_on_the_page(tmp_path):
    """Of textures one, or the oldest method alone would take a minute."""
    chosen = [name for name in methods.METHODS if name != "sampling"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(assets, "TEXTURES", {"weave": assets.TEXTURES["weave"]})
        flags = [*SMALL, f"--values={','.join(chosen)},gatys", f"--out={tmp_path}"]
        assert experiment(*PAIR, *flags) == 0
    page = (tmp_path / "index.html").read_text()
    for name in chosen:
        assert f"{name}: {methods.METHODS[name].paper}." in page
    with (tmp_path / "results.csv").open() as file:
        made = {row["picture"]: row for row in csv.DictReader(file)}
    grown = {f"weave-{name}" for name in methods.SYNTHESES if name != "sampling"}
    assert made.keys() == grown | {f"photo-{name}" for name in methods.TRANSFERS} | {
        "weave-gatys",
        "photo-gatys",
    }
    assert all(float(row["seconds"]) > 0 for row in made.values())
    for name in made:
        shape = images.load(tmp_path / f"{name}.png").shape
        assert shape == ((160, 160, 3) if name.startswith("weave") else (36, 48, 3))
    record = json.loads((tmp_path / "run.json").read_text())
    settings = record["runs"]["weave-gatys"]["settings"]
    assert settings["content_layers"] == {} and settings["init"] == "noise"


def test_it_goes_on_where_it_was(tmp_path):
    flags = [*SMALL, "--values=reinhard,monge-kantorovich", f"--out={tmp_path}"]
    assert experiment(*PAIR, *flags) == 0
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("photo-*")}
    assert len(before) == 4
    assert experiment(*PAIR, *flags) == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([*PAIR, "--values=crisp"], "no method 'crisp': use one of sampling"),
        ([*PAIR, PAIR[1]], "classical methods take one style image"),
        ([*PAIR, "--logdir=logs"], "classical knows no --logdir"),
    ],
)
def test_what_cannot_be(arguments, words, tmp_path, capsys):
    assert experiment(*arguments, *SMALL, f"--out={tmp_path}") == 2
    assert words in capsys.readouterr().err
