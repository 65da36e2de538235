"""Files of every kind, written by Pillow, tifffile and TensorFlow, against the known pixels."""

import io
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
import tifffile
from pictures import (
    LINEAR_GRAY,
    WIDE,
    adobe_to_srgb,
    as_rgb,
    black_ink_only,
    encode_srgb,
    lanczos,
    on_white,
)
from PIL import Image, ImageCms

from nst_tf.errors import PictureError
from nst_tf.pictures import images

DRAW = np.random.default_rng(0)
RGB = DRAW.integers(0, 256, (5, 7, 3)).astype(np.uint8)
RGBA = DRAW.integers(0, 256, (5, 7, 4)).astype(np.uint8)
GRAY = DRAW.integers(0, 256, (5, 7)).astype(np.uint8)
RGB16 = DRAW.integers(0, 65536, (5, 7, 3)).astype(np.uint16)
GRAY16 = DRAW.integers(0, 65536, (5, 7)).astype(np.uint16)
# Colours that sRGB can show: what lies outside it, each converter clips in its own way.
TAME = DRAW.integers(90, 170, (5, 7, 3)).astype(np.uint8)
EXACT, ONE = 1e-6, 1.01 / 255


def close(read, expected, tolerance=EXACT):
    assert read.dtype == np.float32 and read.shape == expected.shape
    np.testing.assert_allclose(read, expected, rtol=0, atol=tolerance)


def refused(picture, *words, **options):
    """Refused with one line that holds all the words."""
    with pytest.raises(PictureError) as caught:
        images.load(picture, **options)
    text = str(caught.value)
    assert len(text.splitlines()) == 1
    for word in words:
        assert str(word) in text, text


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.png", {}),
        ("a.bmp", {}),
        ("a.tif", {"compression": "tiff_lzw"}),
        ("a.tiff", {"compression": "packbits"}),
        ("a.webp", {"lossless": True}),
    ],
)
def test_lossless_formats_are_read_exactly(tmp_path, name, options):
    Image.fromarray(RGB).save(tmp_path / name, **options)
    close(images.load(tmp_path / name), RGB / 255)


def test_jpeg_and_the_content_decides_not_the_suffix(tmp_path):
    flat = np.full((16, 16, 3), (200, 100, 50), np.uint8)
    Image.fromarray(flat).save(tmp_path / "a.jpg", quality=95)
    close(images.load(tmp_path / "a.jpg"), flat / 255, 3 / 255)
    (tmp_path / "b.png").write_bytes((tmp_path / "a.jpg").read_bytes())
    close(images.load(tmp_path / "b.png"), images.load(tmp_path / "a.jpg"))


def test_modes(tmp_path):
    """Each as the same picture in RGB, transparency laid on white."""
    gray_alpha = RGBA[..., 2:]
    palette = Image.fromarray(RGB).quantize(8)
    seen = np.asarray(palette.convert("RGB"))
    clear = np.asarray(palette) == 3
    table = {
        "L": (Image.fromarray(GRAY), as_rgb(GRAY)),
        "LA": (Image.fromarray(gray_alpha), on_white(gray_alpha)),
        "RGBA": (Image.fromarray(RGBA), on_white(RGBA)),
        "P": (palette, seen / 255),
        "1": (Image.fromarray(GRAY > 127), np.repeat((GRAY > 127)[..., None], 3, -1) * 1.0),
    }
    for mode, (image, expected) in table.items():
        assert image.mode == mode
        for given in (image, tmp_path / "a.png"):
            image.save(tmp_path / "a.png")
            close(images.load(given), expected, ONE)
    palette.save(tmp_path / "clear.png", transparency=3)
    expected = np.where(clear[..., None], 1, seen / 255)
    close(images.load(tmp_path / "clear.png"), expected, ONE)
    for straight in (RGBA, gray_alpha):
        image = Image.fromarray(straight)
        premultiplied = image.convert(image.mode.replace("A", "a"))
        close(images.load(premultiplied), on_white(straight), 3 / 255)


def test_cmyk(tmp_path):
    ink = DRAW.integers(0, 256, (5, 7, 4)).astype(np.uint8)
    Image.fromarray(ink, "CMYK").save(tmp_path / "a.tif")
    expected = (1 - ink[..., :3] / 255.0) * (1 - ink[..., 3:] / 255.0)
    close(images.load(tmp_path / "a.tif"), expected, ONE)


