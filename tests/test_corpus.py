"""Styles of a corpus: distances of Gram matrices, as NumPy has them, and who is nearest."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import nst_tf
from nst_tf.apps import command
from nst_tf.apps import grams as grams_app
from nst_tf.apps import nearest as nearest_app
from nst_tf.data import Corpus
from nst_tf.data.corpus import NUMBERS, sketch
from nst_tf.errors import FileError, PictureError, SettingsError
from nst_tf.keras.models import FeatureExtractor
from nst_tf.pictures import images

LAYERS = ["conv1_1", "conv2_1"]


@pytest.fixture
def folder(tmp_path, scene, painting):
    """Pictures of two kinds, and one that is none."""
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(3):
        images.save(np.roll(scene, 9 * number, 1), photos / f"scene{number}.png")
        images.save(np.roll(painting, 9 * number, 1), photos / f"painting{number}.png")
    (photos / "text.png").write_text("no picture")
    return photos


@pytest.fixture
def corpus(folder):
    return Corpus.of(folder, "mini", layers=LAYERS, size=48)


def exact(one, other, model):
    """The distance of two pictures by whole Gram matrices, float64."""
    parts = []
    for layer in LAYERS:
        normed = []
        for picture in (one, other):
            maps = np.asarray(model(picture[np.newaxis])[layer][0], np.float64)
            flat = maps.reshape(-1, maps.shape[-1])
            gram = flat.T @ flat / len(flat)
            normed.append(gram / np.linalg.norm(gram))
        parts.append(np.sum((normed[0] - normed[1]) ** 2))
    return np.sqrt(np.mean(parts))


def test_distances_are_those_of_whole_gram_matrices(folder, corpus, scene):
    model = FeatureExtractor(LAYERS, "mini")
    photo = np.ascontiguousarray(scene[::-1])
    found = corpus.nearest(photo, "mini", count=10)
    assert len(found) == 6 and [one.distance for one in found] == sorted(
        one.distance for one in found
    )
    for name, distance in found:
        wanted = exact(images.load(photo, 48), images.load(name, 48), model)
        assert distance == pytest.approx(wanted, rel=0.15, abs=0.01), name
    # Turned upside down, a picture's own kind is nearer than the other.
    assert ["scene" in name for name, _ in found] == 3 * [True] + 3 * [False]


def test_a_sketch_keeps_distances():
    """In expectation; of 512 numbers within some percent. Scale counts for nothing."""
    draw = np.random.default_rng(0)
    maps = draw.standard_normal([8, 200, 40]) * draw.random([8, 1, 40])
    grams = np.einsum("bpi,bpj->bij", maps, maps)
    sketched = sketch(tf.constant(grams, tf.float32)).numpy()
    assert sketched.shape == (8, NUMBERS)
    normed = grams / np.linalg.norm(grams, axis=(1, 2), keepdims=True)
    for one in range(8):
        for other in range(one):
            wanted = np.sum((normed[one] - normed[other]) ** 2)
            assert np.mean((sketched[one] - sketched[other]) ** 2) == pytest.approx(wanted, rel=0.3)
    many = sketch(tf.constant(grams[:2], tf.float32), 60_000).numpy()
    wanted = np.sum((normed[0] - normed[1]) ** 2)
    assert np.mean((many[0] - many[1]) ** 2) == pytest.approx(wanted, rel=0.03)
    scaled = sketch(tf.constant(7 * grams, tf.float32)).numpy()
    np.testing.assert_allclose(scaled, sketched, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(sketch(tf.zeros([1, 4, 4])), np.zeros([1, NUMBERS]))


def test_it_is_saved_and_loaded(corpus, folder, tmp_path):
    assert set(corpus.failures) == {str(folder / "text.png")}
    corpus.save(tmp_path / "grams.npz")
    loaded = Corpus.load(tmp_path / "grams.npz")
    assert (loaded.names, loaded.layers, loaded.size) == (corpus.names, tuple(LAYERS), 48)
    np.testing.assert_array_equal(loaded.styles, corpus.styles)
    assert (tmp_path / "grams.npz").stat().st_size < 6 * (len(LAYERS) * NUMBERS * 2 + 500)
    picture = folder / "painting1.png"
    first, *_ = loaded.nearest(picture, "mini")
    assert first.name == str(picture) and first.distance < 1e-3


def test_what_is_no_corpus_or_another_networks_is_refused(corpus, tmp_path, tiny_weights, folder):
    path = tmp_path / "grams.npz"
    with pytest.raises(SettingsError, match="measured by another network"):
        corpus.nearest(folder / "scene0.png", tiny_weights)
    corpus.styles[0, 0, 0] = np.nan
    corpus.save(path)
    with pytest.raises(FileError, match="is damaged"):
        Corpus.load(path)
    with path.open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(FileError, match="holds no styles"):
        Corpus.load(path)
    np.savez(path, names=np.zeros(3))
    for data in (None, b"no npz", b""):
        if data is not None:
            path.write_bytes(data)
        with pytest.raises(FileError, match="holds no styles of pictures: nst-tf grams makes it"):
            Corpus.load(path)
    with pytest.raises(FileError):
        Corpus.load(tmp_path / "gone.npz")
    with pytest.raises(PictureError, match="none of 1 pictures can be read"):
        Corpus.of(folder / "text.png", "mini")


def run(app, name, *arguments, code=0):
    assert command.run(name, app.main, [str(argument) for argument in arguments]) == code


def test_the_commands(folder, tmp_path, capsys):
    path, sheet = tmp_path / "grams.npz", tmp_path / "sheet.png"
    how = ("--weights=mini", f"--layers={','.join(LAYERS)}", "--size=48", "--quiet")
    run(grams_app, "grams", folder, "-o", path, *how, code=1)
    said = capsys.readouterr()
    assert "styles of 6 pictures" in said.out and "left out: " in said.err
    picture = folder / "scene2.png"
    run(nearest_app, "nearest", picture, path, "--weights=mini", "--count=2", f"--sheet={sheet}")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"0.000  {picture}" and len(lines) == 3
    assert images.load(sheet).shape[2] == 3
    # Without a word on layers, those of the style in the paper.
    run(grams_app, "grams", folder / "scene0.png", "-o", tmp_path / "all.npz", how[0], "--quiet")
    assert len(Corpus.load(tmp_path / "all.npz").layers) == 5
    capsys.readouterr()
    other = tmp_path / "second.npz"
    run(grams_app, "grams", folder / "painting0.png", "-o", other, *how)
    capsys.readouterr()
    run(nearest_app, "nearest", folder / "painting0.png", path, other, "--weights=mini")
    names = [line.split("  ")[1] for line in capsys.readouterr().out.splitlines()]
    assert names[:2] == 2 * [str(folder / "painting0.png")]
    how = (picture, path, tmp_path / "all.npz", "--weights=mini")
    run(nearest_app, "nearest", *how, code=command.BAD_INPUT)
    assert "other --layers or another --size" in capsys.readouterr().err
    (folder / "scene2.png").rename(tmp_path / "moved.png")
    run(nearest_app, "nearest", tmp_path / "moved.png", path, "--weights=mini", f"--sheet={sheet}")
    assert "scene2.png is gone" in capsys.readouterr().err


def test_what_no_file_could_hold_is_not_measured(folder, monkeypatch):
    monkeypatch.setattr("nst_tf.data.corpus._MOST", 10_000)
    with pytest.raises(SettingsError, match="7 pictures are too many for one file"):
        Corpus.of(folder, "mini", layers=LAYERS)


@pytest.mark.slow
def test_a_part_of_a_painting_finds_its_painting(painting_files):
    """A quarter of its area, of 24 real paintings: its own is among the three nearest."""
    corpus = Corpus.of(painting_files, "mini")
    draw = np.random.default_rng(0)
    for path in painting_files:
        whole = images.load(path)
        height, width = (side // 2 for side in whole.shape[:2])
        top, left = draw.integers(0, [height, width])
        part = whole[top : top + height, left : left + width]
        near = [one.name for one in corpus.nearest(part, "mini", count=3)]
        assert str(path) in near, (path, near)


@pytest.fixture
def painting_files(starry_night):
    return sorted(map(str, (starry_night.parent / "paintings").glob("*.jpg")))[:24]


def test_it_is_reached_from_the_package():
    assert nst_tf.data.Corpus is Corpus
