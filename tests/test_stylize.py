"""The whole command line, on real pictures where they are present, else on the bundled ones."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from nst_tf import assets
from nst_tf.apps import command, run_flags, stylize
from nst_tf.apps.main import main
from nst_tf.losses.objective import Evaluation
from nst_tf.network import weights as weights_module
from nst_tf.pictures import encoded
from nst_tf.recipe import choices, presets
from nst_tf.run import transfer, workshops
from nst_tf.run.workshop import Workshop
from nst_tf.run.workshops import Workshops


@pytest.fixture(scope="module")
def pictures(request):
    try:
        return [str(request.getfixturevalue(name)) for name in ("neckarfront", "starry_night")]
    except pytest.skip.Exception:
        return [str(assets.SCENE), str(assets.PAINTING)]


@pytest.fixture(scope="module")
def weights(request, tmp_path_factory):
    """The real network where it is there; else random numbers in a file, drawn only once."""
    try:
        return str(request.getfixturevalue("vgg19_file"))
    except pytest.skip.Exception:
        path = tmp_path_factory.mktemp("weights") / "random.npz"
        request.getfixturevalue("random_weights").save(path)
        return str(path)


def run(*arguments: str) -> int:
    return main(["stylize", *arguments])


#: A run that is over at once. All that are it compile once between them.
SMALL = ["--size=32", "--iterations=3", "--weights=mini", "--optimizer=adam"]
#: The fewer layers there are, the sooner they are compiled.
SHALLOW = ["--content_layers=conv2_1", "--style_layers=conv1_1"]
SMALL += ["--preset=gatys2016", *SHALLOW]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("preset", "optimizer"),
    [
        # An optimizer sees a loss and its gradient, whatever they are made of; of Adam's steps the
        # graph is the smallest.
        *((presets.PUBLISHED, optimizer) for optimizer in choices.OPTIMIZERS),
        (presets.DEFAULT, "lbfgs"),
        *(
            (preset, "adam")
            for preset in presets.PRESETS
            if preset not in (presets.PUBLISHED, presets.DEFAULT)
        ),
    ],
)
def test_every_preset_and_every_optimizer(pictures, weights, tmp_path, capsys, preset, optimizer):
    """The first of them with the real network, the others with mini, which compiles sooner."""
    out = tmp_path / "out.png"
    weights = weights if (preset, optimizer) == (presets.PUBLISHED, "lbfgs") else "mini"
    flags = [f"--preset={preset}", f"--optimizer={optimizer}", f"--weights={weights}"]
    code = run(*pictures, "-o", str(out), "--size=64", "--evaluations=6", "--quiet", *flags)
    assert code == 0
    assert f"{out}: finished after" in capsys.readouterr().out
    with Image.open(out) as image:
        assert image.size == (64, 48)
        pixels = np.asarray(image)
    assert pixels.std() > 5  # a picture, not a gray field
    manifest = json.loads(out.with_suffix(".json").read_text())
    assert manifest["settings"]["optimizer"] == optimizer
    totals = [row["total"] for row in manifest["history"]]
    assert np.isfinite(totals).all() and min(totals) < totals[0]


def test_flags_become_settings():
    values = stylize.define_flags()
    line = (
        "--preset=gatys2015 --size=0 --style_size=99 --iterations=7 --optimizer=adam "
        "--learning_rate=0.5 --seed=3 --init=content=0.7,noise=0.3 --content_weight=2 "
        "--style_weight=3 --tv_weight=0.25 --style_blend=3,1 --snapshot_every=5 --snapshots=2,3 "
        "--content_layers=block3_conv2 --style_layers=conv1_1,conv2_2:pre=0.5,conv5_4 "
        "--pooling=l2 --rescale_pooling --padding=replicate --normalise "
        "--content_loss=l2 --style_loss=gram-mean --tv_loss=absolute --min_scale=0 --max_scale=0 "
        "--bounded --average=0.5 --strength=0.75 --stroke_size=1 --colours=palette "
        "--grain=painting "
        "--structure_layers=conv3_1 --structure_weight=0.5 --laplacian_weight=2 "
        "--content_share=0.25 --rotations --mirrored --stroke_sizes=0.5,0.25"
    )
    values(["stylize", *line.split()])
    expected = {
        "preset": "gatys2015",
        "size": None,
        "style_size": 99,
        "iterations": 7,
        "evaluations": None,
        "optimizer": "adam",
        "learning_rate": 0.5,
        "seed": 3,
        "init": "content=0.7,noise=0.3",
        "content_weight": 2.0,
        "structure_weight": 0.5,
        "laplacian_weight": 2.0,
        "style_weight": 3.0,
        "tv_weight": 0.25,
        "style_blend": (3.0, 1.0),
        "snapshot_every": 5,
        "snapshots": (2, 3),
        "content_layers": {"conv3_2": 1.0},
        "structure_layers": {"conv3_1": 1.0},
        "style_layers": {"conv1_1": 0.2, "conv2_2:pre": 0.5, "conv5_4": 0.2},
        "pooling": "l2",
        "rescale_pooling": True,
        "padding": "replicate",
        "normalise": True,
        "content_loss": "l2",
        "style_loss": "gram-mean",
        "tv_loss": "absolute",
        "min_scale": None,
        "max_scale": None,
        "bounded": True,
        "average": 0.5,
        "strength": 0.75,
        "stroke_size": 1.0,
        "colours": "palette",
        "grain": "painting",
        "content_share": 0.25,
        "rotations": True,
        "mirrored": True,
        "stroke_sizes": (0.5, 0.25),
    }
    assert stylize.settings_from(values).asdict() == expected


@pytest.mark.parametrize("preset", list(presets.PRESETS))
def test_without_flags_the_preset_holds(preset):
    values = stylize.define_flags()
    values(["stylize", f"--preset={preset}"])
    assert stylize.settings_from(values) == presets.settings(preset)


def test_a_layer_without_a_weight_takes_its_blocks_in_the_preset():
    preset = dict(presets.PRESETS["gatys2016"].style_layers)
    weights = run_flags.parse_layers(["conv3_1", "conv3_4", "conv2_2=9"], preset)
    assert weights == {"conv3_1": 1e3 / 256**2, "conv3_4": 1e3 / 256**2, "conv2_2": 9.0}
    assert run_flags.parse_layers(["conv5_1"], {"conv1_1": 1.0, "conv2_1": 3.0}) == {"conv5_1": 2.0}


def test_everything_beside_the_picture(pictures, tmp_path, capsys):
    out, sheet = tmp_path / "out.tif", tmp_path / "sheet.jpg"
    code = run(
        *pictures, pictures[0], "--output", str(out), "--sheet", str(sheet), "--bits=16", *SMALL,
        "--iterations=6", "--snapshot_every=3",
    )  # fmt: skip
    captured = capsys.readouterr()
    assert code == 0 and "Traceback" not in captured.err
    names = {"out.tif", "out.json", "out-0003.tif", "out-0006.tif", "sheet.jpg"}
    assert {path.name for path in tmp_path.iterdir()} == names
    import tifffile

    assert tifffile.imread(out).dtype == np.uint16
    with Image.open(sheet) as image:
        assert image.width > 3 * 32  # content, two styles, result
    # the bar tells iteration, evaluations, every term, rate and time left
    last = re.split(r"[\r\n]+", captured.err.strip())[-1]
    for word in ("6/6 iterations", "iteration 6", "evaluations", "total", "content", "style", "tv"):
        assert word in last, last
    assert re.search(r"\[\d+:\d+<\d+:\d+", last)


def test_random_weights_say_what_to_expect(pictures, tmp_path, capsys):
    out = str(tmp_path / "out.png")
    flags = ["--size=32", "--iterations=0", "--weights=random", "--preset=gatys2016", *SHALLOW]
    assert run(*pictures, "-o", out, *flags) == 0
    assert "weights: random (He normal, seed 0)" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["mini-mine.npz", "random.npz", "imagenet.npz"])
def test_a_preview_is_suggested_for_every_file(pictures, tmp_path, capsys, name):
    """Whatever it is called: only the built-in networks are known by their names."""
    folder = tmp_path / "mini (built in)"
    folder.mkdir()
    path = folder / name
    path.write_bytes(assets.MINI.read_bytes())
    assert weights_module.load(path).kind == "file"
    out = str(tmp_path / "out.png")
    assert run(*pictures, "-o", out, *SMALL, "--iterations=0", f"--weights={path}") == 0
    line = capsys.readouterr().out.splitlines()[0]
    assert line == f"weights: {path}; for a fast preview: --weights=mini"


def test_snapshots_are_written_and_not_kept(pictures, tmp_path, monkeypatch):
    results = []

    class Recorded(transfer.StyleTransfer):
        def run(self):
            results.append(super().run())
            return results[-1]

    monkeypatch.setattr(transfer, "StyleTransfer", Recorded)
    out = tmp_path / "out.png"
    assert run(*pictures, "-o", str(out), *SMALL, "--snapshots=1,3") == 0
    assert [result.snapshots for result in results] == [{}]
    names = {"out.png", "out.json", "out-0001.png", "out-0003.png"}
    assert {path.name for path in tmp_path.iterdir()} == names


def test_the_last_line_tells_the_loss_as_saved(pictures, tmp_path, capsys):
    out = tmp_path / "out.png"
    assert run(*pictures, "-o", str(out), *SMALL) == 0
    manifest = json.loads(out.with_suffix(".json").read_text())
    first, total, saved = (
        f"{loss:.4g}"
        for loss in (manifest["history"][0]["total"], manifest["total"], manifest["saved_total"])
    )
    line = capsys.readouterr().out.splitlines()[-1]
    assert line.endswith(f" s; loss {first} -> {total}, {saved} as saved")


def test_a_loss_as_saved_that_is_not_finite_is_left_out(pictures, tmp_path, capsys, monkeypatch):
    class Poisoned(Workshop):
        """Its objectives give NaN of any image that a file can hold."""

        def objective(self, *arguments, **options):
            evaluate = super().objective(*arguments, **options)

            def poisoned(image):
                loss, gradient, terms = evaluate(image)
                levels = image * 255
                held = tf.reduce_all(tf.abs(levels - tf.round(levels)) < 1e-3)
                return Evaluation(tf.where(held, np.nan, loss), gradient, terms)

            return poisoned

    monkeypatch.setattr(workshops, "OF_PROCESS", Workshops())
    monkeypatch.setattr(workshops, "Workshop", Poisoned)
    out = tmp_path / "out.png"
    assert run(*pictures, "-o", str(out), *SMALL, "--init=noise") == 0
    manifest = json.loads(out.with_suffix(".json").read_text())
    assert manifest["saved_total"] is None and np.isfinite(manifest["total"])
    line = capsys.readouterr().out.splitlines()[-1]
    assert line.endswith(f" -> {manifest['total']:.4g}")


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ([], ("winograd", "float32")),
        (["--engine=direct", "--dtype=mixed_bfloat16"], ("direct", "mixed_bfloat16")),
    ],
)
def test_one_line_says_how_it_is_computed(pictures, tmp_path, capsys, flags, expected):
    out = tmp_path / "out.png"
    assert run(*pictures, "-o", str(out), *SMALL, *flags) == 0
    assert "engine: {} in {}".format(*expected) in capsys.readouterr().out
    manifest = json.loads(out.with_suffix(".json").read_text())
    assert (manifest["engine"], manifest["dtype"]) == expected


def test_every_picture_is_decoded_once(pictures, tmp_path, monkeypatch):
    told, decode = [], encoded.decoded
    monkeypatch.setattr(
        encoded, "decoded", lambda data, what, *more: told.append(what) or decode(data, what, *more)
    )
    assert run(*pictures, "-o", str(tmp_path / "out.png"), *SMALL) == 0
    assert told == pictures


@pytest.mark.slow
def test_the_same_command_gives_the_same_bytes(pictures, tmp_path):
    """In two processes, as people run it; beside each other, which shuffles their threads."""
    command = [sys.executable, "-m", "nst_tf.apps.main", "stylize", *pictures, "--size=96"]
    command += ["--evaluations=1", "--init=noise", "--weights=mini", "--quiet", *SHALLOW]
    processes = [
        subprocess.Popen(
            [*command, "-o", name],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment(),
        )
        for name in ("a.png", "b.png")
    ]
    for process in processes:
        out, _ = process.communicate(timeout=300)
        assert process.returncode == 0, out
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_stops_after_the_step_and_saves(pictures, tmp_path, number, code):
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "nst_tf.apps.main",
            "stylize",
            *pictures,
            "-o",
            "out.png",
            *SMALL,
            "--iterations=100000",
            "--snapshot_every=1",
        ],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    try:
        deadline = time.monotonic() + 120
        while not (tmp_path / "out-0002.png").exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        process.send_signal(number)
        out, err = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == code, err
    assert "interrupted after" in out and "stopping after this step" in err
    assert "Traceback" not in err
    with Image.open(tmp_path / "out.png") as image:
        image.load()
    manifest = json.loads((tmp_path / "out.json").read_text())
    assert manifest["stopped"] == "interrupted" and len(manifest["history"]) >= 3


def environment() -> dict[str, str]:
    """As a user has it: no log level, and as many threads as there are."""
    tests = ("TF_CPP_MIN_LOG_LEVEL", "TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS")
    return {key: value for key, value in os.environ.items() if key not in tests}


@pytest.mark.parametrize("script", ["stylize", "plot"])
def test_the_scripts_run_from_a_checkout(script, tmp_path):
    path = assets.SCENE.parent.parent.parent / "scripts" / f"{script}.py"
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, str(path), "--help"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=kept,
    )
    assert done.returncode == 0 and f"nst-tf {script}" in done.stdout and not done.stderr


def test_help_shows_every_flag_with_its_default_without_tensorflow():
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from nst_tf.apps.main import main; code = main(['stylize', '--help']); "
            "assert 'tensorflow' not in sys.modules; sys.exit(code)",
        ],
        capture_output=True,
        text=True,
        env=environment(),
    )
    assert done.returncode == 0, done.stderr
    for flag in set(stylize.define_flags()) - {"o"}:
        assert f"--{flag}\n" in done.stdout, flag
    assert "-o, --output" in done.stdout and "(default: 'crisp')" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 100


def test_the_command_without_a_command(capsys):
    assert main([]) == 2
    assert main(["--help"]) == 0
    assert "stylize" in capsys.readouterr().out
    assert main(["--version"]) == 0
    assert main(["draw"]) == 2
    assert "no command 'draw'" in capsys.readouterr().err


@pytest.mark.slow
def test_plot_draws_the_curves(pictures, tmp_path, capsys):
    out = tmp_path / "out.png"
    assert run(*pictures, "-o", str(out), *SMALL) == 0
    curves = tmp_path / "curves.png"
    json_file = str(out.with_suffix(".json"))
    assert main(["plot", json_file, "-o", str(curves)]) == 0
    with Image.open(curves) as image:
        assert len(image.convert("RGB").getcolors(1 << 24)) > 3  # axes and several curves
    assert main(["plot", json_file, json_file, "-o", str(curves)]) == 0
    capsys.readouterr()
    for bad in (str(out), str(tmp_path / "missing.json")):
        assert main(["plot", bad, "-o", str(curves)]) == 2
        error = capsys.readouterr().err
        assert bad in error and error.count("\n") == 1
    assert main(["plot", json_file, "-o", str(tmp_path / "curves.xyz")]) == 2
    assert "cannot write" in capsys.readouterr().err


def test_running_out_of_memory_is_one_line(capsys):
    def exhausted(argv):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")

    assert command.run("stylize", exhausted, []) == 2
    assert (
        capsys.readouterr().err
        == "nst-tf stylize: out of memory; try --tile=512, or a smaller --size\n"
    )


def test_a_full_disk_does_not_lose_the_run(pictures, tmp_path, capsys, monkeypatch):
    """A snapshot that cannot be written ends the run, whose best image is then saved."""
    from nst_tf.errors import PictureError
    from nst_tf.pictures import images

    save = images.save

    def full_for_snapshots(picture, path, *options):
        if "-0002" in str(path):
            raise PictureError(f"cannot write {path}: No space left on device")
        save(picture, path, *options)

    monkeypatch.setattr(images, "save", full_for_snapshots)
    out = tmp_path / "out.png"
    code = run(*pictures, "-o", str(out), *SMALL, "--iterations=9", "--snapshots=2", "--quiet")
    assert code == 2 and "No space left" in capsys.readouterr().err
    assert out.exists() and out.with_suffix(".json").exists()