def test_16_bits(tmp_path):
    """Gray is scaled, not clipped as Pillow's own conversion does; colour is read at 8 bits."""
    rgba = DRAW.integers(0, 65536, (5, 7, 4)).astype(np.uint16)
    for pixels, expected, tolerance in (
        (GRAY16[..., None], as_rgb(GRAY16), ONE),
        (RGB16, RGB16 / 65535, ONE),
        (rgba, on_white(rgba), 2 * ONE),  # of the colour, and of the transparency
    ):
        (tmp_path / "a.png").write_bytes(tf.io.encode_png(pixels).numpy())
        close(images.load(tmp_path / "a.png"), expected, tolerance)
    for order in "<>":
        for pixels, expected in ((GRAY16, as_rgb(GRAY16)), (RGB16, RGB16 / 65535)):
            for compression in (None, "zlib"):
                path = tmp_path / "a.tif"
                tifffile.imwrite(path, pixels, byteorder=order, compression=compression)
                close(images.load(path), expected, ONE)
    tifffile.imwrite(tmp_path / "w.tif", GRAY16, photometric="miniswhite")
    close(images.load(tmp_path / "w.tif"), 1 - as_rgb(GRAY16), ONE)


def test_16_bits_with_lzw(tmp_path):
    """As other programs write them. Pillow cannot in colour, but it packs the bytes, as 8 bits."""
    Image.fromarray(GRAY16).save(tmp_path / "g.tif", compression="tiff_lzw")
    close(images.load(tmp_path / "g.tif"), as_rgb(GRAY16), ONE)
    twice_as_wide = RGB16.astype("<u2").view(np.uint8).reshape(5, 14, 3)
    Image.fromarray(twice_as_wide).save(tmp_path / "a.tif", compression="tiff_lzw")
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+b") as file:
        file.pages[0].tags["ImageWidth"].overwrite(7)
        file.pages[0].tags["BitsPerSample"].overwrite((16, 16, 16))
    close(images.load(tmp_path / "a.tif"), RGB16 / 65535, ONE)


def test_planes_of_16_bits_are_refused(tmp_path):
    planes = np.moveaxis(RGB16, -1, 0)
    tifffile.imwrite(tmp_path / "a.tif", planes, photometric="rgb", planarconfig="separate")
    refused(tmp_path / "a.tif", "a.tif", "planes")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp"])
def test_exif_orientation(tmp_path, orientation, suffix):
    """By EXIF 2.3's table of where row 0 and column 0 lie: the upright picture comes back."""
    colours = [[[1, 0, 0], [0, 1, 0], [0, 0, 1]], [[0, 0, 0], [1, 1, 1], [1, 1, 0]]]
    upright = np.array(colours, np.uint8).repeat(16, 0).repeat(16, 1) * 255
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.swapaxes(0, 1),
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].swapaxes(0, 1),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    lossless = {"lossless": True} if suffix == "webp" else {}
    quality = {"quality": 100, "subsampling": 0} if suffix == "jpg" else {}
    image = Image.fromarray(np.ascontiguousarray(stored))
    image.save(tmp_path / f"a.{suffix}", exif=exif, **lossless, **quality)
    close(images.load(tmp_path / f"a.{suffix}"), upright / 255, 0.1)


def test_a_phones_mpo_is_its_first_picture(tmp_path):
    first, second = (Image.new("RGB", (16, 16), colour) for colour in ("red", "blue"))
    first.save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=[second])
    read = images.load(tmp_path / "a.jpg")
    assert read[..., 0].min() > 0.95 and read[..., 2].max() < 0.05


def test_an_embedded_profile_is_converted(tmp_path):
    """Against the profile's own formula: gamma, colorants to sRGB's, sRGB's transfer curve."""
    assert np.abs(adobe_to_srgb(TAME) - TAME / 255).max() > 0.03  # it does something
    Image.fromarray(TAME).save(tmp_path / "a.png", icc_profile=WIDE)
    close(images.load(tmp_path / "a.png"), adobe_to_srgb(TAME), 2.5 / 255)
    Image.fromarray(GRAY).save(tmp_path / "g.png", icc_profile=LINEAR_GRAY)
    expected = encode_srgb(as_rgb(GRAY))
    close(images.load(tmp_path / "g.png"), expected, 2.5 / 255)
    opaque = np.dstack([GRAY, np.full_like(GRAY, 255)])
    Image.fromarray(opaque).save(tmp_path / "la.png", icc_profile=LINEAR_GRAY)
    close(images.load(tmp_path / "la.png"), expected, 2.5 / 255)


