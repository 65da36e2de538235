"""Runs with masks and with what is protected, in Python and from the command line."""

from __future__ import annotations

import json

import numpy as np
import pytest

from nst_tf import assets
from nst_tf.apps.main import main
from nst_tf.errors import SettingsError
from nst_tf.losses import statistics
from nst_tf.network import vgg
from nst_tf.network import weights as weights_module
from nst_tf.pictures import images, masks
from nst_tf.pictures.masks import Masked
from nst_tf.run.transfer import StyleTransfer
from nst_tf.run.workshop import Workshop

#: White on the left, black on the right, and the other way round; at a size of their own.
LEFT = np.kron([[1.0, 0.0]], np.ones((20, 10)))
RIGHT = 1 - LEFT


def run_of(scene, style, weights, **more):
    options = {
        "content_layers": {"conv2_1": 1.0},
        "style_layers": {"conv1_1": 1.0, "conv2_1": 1.0},
        "style_weight": 50.0,
        "optimizer": "adam",
        "min_scale": 34,
        "iterations": 1,
        "size": 48,
    }
    return StyleTransfer(scene, style, weights=weights, **{**options, **more})


def test_masks_follow_the_scales_and_are_data(tiny_weights, scene, painting):
    """One trace serves all scales and all masks; what runs make is what they make alone."""
    workshop, other = Workshop(), painting[::-1, :, ::-1].copy()
    ends = []
    for left, right, protect in (
        (LEFT, RIGHT, LEFT * 0.5),
        (RIGHT, LEFT, LEFT * 0.5),
        (RIGHT, LEFT, LEFT),
    ):
        style = [Masked(painting, left), Masked(other, right)]
        run = run_of(scene, style, tiny_weights, protect=protect, workshop=workshop)
        result = run.run()
        assert np.isfinite([row["total"] for row in result.history]).all()
        assert run.build_objective().traces == 1
        ends.append(result.array)
    assert all(np.abs(ends[index] - ends[index - 1]).max() > 0.01 for index in range(3))
    objective = run.build_objective()
    alone = run_of(scene, style, tiny_weights, protect=protect).run()
    np.testing.assert_array_equal(alone.array, ends[-1])
    plain = run_of(scene, [painting, other], tiny_weights, workshop=workshop)
    assert plain.build_objective() is not objective


@pytest.mark.parametrize("kind", ["free", "content", "palette"])
def test_what_is_protected_is_the_photo(tiny_weights, scene, painting, shared, kind):
    protect = np.zeros((36, 48), np.float32)
    protect[8:20, 10:30] = 1
    protect[20:24] = 0.5
    options = {"protect": protect, "colours": kind, "init": "noise", "workshop": shared}
    options["grain"] = "free" if kind == "free" else "painting"  # whose loss is another
    run = run_of(scene, painting, tiny_weights, **options)
    inside = protect == 1
    for step in run:
        if step.array.shape[:2] == protect.shape:
            np.testing.assert_array_equal(step.array[inside], run.content[inside])
    result = run.result()
    np.testing.assert_array_equal(result.array[inside], run.content[inside])
    assert np.abs(result.array - run.content)[protect == 0].mean() > 0.02
    if kind == "free":
        totals = [result.manifest[name] for name in ("total", "saved_total")]
        assert totals[1] == pytest.approx(totals[0], rel=0.05)


@pytest.fixture(scope="module")
def shared():
    return Workshop()


def test_a_protected_run_that_stops_early_has_the_photo_in_full(
    tiny_weights, scene, painting, shared
):
    protect = np.kron([[1.0, 0.0]], np.ones((36, 24)))
    run = run_of(scene, painting, tiny_weights, protect=protect, workshop=shared)
    step = next(iter(run))
    assert step.array.shape[1] < 48
    np.testing.assert_array_equal(run.best[:, :24], run.content[:, :24])


