"""Style images with masks, each in its own part of the result, and a photo that is protected."""

from __future__ import annotations

import json

import numpy as np
import pytest
import rounding
import tensorflow as tf
from PIL import Image

from nst_tf import assets
from nst_tf.apps.main import main
from nst_tf.classical import colour
from nst_tf.errors import SettingsError
from nst_tf.losses import statistics
from nst_tf.losses.objective import Objective
from nst_tf.losses.protected import Protected
from nst_tf.losses.regional import Regional, at_layer
from nst_tf.network import vgg
from nst_tf.network import weights as weights_module
from nst_tf.pictures import colours, images, masks
from nst_tf.pictures.masks import Masked
from nst_tf.run.transfer import StyleTransfer
from nst_tf.run.workshop import Workshop

CONTENT = {"conv2_2": 1.0}
STYLE = {"conv1_1": 0.3, "conv2_1": 0.7, "conv3_1": 1.0}
#: Neither side is a multiple of 4: two poolings leave out a row and a column.
SIZE = (69, 50)

draw = np.random.default_rng(0)

#: White on the left, black on the right, and the other way round; at a size of their own.
LEFT = np.kron([[1.0, 0.0]], np.ones((20, 10)))
RIGHT = 1 - LEFT


@pytest.fixture(scope="module")
def regions():
    """Soft masks that sum to 1 nowhere in particular, float32 [height, width, 2]."""
    return np.random.default_rng(2).random((*SIZE, 2), np.float32)


@pytest.fixture(scope="module")
def make(tiny_weights):
    """Objectives of two regions, or none, of the same pictures."""
    pictures = np.random.default_rng(3)
    photo, *styles = (
        pictures.random((*size, 3), np.float32) for size in (SIZE, (40, 31), (33, 48))
    )
    model = vgg.build_model([*CONTENT, *STYLE], tiny_weights)

    def objective(these, **options):
        count = 0 if these is None else these.shape[-1]
        made = Objective(model, CONTENT, STYLE, style_weight=50.0, regions=count, **options)
        made.set_content(photo)
        made.set_styles(styles[: max(1, count)])
        if count:
            made.set_regions(these)
        return made

    objective.photo, objective.styles, objective.model = photo, styles, model
    return objective


@pytest.fixture(scope="module")
def objective(make, regions):
    return make(regions)


@pytest.fixture(scope="module")
def image(tiny_weights):
    """Where no kink of the network makes more of the rounding than it is."""
    return rounding.smooth_picture(tiny_weights, SIZE)