def test_an_embedded_profile_of_inks_is_converted(tmp_path):
    """By a profile in which only black colours the paper, cyan included in what does not."""
    ink = np.zeros((2, 2, 4), np.uint8)
    ink[0, 0, 0] = ink[1, 0, 1] = ink[:, 1, 3] = 255
    Image.fromarray(ink, "CMYK").save(tmp_path / "a.tif", icc_profile=black_ink_only())
    expected = 1 - np.repeat(ink[..., 3:] / 255, 3, -1)
    close(images.load(tmp_path / "a.tif"), expected, ONE)


@pytest.mark.parametrize("broken", [b"nonsense", WIDE[:200], LINEAR_GRAY])
def test_a_profile_that_does_not_fit_is_ignored(tmp_path, broken):
    Image.fromarray(TAME).save(tmp_path / "a.png", icc_profile=broken)
    close(images.load(tmp_path / "a.png"), TAME / 255)


def test_an_srgb_profile_changes_nothing(tmp_path):
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(RGB).save(tmp_path / "a.png", icc_profile=icc)
    close(images.load(tmp_path / "a.png"), RGB / 255, ONE)


def test_arrays_and_tensors():
    for wrap in (np.asarray, tf.constant, lambda array: array[np.newaxis]):
        close(images.load(wrap(RGB)), RGB / 255)
        close(images.load(wrap(RGB16)), RGB16 / 65535)
        close(images.load(wrap(RGB / np.float32(255))), RGB / 255)
    close(images.load(RGB / 255.0), RGB / 255)
    close(images.load(tf.constant(RGB / 255, tf.bfloat16)), RGB / 255, 1 / 128)
    close(images.load(GRAY), as_rgb(GRAY))
    close(images.load(GRAY[..., None]), as_rgb(GRAY))
    close(images.load(RGBA), on_white(RGBA))
    close(images.load(RGBA[..., 2:]), on_white(RGBA[..., 2:]))
    close(images.load(RGB16.astype(">u2")), RGB16 / 65535)


@pytest.mark.parametrize("shape", [(3,), (2, 4, 4, 3), (4, 4, 5), (0, 4, 3), (1, 1, 4, 4, 3)])
def test_arrays_of_other_shapes_are_refused(shape):
    refused(np.zeros(shape, np.uint8), str(list(shape)))


@pytest.mark.parametrize("value", [-0.01, 1.5, 255.0, np.nan, np.inf])
def test_floats_out_of_range_are_refused(value):
    picture = np.full((4, 4, 3), 0.5)
    picture[1, 2, 0] = value
    refused(picture, "[0, 1]")


@pytest.mark.parametrize("thing", [np.zeros((4, 4, 3), np.int64), "text", [[1], [2, 3]], 3])
def test_what_is_no_picture_is_refused(thing):
    refused(thing)


@pytest.mark.parametrize(
    ("thing", "words"),
    [
        (None, "None, of type NoneType"),
        ({"photo": 1}, "{'photo': 1}, of type dict"),
        (["one.jpg", "two.jpg"], "['one.jpg', 'two.jpg'], of type list"),
        (object, "of type type"),
        (17, "17, of type int"),
        ("", "the name of a picture is empty"),
    ],
)
def test_what_was_given_is_said(thing, words):
    refused(thing, words)
    refused(thing, "give a path")


