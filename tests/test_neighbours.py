"""Hypercolumns, their nearest neighbours and what is made of them, beside NumPy in float64."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tensorflow as tf

import nst_tf
from nst_tf.errors import SettingsError
from nst_tf.export import saved_model
from nst_tf.losses import hypercolumns, neighbours
from nst_tf.losses.neighbour_objective import NeighbourObjective, share_of_content
from nst_tf.network.feature_model import feature_model
from nst_tf.recipe import layers, presets
from nst_tf.run import schedule
from nst_tf.run.transfer import StyleTransfer
from nst_tf.run.workshop import Workshop

draw = np.random.default_rng(0)

#: One layer of each block with another way to a quarter of the size, and few of them: tracing is
#: what takes time. Of a weight other than 1, so that it is seen.
LAYERS = {"conv1_2": 1.0, "conv2_1": 2.0, "conv3_1": 1.0, "conv4_1": 0.5}
SETTINGS = presets.settings("neighbours", style_layers=LAYERS, content_layers={})
#: Some 16 iterations at each size from 24 to 32.
SMALL = {"preset": "neighbours", "size": 32, "min_scale": 24, "iterations": 1}


def maps_of(height, width, channels=3):
    """Maps of a picture of that size, float32 [1, h, w, channels] by layer."""
    return {
        key: draw.uniform(
            size=(1, *(side >> (layers.parse(key).block - 1) for side in (height, width)), channels)
        ).astype(np.float32)
        for key in LAYERS
    }


def enlarged(maps, height, width):
    """Bilinear interpolation, pixels being areas, position by position."""
    result = np.zeros((height, width, maps.shape[-1]))

    def place(index, before, after):
        at = min(max((index + 0.5) * before / after - 0.5, 0), before - 1)
        return int(at), min(int(at) + 1, before - 1), at - int(at)

    for y in range(height):
        for x in range(width):
            top, bottom, down = place(y, maps.shape[0], height)
            left, right, across = place(x, maps.shape[1], width)
            above = maps[top, left] * (1 - across) + maps[top, right] * across
            below = maps[bottom, left] * (1 - across) + maps[bottom, right] * across
            result[y, x] = above * (1 - down) + below * down
    return result


def columns_by_hand(maps, height, width):
    """float64 [height / 4, width / 4, channels] by layer."""
    height, width = height // 4, width // 4
    columns = {}
    for key, value in maps.items():
        value, block = np.float64(value[0]), layers.parse(key).block
        if block < 3:
            side = 4 >> (block - 1)
            value = value[: height * side, : width * side]
            value = value.reshape(height, side, width, side, -1).mean((1, 3))
        else:
            value = enlarged(value, height, width)
        columns[key] = value / np.sqrt(value.shape[-1] * layers.CHANNELS[key])
    return columns


def joined(columns, factors=LAYERS):
    """Hypercolumns, float64 [positions, all channels]."""
    parts = [factors[key] * part.reshape(-1, part.shape[-1]) for key, part in columns.items()]
    return np.concatenate(parts, 1)


def cosines(queries, candidates):
    """Of every two, by the definition."""
    lengths = np.linalg.norm(queries, axis=1)[:, None] * np.linalg.norm(candidates, axis=1)
    return queries @ candidates.T / lengths


@pytest.mark.parametrize("size", [(24, 32), (27, 38)])
def test_hypercolumns_are_means_and_interpolations(size):
    maps = maps_of(*size)
    found = hypercolumns.columns({key: tf.constant(value) for key, value in maps.items()}, *size)
    for key, expected in columns_by_hand(maps, *size).items():
        np.testing.assert_allclose(
            found[key], expected.reshape(-1, 3), rtol=1e-5, atol=1e-7, err_msg=key
        )


def test_a_narrower_networks_part_is_as_long_as_vgg19s():
    """t = E h with E Eᵀ = r I: then |t| / C is what its part has to be as long as."""
    wide, narrow = layers.CHANNELS["conv3_1"], 64
    isometry = np.linalg.qr(draw.standard_normal((wide, narrow)))[0] * np.sqrt(wide / narrow)
    features = draw.uniform(size=(1, 2, 2, narrow))
    of_vgg19 = np.float32(features @ isometry.T)
    lengths = [
        np.linalg.norm(hypercolumns.columns({"conv3_1": tf.constant(maps)}, 8, 8)["conv3_1"])
        for maps in (np.float32(features), of_vgg19)
    ]
    assert lengths[0] == pytest.approx(lengths[1], rel=1e-5)


def parts_of(count, widths=(3, 5)):
    return {
        key: draw.standard_normal((count, width)).astype(np.float32)
        for key, width in zip(("conv1_1", "conv3_1"), widths, strict=True)
    }


def tensors(parts):
    return {key: tf.constant(part) for key, part in parts.items()}


def whole(parts):
    return np.concatenate([np.float64(part) for part in parts.values()], 1)


@pytest.mark.parametrize("chunk", [1, 100, 1 << 20])
def test_the_nearest_are_those_of_brute_force(chunk):
    queries, candidates = parts_of(31), parts_of(17)
    found = neighbours.nearest(tensors(queries), tensors(candidates), chunk)
    expected = cosines(whole(queries), whole(candidates)).argmax(1)
    np.testing.assert_array_equal(found, expected)
    assert len(set(expected)) > 5
    # not those of the Euclidean distance
    apart = np.linalg.norm(whole(queries)[:, None] - whole(candidates), axis=2).argmin(1)
    assert (apart != expected).any()


def test_no_more_distances_than_the_chunk_are_there_at_once(monkeypatch):
    sizes, argmax = [], tf.argmax
    monkeypatch.setattr(tf, "argmax", lambda x, *more: sizes.append(x.shape) or argmax(x, *more))
    neighbours.nearest(tensors(parts_of(31)), tensors(parts_of(17)), 100)
    assert sum(size[0] for size in sizes) == 31
    assert max(size[0] * size[1] for size in sizes) <= 100


def test_a_sample_has_each_pictures_share():
    first, second = neighbours.sample([1000, 1000], [0.75, 0.25], 400)
    assert (len(first), len(second)) == (300, 100)
    assert len(set(first)) == 300 and first.max() < 1000 and list(first) == sorted(first)
    again, _ = neighbours.sample([1000, 1000], [0.75, 0.25], 400)
    np.testing.assert_array_equal(first, again)
    everything, none = neighbours.sample([50, 60], [1.0, 0.0], 400)
    np.testing.assert_array_equal(everything, np.arange(50))
    assert len(none) == 0


@pytest.mark.parametrize("layerwise", [False, True])
def test_distances_and_their_gradient(layerwise):
    """Against the definition, and against differences of it: the neighbours stay who they are."""
    parts, candidates = ({k: np.float64(v) for k, v in parts_of(n).items()} for n in (6, 4))
    factors = {"conv1_1": 1.5, "conv3_1": 0.5}
    matches = draw.integers(0, 4, (2, 6))
    if not layerwise:
        matches[1] = matches[0]

    def by_hand(parts):
        if layerwise:
            pairs = [
                (parts[key], candidates[key][match])
                for key, match in zip(parts, matches, strict=True)
            ]
        else:
            pairs = [
                tuple(
                    np.concatenate([factors[key] * some[key] for key in factors], 1)
                    for some in (parts, {key: candidates[key][matches[0]] for key in candidates})
                )
            ]
        return np.mean([1 - np.diag(cosines(x, y)) for x, y in pairs])

    with tf.GradientTape() as tape:
        x = tensors(parts)
        tape.watch(x)
        loss = neighbours.distances(
            x,
            tensors(candidates),
            tf.constant(matches),
            {key: tf.constant(value, tf.float64) for key, value in factors.items()},
            tf.constant(layerwise),
        )
    assert float(loss) == pytest.approx(by_hand(parts), rel=1e-10)
    gradient = tape.gradient(loss, x)
    for key, part in parts.items():
        for at in np.ndindex(part.shape):
            step = np.zeros_like(part)
            step[at] = 1e-6
            moved = [by_hand({**parts, key: part + sign * step}) for sign in (1, -1)]
            expected = (moved[0] - moved[1]) / 2e-6
            assert gradient[key].numpy()[at] == pytest.approx(expected, abs=1e-8)


def test_a_black_hypercolumn_has_a_distance_and_no_gradient():
    parts, ones = {"conv1_1": tf.zeros([2, 3])}, {"conv1_1": tf.ones([2, 3])}
    with tf.GradientTape() as tape:
        tape.watch(parts)
        loss = neighbours.distances(
            parts, ones, tf.zeros([1, 2], tf.int32), {"conv1_1": tf.ones([])}, tf.constant(False)
        )
    assert float(loss) == 1
    np.testing.assert_array_equal(tape.gradient(loss, parts)["conv1_1"], 0)


@pytest.fixture(scope="module")
def model(tiny_weights):
    return feature_model(tiny_weights, SETTINGS)


def objective_of(model, content, styles, **options):
    objective = NeighbourObjective.from_settings(SETTINGS, model, engine="keras", **options)
    objective.set_content(content)
    objective.set_styles(styles)
    return objective


@pytest.fixture(scope="module")
def objective(model, scene, painting):
    return objective_of(model, scene[:32, :40], [painting[:24, :32], painting[30:50, :28]])


def by_hand(model, picture):
    height, width = picture.shape[:2]
    return columns_by_hand(
        {key: value.numpy() for key, value in model(picture[np.newaxis]).items()}, height, width
    )


@pytest.mark.parametrize("layerwise", [False, True])
def test_the_loss_is_the_mean_distance_from_brute_forces_neighbours(
    objective, model, scene, painting, layerwise
):
    """Two style images; neighbours of what is between the content image and the image."""
    content, image = scene[:32, :40], scene[10:42, 10:50]
    objective.begin(tf.constant(image[np.newaxis]), layerwise)
    between = image if layerwise else 0.9 * content + 0.1 * image
    queries, found = by_hand(model, between), by_hand(model, image)
    styles = [by_hand(model, picture) for picture in (painting[:24, :32], painting[30:50, :28])]
    losses = []
    for keys in [[key] for key in LAYERS] if layerwise else [list(LAYERS)]:
        candidates = np.concatenate([joined({key: one[key] for key in keys}) for one in styles])
        centre = candidates.mean(0)
        wanted = joined({key: queries[key] for key in keys})
        matches = cosines(wanted - wanted.mean(0), candidates - centre).argmax(1)
        here = joined({key: found[key] for key in keys}) - centre
        losses.append(1 - np.diag(cosines(here, candidates[matches] - centre)))
    evaluation = objective(tf.constant(image[np.newaxis]))
    assert float(evaluation.loss) == pytest.approx(np.mean(losses), rel=1e-4)
    assert float(evaluation.terms["style"]) == float(evaluation.loss)
    assert objective.traces == 1  # both kinds of stages share it


def test_the_gradient_is_that_of_fixed_neighbours(objective, scene):
    """Along the gradient the loss falls as fast as it says."""
    image = tf.constant(scene[np.newaxis, :32, :40])
    objective.begin(None)
    gradient = objective(image).gradient
    direction = gradient / tf.norm(gradient)
    ahead, behind = (float(objective(image + t * direction).loss) for t in (0.01, -0.01))
    assert (ahead - behind) / 0.02 == pytest.approx(float(tf.norm(gradient)), rel=0.02)


def test_a_painting_in_its_own_style_is_there_already(objective, painting):
    objective.set_content(painting[:32, :40])
    objective.set_styles([painting[:32, :40]])
    objective.begin(None)
    assert float(objective(tf.constant(painting[np.newaxis, :32, :40])).loss) < 1e-6


def test_strips_and_half_precision_give_the_same(tiny_weights, objective, scene, painting):
    content, style = scene[:64, :24], painting[:64, :40]
    image = tf.constant(painting[np.newaxis, :64, 20:44])
    evaluations = []
    for dtype, tile in (("float32", None), ("float32", 16), ("mixed_bfloat16", None)):
        model = feature_model(tiny_weights, SETTINGS, dtype)
        measured = objective_of(model, content, [style], tile=tile)
        measured.begin(None)
        evaluations.append(measured(image))
    exact, strips, half = evaluations
    np.testing.assert_allclose(strips.loss, exact.loss, rtol=1e-5)
    np.testing.assert_allclose(
        strips.gradient, exact.gradient, atol=1e-4 * np.abs(exact.gradient).max()
    )
    cosine = cosines(*(np.float64(e.gradient).reshape(1, -1) for e in (exact, half)))
    assert float(half.loss) == pytest.approx(float(exact.loss), rel=0.1)
    assert cosine > 0.9  # a few neighbours are others


def test_strength_moves_the_share_of_the_content_image():
    shares = [share_of_content(SETTINGS.replace(strength=s)) for s in (0, 0.25, 0.5, 0.75, 1)]
    assert shares == sorted(shares, reverse=True)
    assert (shares[0], shares[2], shares[4]) == (1, SETTINGS.content_share, 0)


def test_the_last_looks_are_as_long_as_the_last_scale(scene, painting):
    settings = presets.settings("neighbours", evaluations=8)
    stages = schedule.of_settings(settings, np.zeros((96, 128, 3)), [painting])
    kinds = [stage.layerwise for stage in stages]
    assert kinds == [False] * 3 + [True] * 4
    assert sum(stage.limits.evaluations for stage in stages[3:]) == stages[2].limits.evaluations
    content = np.zeros((96, 128, 3))
    shares = [schedule.share(stages, content, stage, 0) for stage in stages]
    assert len(set(shares)) == 7 and shares == sorted(shares)  # equal stages are told apart


@pytest.fixture(scope="module")
def workshop():
    return Workshop()


def test_a_run_with_two_styles_colours_and_rotations(tiny_weights, scene, painting, workshop):
    options = {"weights": tiny_weights, "workshop": workshop, "style_layers": LAYERS, **SMALL}
    run = StyleTransfer(
        scene,
        [painting, scene[::-1]],
        style_blend=(3, 1),
        colours="content",
        rotations=True,
        **options,
    )
    shares = [run.share for _ in run]
    assert shares == sorted(shares) and shares[-1] == 1
    result = run.result()
    assert result.stopped == "finished"
    history = [row["total"] for row in result.history]
    assert history[15] < 0.95 * history[0]
    assert np.abs(result.array - run.content).mean() > 0.01
    saved = run.build_objective(run.stages[-1], run._track.start)
    assert saved.traces == 1
    pixels = np.round(result.array[np.newaxis] * 255) / 255
    loss = float(saved(tf.constant(pixels, tf.float32)).loss)
    assert result.manifest["saved_total"] == pytest.approx(loss, rel=1e-3)


def test_a_second_run_in_the_same_workshop_gives_the_same(tiny_weights, scene, painting, workshop):
    """What one run has found is not what another looks at."""
    options = {"weights": tiny_weights, "workshop": workshop, "style_layers": LAYERS, **SMALL}
    first = nst_tf.stylize(scene, painting, **options)
    nst_tf.stylize(scene, painting, **options, content_share=0.0)
    again = nst_tf.stylize(scene, painting, **options)
    np.testing.assert_array_equal(first.array, again.array)


def test_the_preset_with_mini_in_a_manifest(scene, painting, tmp_path):
    result = nst_tf.stylize(scene, painting, weights="mini", **SMALL)
    result.save(tmp_path / "out.png")
    manifest = json.loads((tmp_path / "out.json").read_text())
    settings = manifest["settings"]
    assert (settings["style_loss"], settings["optimizer"]) == ("neighbours", "pyramid")
    assert list(settings["style_layers"])[-1] == "conv4_3" and len(settings["style_layers"]) == 11
    assert manifest["history"][-1]["total"] < 0.8 * manifest["history"][0]["total"]
    assert manifest["saved_total"] < 1.1 * manifest["total"]


@pytest.mark.parametrize("made", [nst_tf.keras.StyleLoss, nst_tf.keras.PerceptualLoss])
def test_losses_of_pictures_alone_say_that_there_are_none(made):
    with pytest.raises(SettingsError, match="neighbours' looks for its targets in the course of"):
        made(preset="neighbours")


def test_an_export_of_such_losses_is_refused_and_of_features_not(tiny_weights, tmp_path):
    with pytest.raises(SettingsError, match="neighbours' looks for its targets"):
        saved_model.export(tmp_path / "m", weights=tiny_weights, preset="neighbours", size=16)
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"content_share": 1.5}, "content_share is 1.5: use a number from 0 to 1"),
        ({"rotations": 4}, "rotations is 4: use True or False"),
        ({"style_layers": {}, "content_layers": {"conv4_2": 1.0}}, "name at least one"),
        ({"style_blend": (1,)}, "1 weights in style_blend for 2 style images"),
        ({"size": 4, "style_layers": {"conv1_1": 1.0}, "min_scale": None}, "too few for conv3_1"),
    ],
)
def test_what_cannot_be_is_said(tiny_weights, scene, painting, changes, message):
    with pytest.raises(SettingsError, match=message):
        StyleTransfer(
            scene, [painting, scene], weights=tiny_weights, **{**SMALL, **changes}
        ).build_objective()