def of_block(mask, block):
    """The mean of every 2^(b-1) x 2^(b-1) pixels, what is left over at the borders left out."""
    side = 2 ** (block - 1)
    height, width = (length // side for length in mask.shape)
    cut = np.float64(mask[: height * side, : width * side])
    return cut.reshape(height, side, width, side).mean((1, 3))


def test_every_region_at_every_layer_against_numpy(make, objective, image, regions, tiny_weights):
    def maps(picture):
        return {key: np.float64(value[0]) for key, value in make.model(picture[None]).items()}

    def gram(features, weights):
        return np.einsum("hw,hwi,hwj->ij", weights, features, features) / weights.sum()

    found, (F, *S) = objective(tf.constant(image[None])).terms, map(maps, (image, *make.styles))
    for key in STYLE:
        expected = 0.0
        for region, style in enumerate(S):
            weights = of_block(regions[..., region], int(key[4]))
            target = gram(style[key], np.ones(style[key].shape[:2]))
            expected += weights.mean() * ((gram(F[key], weights) - target) ** 2).mean()
        bound = rounding.of_terms(tiny_weights, key, image.size)
        rounding.assert_close(found[f"style/{key}"], expected, bound, key)


def test_a_mask_of_ones_changes_nothing(make, image):
    """The style images are then those of a single region, which are blended as they are without."""
    plain, masked = make(None), make(np.ones((*SIZE, 1), np.float32))
    for style in (plain, masked):
        style.set_styles(make.styles, (3, 1))
    expected, found = (one(tf.constant(image[None])) for one in (plain, masked))
    for name, value in expected.terms.items():
        np.testing.assert_allclose(found.terms[name], value, rtol=1e-6, err_msg=name)
    rounding.assert_below(rounding.norm_error(found.gradient, expected.gradient), 1e-5)


def test_strips_of_a_masked_picture_are_the_whole(make, objective, image, regions, tiny_weights):
    stripped, whole = (one(tf.constant(image[None])) for one in (make(regions, tile=24), objective))
    for name, value in whole.terms.items():
        bound = rounding.of_terms(tiny_weights, name.partition("/")[2] or "conv3_1", image.size)
        rounding.assert_close(stripped.terms[name], value, bound, name)
    bound = rounding.of_smooth_gradient(tiny_weights, "conv3_1")
    rounding.assert_below(rounding.norm_error(stripped.gradient, whole.gradient), bound)


def test_the_gradient_with_masks_and_protection_against_finite_differences(make, objective, image):
    protect = np.random.default_rng(4).random((*SIZE, 1), np.float32)
    protect[:20] = 1
    protected = Protected(objective)
    protected.set(make.photo, protect)
    evaluation = protected(tf.constant(image[None]))
    laid = protect * make.photo + (1 - protect) * image
    assert float(evaluation.loss) == pytest.approx(float(objective(laid[None]).loss), rel=1e-5)
    gradient = np.float64(evaluation.gradient[0])
    assert not gradient[:20].any() and np.abs(gradient[20:]).min(2).max() > 0
    # Along the gradient, where the difference of two losses is far above their rounding.
    direction = gradient / np.abs(gradient).max()
    step = 1e-3
    ahead, behind = (
        float(protected(tf.constant(image[None] + sign * step * direction[None], tf.float32)).loss)
        for sign in (1, -1)
    )
    assert (ahead - behind) / (2 * step) == pytest.approx((gradient * direction).sum(), rel=0.01)


@pytest.mark.parametrize("name", list(statistics.STATISTICS))
def test_every_statistic_measures_a_region_as_if_it_were_cut_out(name):
    """A region of whole positions; the others hold something else."""
    statistic = statistics.STATISTICS[name]
    maps = tf.constant(draw.standard_normal((1, 8, 10, 5)), tf.float32)
    mask = np.zeros((1, 8, 10, 2), np.float32)
    mask[:, :, :6, 0], mask[:, 2:, 6:, 1] = 1, 1
    regional = Regional(statistic)
    measured = regional.finish(regional.measure(maps, tf.constant(mask)))
    np.testing.assert_allclose(measured.shares, [[6 / 10, 6 * 4 / 80]])
    for region, part in zip(measured.regions, (maps[:, :, :6], maps[:, 2:, 6:]), strict=True):
        alone = statistic.finish(statistic.measure(part))
        for one, other in zip(tf.nest.flatten(region), tf.nest.flatten(alone), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)
    targets = tuple(statistics.prepare(statistic, region) for region in measured.regions[::-1])
    expected = sum(
        share * statistic.distance(region, target)
        for share, region, target in zip((0.6, 0.3), measured.regions, targets, strict=True)
    )
    np.testing.assert_allclose(regional.distance(measured, targets), expected, rtol=1e-5)


def test_masks_at_a_layer_are_the_means_of_what_is_pooled(regions):
    for key in ("conv1_2", "conv3_1:pre", "block5_conv1"):
        expected = of_block(regions[..., 1], {"conv1": 1, "conv3": 3, "block": 5}[key[:5]])
        found = at_layer(tf.constant(regions[None]), key)[0, ..., 1]
        np.testing.assert_allclose(found, expected, rtol=1e-5)


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


def test_moments_of_a_part_are_those_of_its_pixels():
    picture, weights = draw.random((5, 6, 3)), draw.random((5, 6))
    mean, covariance = colour.moments(picture, weights)
    flat = picture.reshape(-1, 3)
    np.testing.assert_allclose(mean, np.average(flat, axis=0, weights=weights.ravel()))
    expected = np.cov(flat.T, aweights=weights.ravel(), ddof=0)
    np.testing.assert_allclose(covariance, expected)
    with pytest.raises(SettingsError, match="a part of shape"):
        colours.palette(picture, picture, where=weights[:4])


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


def test_shares_sum_to_one_where_there_is_a_mask():
    one, two = draw.random((2, 5, 7)).astype(np.float32)
    one[0], two[0] = 0, 0
    shares = masks.shares([one, two])
    np.testing.assert_allclose(shares[1:].sum(-1), 1, rtol=1e-6)
    np.testing.assert_allclose(shares[1:, :, 0], one[1:] / (one + two)[1:], rtol=1e-6)
    assert not shares[0].any()
    rest = masks.shares([one, None, two])
    np.testing.assert_allclose(rest.sum(-1), 1, rtol=1e-6)
    expected = np.maximum(1 - one - two, 0) / np.maximum(one + two, 1)
    np.testing.assert_allclose(rest[..., 1], expected, atol=1e-6)
    np.testing.assert_array_equal(masks.shares([one])[..., 0], one)
    with pytest.raises(SettingsError, match="2 of 3 style images have no mask"):
        masks.shares([None, one, None])


def test_masks_are_read_at_any_size_and_by_their_luminance():
    red = np.zeros((6, 4, 3), np.uint8)
    red[:, :2] = 255, 0, 0
    np.testing.assert_allclose(masks.read(red, 6, 4), 0.2126 * (red[..., 0] / 255), atol=1e-6)
    np.testing.assert_array_equal(masks.read(np.eye(3, dtype=bool), 3, 3), np.eye(3))
    # Halving averages; no overshoot beside an edge, and no pixel is passed over.
    point = np.zeros((64, 64), np.float32)
    point[13, 29] = 1
    small = masks.read(point, 8, 8)
    assert small.min() >= 0
    np.testing.assert_allclose(small.mean(), point.mean(), rtol=0.1)
    wide = masks.read(np.float32([[1, 0]]), 4, 400)
    np.testing.assert_allclose(wide[2, [0, 99, 300, 399]], [1, 1, 0, 0], atol=1e-6)
    np.testing.assert_allclose(wide[2, 200], 0.5, atol=0.01)
    np.testing.assert_array_equal(masks.resize(np.ones((9, 7, 2), np.float32), 5, 4), 1)


def test_masks_that_cannot_be_used_are_one_line(tiny_weights, scene, painting, regions, make):
    black, white = np.zeros((4, 4)), np.ones((4, 4))
    for style, more, message in (
        (Masked(painting, black), {}, "a mask is black everywhere"),
        (painting, {"protect": black}, "a mask is black everywhere"),
        (painting, {"protect": white}, "leave it no place"),
        ([Masked(painting, white), painting], {}, "a style image: .*leave it no place"),
        ([Masked(painting, LEFT), painting, painting], {}, "2 of 3 style images have no mask"),
        ([Masked(painting, LEFT), painting], {"style_blend": (1, 1)}, "style_blend is for style"),
        ([Masked(painting, np.ones((3, 3, 7))), painting], {}, "the array has the shape"),
        ([Masked(painting, LEFT), painting], {"style_loss": "neighbours"}, "knows no regions"),
    ):
        with pytest.raises(Exception, match=message) as caught:
            run_of(scene, style, tiny_weights, **more)
        assert "\n" not in str(caught.value)
    with pytest.raises(SettingsError, match="for an objective of 0 regions"):
        make(None).set_regions(regions)
    with pytest.raises(SettingsError, match="1 style images for 2 regions"):
        make(regions).set_styles(make.styles[:1])
    unset = Objective(make.model, CONTENT, STYLE, regions=2)
    unset.set_content(make.photo)
    unset.set_styles(make.styles)
    with pytest.raises(SettingsError, match="call set_regions first"):
        unset(tf.constant(make.photo[None]))


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


def test_what_is_transparent_is_not_chosen():
    """As a selection is exported: white, and transparent around it."""
    chosen = np.ones((4, 4, 4), np.float32)
    chosen[:, 2:, 3] = 0
    expected = np.repeat([[1.0, 1.0, 0.0, 0.0]], 4, axis=0)
    image = Image.fromarray(np.uint8(255 * chosen), "RGBA")
    for mask in (chosen, image):
        np.testing.assert_allclose(masks.read(mask, 4, 4), expected, atol=1e-6)
    with pytest.raises(SettingsError, match="values up to 1 alone, of which 255 would be white"):
        masks.read(np.array([[0, 1]], np.uint8), 4, 4)


def test_a_protected_photo_stays_beyond_the_largest_scale(scene, painting, tiny_weights):
    half = np.kron([[1.0, 0.0]], np.ones((2, 1)))
    run = run_of(scene, painting, tiny_weights, protect=half, max_scale=24, min_scale=None)
    result = run.run().array
    kept = masks.read(half, *result.shape[:2]) == 1
    assert kept.mean() > 0.2
    np.testing.assert_array_equal(result[kept], run.content[kept])
    assert np.abs(result - run.content)[:, -8:].mean() > 0.003
