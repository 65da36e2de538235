"""What a SavedModel's signatures give: against formulas in NumPy, and the package's own runs."""

import io
import json
import subprocess
import sys

import numpy as np
import pytest
import rounding
import tensorflow as tf
from PIL import Image

from nst_tf import assets
from nst_tf.export import parity, saved_model
from nst_tf.network import vgg
from nst_tf.pictures import images
from nst_tf.recipe import presets
from nst_tf.run.transfer import StyleTransfer
from nst_tf.run.workshop import Workshop

SETTINGS = presets.settings("gatys2016")
STYLE, CONTENT = list(SETTINGS.style_layers), list(SETTINGS.content_layers)
#: For exports of a test's own: the fewer layers there are, the sooner they are written.
SHALLOW = SETTINGS.replace(
    content_layers={"conv2_2": 1.0}, style_layers={"conv1_1": 0.5, "conv2_1": 0.5}
)
#: A run of two scales, 24 and 34 pixels, to a result of 48: steps hold at 512 pixels, so a single
#: one is 21 and 15 iterations.
SCALES = presets.settings(
    "crisp",
    content_layers={"conv3_1": 1.0},
    style_layers={"conv1_1": 0.5, "conv2_1": 0.5},
    optimizer="adam",
    bounded=True,
    average=0.8,
    strength=0.7,
    stroke_size=0.8,
    min_scale=24,
    max_scale=34,
    size=48,
    iterations=1,
)


@pytest.fixture(scope="module")
def served(exported):
    return tf.saved_model.load(str(exported))


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(0).random((2, 50, 67, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def expected(tiny_weights):
    """The feature maps of pictures, from the Keras model, in float64."""
    model = vgg.build_model([*STYLE, *CONTENT], tiny_weights, dtype="float64")
    return lambda pictures: {
        name: maps.numpy() for name, maps in model(tf.constant(pictures, tf.float64)).items()
    }


@pytest.fixture(scope="module")
def bound_of(tiny_weights):
    return lambda name: rounding.of_maps(tiny_weights, name)


def gram(maps):
    flat = maps.reshape(len(maps), -1, maps.shape[-1])
    return np.einsum("bmi,bmj->bij", flat, flat) / flat.shape[1]


def test_feature_maps(served, expected, bound_of, pictures):
    outputs = served.signatures["serving_default"](pictures=tf.constant(pictures))
    assert outputs.keys() == {*STYLE, *CONTENT}
    for name, maps in expected(pictures).items():
        assert outputs[name].dtype == tf.float32
        rounding.assert_close(outputs[name], maps, bound_of(name), name)


def test_it_can_be_called_as_from_tensorflow_hub(served, expected, bound_of, pictures):
    maps = served(tf.constant(pictures))["conv4_2"]
    rounding.assert_close(maps, expected(pictures)["conv4_2"], bound_of("conv4_2"))
    assert len(served.variables) == 2 * 13  # kernels and biases up to conv5_1, each once
    assert not served.trainable_variables


def test_every_variable_is_stored_once(exported, tiny_weights):
    names = [name for name in tiny_weights.kernels if name <= "conv5_1"]
    shapes = [tiny_weights.kernels[name].shape for name in names]
    shapes += [tiny_weights.biases[name].shape for name in names]
    stored = tf.train.list_variables(str(exported / "variables" / "variables"))
    assert sorted(tuple(shape) for _, shape in stored if shape) == sorted(shapes)


def test_a_session_restores_what_the_functions_read(exported):
    """As TF Serving loads it: a graph, a session, one variable each."""
    v1 = tf.compat.v1
    with v1.Session(graph=tf.Graph()) as session:
        loaded = v1.saved_model.load(session, ["serve"], str(exported))
        handles = [node for node in session.graph.get_operations() if node.type == "VarHandleOp"]
        assert len(handles) <= 2 * 13 + 1  # and the count of saves
        signature = loaded.signature_def["image_bytes_grams"]
        outputs = {key: info.name for key, info in signature.outputs.items()}
        name = signature.inputs["image_bytes"].name
        answer = session.run(outputs, {name: [assets.SCENE.read_bytes()]})
    assert all(np.isfinite(value).all() for value in answer.values())


def test_statistics(served, expected, bound_of, pictures):
    outputs = served.signatures["grams"](pictures=tf.constant(pictures))
    assert outputs.keys() == {f"{name}_{kind}" for name in STYLE for kind in ("gram", "mean")}
    for name in STYLE:
        maps = expected(pictures)[name]
        bound = 2 * bound_of(name) + rounding.of_sums(maps[0, ..., 0].size)
        rounding.assert_close(outputs[f"{name}_gram"], gram(maps), bound, name)
        rounding.assert_close(outputs[f"{name}_mean"], maps.mean((1, 2)), bound, name)


def test_bytes_as_pixels(served, bound_of, pictures):
    whole = (pictures * 255).astype(np.uint8)
    outputs = served.signatures["uint8"](pictures=tf.constant(whole))
    same = served.signatures["serving_default"](pictures=tf.constant(whole / np.float32(255)))
    for name in same:
        rounding.assert_close(outputs[name], same[name], bound_of(name), name)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "JPEG"])
