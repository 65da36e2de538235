"""How much memory and time a run will take, and what is done about it, before it begins."""

import io
import json
import pickle
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from nst_tf import assets, locks, memory_at_hand
from nst_tf.apps import experiment, judge, rerun, stylize
from nst_tf.apps.main import main
from nst_tf.errors import SettingsError, in_bytes
from nst_tf.losses import neighbour_objective, neighbours
from nst_tf.network import weights
from nst_tf.pictures import heads
from nst_tf.recipe import layers, presets
from nst_tf.run import forecast, memory, outlook
from nst_tf.run.descent import Limits
from nst_tf.run.memory import Need
from nst_tf.run.outlook import Room
from nst_tf.run.schedule import Stage
from nst_tf.run.transfer import StyleTransfer


def need(size, preset="gatys2016", channels=layers.CHANNELS, engine="winograd", **options):
    how = {name: options.pop(name) for name in ("dtype", "regions") if name in options}
    return Need(
        presets.settings(preset, **options),
        channels,
        (size, size),
        [(size, size)],
        engine,
        **{"dtype": "float32", **how},
    )


@pytest.mark.parametrize(
    ("preset", "peer", "size", "more"),
    [
        ("gatys2016", {"optimizer": "adam"}, 2048, (30 * 12 * 2048**2, 45 * 12 * 2048**2)),
        ("gatys2016", {"engine": "direct"}, 256, (300 << 20, 500 << 20)),  # Winograd's kernels
        ("gatys2016", {"regions": -3}, 1024, (100 << 20, 5 << 30)),
        ("neighbours", {"style_loss": "gram-mean"}, 1024, (100 << 20, 5 << 30)),
    ],
)
def test_what_takes_more_is_counted(preset, peer, size, more):
    regions = -peer.pop("regions", 0)
    larger = need(size, preset, regions=regions).bytes()
    assert more[0] < larger - need(size, preset, **peer).bytes() < more[1]


def test_strips_are_chosen_where_memory_would_not_do():
    large = need(4096)
    whole, halves = large.bytes(), [large.bytes(tile) for tile in outlook.TILES]
    assert halves == sorted(halves, reverse=True) and halves[0] < whole
    assert outlook.tile_for("auto", large, whole) is None
    assert outlook.tile_for("auto", large, whole - 1) == 1024
    assert outlook.tile_for("auto", large, halves[1]) == 512
    assert outlook.tile_for("auto", large, 1) == outlook.TILES[-1]
    assert outlook.tile_for("off", large, 1) is None
    assert outlook.tile_for(300, large, 1 << 60) == 300


@pytest.mark.parametrize(
    ("text", "size"),
    [("6GiB", 6 << 30), ("1.5g", 3 << 29), ("512 MB", 512 << 20), (4096, 4096), ("7", 7)],
)
def test_sizes_are_read(text, size):
    assert outlook.parse(text) == size


@pytest.mark.parametrize(
    "text",
    [
        *("", "much", "-1GiB", "0", 0, True, "6 bits", "1e9", None, "GiB", "9" * 400),
        *(pytest.param(number, id="huge") for number in (10**400, 10**5000, -(10**5000))),
    ],
)
def test_others_are_refused(text):
    with pytest.raises(SettingsError, match=r"max_memory is .*6GiB"):
        outlook.parse(text)
    if text is not None:
        with pytest.raises(SettingsError, match="max_memory is "):
            outlook.room(text)


