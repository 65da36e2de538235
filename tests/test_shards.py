"""A corpus in TFRecords: every picture once, as it was, whatever ended the work."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import nst_tf.data
from nst_tf.apps import command
from nst_tf.apps import shards as app
from nst_tf.errors import NSTError, OutputError, PictureError, SettingsError
from nst_tf.pictures import images


@pytest.fixture
def folder(tmp_path):
    """Eight pictures of three kinds, one of them turned by its EXIF tag, and two that are none."""
    draw, photos = np.random.default_rng(0), tmp_path / "photos"
    photos.mkdir()
    for number in range(4):
        shape = (20 + number, 30, 3)
        picture = Image.fromarray(draw.integers(0, 256, shape, np.uint8))
        picture.save(photos / f"{number}.png")
        picture.save(photos / f"{number}.jpg", quality=90)
    picture.save(photos / "4.webp")
    exif = picture.getexif()
    exif[274] = 6
    picture.save(photos / "5.jpg", exif=exif)
    (photos / "broken.jpg").write_bytes((photos / "0.jpg").read_bytes()[:200])
    (photos / "notes.txt").write_text("no picture")
    return photos


def examples(paths):
    """What TensorFlow's own reader finds in files."""
    wanted = {
        **dict.fromkeys(("image/encoded", "image/format", "image/filename"), tf.string),
        **dict.fromkeys(("image/height", "image/width"), tf.int64),
        "image/key/sha256": tf.string,
    }
    features = {key: tf.io.FixedLenFeature([], kind) for key, kind in wanted.items()}
    records = tf.data.TFRecordDataset([str(path) for path in paths])
    read = records.map(lambda record: tf.io.parse_single_example(record, features))
    return {one["image/filename"].decode(): one for one in read.as_numpy_iterator()}


def test_every_picture_is_there_once_as_it_was(folder, tmp_path):
    made = nst_tf.data.write_shards(folder, tmp_path / "out" / "photos", shard_bytes=4000)
    count = len(made.paths)
    assert count > 2 and [path.name for path in made.paths] == [
        f"photos-{number:05}-of-{count:05}.tfrecord" for number in range(count)
    ]
    assert made.pictures == 10 and set(made.failures) == {
        str(folder / "broken.jpg"),
        str(folder / "notes.txt"),
    }
    found = examples(made.paths)
    assert len(found) == 10
    for name, one in found.items():
        assert one["image/key/sha256"].decode() == hashlib.sha256(one["image/encoded"]).hexdigest()
        picture = images.load(folder / name)
        assert (one["image/height"], one["image/width"]) == picture.shape[:2]
        np.testing.assert_array_equal(images.load(one["image/encoded"]), picture)
        if name != "4.webp":
            assert one["image/encoded"] == (folder / name).read_bytes()
        kind = "jpeg" if name.endswith("jpg") else "png"
        assert one["image/format"].decode() == kind
        assert tf.io.decode_image(one["image/encoded"]).shape[-1] == 3
    assert found["5.jpg"]["image/height"] == 30  # as it is seen


def test_they_are_read_back_as_files_are(folder, tmp_path):
    (folder / "broken.jpg").unlink()
    (folder / "notes.txt").unlink()
    nst_tf.data.write_shards(folder, tmp_path / "photos", shard_bytes=4000)
    pattern = str(tmp_path / "photos-*.tfrecord")
    for how in ({"size": 16}, {"size": 20, "crop": False}):
        of_files = list(nst_tf.data.pictures(folder, **how))
        of_records = list(nst_tf.data.pictures(pattern, **how))
        assert len(of_records) == 10
        for one, other in zip(of_records, of_files, strict=True):
            np.testing.assert_array_equal(one, other)
    crops = [list(nst_tf.data.crops(one, 16, 4).take(2)) for one in (folder, pattern)]
    np.testing.assert_array_equal(*crops)
    with pytest.raises(PictureError, match="read them apart"):
        nst_tf.data.pictures([pattern, str(folder)], 16)


def test_large_pictures_are_shrunk_small_ones_kept(folder, tmp_path):
    made = nst_tf.data.write_shards(folder / "*.png", tmp_path / "small", size=24)
    for name, one in examples(made.paths).items():
        wanted = images.load(folder / name, 24)
        np.testing.assert_allclose(images.load(one["image/encoded"]), wanted, atol=0.1)
        assert max(one["image/height"], one["image/width"]) == 24
    same = nst_tf.data.write_shards(folder / "*.png", tmp_path / "same", size=30)
    for name, one in examples(same.paths).items():
        assert one["image/encoded"] == (folder / name).read_bytes()