def test_files_are_decoded_and_resized(served, bound_of, kind):
    """A flat picture, whatever its size and form, is that colour everywhere."""
    files = []
    for size in ((31, 90), (200, 50)):
        stream = io.BytesIO()
        Image.new("RGB", size, (200, 100, 50)).save(stream, kind)
        files.append(stream.getvalue())
    outputs = served.signatures["image_bytes"](image_bytes=tf.constant(files))
    flat = np.broadcast_to(np.array([200, 100, 50], np.float32) / 255, (2, 48, 48, 3))
    same = served.signatures["fixed"](pictures=tf.constant(flat))
    for name in same:
        # JPEG has the colour to a level or two of 255, and its decoders differ by one.
        most = 0.03 if kind == "JPEG" else bound_of(name)
        rounding.assert_close(outputs[name], same[name], most, name)
    statistics = served.signatures["image_bytes_grams"](image_bytes=tf.constant(files))
    means = outputs["conv1_1"].numpy().mean((1, 2))
    bound = bound_of("conv1_1") + rounding.of_sums(48 * 48)
    rounding.assert_close(statistics["conv1_1_mean"], means, bound)


def test_losses_between_two_pictures(served, expected, bound_of, pictures):
    others = pictures[:, ::-1, ::-1].copy()
    maps, targets = expected(pictures), expected(others)
    given = {"pictures": tf.constant(pictures), "others": tf.constant(others)}
    # A network of 4 channels: Gram matrices of `gram-mean` need no factor for the width.
    by_layer = {
        name: ((gram(maps[name]) - gram(targets[name])) ** 2).mean((1, 2)) for name in STYLE
    }
    total = sum(SETTINGS.style_layers[name] * by_layer[name] for name in STYLE)
    # Two turned pictures have nearly the same Gram matrices: their difference is a few hundredths.
    style_loss = served.signatures["style_loss"](**given)["style_loss"]
    rounding.assert_close(style_loss, total, 10 * bound_of("conv5_1"))
    content = ((maps["conv4_2"] - targets["conv4_2"]) ** 2).mean((1, 2, 3))
    content_loss = served.signatures["content_loss"](**given)["content_loss"]
    rounding.assert_close(content_loss, content, 4 * bound_of("conv4_2"))


def test_pictures_of_two_sizes_have_a_style_loss(served, pictures):
    smaller = pictures[:, :33, :40]
    losses = served.signatures["style_loss"](
        pictures=tf.constant(pictures), others=tf.constant(smaller)
    )
    assert np.isfinite(losses["style_loss"]).all()


def test_a_whole_run_is_served(served, tiny_weights, tmp_path):
    """The same picture and losses as a run of the package, from the same files.

    After six steps of L-BFGS a change of 4e-6 of the picture is one of 6e-6 of the loss.
    """
    paths = [tmp_path / "content.png", tmp_path / "style.png"]
    for path, picture in zip(paths, (assets.SCENE, assets.PAINTING), strict=True):
        images.save(images.load(picture, 48), path)
    options = {"preset": "gatys2016", "size": 48, "iterations": 6, "engine": "keras"}
    run = StyleTransfer(*paths, weights=tiny_weights, **options).run()
    content, style = (tf.constant(path.read_bytes()) for path in paths)
    made = served.signatures["stylize"](
        content_bytes=content, style_bytes=style, steps=tf.constant(6)
    )
    for step, row in enumerate(run.history):
        rounding.assert_close(made["loss"][step], row["total"], 1e-3, step)
    pixels = tf.io.decode_png(made["image_bytes"]).numpy().astype(int)
    assert np.abs(pixels - np.asarray(run.image).astype(int)).max() <= 2


