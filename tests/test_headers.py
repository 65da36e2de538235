"""What files say of themselves, against Pillow; and what they only promise."""

import io

import hostile_requests
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from nst_tf.pictures import decoding, exif, headers

draw = np.random.default_rng(0)

GOOD = hostile_requests.good_files()


def test_shapes_are_pillows():
    for name, file in GOOD.items():
        width, height = Image.open(io.BytesIO(file)).size
        assert tuple(headers.shape(tf.constant(file)).numpy()) == (height, width), name


@pytest.mark.parametrize("kind", ["jpeg", "progressive", "png", "gif", "bmp"])
def test_a_promise_is_read_and_not_believed(kind):
    file = tf.constant(hostile_requests.promising(GOOD, kind, 40_000, 30_000))
    assert list(headers.shape(file)) == [30_000, 40_000]
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"\[33554432\] \[30000 40000\]"):
        decoding.decoded(file)


def test_what_31_bits_do_not_hold_is_no_size():
    for kind in ("png", "bmp"):
        file = tf.constant(hostile_requests.promising(GOOD, kind, 2**31, 2**31))
        assert max(headers.shape(file)) <= 0


def test_other_kinds_are_none():
    for kind in ("WEBP", "TIFF", "PPM"):
        stream = io.BytesIO()
        Image.new("RGB", (20, 20)).save(stream, kind)
        assert headers.kind(tf.constant(stream.getvalue())) == headers.NONE, kind
    for file in (b"", b"B", b"\xff\x0a", b"\x89PNG", b"GIF"):
        assert headers.kind(tf.constant(file)) == headers.NONE


def test_scans_are_counted_before_they_are_decoded():
    assert headers.scans(tf.constant(GOOD["jpeg"])) == 1
    progressive = GOOD["progressive"]
    count = progressive.count(b"\xff\xda")
    assert headers.scans(tf.constant(progressive)) == count > 5
    for file in (b"", b"\xff\xda", b"\xff\xda\0\x08", b"\xff\xda\0\x08\x02\0"):
        assert headers.scans(tf.constant(file)) == 0
    file = tf.constant(hostile_requests.scanned(progressive, 100))
    with pytest.raises(tf.errors.InvalidArgumentError, match=rf"\[64\] \[{count + 100}\]"):
        decoding.decoded(file)


def test_of_a_film_the_first_frame_is_decoded_alone():
    film = GOOD["film.gif"]
    first = Image.open(io.BytesIO(film)).convert("RGB")
    np.testing.assert_array_equal(tf.io.decode_gif(headers.first_frame(film))[0], first)
    assert len(headers.first_frame(film).numpy()) < len(film) / 2
    np.testing.assert_array_equal(decoding.decoded(film) * 255, first)
    one, many = (hostile_requests.film(32, frames) for frames in (1, 50))
    assert headers.first_frame(many) == headers.first_frame(one) == one


def test_whatever_the_bytes_are_it_ends():
    film = np.frombuffer(GOOD["film.gif"], np.uint8)
    for _ in range(30):
        damaged = film.copy()
        damaged[draw.integers(10, len(film), 20)] = draw.integers(0, 256, 20)
        file = tf.constant(damaged[: draw.integers(6, len(film))].tobytes())
        assert headers.first_frame(file).numpy()[-1:] == b";"
        assert headers.shape(file).shape == (2,)


def test_of_endless_blocks_the_first_are_looked_at():
    start = GOOD["film.gif"][:13].replace(GOOD["film.gif"][10:11], b"\0", 1)
    for count, found in ((3, True), (headers.MOST_BLOCKS + 1, False), (100_000, False)):
        image = b"\x2c" + bytes(4) + b"\x07\0\x05\0\0\x02\0;"
        file = tf.constant(start + b"\x21\xfe\0" * count + image)
        assert list(headers.shape(file)) == ([5, 7] if found else [0, 0])
    jpeg = GOOD["jpeg"]
    assert exif.orientation(tf.constant(jpeg)) == 6
    late = jpeg[:2] + b"\xff\xe9\0\2" * 100_000 + jpeg[2:]
    assert exif.orientation(tf.constant(late)) == 1
