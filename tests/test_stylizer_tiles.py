"""Large photos in tiles: as the whole by the same moments, without seams, in the memory at hand."""

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
    small = tiles.thumbnail(photo, tiles.LEAST + 2 * stylizer.reach)
    given = iter(tiles.moments_of(stylizer, small, SHARES))
    fitted = stylizer.fitted(photo[np.newaxis])
    whole = stylizer.painted(fitted, SHARES, lambda maps: next(given))[0, :height, :width]
    made = tiles.painted(stylizer, photo, SHARES, tiles.LEAST)
    assert made.shape == photo.shape
    np.testing.assert_allclose(made, whole, atol=1e-5)


def test_the_reach_is_what_the_network_sees(stylizer):
    """A pixel that is changed changes nothing farther away than that, and something near that."""
    photo = np.full((1, 256, 256, 3), 0.5, np.float32)
    photo += 0.1 * np.random.default_rng(0).random(photo.shape).astype(np.float32)
    moments = tiles.moments_of(stylizer, photo[0], SHARES)
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


def test_of_one_tile_the_whole(stylizer):
    photo = images.load(assets.SCENE, 128)
    made = tiles.painted(stylizer, photo, SHARES, 256)
    np.testing.assert_allclose(made, stylizer.paint(photo, tile=0), atol=1e-5)


def test_tiles_by_the_memory_at_hand(stylizer, monkeypatch):
    shape, costs, reach = (3000, 4000), 200.0, 60
    held = 4 * 12 * 12e6
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
    room = 4 * 12 * pixels + 220 * (256 + 2 * stylizer.reach) ** 2
    monkeypatch.setattr(memory_at_hand, "allowed", lambda: room)
    sides = []
    painted = tiles.painted
    monkeypatch.setattr(tiles, "painted", lambda *given: sides.append(given[-1]) or painted(*given))
    made = stylizer.paint(photo, strength=0.5)
    assert sides == [256] and made.shape == photo.shape and 0 <= made.min() <= made.max() <= 1
    halfway = photo + 0.5 * (painted(stylizer, photo, SHARES, 256) - photo)
    np.testing.assert_allclose(made, halfway, atol=1e-6)
