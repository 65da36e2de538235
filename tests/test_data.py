"""Pictures through tf.data: the files, their pixels, and what the network makes of them."""

import os
import sys
import types

import numpy as np
import pytest
import rounding
import tensorflow as tf
from PIL import Image

import nst_tf.data
from nst_tf.errors import PictureError, SettingsError
from nst_tf.pictures import images


@pytest.fixture
def folder(tmp_path):
    """Two photos, one of which is turned by its EXIF tag, and a text."""
    draw = np.random.default_rng(0)
    for name, shape in (("a.png", (40, 60, 3)), ("b [1].png", (64, 48, 3))):
        Image.fromarray(draw.integers(0, 256, shape, np.uint8)).save(tmp_path / name)
    turned = Image.new("RGB", (50, 30), (200, 0, 0))
    turned.paste((0, 0, 200), (0, 0, 25, 30))
    exif = turned.getexif()
    exif[274] = 6  # the camera was turned: the left half is the top
    turned.save(tmp_path / "c.jpg", exif=exif, quality=100, subsampling=0)
    (tmp_path / "sub").mkdir()
    turned.save(tmp_path / "sub" / "d.jpg")
    return tmp_path


def test_files_by_pattern(folder):
    def names(*pattern):
        return [path.removeprefix(f"{folder}/") for path in nst_tf.data.files(pattern)]

    assert names(folder) == ["a.png", "b [1].png", "c.jpg"]
    assert names(f"{folder}/*.png") == ["a.png", "b [1].png"]
    assert names(f"{folder}/**/*.jpg") == ["c.jpg", "sub/d.jpg"]
    assert names(folder / "b [1].png", f"{folder}/b*.png") == ["b [1].png"]
    with pytest.raises(PictureError, match="no pattern for picture files"):
        names()
    with pytest.raises(PictureError, match=r"no file matches .*\*\.webp"):
        names(folder, f"{folder}/*.webp")
    for given in ([b"GIF89a"], b"GIF89a", [3], 3):
        with pytest.raises(PictureError, match=r"of type (bytes|int): give a path such as"):
            nst_tf.data.files(given)


def test_pictures_of_one_shape(folder):
    pictures = list(nst_tf.data.pictures(f"{folder}/*.png", 32))
    for picture, name in zip(pictures, ("a.png", "b [1].png"), strict=True):
        whole = np.asarray(Image.open(folder / name)) / 255
        side = min(whole.shape[:2])
        top, left = (whole.shape[0] - side) // 2, (whole.shape[1] - side) // 2
        square = whole[top : top + side, left : left + side]
        assert picture.shape == (32, 32, 3)
        # a box twice as fine: their means over 8 x 8 are nearly those of the square
        blocks = picture.numpy().reshape(4, 8, 4, 8, 3).mean((1, 3))
        step = side // 4
        expected = square[: 4 * step, : 4 * step].reshape(4, step, 4, step, 3).mean((1, 3))
        np.testing.assert_allclose(blocks, expected, atol=0.05)


def test_they_stand_as_the_camera_was_held(folder):
    (picture,) = nst_tf.data.pictures(folder / "c.jpg", None, crop=False)
    assert picture.shape == (50, 30, 3)
    np.testing.assert_allclose(picture[5, 5], [0, 0, 200 / 255], atol=0.02)
    np.testing.assert_allclose(picture[45, 5], [200 / 255, 0, 0], atol=0.02)


def test_sizes(folder):
    whole = nst_tf.data.pictures(f"{folder}/*.png", 24, crop=False)
    shapes = [tuple(picture.shape) for picture in whole]
    assert shapes == [(16, 24, 3), (24, 18, 3)]
    dataset = nst_tf.data.pictures(folder, (20, 30)).batch(3)
    assert tuple(dataset.element_spec.shape) == (None, 20, 30, 3)
    assert tuple(next(iter(dataset)).shape) == (3, 20, 30, 3)
    with pytest.raises(SettingsError, match="crop=False keeps every picture's own"):
        nst_tf.data.pictures(folder, None)
    wrong = (0, None, "8", 8.5, True, (4,), (4, 5, 6), 10**6)
    for size, options in (*((size, {}) for size in wrong), ((4, 5), {"crop": False})):
        with pytest.raises(SettingsError, match="size is"):
            nst_tf.data.pictures(folder, size, **options)


def test_a_name_that_is_no_unicode(folder):
    name = os.fsencode(folder) + b"/caf\xe9.png"
    os.rename(os.fsencode(folder / "a.png"), name)
    (picture,) = nst_tf.data.pictures(os.fsdecode(name), 16)
    assert picture.shape == (16, 16, 3)


def test_a_file_that_is_no_picture_is_named_or_left_out(folder):
    (folder / "bad.png").write_text("no")
    dataset = nst_tf.data.pictures(f"{folder}/*.png", 16)
    with pytest.raises(tf.errors.UnknownError, match=r"bad\.png is not a picture"):
        list(dataset)
    assert len(list(dataset.ignore_errors())) == 2