def test_a_palette_is_each_regions_own(tiny_weights, scene):
    """A gray style image on the left, a coloured one on the right."""
    gray = np.repeat(np.random.default_rng(5).random((40, 40, 1), np.float32), 3, axis=2)
    coloured = gray * np.float32([1.0, 0.4, 0.1])
    style = [Masked(gray, LEFT), Masked(coloured, RIGHT)]
    run = run_of(scene, style, tiny_weights, colours="palette", min_scale=None, iterations=2)
    made = run.run().array
    chroma = made.max(2) - made.min(2)
    assert chroma[:, :22].max() < 0.02
    assert chroma[:, 26:].mean() > 0.1


@pytest.fixture(scope="module")
def mini():
    return weights_module.load("mini")


@pytest.mark.slow
def test_each_half_is_nearer_to_its_own_style_by_a_factor_of_five(mini, scene, painting):
    """In both of the statistics that a style is told by; measured of the halves cut out."""
    rows, columns = np.mgrid[:48, :64]
    stripes = np.sin(columns / 2)[..., None] * 0.5 + 0.5
    stripes = np.float32(np.clip(stripes * [0.9, 0.3, 0.1] + 0.02 * (rows % 3)[..., None], 0, 1))
    layers = ("conv1_1", "conv2_1", "conv3_1")
    run = StyleTransfer(
        scene,
        [Masked(painting, LEFT), Masked(stripes, RIGHT)],
        weights=mini,
        size=64,
        strength=0.9,
        min_scale=None,
        evaluations=40,
        iterations=None,
        grain="free",  # its places are a sixth of this picture wide, and reach into both halves
        content_layers={"conv3_1": 1.0},
        style_layers=dict.fromkeys(layers, 1.0),
    )
    made = run.run().array
    model = vgg.build_model(layers, mini)

    def apart(a, b, statistic):
        a, b = model(a[None]), model(b[None])
        finished = [
            {key: statistic.finish(statistic.measure(maps[key])) for key in layers}
            for maps in (a, b)
        ]
        return sum(
            float(
                statistic.distance(
                    finished[0][key], statistics.prepare(statistic, finished[1][key])
                )[0]
            )
            for key in layers
        )

    middle = made.shape[1] // 2
    for name in ("gram-mean", "wasserstein"):
        statistic = statistics.named(name)
        for half, own, other in (
            (made[:, :middle], painting, stripes),
            (made[:, middle:], stripes, painting),
        ):
            assert apart(half, other, statistic) > 5 * apart(half, own, statistic), name


@pytest.mark.slow
def test_everything_at_once(mini, scene, painting):
    """Two styles, masks, protection, the photo's colours, Wasserstein, scales, strips, the
    built-in network, half precision: what works all together works two by two."""
    result = StyleTransfer(
        scene[:, :48],
        [Masked(painting, LEFT), Masked(painting[::-1].copy(), RIGHT)],
        protect=np.kron([[1.0], [0.0]], np.ones((8, 16))),
        weights=mini,
        size=48,
        colours="content",
        style_layers={"conv2_1": 1.0},
        content_layers={"conv2_1": 1.0},
        optimizer="adam",
        min_scale=34,
        iterations=None,
        evaluations=1,
        tile=16,
        dtype="mixed_float16",
    ).run()
    assert result.manifest["dtype"] == "mixed_float16"
    assert np.isfinite([row["total"] for row in result.history]).all()
    assert result.history[-1]["style"] < result.history[0]["style"]