@pytest.fixture(scope="module")
def from_coarse_to_fine(tiny_weights, tmp_path_factory):
    """A SavedModel's run of `SCALES`, and the package's own, of a photo and a painting each."""
    servable = saved_model.build(tiny_weights, SCALES, 48, "float32", "all", None)
    file, steps = tf.TensorSpec([], tf.string), tf.TensorSpec([], tf.int32, "steps")
    traced = tf.function(servable.stylize).get_concrete_function(file, file, steps)
    folder = str(tmp_path_factory.mktemp("run"))
    tf.saved_model.save(servable, folder, {"stylize": traced})
    run, workshop = tf.saved_model.load(folder).signatures["stylize"], Workshop()

    def both(content, style):
        files = (tf.constant(parity.encode(picture)) for picture in (content, style))
        given = dict(zip(("content_bytes", "style_bytes"), files, strict=True))
        made = run(**given, steps=tf.constant(1))
        options = {"settings": SCALES, "weights": tiny_weights, "engine": "keras"}
        return made, StyleTransfer(content, style, workshop=workshop, **options).run()

    return both


def _eight_bits(picture):
    return images.to_uint8(picture) / np.float32(255)


# The narrow one has 3 rows at 24 pixels, and conv3_1 takes 4.
@pytest.mark.parametrize(("rows", "scales"), [(36, [24] * 22 + [34] * 15), (6, [34] * 16)])
def test_a_run_from_coarse_to_fine_is_served(from_coarse_to_fine, rows, scales):
    """As the package's: Adam's moments handed on, the average handed on and returned, enlarged with
    the photo's detail, and scales left out that are too small for the network.

    Not to the bit: Pillow and TensorFlow sum up the same Lanczos filter in another order, which is
    5e-6 of a pixel, and a descent makes that larger with every step: of 1e-6 in the loss after 12
    come 1e-3 after 30. In a deep network it comes to what two engines of the package itself differ
    by.
    """
    content = _eight_bits(images.load(assets.SCENE, 48)[:rows])
    made, ours = from_coarse_to_fine(content, _eight_bits(images.load(assets.PAINTING, 64)))
    assert made["scale"].numpy().tolist() == scales
    for step, row in enumerate(ours.history):
        rounding.assert_close(made["loss"][step], row["total"], 3e-3, step)
    assert len(made["loss"]) == len(ours.history)
    pixels = tf.io.decode_png(made["image_bytes"]).numpy().astype(int)
    painted = np.asarray(ours.image).astype(int)
    assert pixels.shape == painted.shape == (rows, 48, 3)
    assert np.percentile(np.abs(pixels - painted), 95) <= 2
    assert np.abs(painted - 255 * content).mean() > 5  # it is not the photo


def test_a_picture_too_narrow_for_a_run_is_refused(from_coarse_to_fine, painting):
    narrow = np.zeros((4, 48, 3), np.float32)
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=r"too narrow: .* fewer than the 4 that"
    ):
        from_coarse_to_fine(narrow, painting)


def test_a_served_run_begins_as_the_packages_does(tiny_weights, scene, painting):
    """The initial image, noise and all, and the loss there, with the painting seen in many ways."""
    settings = SHALLOW.replace(
        init="content=0.6,noise=0.4", seed=3, rotations=True, stroke_sizes=(0.7,), size=64
    )
    servable = saved_model.build(tiny_weights, settings, 64, "float32", "all", None)
    pictures = [_eight_bits(picture) for picture in (scene, painting)]
    made = servable.stylize(*map(parity.encode, pictures), tf.constant(0))
    ours = StyleTransfer(*pictures, settings=settings, weights=tiny_weights, engine="keras")
    pixels = tf.io.decode_png(made["image_bytes"]).numpy().astype(int)
    assert np.abs(pixels - images.to_uint8(ours.initial_image)).max() <= 1
    loss = ours.build_objective()(tf.constant(ours.initial_image[np.newaxis])).loss
    rounding.assert_close(made["loss"], [loss], rounding.of_terms(tiny_weights, "conv2_2", 64 * 64))


