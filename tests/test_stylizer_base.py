"""A training that begins with what a stylizer of other paintings can do."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf
from stylizers import stirred
from test_stylizer_training import SMALL, Cut, folder, trained  # noqa: F401

import nst_tf
from nst_tf import assets, keras
from nst_tf.errors import FileError, SettingsError
from nst_tf.pictures import images
from nst_tf.stylizer import base as bases
from nst_tf.stylizer import record
from nst_tf.stylizer.course import Course, Stage

WIDTH = 1 / 16
PHOTOS = np.random.default_rng(3).random((2, 32, 36, 3)).astype(np.float32)


def painted(stylizer, style):
    styles = np.eye(len(stylizer.paintings), dtype=np.float32)[[style]]
    return stylizer({"content": PHOTOS, "styles": styles}).numpy()


def kernels(stylizer):
    return [tf.convert_to_tensor(kernel).numpy() for kernel in stylizer.body]


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Of a base of three styles."""
    path = tmp_path_factory.mktemp("base") / "base.keras"
    record.save(stirred(("a", "b", "c"), WIDTH), path)
    return path


def course(file, **changes):
    return dataclasses.replace(SMALL, base=str(file), **changes)


def test_each_painting_begins_as_the_style_nearest_to_it():
    base, stylizer = stirred(("a", "b", "c"), WIDTH), nst_tf.Stylizer(["one", "two"], WIDTH)
    wanted = [painted(base, 2), painted(base, 0)]

    def losses(pictures):
        return [float(np.mean((pictures - one) ** 2)) for one in wanted]

    assert bases.begin(stylizer, base, tf.constant(PHOTOS), losses) == ["c", "a"]
    for place, one in enumerate(wanted):
        np.testing.assert_array_equal(painted(stylizer, place), one)


def test_all_numbers_are_the_bodys_or_the_styles():
    stylizer = nst_tf.Stylizer(["one", "two"], WIDTH)
    parts = [*stylizer.body, *stylizer.numbers_of_styles]
    assert {id(part) for part in parts} == {id(part) for part in stylizer.trainable_variables}
    assert all(part.shape[0] == 2 for part in stylizer.numbers_of_styles)


def test_at_first_only_the_styles_learn(folder, file, tmp_path):  # noqa: F811
    begun = kernels(nst_tf.Stylizer.load(file))
    first = trained(folder, tmp_path / "first", course(file, styles_first=1.0))
    for ours, theirs in zip(kernels(first), begun, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    nearest = json.loads((tmp_path / "first" / "training.json").read_text())["nearest"]
    assert len(nearest) == 2
    base = stirred(("a", "b", "c"), WIDTH)
    for place, name in enumerate(nearest):
        assert (
            np.abs(painted(first, place) - painted(base, base.paintings.index(name))).max() > 0.01
        )
    both = trained(folder, tmp_path / "both", course(file, styles_first=0.5))
    for ours, theirs in zip(kernels(both), begun, strict=True):
        assert np.abs(ours - theirs).max() > 0


def test_it_goes_on_to_the_same_weights(folder, file, tmp_path):  # noqa: F811
    given = course(file, styles_first=0.5)
    whole = trained(folder, tmp_path / "whole", given, sheet_every=2)
    with pytest.raises(KeyboardInterrupt):
        trained(folder, tmp_path / "cut", given, checkpoint_every=0, stop=Cut(), sheet_every=2)
    again = trained(folder, tmp_path / "cut", given, sheet_every=2)
    for ours, theirs in zip(again.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_what_does_not_fit_is_refused(folder, file, tmp_path):  # noqa: F811
    with pytest.raises(SettingsError, match=r"width is 0.125, and the base's 0.0625"):
        trained(folder, tmp_path / "wide", course(file, width=1 / 8))
    with pytest.raises(FileError, match="nowhere"):
        trained(folder, tmp_path / "none", course("nowhere.keras"))
    with pytest.raises(SettingsError, match="styles_first is 2"):
        Course(styles_first=2)
    trained(folder, tmp_path / "mine", course(file))
    with pytest.raises(FileError, match="another training: base was"):
        trained(folder, tmp_path / "mine", course("none"))


def test_stages():
    alone = [Stage(64, 0, 40, whole=False), Stage(64, 40, 80), Stage(128, 80, 100)]
    assert list(Course(sizes=(64, 128), steps=100, styles_first=0.4).stages()) == alone
    anew = [Stage(64, 0, 80), Stage(128, 80, 100)]
    for changes in ({"base": "none"}, {"width": 0.5}, {"styles_first": 0.0}):
        assert list(Course(sizes=(64, 128), steps=100, **changes).stages()) == anew
    long = list(Course(sizes=(64, 128), steps=100, styles_first=0.9).stages())
    assert long == [
        Stage(64, 0, 80, whole=False),
        Stage(128, 80, 90, whole=False),
        Stage(128, 90, 100),
    ]


def test_the_packages_own(tmp_path):
    assert assets.STYLIZER.stat().st_size < 2_000_000
    base = bases.load(assets.STYLIZER)
    assert len(base.paintings) >= 8
    bases.save(base, tmp_path / "again.npz")
    with np.load(tmp_path / "again.npz") as arrays:
        for place, ours in enumerate(base.get_weights()):
            np.testing.assert_array_equal(arrays[f"weight_{place:03d}"], ours)


def test_the_packages_own_is_a_better_start_than_none():
    """By the loss of a painting that it has not learnt: the bundled one."""
    loss = keras.PerceptualLoss(style=assets.PAINTING, style_size=192, apart=True)
    photos = tf.constant(images.load(assets.SCENE, 128))[tf.newaxis]
    stylizer = nst_tf.Stylizer(["painting"])

    def losses(pictures):
        return loss.each(photos, pictures, [0])

    before = float(losses(stylizer(photos))[0])
    bases.begin(stylizer, bases.load(assets.STYLIZER), photos, losses)
    assert float(losses(stylizer(photos))[0]) < 0.9 * before
