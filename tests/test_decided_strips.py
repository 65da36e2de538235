"""Strips are decided once a run and written down: whatever memory is free later, the same bytes."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from nst_tf import assets
from nst_tf.apps.main import main
from nst_tf.errors import CheckpointError, SettingsError
from nst_tf.recipe import layers, presets
from nst_tf.run import outlook
from nst_tf.run.again import Manifest
from nst_tf.run.memory import Need
from nst_tf.run.outlook import Room
from nst_tf.run.track import Track
from nst_tf.run.transfer import StyleTransfer

#: Adam and shallow layers compile soonest.
FLAGS = ["--preset=gatys2016", "--optimizer=adam", "--size=32", "--evaluations=3", "--quiet"]
FLAGS += ["--content_layers=conv2_1", "--style_layers=conv1_1", "--weights=mini"]
OPTIONS = {
    "preset": "gatys2016",
    "optimizer": "adam",
    "size": 32,
    "evaluations": 3,
    "content_layers": {"conv2_1": 1.0},
    "style_layers": {"conv1_1": 1.0},
}


@pytest.fixture
def little(monkeypatch):
    """Hardly any memory, and strips small enough to matter; `undo` for as much as there is."""
    with monkeypatch.context() as patch:
        patch.setattr(outlook, "room", lambda *_, **__: Room(1, 0, strict=False))
        patch.setattr(outlook, "TILES", (16,))
        yield patch


def need(size):
    return Need(
        presets.settings("gatys2016"),
        layers.CHANNELS,
        (size, size),
        [(size, size)],
        "winograd",
        "float32",
    )


def test_it_is_decided_for_each_stage_and_said_again():
    small, large = need(256), need(2048)
    within = Room(small.bytes(), 0, strict=False)
    decided = outlook.decide("auto", [small, large], within)
    assert [one.tile for one in decided] == [None, 256]
    again = outlook.decide(["off", 256], [small, large], Room(1 << 40, 0))
    assert [one.tile for one in again] == [None, 256]
    with pytest.raises(SettingsError, match="tile is a list of 1, one a stage, and the run has 2"):
        outlook.decide(["off"], [small, large], within)


def test_what_was_decided_and_does_not_fit_any_more_is_refused():
    """In one line that names the way out, and no other size: the run has but this one."""
    large = need(2048)
    little = Room(large.bytes(256), 0)
    with pytest.raises(SettingsError, match=r"tile=off, as it was begun, .* by max_memory$"):
        outlook.decide(["off"], [large], little)
    assert outlook.decide("auto", [large], little)[0].tile == 256
    assert outlook.decide([256], [large], replace(little, left=little.left + 1))[0].tile == 256


@pytest.mark.parametrize("tile", [["auto"], [], [0], [True], ["off", "none"], [[16]]])
def test_no_others_are_taken(tiny_weights, scene, painting, tile):
    with pytest.raises(SettingsError, match="tile is "):
        StyleTransfer(scene, painting, weights=tiny_weights, tile=tile, **OPTIONS)


def test_a_rerun_takes_the_strips_that_are_written(tmp_path, little, capsys):
    out = tmp_path / "out.png"
    assert main(["stylize", str(assets.SCENE), str(assets.PAINTING), "-o", str(out), *FLAGS]) == 0
    little.undo()
    manifest = out.with_suffix(".json")
    first = json.loads(manifest.read_text())
    assert first["tile"] == [16]
    assert main(["rerun", str(manifest), "--quiet"]) == 0
    again = json.loads((tmp_path / "out-again.json").read_text())
    assert again["tile"] == [16] and again["result_sha256"] == first["result_sha256"]
    said = capsys.readouterr().out
    assert "the same picture" in said and "strips as" not in said
    # An older version wrote what was asked for, and not what came of it.
    older = Manifest(manifest, {**first, "tile": "auto"})
    assert older.tile == "auto"
    assert "  strips as memory allowed, not written down, now 16" in older.verdict(again)
    assert main(["rerun", str(manifest), "--max_memory=much"]) == 2
    assert "max_memory is 'much'" in capsys.readouterr().err
    manifest.write_text(json.dumps(first))
    assert main(["rerun", str(manifest), "--max_memory=601MiB"]) == 2
    assert "as it was begun, and max_memory is 601MiB" in capsys.readouterr().err


def test_a_run_goes_on_with_the_strips_that_it_began_with(
    tmp_path, little, tiny_weights, scene, painting
):
    def run(folder, **options):
        options = {"weights": tiny_weights, "checkpoint": tmp_path / folder, **OPTIONS, **options}
        return StyleTransfer(scene, painting, **options)

    straight = run("straight").run()
    stopped = run("stopped")
    for step in stopped:
        if step.iteration == 1:
            stopped.stop()
    little.undo()
    for tile in ("off", ["off"]):
        with pytest.raises(
            SettingsError, match=r"is of another run: tile was \[16\], is \['off'\]"
        ):
            run("stopped", tile=tile)
    resumed = run("stopped").run()
    assert resumed.manifest["tile"] == straight.manifest["tile"] == [16]
    assert resumed.array.tobytes() == straight.array.tobytes()
    assert run("new").outlook.tile is None
    # What has other scales, or cannot be read, says so itself.
    with pytest.raises(SettingsError, match="is of another run: min_scale was None, is 24"):
        run("stopped", min_scale=24)
    (tmp_path / "stopped" / "run.json").write_text('{"tile": ["x"]}')
    with pytest.raises(SettingsError, match="is of another run"):
        run("stopped")


def test_a_folder_of_another_run_has_no_say(tmp_path, little, tiny_weights, scene, painting):
    """What was put aside as a whole, at a size that memory was enough for, is another run's at one
    that takes strips: it is refused as that, on which a grid begins anew."""

    def run(**options):
        options = {"weights": tiny_weights, **OPTIONS, **options}
        return StyleTransfer(scene, painting, **options)

    small = run(tile="off", checkpoint=tmp_path)
    with small.checkpoint.open(Track()):
        pass
    large = run(size=256)
    need = large._course.need(large.stages[0])
    assert need.bytes(16) < need.bytes()
    little.setattr(outlook, "room", lambda *_, **__: Room(need.bytes(16), 0))
    with pytest.raises(CheckpointError, match="is of another run: size was 32, is 256"):
        run(size=256, checkpoint=tmp_path)