def test_a_large_picture_is_reduced_for_it(served):
    made = served.signatures["stylize"](
        content_bytes=tf.constant(assets.SCENE.read_bytes()),
        style_bytes=tf.constant(assets.PAINTING.read_bytes()),
        steps=tf.constant(1),
    )
    assert tf.io.decode_png(made["image_bytes"]).shape == (36, 48, 3)
    assert made["loss"][1] < made["loss"][0]


def test_what_cannot_be_stylised(served):
    photo, one = assets.SCENE.read_bytes(), tf.io.encode_png(np.zeros((1, 9, 3), np.uint8)).numpy()
    wide = tf.io.encode_png(np.zeros((1, 3000, 3), np.uint8)).numpy()
    for content, steps, message in (
        (wide, 0, "its shorter side has fewer than the 16 that conv5_1 takes"),
        (photo, -1, r"steps are 0 to 10000, not\] \[-1\]"),
        (one, 0, "its shorter side has fewer than the 16 that conv5_1 takes"),
        (photo[:999], 0, "Invalid PNG data"),
    ):
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            served.signatures["stylize"](
                content_bytes=tf.constant(content),
                style_bytes=tf.constant(photo),
                steps=tf.constant(steps),
            )


def test_a_whole_run_in_float16_whose_gradient_is_beyond_it(tiny_weights):
    """A large style weight, as raw VGG19 features give: the same course as in float32."""
    large = SHALLOW.replace(style_weight=1e9)
    courses = {}
    for dtype in ("float32", "float16"):
        servable = saved_model.build(tiny_weights, large, 48, dtype, "all", None)
        files = [path.read_bytes() for path in (assets.SCENE, assets.PAINTING)]
        courses[dtype] = servable.stylize(*files, tf.constant(4))["loss"].numpy()
    assert courses["float32"][-1] < 0.9 * courses["float32"][0]
    # Four steps, parted by float16's rounding from the first on.
    for half, single in zip(courses["float16"], courses["float32"], strict=True):
        rounding.assert_close(half, single, 0.05)


#: TensorFlow's tool with one command line after the other, in a process that imports it once; what
#: they print is told apart.
TOOL = """
import contextlib, io, json, sys
from tensorflow.python.tools import saved_model_cli

said = {}
for line in json.loads(sys.argv[1]):
    sys.argv = ["saved_model_cli", *line]
    with contextlib.redirect_stdout(io.StringIO()) as out:
        try:
            saved_model_cli.main()
        except SystemExit as end:
            assert not end.code, line
    said[line[0]] = out.getvalue()
print(json.dumps(said))
"""


@pytest.mark.slow
def test_tensorflows_own_tool_reads_it(exported, served, pictures, tmp_path):
    np.save(tmp_path / "pictures.npy", pictures)
    given = f"--inputs=pictures={tmp_path}/pictures.npy"
    # It looks into functions: nothing calls back into Python, or touches a file.
    denied = "Conv2D,PyFunc,EagerPyFunc,PyFuncStateless,ReadFile,WriteFile,PrintV2"
    asked = {
        "show": ["--all"],
        "scan": [f"--op_denylist={denied}"],
        "run": ["--tag_set=serve", "--signature_def=grams", given, f"--outdir={tmp_path}"],
    }
    lines = [[command, f"--dir={exported}", *flags] for command, flags in asked.items()]
    done = subprocess.run(
        [sys.executable, "-c", TOOL, json.dumps(lines)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert "image_bytes_grams" in said["show"]
    assert "contains the following denylisted ops: {'Conv2D'}" in said["scan"]
    for name, value in served.signatures["grams"](pictures=tf.constant(pictures)).items():
        rounding.assert_close(
            np.load(tmp_path / f"{name}.npy"), value, rounding.of_served("grams"), name
        )
