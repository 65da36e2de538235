"""What a server may be sent: files as `nst_tf.data` reads them, and what is none, without a crash.

The model is loaded as TF Serving loads it (`served`).
"""

import io

import hostile_requests
import numpy as np
import pytest
import rounding
import served
import tensorflow as tf
from PIL import Image

import nst_tf.data
from nst_tf import assets
from nst_tf.export import card
from nst_tf.pictures import decoding
from nst_tf.recipe import presets

SETTINGS = presets.settings("gatys2016")
SIZE, LEAST = 48, 16  # of the model that the tests share, down to conv5_1

#: Ten photos: landscape and portrait, smaller, larger and just as large, one beside a square.
SIZES = (
    *((512, 384), (384, 512), (48, 48), (30, 40), (640, 90)),
    *((49, 48), (48, 200), (33, 97), (300, 301), (20, 20)),
)


@pytest.fixture(scope="module")
def ask(exported):
    """A signature's outputs for its inputs, `ask(NAME, INPUT=value)`."""
    model = served.Served(exported)
    yield model
    model.close()


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """As JPEG, but for every third, with the camera held in different ways."""
    folder, scene = tmp_path_factory.mktemp("photos"), Image.open(assets.SCENE).convert("RGB")
    for number, size in enumerate(SIZES):
        exif = Image.Exif()
        exif[274] = 1 + number % 8
        kind = "png" if number % 3 == 2 else "jpg"
        options = {"exif": exif, "quality": 85} if kind == "jpg" else {}
        scene.resize(size).save(folder / f"{number}.{kind}", **options)
    return folder


@pytest.fixture(scope="module")
def extractor(tiny_weights):
    return nst_tf.FeatureExtractor(SETTINGS.layers, tiny_weights)


def test_trained_on_and_served_alike(ask, photos, extractor):
    """File to features both ways, in one batch, and the Gram matrices of it."""
    files = [path.read_bytes() for path in sorted(photos.iterdir())]
    batch = next(iter(nst_tf.data.pictures(photos, SIZE).batch(len(SIZES))))
    answer = ask("image_bytes", image_bytes=files)
    for name, maps in extractor(batch).items():
        for ours, theirs in zip(answer[name], maps, strict=True):
            # The pixels differ by up to 1e-4 (test_decoding), each after rounding of its own.
            rounding.assert_close(ours, theirs, 1e-3, name)
    answer = ask("image_bytes_grams", image_bytes=files)
    grams = next(iter(tf.data.Dataset.from_tensors(batch).apply(nst_tf.data.grams(extractor))))
    for name in SETTINGS.style_layers:
        rounding.assert_close(answer[f"{name}_gram"], grams[name], 1e-3, name)


def test_the_same_in_its_own_size(ask, photos, extractor):
    for path in (photos / "3.jpg", photos / "5.png"):
        (picture,) = nst_tf.data.pictures(path, None, crop=False).batch(1)
        given = {"image_bytes": [path.read_bytes()]}
        answer = ask("image_bytes_whole", **given)
        for name, maps in extractor(picture).items():
            rounding.assert_close(answer[name], maps, 1e-4, name)
        assert ask("image_bytes_whole_grams", **given)["conv1_1_gram"].shape == (1, 4, 4)


def test_the_card_states_the_rule(exported):
    text = (exported / card.PATH).with_name("README.md").read_text()
    assert "largest middle square" in text and "Lanczos-3" in text and "ICC profile" in text
    assert f"at least {LEAST} x {LEAST} pixels" in text
    assert "those of a request have at most 16,777,216 pixels together" in text
    assert "33,554,432 each and 268,435,456 together" in text
    assert card.read(exported)["least"] == LEAST


def gray(*shape, value=0.5):
    return np.full(shape, value, np.float32)


def spoilt(value):
    pictures = gray(3, LEAST, LEAST, 3)
    pictures[1, 3, 3, 1] = value
    return pictures


SHAPE = rf"\[batch, height, width, 3\], of at least {LEAST} x {LEAST} pixels; these are\] \[%s\]"
NO_PICTURES = {
    "no batch": (gray(64, 64, 3), SHAPE % "64 64 3"),
    "a number": (np.float32(0.5), SHAPE % ""),
    "one channel": (gray(1, 64, 64, 1), SHAPE % "1 64 64 1"),
    "alpha": (gray(1, 64, 64, 4), SHAPE % "1 64 64 4"),
    "five axes": (gray(1, 1, 64, 64, 3), SHAPE % "1 1 64 64 3"),
    "one pixel": (gray(1, 1, 1, 3), SHAPE % "1 1 1 3"),
    "a row too few": (gray(1, LEAST - 1, 64, 3), SHAPE % f"1 {LEAST - 1} 64 3"),
    "0-255": (gray(1, 16, 16, 3, value=200), r"finite, in \[0, 1\].* are not:\] \[0\]"),
    "from -1": (spoilt(-0.5), r"are not:\] \[1\]"),
    "nan": (spoilt(np.nan), r"are not:\] \[1\]"),
    "infinity": (spoilt(np.inf), r"are not:\] \[1\]"),
}