def test_feature_maps_and_gram_matrices(folder, tiny_weights):
    extractor = nst_tf.FeatureExtractor(["conv1_1", "conv3_1"], tiny_weights)
    dataset = nst_tf.data.pictures(folder, 32).batch(2)
    maps = list(dataset.apply(nst_tf.data.features(extractor)))
    grams = list(dataset.apply(nst_tf.data.grams(extractor)))
    paths = nst_tf.data.files(folder)
    for number, path in enumerate(paths):
        batch = images.cover(images.load(path), 32, 32)[np.newaxis]
        for name, expected in extractor(batch).items():
            bound = rounding.of_maps(tiny_weights, name)
            features = maps[number // 2][name][number % 2].numpy().astype(np.float64)
            rounding.assert_close(features, expected[0], bound, name)
            flat = features.reshape(-1, features.shape[-1])
            matrix = grams[number // 2][name][number % 2]
            bound = 2 * bound + rounding.of_sums(len(flat))
            rounding.assert_close(matrix, flat.T @ flat / len(flat), bound, name)


def test_crops_are_the_same_whichever_is_the_first(folder):
    batches = list(nst_tf.data.crops(folder, 16, 2, seed=3).take(4))
    again = list(nst_tf.data.crops(folder, 16, 2, seed=3, first=2).take(2))
    np.testing.assert_array_equal(batches[2:], again)
    other = list(nst_tf.data.crops(folder, 16, 2, seed=4).take(4))
    assert not np.array_equal(batches, other)
    assert batches[0].shape == (2, 16, 16, 3) and batches[0].dtype == tf.float32
    assert np.min(batches) >= 0 and np.max(batches) <= 1


def test_crops_are_parts_of_photos_each_in_its_turn(tmp_path):
    """Of photos that say where one is: across in red, down in green, and which in blue. They are
    kept at two thirds, twice as large as crops: there a pixel is 3 levels wide."""
    rows, columns = np.mgrid[:60, :90]
    for number in range(5):
        photo = np.stack([2 * columns, 2 * rows, np.full_like(rows, 50 * number)], -1)
        Image.fromarray(photo.astype(np.uint8)).save(tmp_path / f"{number}.png")
    crops = np.concatenate(list(nst_tf.data.crops(tmp_path, 20, 5, flip=False).take(8))) * 255
    photos = np.round(crops[..., 2].mean((1, 2)) / 50).reshape(8, 5)
    assert (np.sort(photos, 1) == np.arange(5)).all()
    assert len({tuple(order) for order in photos}) > 4  # in another order every time
    across, down = (np.ptp(crops[..., axis].mean(1 + axis), axis=1) / 3 / 19 for axis in (0, 1))
    np.testing.assert_allclose(across, down, atol=0.06)  # not stretched
    assert 0.95 < across.min() < 1.3 and 1.7 < across.max() < 2.05
    corners = crops[:, 0, 0, :2] / 2
    assert np.ptp(corners[:, 0]) > 25 and np.ptp(corners[:, 1]) > 10
    mirrored = np.concatenate(list(nst_tf.data.crops(tmp_path, 20, 5).take(8))) * 255
    turned = mirrored[:, 0, 0, 0] > mirrored[:, 0, -1, 0]
    assert 10 < turned.sum() < 30
    np.testing.assert_array_equal(mirrored[turned][:, :, ::-1], crops[turned])
    np.testing.assert_array_equal(mirrored[~turned], crops[~turned])


def test_photos_to_learn_from_are_looked_at_before(folder):
    with pytest.raises(PictureError, match="too few photos to learn from, 3: give 8 at least"):
        nst_tf.data.crops(folder, 16, 2, least=8)
    for number in range(7):
        (folder / f"bad{number}.png").write_text("no")
    with pytest.raises(
        PictureError, match=r"7 of 10 photos .*bad0.*bad4\.png and 2 more; take them out"
    ):
        nst_tf.data.crops(folder, 16, 2)
    for wrong in ({"size": 0}, {"size": None}, {"batch": 1.5}):
        with pytest.raises(SettingsError, match=r"is .*: use a number such as 128 or 4"):
            nst_tf.data.crops(folder, **{"size": 16, "batch": 2, **wrong})


def test_photos_in_records_and_in_a_data_set(folder, tmp_path, monkeypatch):
    def example(**bytes_by_key):
        features = {
            key: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
            for key, value in bytes_by_key.items()
        }
        return tf.train.Example(features=tf.train.Features(feature=features))

    records = tmp_path / "photos.tfrecord-00000-of-00001"
    named = [(folder / name).read_bytes() for name in ("a.png", "c.jpg")]
    with tf.io.TFRecordWriter(str(records)) as writer:
        for key, data in zip(("image/encoded", "image"), named, strict=True):
            writer.write(example(**{key: data}).SerializeToString())
    found = nst_tf.data.photos([str(records), folder / "b [1].png"])
    assert list(found) == sorted([f"{records}#0", f"{records}#1", f"{folder / 'b [1].png'}"])
    assert [found[f"{records}#{number}"] for number in (0, 1)] == named
    crops = np.array(list(nst_tf.data.crops(str(records), 16, 2).take(2)))
    as_files = nst_tf.data.crops([folder / "a.png", folder / "c.jpg"], 16, 2).take(2)
    np.testing.assert_array_equal(crops, list(as_files))

    for written, message in (
        (example(label=b"dog").SerializeToString(), "record 0 holds no image/encoded or image, b"),
        (b"\xff\xff", "its records are no tf.train.Example"),
    ):
        with tf.io.TFRecordWriter(str(records)) as writer:
            writer.write(written)
        with pytest.raises(PictureError, match=message):
            nst_tf.data.photos(str(records))
    records.write_bytes(b"no records at all")
    with pytest.raises(PictureError, match="is no TFRecord file, or is cut short"):
        nst_tf.data.photos(str(records))

    arrays = [np.full((20, 30, 3), number, np.uint8) for number in range(3)]
    known = types.ModuleType("tensorflow_datasets")
    known.as_numpy, known.load = iter, lambda name, split: [{"image": one} for one in arrays]
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", known)
    assert nst_tf.data.photos("tfds:small") == {
        f"tfds:small#{number}": one for number, one in enumerate(arrays)
    }
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(SettingsError, match="pip install tensorflow-datasets"):
        nst_tf.data.photos("tfds:small")