def test_masks_that_cannot_be_used_are_one_line(tiny_weights, scene, painting):
    black, white = np.zeros((4, 4)), np.ones((4, 4))
    for style, more, message in (
        (Masked(painting, black), {}, "a mask is black everywhere"),
        (painting, {"protect": black}, "a mask is black everywhere"),
        (painting, {"protect": white}, "leave it no place"),
        ([Masked(painting, white), painting], {}, "a style image: .*leave it no place"),
        ([Masked(painting, LEFT), painting, painting], {}, "2 of 3 style images have no mask"),
        ([Masked(painting, LEFT), painting], {"style_blend": (1, 1)}, "style_blend is for style"),
        ([Masked(painting, np.ones((3, 3, 7))), painting], {}, "the array has the shape"),
        ([Masked(painting, LEFT), painting], {"preset": "neighbours"}, "knows no regions"),
    ):
        with pytest.raises(Exception, match=message) as caught:
            run_of(scene, style, tiny_weights, **more)
        assert "\n" not in str(caught.value)


def test_masks_and_pictures_on_the_command_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.jpg", "m.png", "odd:name.jpg", "odd", "a.jpg:whole.png", "odd:m.png"):
        (tmp_path / name).write_text("")
    assert masks.parse("a.jpg") == "a.jpg"
    assert masks.parse("a.jpg:m.png") == Masked("a.jpg", "m.png")
    assert masks.parse("odd:name.jpg") == "odd:name.jpg"
    assert masks.parse("odd:name.jpg:m.png") == Masked("odd:name.jpg", "m.png")
    assert masks.parse("a.jpg:odd:m.png") == Masked("a.jpg", "odd:m.png")
    assert masks.parse("a.jpg:whole.png") == "a.jpg:whole.png"
    assert masks.parse("a.jpg:none.png") == Masked("a.jpg", "none.png")
    assert masks.parse("none.jpg:m.png") == Masked("none.jpg", "m.png")
    assert masks.parse("http://x/none.jpg") == "http://x/none.jpg"
    with pytest.raises(SettingsError, match="name the mask behind the colon"):
        masks.parse("a.jpg:")


def test_a_run_from_the_command_line(tmp_path, capsys):
    left, right = tmp_path / "left.png", tmp_path / "right.png"
    for path, mask in ((left, LEFT), (right, RIGHT)):
        images.save(np.repeat(np.float32(mask)[..., None], 3, axis=2), path)
    out, photo, style = tmp_path / "out.png", str(assets.SCENE), str(assets.PAINTING)
    flags = ["--size=48", "--preset=gatys2016", "--evaluations=2", "--weights=mini", "--quiet"]
    flags += ["--style_layers=conv1_1", "--content_layers=conv1_1", "--optimizer=adam"]
    masked = ["stylize", photo, f"{style}:{left}", style, "-o", str(out), *flags]
    assert main([*masked, f"--protect={right}"]) == 0
    manifest = json.loads(out.with_suffix(".json").read_text())
    assert manifest["content"]["protect"]["path"] == str(right)
    assert manifest["styles"][0]["mask"]["path"] == str(left)
    assert "mask" not in manifest["styles"][1]
    capsys.readouterr()
    for arguments, message in (
        ([*masked[: -1 - len(flags)], str(left), *flags], "is one of the pictures to read"),
        ([*masked, f"--protect={tmp_path / 'none.png'}"], "cannot read"),
        (["stylize", photo, f"{style}:{left}", "--method=quilting"], "quilting takes no masks"),
        (["stylize", photo, style, "--method=quilting", f"--protect={left}"], "knows no --protect"),
        (["experiment", "ratio", photo, f"{style}:{left}", "--out=x"], "takes no masks"),
    ):
        assert main(arguments) == 2
        error = capsys.readouterr().err.strip()
        assert message in error and "\n" not in error


def test_a_protected_photo_stays_beyond_the_largest_scale(scene, painting, tiny_weights):
    half = np.kron([[1.0, 0.0]], np.ones((2, 1)))
    run = run_of(scene, painting, tiny_weights, protect=half, max_scale=24, min_scale=None)
    result = run.run().array
    kept = masks.read(half, *result.shape[:2]) == 1
    assert kept.mean() > 0.2
    np.testing.assert_array_equal(result[kept], run.content[kept])
    assert np.abs(result - run.content)[:, -8:].mean() > 0.003