@pytest.mark.parametrize("name", ["serving_default", "grams"])
@pytest.mark.parametrize("what", NO_PICTURES)
def test_what_are_no_pictures(ask, name, what):
    pictures, message = NO_PICTURES[what]
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        ask(name, pictures=pictures)


def test_what_are_no_pictures_elsewhere(ask):
    whole = np.zeros((64, 64, 3), np.uint8)
    none = np.zeros((0, 2**33, 16, 3), np.float32)
    good, bad = gray(1, 16, 16, 3), spoilt(np.nan)[1:2]
    for name, given, message in (
        ("uint8", {"pictures": whole}, SHAPE % "64 64 3"),
        ("uint8", {"pictures": whole[np.newaxis, :8]}, SHAPE % "1 8 64 3"),
        (
            "serving_default",
            {"pictures": none},
            r"at most 16777216 pixels together: .*\[0 8589934592 16",
        ),
        (
            "fixed",
            {"pictures": gray(1, 64, 64, 3)},
            r"of 48 x 48 pixels; these are\] \[1 64 64 3\]",
        ),
        ("fixed", {"pictures": gray(48, 48, 3)}, r"of 48 x 48 pixels; these are\] \[48 48 3\]"),
        ("style_loss", {"pictures": good, "others": bad}, "finite"),
        ("style_loss", {"pictures": gray(16, 16, 3), "others": good}, SHAPE % "16 16 3"),
        (
            "style_loss",
            {"pictures": gray(2, 16, 16, 3), "others": good},
            r"one number.*\[2\] \[1\]",
        ),
        ("content_loss", {"pictures": good, "others": gray(1, 16, 32, 3)}, "one size"),
    ):
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            ask(name, **given)


def test_rounding_is_forgiven(ask):
    assert np.isfinite(ask("grams", pictures=spoilt(1 + 1e-5))["conv1_1_gram"]).all()


def test_no_pictures_give_no_features(ask):
    assert ask("serving_default", pictures=gray(0, 32, 48, 3))["conv4_2"].shape == (0, 4, 6, 4)
    # As many pixels as are allowed, and none to look at.
    assert ask("grams", pictures=gray(0, 2**18, 64, 3))["conv4_1_gram"].shape == (0, 4, 4)
    large = ask("serving_default", pictures=gray(0, 2**18 + 7, 63, 3))
    assert {maps.shape[1:3] for maps in large.values()} == {
        (2**18 + 7 >> halved, 63 >> halved) for halved in range(5)
    }
    assert ask("uint8", pictures=np.zeros((0, 16, 16, 3), np.uint8))["conv4_2"].shape[0] == 0
    assert ask("grams", pictures=gray(0, 32, 48, 3))["conv4_1_gram"].shape == (0, 4, 4)
    assert ask("image_bytes_grams", image_bytes=[])["conv4_1_gram"].shape == (0, 4, 4)
    empty = gray(0, 16, 16, 3)
    assert ask("style_loss", pictures=empty, others=empty)["style_loss"].shape == (0,)


def test_a_request_has_so_many_pixels(ask, photos):
    """Nothing of it is decoded then."""
    good = hostile_requests.good_files()
    largest = hostile_requests.promising(good, "png", 8192, 4096)
    message = r"at most 268435456 pixels together: .*; these have\] \[301991088"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        ask("image_bytes", image_bytes=[*[largest] * 9, good["png"]])
    # What is larger than one may be, or no picture, is not decoded: its place is told.
    larger = hostile_requests.promising(good, "png", 8192, 4097)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"cut short:\] \[1 2 "):
        ask("image_bytes", image_bytes=[good["png"], b"no", *[larger] * 9])
    few = 2**24 // SIZE**2
    with pytest.raises(tf.errors.InvalidArgumentError, match=rf"at most {few} .*\[{few + 1}\]"):
        ask("image_bytes", image_bytes=[b""] * (few + 1))


def test_of_large_pictures_few_are_decoded_at_once():
    good = hostile_requests.good_files()
    for sides, count in (((8192, 4096), 2), ((9000, 9000), 8)):
        file = hostile_requests.promising(good, "png", *sides)
        files, at_once = decoding._few(tf.constant([file, good["jpeg"], b""]))
        assert at_once == count and files.shape == (3,)


def test_what_are_no_files(ask, photos):
    stream = io.BytesIO()
    Image.new("RGB", (7, LEAST)).save(stream, "PNG")
    good, small = (photos / "0.jpg").read_bytes(), stream.getvalue()
    for name, given, message in (
        ("image_bytes", [good, b"no", good, good[:999], b""], r"cut short:\] \[1 3 4\]"),
        ("image_bytes_grams", [b"no", good], r"cut short:\] \[0\]"),
        ("image_bytes_grams", [b"no"], "this one is none of them"),
        ("image_bytes", good, r"files \[batch\]; these are\] \[\]"),
        ("image_bytes_whole", [good, good], r"send one file, not\] \[2\]"),
        ("image_bytes_whole", [small], SHAPE % f"1 {LEAST} 7 3"),
        ("image_bytes_whole", [b"no"], "this one is none of them"),
    ):
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            ask(name, image_bytes=given)
