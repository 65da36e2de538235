"""Files decoded in a graph, against Pillow's pixels and its orientation."""

import io
import struct

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from nst_tf import assets
from nst_tf.errors import PictureError
from nst_tf.pictures import checks, decoding, exif, images

draw = np.random.default_rng(0)

#: Sums of float32, and where a square begins: of 1000 pixels a ten-thousandth is lost there.
CLOSE = 1e-4


def encoded(image, kind="PNG", **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def loaded(file):
    """As `images.load` reads the file."""
    return images.load(Image.open(io.BytesIO(file)))


@pytest.fixture(scope="module")
def photo():
    return Image.open(assets.SCENE).convert("RGB")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP"])
def test_squares_are_those_of_images_cover(photo, kind):
    files = [
        encoded(photo.resize(size), kind)
        for size in ((90, 60), (41, 130), (32, 32), (20, 17), (301, 300), (640, 50))
    ]
    given = decoding.squares(tf.constant(files), 32)
    np.testing.assert_array_equal(decoding.squares(tf.constant(files[:1]), 32)[0], given[0])
    for picture, file in zip(given, files, strict=True):
        expected = images.cover(loaded(file), 32, 32)
        np.testing.assert_allclose(picture, expected, atol=CLOSE)
        # What a test of pixels would not see if all were gray.
        assert expected.std() > 0.05


def test_a_file_in_its_own_size(photo):
    file = encoded(photo.resize((90, 61)), "JPEG", quality=90)
    np.testing.assert_array_equal(decoding.whole(tf.constant([file]))[0], loaded(file))
    np.testing.assert_array_equal(decoding.decoded(tf.constant(file)), loaded(file))
    with pytest.raises(PictureError, match="one at a time: send one file, not 2"):
        decoding.whole(tf.constant([file, file]))


@pytest.mark.parametrize(
    ("mode", "options"),
    [
        ("RGBA", {}),
        ("LA", {}),
        ("L", {}),
        ("1", {}),
        ("RGB", {"transparency": (255, 0, 0)}),
        ("P", {"transparency": 3}),
        ("P", {"bits": 2}),
        ("P", {"bits": 2, "transparency": 1}),
        ("P", {"bits": 4, "transparency": b"\x80\x0f\x10"}),
    ],
)
def test_transparency_is_laid_on_white(mode, options):
    image = Image.fromarray(draw.integers(0, 2, (12, 9, 4), np.uint8) * 255)
    if mode == "P":
        image = image.convert("RGB").quantize(2 ** options.get("bits", 8))
    file = encoded(image.convert(mode), **options)
    np.testing.assert_array_equal(decoding.whole(tf.constant([file]))[0], loaded(file))


@pytest.mark.parametrize("colour", [True, False])
def test_of_16_bits_the_upper_8_count(colour):
    deep = draw.integers(0, 2**16, (6, 5, 3 if colour else 1), np.uint16)
    file = tf.io.encode_png(deep).numpy()
    picture = decoding.whole(tf.constant([file]))[0]
    np.testing.assert_allclose(picture, loaded(file), atol=1.01 / 255)


def held(orientation, order="<", before=b"", behind=b""):
    """An Exif segment by Exif 2.32, section 4.5, with a tag before the one that counts."""
    entries = [(0x0100, 4, 1, 7), (0x0112, 3, 1, orientation)]
    directory = struct.pack(order + "H", len(entries))
    for tag, kind, count, value in entries:
        directory += struct.pack(order + "HHI", tag, kind, count)
        directory += struct.pack(
            order + ("I" if kind == 4 else "HH"), *[value, 0][: 1 + (kind == 3)]
        )
    tiff = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8 + len(before))
    tiff += before + directory + b"\0\0\0\0" + behind
    return b"\xff\xe1" + struct.pack(">H", 8 + len(tiff)) + b"Exif\0\0" + tiff


def with_segments(file, *segments):
    """A JPEG file with segments behind its first, that of JFIF."""
    end = 4 + struct.unpack(">H", file[4:6])[0]
    return file[:end] + b"".join(segments) + file[end:]


