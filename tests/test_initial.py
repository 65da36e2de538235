import numpy as np
import pytest
from scipy import ndimage

from nst_tf.errors import NSTError, SettingsError
from nst_tf.pictures import images, initial

CONTENT = np.random.default_rng(0).random((12, 20, 3), np.float32)
STYLE = np.random.default_rng(1).random((30, 30, 3), np.float32)


def start(init: str, seed: int = 0) -> np.ndarray:
    made = initial.image(init, CONTENT, [STYLE, 1 - STYLE], seed)
    assert made.shape == CONTENT.shape and made.dtype == np.float32
    assert made.min() >= 0 and made.max() <= 1
    return made


def test_the_kinds():
    np.testing.assert_array_equal(start("content"), CONTENT)
    np.testing.assert_array_equal(start("blank"), np.full_like(CONTENT, 0.5))
    # the first style image, its middle, at the content's shape: 30x30 cropped to 18x30. At the
    # border the crop's neighbours are seen too, as they should.
    middle = images.resize(STYLE[6:24], 12, 20)
    np.testing.assert_allclose(start("style")[4:8], middle[4:8], atol=1e-5)


@pytest.mark.parametrize("shape", [(96, 128, 3), (300, 4, 3), (1, 200, 3)])
def test_blurred_is_scipys_gaussian(shape):
    """At four pixels across, the mirror reaches less far than three standard deviations."""
    content = np.random.default_rng(2).random(shape, np.float32)
    sigma = max(shape) / 64
    radius = [min(int(np.ceil(3 * sigma)), side - 1) for side in shape[:2]]
    expected = ndimage.gaussian_filter(
        content.astype(np.float64), sigma, axes=(0, 1), mode="mirror", radius=radius
    )
    made = initial.image("blurred", content, [], 0)
    assert made.dtype == np.float32 and made.min() >= 0 and made.max() <= 1
    np.testing.assert_allclose(made, expected, atol=1e-5)


def test_noise_is_seeded_white_and_faint():
    noise = start("noise")
    np.testing.assert_array_equal(noise, start("noise"))
    assert np.abs(noise - start("noise", seed=1)).max() > 0.01
    assert noise.mean() == pytest.approx(0.5, abs=0.002)
    assert noise.std() == pytest.approx(initial.NOISE, rel=0.1)
    shifted = (noise[:, 1:] - 0.5) * (noise[:, :-1] - 0.5)
    assert abs(shifted.mean()) < 0.1 * initial.NOISE**2


def test_a_file(tmp_path):
    images.save(CONTENT, tmp_path / "a=b,c.png")  # a name that could be read as a mix
    np.testing.assert_allclose(start(str(tmp_path / "a=b,c.png")), CONTENT, atol=0.51 / 255)


def test_mixes(tmp_path):
    expected = 0.7 * CONTENT + 0.3 * start("noise")
    np.testing.assert_allclose(start("content=0.7,noise=0.3"), expected, atol=1e-6)
    np.testing.assert_allclose(start(" content=7 , noise=3"), expected, atol=1e-6)
    images.save(CONTENT, tmp_path / "a.png")
    mixed = start(f"{tmp_path / 'a.png'}=1,blank=1")
    np.testing.assert_allclose(mixed, (CONTENT + 0.5) / 2, atol=0.51 / 255)
    assert initial.parse("content=1,content=1,style=2") == {"content": 2.0, "style": 2.0}


@pytest.mark.parametrize(
    "init",
    ["", "contents", "missing.png", "content=", "content=x", "content=-1", "content=nan",
     "content=inf", "content=0", "content=0.5,missing.png=0.5", "=1", ",", "a" * 5000, "a\0b"],
)  # fmt: skip
def test_what_cannot_be_read_is_one_line(init):
    with pytest.raises(SettingsError) as caught:
        initial.parse(init)
    assert "\n" not in str(caught.value) and "init" in str(caught.value)


def test_a_file_that_is_no_picture(tmp_path):
    (tmp_path / "a.png").write_text("hello")
    with pytest.raises(NSTError, match=r"a\.png is not a picture"):
        start(str(tmp_path / "a.png"))