def test_bytes_and_file_objects(tmp_path):
    path = tmp_path / "picture.png"
    Image.fromarray(RGB).save(path)
    expected, data = images.load(path), path.read_bytes()
    with path.open("rb") as file, path.open("rb") as buffered:
        for given in (data, bytearray(data), memoryview(data), io.BytesIO(data), file):
            np.testing.assert_array_equal(images.load(given), expected)
        refused(file, f"{path} gives no bytes")
        assert images.held(buffered) == data
    refused(file, "cannot read the file object")
    with path.open("r", encoding="latin-1") as text:
        refused(text, "binary mode, 'rb'")
    refused(b"", "is empty")
    refused(data[: len(data) // 2], f"in {len(data) // 2} bytes is damaged or cut short")


def test_the_callers_picture_is_left_alone():
    array, image = RGBA / np.float32(255), Image.fromarray(RGBA)
    before = array.copy(), image.tobytes(), image.mode
    images.load(array, 3)
    images.load(image, 3)
    np.testing.assert_array_equal(array, before[0])
    assert (image.tobytes(), image.mode) == before[1:]


@pytest.mark.parametrize(
    ("size", "expected"), [(14, (10, 14)), (3, (2, 3)), (1, (1, 1)), (None, (5, 7))]
)
def test_size_is_the_longer_side_and_the_aspect_is_kept(size, expected):
    assert images.load(RGB, size).shape == (*expected, 3)
    assert images.load(np.swapaxes(RGB, 0, 1), size).shape == (*expected[::-1], 3)


def test_resize_is_lanczos_with_its_support_stretched():
    picture = DRAW.random((12, 9, 3), np.float32)
    for height, width in ((24, 30), (5, 4), (12, 3)):
        close(images.resize(picture, height, width), lanczos(picture, height, width), 1e-4)


def test_shrinking_does_not_alias():
    checkerboard = np.indices((64, 64)).sum(0)[..., None].repeat(3, -1).astype(np.float32) % 2
    assert np.abs(images.resize(checkerboard, 10, 10) - 0.5).max() < 0.05


def test_cover_is_the_middle_at_the_right_aspect():
    ramp = np.tile(np.linspace(0, 1, 90, dtype=np.float32)[None, :, None], (30, 1, 3))
    middle = images.cover(ramp, 20, 20)  # the middle third, scaled
    close(middle[0, :, 0], np.linspace(1 / 3, 2 / 3, 20), 0.02)
    close(images.cover(ramp, 30, 90), ramp)
    assert images.cover(ramp, 7, 3).shape == (7, 3, 3)


@pytest.mark.parametrize(
    ("suffix", "bits"), [("gif", 8), ("png", 8), ("png", 16), ("webp", 8), ("tif", 8), ("tif", 16)]
)
def test_animations_and_pages_are_refused(tmp_path, suffix, bits):
    kind = {8: np.uint8, 16: np.uint16}[bits]
    frames = [Image.fromarray(np.full((8, 8), value, kind)) for value in (0, 100, 200)]
    frames[0].save(tmp_path / f"a.{suffix}", save_all=True, append_images=frames[1:])
    refused(tmp_path / f"a.{suffix}", f"a.{suffix}", "animated or has pages")


def test_what_is_in_a_file_but_no_picture_is_refused(tmp_path):
    refused(tmp_path / "missing.png", "missing.png", "No such file")
    (tmp_path / "empty.png").touch()
    refused(tmp_path / "empty.png", "empty.png is empty")
    refused(tmp_path, "is a directory")
    (tmp_path / "text.png").write_text("hello")
    refused(tmp_path / "text.png", "text.png", "not a picture")
    refused("a\0b.png", "cannot read")
    refused("two\nlines.png", "two lines.png")
    refused(RGB, "too large", size=10**10)
    Image.fromarray(RGB).save(tmp_path / "a.eps")
    refused(tmp_path / "a.eps", "not a picture")  # Pillow would hand it to Ghostscript


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif", "bmp"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_truncated_files_are_refused(tmp_path, suffix, share, capfd, recwarn):
    buffer = io.BytesIO()
    noise = DRAW.integers(0, 256, (64, 64, 3)).astype(np.uint8)
    kind = images.FORMATS[f".{suffix}"][0]
    Image.fromarray(noise).save(buffer, kind)
    path = tmp_path / f"cut.{suffix}"
    path.write_bytes(buffer.getvalue()[: int(share * buffer.tell())])
    refused(path, path.name)
    assert not recwarn.list and capfd.readouterr() == ("", "")


def test_a_decompression_bomb_is_refused(tmp_path):
    """A PNG whose header alone promises 10 gigapixels."""
    buffer = io.BytesIO()
    Image.new("RGB", (1, 1)).save(buffer, "PNG")
    data = bytearray(buffer.getvalue())
    data[16:24] = struct.pack(">II", 100_000, 100_000)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    (tmp_path / "bomb.png").write_bytes(data)
    refused(tmp_path / "bomb.png", "bomb.png", "too large")


def test_every_shape_can_be_cut_to_a_square():
    """Where 64 / (64 / 49) is more than 49, by rounding, the part began before the picture."""
    for height in range(20, 420):
        picture = np.full((height, 420, 3), 0.25, np.float32)
        for one in (picture, np.swapaxes(picture, 0, 1)):
            np.testing.assert_allclose(images.cover(one, 64, 64), 0.25, atol=1e-6)
