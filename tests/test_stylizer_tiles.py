"""Large photos in tiles: as the whole by the same moments, without seams, in the memory at hand."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from stylizers import stirred

from nst_tf import assets, memory_at_hand
from nst_tf.errors import PictureError, SettingsError
from nst_tf.pictures import images
from nst_tf.stylizer import tiles

SHARES = tf.constant([[1.0]])


@pytest.fixture(scope="module")
def stylizer():
    return stirred()


@pytest.mark.parametrize(("height", "width"), [(301, 230), (64, 500)])
def test_as_the_whole_by_the_same_moments(stylizer, height, width):
    photo = np.random.default_rng(0).random((height, width, 3)).astype(np.float32)
    parts = tiles.samples(photo, tiles.LEAST + 2 * stylizer.reach)
    given = iter(tiles.moments_of(stylizer, parts, SHARES))
    fitted = stylizer.fitted(photo[np.newaxis])
    whole = stylizer.painted(fitted, SHARES, lambda maps: next(given))[0, :height, :width]
    made = tiles.painted(stylizer, photo, SHARES, tiles.LEAST)
    assert made.shape == photo.shape
    np.testing.assert_allclose(made, whole, atol=1e-5)


def test_the_reach_is_what_the_network_sees(stylizer):
    """A pixel that is changed changes nothing farther away than that, and something near that."""
    photo = np.full((1, 256, 256, 3), 0.5, np.float32)
    photo += 0.1 * np.random.default_rng(0).random(photo.shape).astype(np.float32)
    moments = tiles.moments_of(stylizer, photo, SHARES)
    farthest = 0
    for place in (128, 129, 130, 131):
        other = photo.copy()
        other[0, place, place] += 0.3
        made = []
        for picture in (photo, other):
            given = iter(moments)
            made.append(stylizer.painted(picture, SHARES, lambda maps, given=given: next(given)))
        rows, columns = np.nonzero(np.abs(made[0] - made[1])[0].max(-1))
        farthest = max(farthest, np.abs(rows - place).max(), np.abs(columns - place).max())
    assert stylizer.reach - 12 <= farthest <= stylizer.reach


@pytest.mark.parametrize(("height", "width"), [(300, 200), (40, 900)])
def test_samples_are_of_all_the_photo(height, width):
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    photo = np.stack([rows, columns, 0 * rows], -1)
    parts = tiles.samples(photo, 160)
    count, high, wide, _ = parts.shape
    assert high == wide and 0.9 * 160**2 <= count * high * wide <= 160**2
    for part in parts:  # each in its own size, as it lies in the photo
        y, x = part[0, 0, :2].astype(int)
        np.testing.assert_array_equal(part, photo[y : y + high, x : x + wide])
    assert parts[..., 0].min() == parts[..., 1].min() == 0
    assert parts[..., 0].max() == height - 1 and parts[..., 1].max() == width - 1
    np.testing.assert_array_equal(tiles.samples(photo, 300), photo[np.newaxis])


def test_moments_are_of_all_parts_together(stylizer):
    """Of the first normalisation, against NumPy in float64."""
    parts = np.random.default_rng(0).random((3, 24, 20, 3)).astype(np.float32)
    parts *= np.float32([0.1, 0.5, 1])[:, np.newaxis, np.newaxis, np.newaxis]
    first = stylizer.down[0]
    around = np.pad(parts - 0.5, ((0, 0), (2, 2), (2, 2), (0, 0)), "reflect")
    maps = first.convolution(around).numpy().astype(np.float64)
    mean, variance = tiles.moments_of(stylizer, parts, SHARES)[0]
    np.testing.assert_allclose(np.ravel(mean), maps.mean((0, 1, 2)), atol=1e-5)
    np.testing.assert_allclose(np.ravel(variance), maps.var((0, 1, 2)), rtol=1e-4)


def test_of_one_tile_the_whole(stylizer):
    photo = images.load(assets.SCENE, 128)
    made = tiles.painted(stylizer, photo, SHARES, 256)
    np.testing.assert_allclose(made, stylizer.paint(photo, tile=0), atol=1e-5)


def test_tiles_by_the_memory_at_hand(stylizer, monkeypatch):
    shape, costs, reach = (3000, 4000), 200.0, 60
    held = 64 * 12e6
    for room, expected in (
        (1e12, 0),
        (200 * 12e6, 0),
        (200 * 12e6 - 1, 2048),
        (held + 200 * (2048 + 120) ** 2 - 1, 1024),
        (held + 200 * (256 + 120) ** 2, 256),
    ):
        monkeypatch.setattr(memory_at_hand, "allowed", lambda room=room: room)
        assert tiles.side(shape, None, costs, reach) == expected
    assert tiles.side(shape, 128, costs, reach) == 128
    with pytest.raises(PictureError, match=r"4000x3000 pixels, .* too large"):
        tiles.side(shape, 0, costs, reach)
    monkeypatch.setattr(memory_at_hand, "allowed", lambda: held)
    with pytest.raises(PictureError, match=r"4000x3000 pixels, .* too large"):
        tiles.side(shape, None, costs, reach)
    with pytest.raises(SettingsError, match="tile is 63"):
        tiles.side(shape, 63, costs, reach)


def test_a_photo_that_does_not_fit_is_painted_in_tiles(stylizer, monkeypatch):
    photo = images.load(assets.SCENE, 640)
    pixels = photo.shape[0] * photo.shape[1]
    room = 64 * pixels + 220 * (256 + 2 * stylizer.reach) ** 2
    monkeypatch.setattr(memory_at_hand, "allowed", lambda: room)
    sides = []
    painted = tiles.painted
    monkeypatch.setattr(tiles, "painted", lambda *given: sides.append(given[-1]) or painted(*given))
    made = stylizer.paint(photo, strength=0.5)
    assert sides == [256] and made.shape == photo.shape and 0 <= made.min() <= made.max() <= 1
    halfway = photo + 0.5 * (painted(stylizer, photo, SHARES, 256) - photo)
    np.testing.assert_allclose(made, halfway, atol=1e-6)


#: Bytes that each further pixel of a photo takes at most, from 768 to 1536 pixels square.
MEMORY = """
import numpy as np, nst_tf
from pathlib import Path
stylizer, peaks = nst_tf.Stylizer(width=1 / 8, seed=0), []
for side in (768, 1536):
    photo = np.zeros([side, side, 3], np.float32)
    stylizer.paint(photo, tile={tile})
    status = Path("/proc/self/status").read_text()
    peaks.append(1024 * int(status.split("VmHWM:")[1].split()[0]))
print((peaks[1] - peaks[0]) / (1536**2 - 768**2))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the kernel tells how much memory was held")
def test_memory_grows_by_the_pictures_alone():
    """The photo, its fitting copy, the result and their mixture are five times 12 bytes a pixel;
    painted whole, feature maps come on top."""

    def grown(tile):
        command = [sys.executable, "-c", MEMORY.format(tile=tile)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return float(done.stdout.split()[-1])

    assert 36 < grown(256) < 90 < 150 < grown(0)