@pytest.mark.parametrize("order", ["<", ">"])
def test_every_orientation_is_pillows(photo, order):
    plain = encoded(photo.resize((24, 16)), "JPEG", quality=95)
    comment = b"\xff\xfe\0\x06note"
    for number in range(1, 9):
        file = with_segments(plain, comment, held(number, order, before=b"12345678"))
        assert exif.orientation(tf.constant(file)) == number
        picture = decoding.whole(tf.constant([file]))[0]
        assert picture.shape == ((16, 24, 3) if number < 5 else (24, 16, 3))
        np.testing.assert_array_equal(picture, loaded(file), str(number))
        assert number == 1 or not np.array_equal(picture, loaded(plain))


def test_what_is_no_orientation_leaves_a_file_as_it_is(photo):
    plain = encoded(photo.resize((24, 16)), "JPEG")
    whole = with_segments(plain, held(6))
    start = whole.index(b"Exif")
    assert exif.orientation(tf.constant(whole)) == 6
    odd = [
        b"",
        b"\xff",
        plain,
        plain[:4],
        with_segments(plain, held(0)),
        with_segments(plain, held(9)),
        with_segments(plain, held(6).replace(b"Exif", b"http")),
        with_segments(plain, b"\xff\xe2\0\0"),  # a segment of no length
        *(whole[:end] for end in range(start, start + 20, 3)),
        # a directory far away, before the beginning, and of 65535 entries
        *(
            whole[: start + 10] + far + whole[start + 14 :]
            for far in (b"\xff\xff\xff\x7f", b"\xf0" * 4)
        ),
        whole[: start + 14] + b"\xff\xff" + bytes(40),
    ]
    for file in odd:
        assert exif.orientation(tf.constant(file)) == 1, file[:60]
    for file in draw.integers(0, 256, (20, 64), np.uint8):
        damaged = whole[: start + 6] + file.tobytes() + whole[start + 70 :]
        assert 1 <= exif.orientation(tf.constant(damaged)) <= 8


def test_files_that_are_none_are_named_by_their_places(photo):
    good = encoded(photo.resize((24, 16)), "JPEG")
    files = [good, b"no", good[: len(good) // 2], encoded(photo)[:900], good, b""]
    with pytest.raises(PictureError, match=r"are JPEG, PNG, GIF or BMP, .*: \[1 2 3 5\]"):
        decoding.squares(tf.constant(files), 16)
    with pytest.raises(PictureError, match=r"cut short: \[0 1\]"):
        decoding.squares(tf.constant([b"no", b"no"]), 16)
    with pytest.raises(tf.errors.InvalidArgumentError, match="this one is none of them"):
        decoding.squares(tf.constant([b"no"]), 16)
    with pytest.raises(PictureError, match=r"image_bytes are files \[batch\]; these are \[\]"):
        decoding.squares(tf.constant(good), 16)
    assert decoding.squares(tf.zeros([0], tf.string), 16).shape == (0, 16, 16, 3)


def test_files_of_too_many_pixels_together_are_refused(photo, monkeypatch):
    monkeypatch.setattr(decoding, "MOST_TOGETHER", 5000)
    file = encoded(photo.resize((60, 50)))
    assert decoding.squares(tf.constant([file]), 32).shape == (1, 32, 32, 3)
    said = "files have at most 5000 pixels together: send fewer at a time; these have 6000"
    with pytest.raises(PictureError, match=said):
        decoding.squares(tf.constant([file, file]), 32)


def test_pairs_of_batches():
    two, wide = tf.zeros([2, 8, 8, 3]), tf.zeros([2, 8, 9, 3])
    assert checks.paired(two, wide, same_size=False) is two
    with pytest.raises(PictureError, match=r"of one size; these are \[2 8 8\] \[2 8 9\]"):
        checks.paired(two, wide, same_size=True)
    with pytest.raises(PictureError, match=r"of one number; these are \[2\] \[1\]"):
        checks.paired(two, two[:1], same_size=False)