def test_what_is_there_is_not_written_again(folder, tmp_path):
    def write(**how):
        made = nst_tf.data.write_shards(folder, tmp_path / "p", **{"shard_bytes": 4000, **how})
        return made, {path: path.stat().st_mtime_ns for path in made.paths}

    first, before = write()
    again, after = write()
    assert after == before and again == first
    first.paths[1].unlink()
    (folder / "0.jpg").write_bytes((folder / "0.jpg").read_bytes())  # of the first file
    _, after = write()
    changed = [path for path in first.paths if after[path] != before[path]]
    assert changed == first.paths[:2]
    # Fewer files: none of the former ones is left for a pattern to find.
    fewer, _ = write(shard_bytes=10**6)
    assert list(tmp_path.glob("*.tfrecord")) == fewer.paths and len(fewer.paths) == 1
    assert set(json.loads((tmp_path / "p.json").read_text())["shards"]) == {fewer.paths[0].name}


def test_what_is_ended_leaves_whole_files_alone(folder, tmp_path):
    def ended(done, _total):
        if done == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        nst_tf.data.write_shards(folder, tmp_path / "p", shard_bytes=4000, report=ended)
    there = sorted(tmp_path.glob("*.tfrecord"))
    assert there and len(examples(there)) >= 1
    assert {path.suffix for path in tmp_path.iterdir() if path.is_file()} <= {".tfrecord", ".json"}
    stamps = {path: path.stat().st_mtime_ns for path in there}
    made = nst_tf.data.write_shards(folder, tmp_path / "p", shard_bytes=4000)
    assert {path: path.stat().st_mtime_ns for path in there} == stamps
    assert len(examples(made.paths)) == 10


def test_a_corpus_that_is_not_held_whole_says_so(folder, tmp_path, monkeypatch):
    (folder / "broken.jpg").unlink()
    (folder / "notes.txt").unlink()
    made = nst_tf.data.write_shards(folder, tmp_path / "p", shard_bytes=4000)
    monkeypatch.setattr("nst_tf.data.sources._MOST", 9000)
    with pytest.warns(UserWarning, match="only the first . photos are taken"):
        held = nst_tf.data.photos(str(tmp_path / "p-*.tfrecord"))
    assert 1 < len(held) < 10 == made.pictures
    assert sum(map(len, held.values())) <= 9000


def test_a_file_of_somebody_elses_is_not_written_over(folder, tmp_path):
    for text in ('{"shards": {"keep.tfrecord": {}}}', "[]", "no json"):
        (tmp_path / "p.json").write_text(text)
        (tmp_path / "keep.tfrecord").write_text("mine")
        with pytest.raises(OutputError, match="is no record of shards"):
            nst_tf.data.write_shards(folder, tmp_path / "p")
        assert (tmp_path / "p.json").read_text() == text
        assert (tmp_path / "keep.tfrecord").exists()


def test_sizes_that_cannot_be(folder, tmp_path):
    for wrong in ({"size": 0}, {"size": 1.5}, {"shard_bytes": -1}):
        with pytest.raises(SettingsError, match="use a number from 1"):
            nst_tf.data.write_shards(folder, tmp_path / "p", **wrong)
    with pytest.raises(NSTError, match="no file matches"):
        nst_tf.data.write_shards(folder / "*.gif", tmp_path / "p")


def test_the_command(folder, tmp_path, capsys):
    out = tmp_path / "corpus" / "photos"
    argv = [str(folder), f"--out={out}", "--size=16", "--shard_size=1KiB", "--quiet"]
    assert command.run("shards", app.main, argv) == 1
    said = capsys.readouterr()
    assert "left out: " in said.err and "broken.jpg" in said.err and "notes.txt" in said.err
    assert said.out.startswith("10 pictures in ")
    for argv, words in (
        ([str(folder)], "--out=DIR/NAME"),
        ([str(folder), f"--out={out}", "--shard_size=much"], "use 100MiB or so"),
    ):
        assert command.run("shards", app.main, argv) == command.BAD_INPUT
        assert words in capsys.readouterr().err
