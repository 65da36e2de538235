"""What is written, read back by Pillow, tifffile and TensorFlow."""

import io
import os
import stat
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
import tifffile
from PIL import Image, ImageCms

from nst_tf.errors import PictureError
from nst_tf.pictures import images
from nst_tf.run import output

PICTURE = np.random.default_rng(0).random((6, 9, 3), np.float32)
SUFFIXES = ["png", "jpg", "jpeg", "webp", "tif", "tiff", "bmp", "PNG"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_suffix_names_the_format_and_the_file_is_tagged_srgb(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    smooth = np.linspace(0.2, 0.8, 9, dtype=np.float32)[None, :, None].repeat(6, 0).repeat(3, 2)
    images.save(smooth, path)
    with Image.open(path) as image:
        assert image.format == images.FORMATS[path.suffix.lower()][0] and image.mode == "RGB"
        np.testing.assert_allclose(np.asarray(image) / 255, smooth, atol=4 / 255)
        if suffix != "bmp":
            profile = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
            assert "sRGB" in ImageCms.getProfileDescription(profile)


def test_jpeg_keeps_the_colour_of_each_pixel(tmp_path):
    """That is, chroma is not subsampled."""
    stripes = np.tile(np.array([[0.7, 0.3, 0.3], [0.3, 0.3, 0.7]], np.float32), (16, 8, 1))
    images.save(stripes, tmp_path / "a.jpg")
    np.testing.assert_allclose(images.load(tmp_path / "a.jpg"), stripes, atol=8 / 255)


def test_values_are_rounded_and_clipped(tmp_path):
    values = np.array([[-1, 0, 0.001, 0.0021, 0.5, 0.999, 1, 2]], np.float32)
    images.save(values[..., None].repeat(3, -1), tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert np.asarray(image)[0, :, 0].tolist() == [0, 0, 0, 1, 128, 255, 255, 255]


def test_16_bits(tmp_path):
    expected = np.round(PICTURE.astype(np.float64) * 65535)
    images.save(PICTURE, tmp_path / "a.png", bits=16)
    data = (tmp_path / "a.png").read_bytes()
    np.testing.assert_allclose(tf.io.decode_png(data, dtype=tf.uint16), expected, atol=1)
    with Image.open(tmp_path / "a.png") as image:
        assert image.info["icc_profile"] == images.SRGB_ICC
        image.load()
    images.save(PICTURE, tmp_path / "a.tif", bits=16)
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        np.testing.assert_allclose(file.asarray(), expected, atol=1)
        assert file.pages[0].iccprofile == images.SRGB_ICC
    for name in ("a.png", "a.tif"):
        np.testing.assert_allclose(images.load(tmp_path / name), PICTURE, atol=1.01 / 255)


def test_the_profile_is_the_same_in_every_process():
    """LittleCMS writes the second of its making into a profile; then no two runs were the same."""
    program = "import time; time.sleep(1.1); from nst_tf import images; "
    program += "import sys; sys.stdout.buffer.write(images.SRGB_ICC)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout == images.SRGB_ICC


def test_the_pil_result_is_tagged(tmp_path):
    images.to_pil(PICTURE).save(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert image.info["icc_profile"] == images.SRGB_ICC


def test_side_by_side():
    white, gray = np.ones((10, 20, 3), np.float32), np.full((5, 5, 3), 0.5, np.float32)
    sheet = images.side_by_side([gray, white], gap=2)
    assert sheet.shape == (5, 5 + 2 + 10, 3)
    assert np.all(sheet[:, :5] == 0.5) and np.all(sheet[:, 5:7] == 1)


@pytest.mark.parametrize("step", ["os.fsync", "pathlib.Path.replace"])
def test_a_failure_while_writing_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, step):
    path = tmp_path / "a.png"
    images.save(PICTURE, path)
    before = path.read_bytes()

    def full(*_arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(step, full)
    with pytest.raises(PictureError, match=r"a\.png: No space left on device"):
        images.save(1 - PICTURE, path)
    monkeypatch.undo()
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "link.png").symlink_to(tmp_path / "real.png")
    for picture in (PICTURE, 1 - PICTURE):
        images.save(picture, tmp_path / "link.png")
        assert (tmp_path / "link.png").is_symlink()
        np.testing.assert_allclose(images.load(tmp_path / "real.png"), picture, atol=1 / 255)


@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_permissions_follow_the_umask(tmp_path, mask):
    before = os.umask(mask)
    try:
        images.save(PICTURE, tmp_path / "a.png")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.png").stat().st_mode) == 0o666 & ~mask


def test_the_longest_name(tmp_path):
    images.save(PICTURE, tmp_path / ("a" * 251 + ".png"))
    refused(tmp_path / ("a" * 252 + ".png"), "too long")


def refused(path, *words, **options):
    with pytest.raises(PictureError) as caught:
        images.save(PICTURE, path, **options)
    text = str(caught.value)
    assert "cannot write" in text and "\n" not in text
    for word in words:
        assert word in text, text


def test_targets_that_cannot_be(tmp_path, monkeypatch):
    refused(tmp_path / "a.gif", ".png, .jpg")
    refused(tmp_path / "a", ".png, .jpg")
    refused(tmp_path / "a.jpg", "16 bits", bits=16)
    refused(tmp_path / "a.png", "use 8 or 16", bits=12)
    refused(tmp_path / "missing" / "a.png", "no directory")
    (tmp_path / "folder.png").mkdir()
    refused(tmp_path / "folder.png", "is a directory")
    os.mkfifo(tmp_path / "pipe.png")
    refused(tmp_path / "pipe.png", "not an ordinary file")
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    refused(tmp_path / "loop.png")
    monkeypatch.setattr(os, "access", lambda *_: False)  # as for whoever is not root
    refused(tmp_path / "b.png", "no permission")


@pytest.mark.parametrize(("kind", "longest"), [("webp", 16383), ("jpg", 65500)])
def test_larger_than_the_format_holds(tmp_path, kind, longest):
    """As Pillow finds, and before there is a picture."""
    path = tmp_path / f"a.{kind}"
    Image.new("RGB", (longest, 1)).save(io.BytesIO(), images.FORMATS[path.suffix][0])
    with pytest.raises((OSError, ValueError)):
        Image.new("RGB", (longest + 1, 1)).save(io.BytesIO(), images.FORMATS[path.suffix][0])
    output.Output(path, (1, longest))
    said = f"{path.name}: [A-Z]+ holds {longest} pixels a side, and the picture has 1x{longest + 1}"
    with pytest.raises(PictureError, match=said):
        output.Output(path, (longest + 1, 1))
    with pytest.raises(PictureError, match=r"cannot write .*: use \.png or \.tif"):
        images.save(np.zeros((1, longest + 1, 3), np.float32), path)
    assert not list(tmp_path.iterdir())
    output.Output(path.with_suffix(".png"), (1, longest + 1))
