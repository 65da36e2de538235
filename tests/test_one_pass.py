"""What a run begins with of a stylizer: in the styles that its paintings are named like."""

import warnings

import numpy as np
import pytest
from stylizers import stirred

from nst_tf.pictures import images, one_pass
from nst_tf.recipe.settings import Settings
from nst_tf.run import inputs

PHOTO = np.random.default_rng(0).random((40, 48, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def stylizer():
    return stirred(("one", "two", "three"))


@pytest.fixture(scope="module")
def folder(stylizer, tmp_path_factory):
    made = tmp_path_factory.mktemp("begins")
    stylizer.save(made / "stylizer.keras")
    images.save(PHOTO, made / "photo.png")
    for name in ("one", "three", "four"):
        images.save(PHOTO[::-1], made / f"{name}.png")
    return made


def start(folder, *names, **changed):
    """What a run of these paintings begins with, and the photo that it sees."""
    settings = Settings(
        init=f"stylizer:{folder / 'stylizer.keras'}", size=48, iterations=1, **changed
    )
    read = inputs.load(settings, folder / "photo.png", [folder / f"{name}.png" for name in names])
    return read.start, read.content


@pytest.mark.parametrize(
    ("names", "blend", "expected"),
    [
        (["one"], (), [1, 0, 0]),
        (["three", "one"], (), [1, 0, 1]),
        (["three", "one"], (3, 1), [1, 0, 3]),
    ],
)
def test_of_the_run_s_paintings(stylizer, folder, names, blend, expected):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        made, photo = start(folder, *names, style_blend=blend)
    np.testing.assert_allclose(made, stylizer.paint(photo, styles=expected), atol=1e-5)
    assert np.abs(made - stylizer.paint(photo)).mean() > 0.01  # equal parts are another picture


def test_of_others_all_in_equal_parts(stylizer, folder):
    told = r"in equal parts: they are one, two, three, and the run's paintings one, four\."
    with pytest.warns(UserWarning, match=told):
        made, photo = start(folder, "one", "four")
    np.testing.assert_allclose(made, stylizer.paint(photo), atol=1e-5)
    settings = Settings(init=f"stylizer:{folder / 'stylizer.keras'}", size=48, iterations=1)
    with pytest.warns(UserWarning, match="the run's paintings pictures without names"):
        read = inputs.load(settings, folder / "photo.png", [folder / "one.png", PHOTO])
    np.testing.assert_allclose(read.start, stylizer.paint(photo), atol=1e-5)


def test_of_a_single_style_nothing_is_said(tmp_path):
    other = stirred(("other",))
    other.save(tmp_path / "s.keras")
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        made = one_pass.painted(tmp_path / "s.keras", PHOTO, {"one": 1.0})
    np.testing.assert_allclose(made, other.paint(PHOTO), atol=1e-5)