@pytest.mark.parametrize("preset", ["gatys2016", "crisp", "neighbours", "draft"])
@pytest.mark.parametrize("tile", ["auto", "off"])
def test_a_refusal_names_the_size_that_fits(preset, tile):
    """And that size does, and half as much again does not."""
    within = Room(3 << 30, 0)
    asked = need(60_000, preset).scaled(60_000)
    with pytest.raises(
        SettingsError, match=r"size 60000, 60000x60000 .*GiB are at hand"
    ) as refusal:
        outlook.outlook(tile, asked, within)
    fits = int(str(refusal.value).split("size=")[1].split()[0])
    assert 500 < fits < 60_000
    outlook.outlook(tile, asked.scaled(fits), within)
    with pytest.raises(SettingsError):
        outlook.outlook(tile, asked.scaled(fits + fits // 2), within)


def test_an_optimizer_that_remembers_less_is_named_and_where_nothing_fits_so_it_says():
    adam = need(2048, optimizer="adam").bytes(256)
    with pytest.raises(SettingsError, match=r"size=\d+ or optimizer=adam fits"):
        outlook.outlook("auto", need(2048), Room(adam, 0))
    with pytest.raises(SettingsError, match="no size fits"):
        outlook.outlook("auto", need(2048), Room(1 << 20, 0))
    with pytest.raises(SettingsError, match=r"max_memory is 1GiB: .*or tile=auto fits"):
        few = need(2048, optimizer="adam")
        outlook.outlook("off", few, Room(few.bytes(256), 1 << 29, "max_memory is 1GiB"))


def test_a_guess_refuses_nothing():
    assert outlook.outlook("auto", need(9000), Room(1, 0, strict=False)).tile == 256


def test_room_is_what_is_at_hand_or_what_is_said(monkeypatch):
    monkeypatch.setattr(memory_at_hand, "available", lambda: 10 << 30)
    monkeypatch.setattr(outlook, "resident", lambda: 700 << 20)
    assert outlook.room().left == 8 << 30 == memory_at_hand.allowed()
    said = outlook.room("6GiB")
    assert said.left + said.taken == 6 << 30 and said.taken == 700 << 20
    assert not outlook.room(gpu=True).strict and outlook.room("6GiB", gpu=True).left == 6 << 30


def test_what_idle_workshops_hold_is_there_for_the_next_run(monkeypatch):
    """A second run has what the first had, and is told to make room where it wants theirs."""
    monkeypatch.setattr(memory_at_hand, "available", lambda: 10 << 30)
    monkeypatch.setattr(outlook, "resident", lambda: 2 << 30)
    first = [outlook.room("6GiB"), outlook.room()]
    monkeypatch.setattr(memory_at_hand, "available", lambda: 7 << 30)
    monkeypatch.setattr(outlook, "resident", lambda: 5 << 30)
    second = [outlook.room("6GiB", idle=3 << 30), outlook.room(idle=3 << 30)]
    assert [(room.left, room.taken) for room in second] == [
        (room.left, room.taken) for room in first
    ]
    assert [room.idle for room in (*first, *second)] == [0, 0, 3 << 30, 3 << 30]
    assert outlook.room(idle=9 << 30).idle == 5 << 30  # a process has no more than it has

    asked = need(512)
    for left, crowded in ((4 << 30, False), (asked.bytes() + 1, True)):
        within = Room(left, 2 << 30, idle=1 << 30)
        assert outlook.outlook("off", asked, within).crowded is crowded
    assert not outlook.outlook("off", asked, Room(1, 0, strict=False)).crowded


def test_processes_share_what_is_there(monkeypatch):
    monkeypatch.setattr(memory_at_hand, "available", lambda: 10 << 30)
    monkeypatch.setattr(outlook, "resident", lambda: 700 << 20)
    assert outlook.share("6GiB", 3) == 2 << 30 and outlook.share(9, 4, gpu=True) == 2
    assert outlook.share(None, 4) == 2 << 30
    assert outlook.share(None, 4, gpu=True) is None
    # Spawned processes get their arguments pickled.
    within = outlook.room(pickle.loads(pickle.dumps(outlook.share("8GiB", 4))))
    words = r"and each of 4 workers may take 2.0 GiB: size=\d+ or fewer workers fits$"
    with pytest.raises(SettingsError, match=words):
        outlook.outlook("off", need(1000), within)
    with pytest.raises(SettingsError, match=r"may take 2.0 GiB: size=\d+ fits$"):
        outlook.outlook("off", need(4000), within)
    with pytest.raises(SettingsError, match=r"may take 2.0 GiB: .*by max_memory or fewer workers$"):
        outlook.outlook("off", need(1000), within, decided=True)


@pytest.mark.parametrize(
    ("count", "words"),
    [
        *((0, "0 bytes"), (-5, "0 bytes"), (1023, "1023 bytes"), (1024, "1 KiB")),
        *((5 << 20, "5 MiB"), (1 << 30, "1.0 GiB"), (1536 << 20, "1.5 GiB"), (2.0**31, "2.0 GiB")),
        (10**320, "1152921504606846976.0 GiB"),
    ],
)
def test_bytes_in_words(count, words):
    assert in_bytes(count) == words


def test_what_is_counted_of_neighbours_is_what_looks_for_them():
    assert memory._CANDIDATES == neighbour_objective.CANDIDATES
    assert memory._PRODUCTS == neighbours._CHUNK


def test_a_picture_s_head_tells_its_size(tmp_path):
    from PIL import Image

    image = Image.new("RGB", (5, 3))
    image.save(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    known = [tmp_path / "a.png", data, image, np.zeros((3, 5, 3)), [[0.0] * 5] * 3]
    known.append(np.zeros((1, 3, 5, 3)))
    assert [heads.shape(picture) for picture in known] == [(3, 5)] * 6
    unknown = [tmp_path, tmp_path / "none", b"x", io.BytesIO(data), None, 3.0]
    assert [heads.shape(picture) for picture in unknown] == [None] * 6


#: Told by their heads alone: no picture of such a size is made.
REFUSED = """
import sys
from nst_tf.apps.main import main
code = main(["stylize", *sys.argv[1:]])
assert "tensorflow" not in sys.modules
sys.exit(code)
"""


@pytest.mark.parametrize("more", [[], ["--preset=neighbours"], ["--protect=" + str(assets.SCENE)]])
def test_a_size_that_cannot_be_is_refused_by_name_and_without_tensorflow(tmp_path, more):
    argv = [str(assets.SCENE), str(assets.PAINTING), "-o", str(tmp_path / "out.png")]
    argv += ["--size=99000", "--max_memory=8GiB", "--weights=mini", *more]
    done = subprocess.run(
        [sys.executable, "-c", REFUSED, *argv], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "size 99000" in done.stderr and "max_memory is 8GiB: size=" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_the_size_that_is_named_early_is_not_refused_then():
    """Before TensorFlow is loaded nobody knows which engine `auto` will be."""
    settings, network = presets.settings("crisp", size=512), weights.at_once("mini")
    within = outlook.Room(300 << 20, 600 << 20, "max_memory is 900MiB")

    def early(size, engine, dtype):
        pictures = np.zeros((300, 400, 3)), np.zeros((300, 400, 3))
        changed = settings.replace(size=size)
        how = {"tile": "auto", "engine": engine, "dtype": dtype, "within": within}
        outlook.check_early(changed, *pictures, network, **how)

    with pytest.raises(SettingsError, match=r"size=\d+") as refused:
        early(512, "auto", "auto")
    size = int(re.search(r"size=(\d+)", str(refused.value))[1])
    early(size, "winograd", "float32")
    early(size, "auto", "auto")


def test_a_run_says_what_it_takes_and_takes_strips_where_told(scene, painting, tiny_weights):
    options = {"preset": "gatys2016", "weights": tiny_weights, "size": 64}
    run = StyleTransfer(scene, painting, **options)
    assert run.outlook.tile is None
    assert run.outlook.whole == run.outlook.peak < run.outlook.room
    with pytest.raises(SettingsError, match="max_memory is 1MiB: no size fits"):
        StyleTransfer(scene, painting, max_memory="1MiB", **options)


def fake_run(clock, seconds, size, stages=None, tile=None):
    """Of which an evaluation takes so many seconds by a clock, and what compiles 5 s each time."""
    content = np.zeros((size, size, 3), np.float32)

    class Run:
        def __iter__(self):
            for count in range(1, 1000):
                clock.now += seconds + 5 * (count < 3)
                yield SimpleNamespace(evaluations=count)

    run = Run()
    run.content, run.styles = content, [content]
    run.stages, run.outlook = stages or [Stage(Limits(None, 100))], SimpleNamespace(tile=tile)
    return run


def test_time_is_that_of_all_pixels_and_of_what_compiles():
    clock = SimpleNamespace(now=0.0)
    trial = fake_run(clock, 0.1, 100)
    run = fake_run(clock, 0, 400, [Stage(Limits(None, 50), 200), Stage(Limits(None, 20))])
    foreseen = forecast.pace(trial, lambda: clock.now).of(run)
    assert foreseen.evaluations == [50, 20]
    descent = 0.1 * (50 * 4 + 20 * 16)
    assert descent + 10 < foreseen.seconds < descent + 10 + 0.1 * 40
    assert 12 < clock.now < 13  # two seconds, and what compiles


@pytest.mark.parametrize("command", [stylize, rerun, experiment, judge])
def test_workers_are_named_where_there_are_some(command):
    flags = command.define_flags()
    assert ("--workers" in flags["max_memory"].help) == ("workers" in flags)
    assert "What the process" in flags["max_memory"].help


def test_a_dry_run_says_it_all_and_writes_nothing(tmp_path, capsys):
    argv = [str(assets.SCENE), str(assets.PAINTING), "-o", str(tmp_path / "out.png"), "--dry_run"]
    shallow = [
        "--content_layers=conv2_1",
        "--style_layers=conv1_1",
        "--logdir",
        str(tmp_path / "l"),
    ]
    flags = ["--size=48", "--evaluations=6", "--weights=mini", "--preset=gatys2016", *shallow]
    with locks.alone(tmp_path):  # nor does it matter who writes there meanwhile
        flags += ["--optimizer=adam", f"--checkpoint={tmp_path}"]
        assert main(["stylize", *argv, *flags]) == 0
    said = capsys.readouterr().out
    for line in ("size: 48x36; optimised at 48", "evaluations: about 6", "memory: about", "time: "):
        assert line in said
    assert not list(tmp_path.iterdir())


@pytest.mark.long
@pytest.mark.parametrize(
    "run",
    [
        "size=256",
        "size=256,engine=keras,optimizer=adam",
        "size=256,dtype=mixed_bfloat16",
        "preset=crisp,size=256",
        "preset=neighbours,size=128",
        "size=256,dtype=mixed_float16",
        "size=256,style_loss=histogram",
        "size=256,tile=64,regions=2",
    ],
)
def test_what_is_foreseen_is_what_is_measured(run, tmp_path):
    """Within a quarter, in a process of its own; `docs/performance.md` has larger ones."""
    table, script = tmp_path / "table.json", Path(__file__).parent.parent / "benchmarks/memory.py"
    subprocess.run([sys.executable, str(script), f"--json={table}", run], check=True)
    [row] = json.loads(table.read_text())
    assert 0.75 < row["foreseen"] / row["peak"] < 1.25
    # Nor is it all what TensorFlow takes.
    assert row["peak"] > 700 << 20
