"""What the student learns from: crops, blends, noise, and the states of style transfers."""

from __future__ import annotations

import collections
from pathlib import Path

import numpy as np
from PIL import Image

from nst_tf.pictures import images

#: Sizes of the crops in pixels and how often each is drawn.
CROPS = {96: 0.1, 128: 0.45, 192: 0.45}
#: Size in pixels of the style transfers that the student learns from.
CANVAS = 192
#: Style transfers that are kept to draw crops from; the oldest make room.
POOL = 160


def split(folder: str, every: int) -> tuple[list[Path], list[Path]]:
    """The pictures to train on, and every `every`th of the sorted list, which is held out."""
    paths = sorted(path for path in Path(folder).iterdir() if path.is_file())
    held_out = paths[::every]
    return [path for path in paths if path not in held_out], held_out


def random_crop(picture: Image.Image, size: int, draw: np.random.Generator) -> np.ndarray:
    """A square window of a random size, between the whole picture and 1.5 times enlarged."""
    most = min(picture.size)
    side = np.exp(draw.uniform(np.log(min(most, size / 1.5)), np.log(most)))
    left, top = (draw.uniform(0, length - side) for length in picture.size)
    box = (left, top, left + side, top + side)
    crop = picture.resize((size, size), Image.Resampling.LANCZOS, box)
    array = np.asarray(crop, np.float32) / 255
    return array[:, ::-1] if draw.random() < 0.5 else array


def synthetic(size: int, draw: np.random.Generator) -> np.ndarray:
    """A flat colour with noise of a random strength and grain."""
    grain = int(draw.choice([1, 1, 2, 4, 8]))
    noise = draw.standard_normal((size // grain, size // grain, 3), np.float32)
    noise = noise.repeat(grain, 0).repeat(grain, 1) * draw.choice([0, 0.05, 0.1, 0.3])
    return draw.random(3, np.float32) + noise.astype(np.float32)


class Crops:
    """Draws what the student learns from.

    Args:
      photos: files.
      paintings: files.
    """

    def __init__(self, photos: list[Path], paintings: list[Path]) -> None:
        self.photos, self.paintings = (
            [images.to_pil(images.load(path)) for path in paths] for paths in (photos, paintings)
        )
        #: One entry a style transfer: float16 [states, CANVAS, CANVAS, 3], not clipped.
        self.pool: collections.deque[np.ndarray] = collections.deque(maxlen=POOL)

    def pair(self, draw: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """A photo and a painting to make a style transfer of."""
        return self._of(self.photos, CANVAS, draw), self._of(self.paintings, CANVAS, draw)

    def batch(self, crops: int, draw: np.random.Generator) -> np.ndarray:
        """Float32 [batch, size, size, 3]; values beyond [0, 1] occur, as while optimising.

        Args:
          crops: how many if of 128 pixels; fewer where they are larger, more where smaller.
          draw: of all that is random.
        """
        size = int(draw.choice(list(CROPS), p=list(CROPS.values())))
        count = max(2, round(crops * (128 / size) ** 2))
        batch: list[np.ndarray] = []
        while len(batch) < count:
            kind = draw.random()
            if kind < 0.33 and self.pool:
                batch += self._two_states(size, draw)
                continue
            crop = self._any(size, draw)
            if kind < 0.4:
                share = np.float32(draw.random())
                crop = share * crop + (1 - share) * self._any(size, draw)
            elif kind < 0.5:
                strength = np.float32(np.exp(draw.uniform(np.log(0.01), np.log(0.3))))
                crop = crop + strength * draw.standard_normal(crop.shape, np.float32)
            elif kind < 0.55:
                crop = synthetic(size, draw)
            elif kind < 0.65:
                crop = (crop - 0.5) * draw.uniform(0.5, 1.5, 3).astype(np.float32) + 0.5
            batch.append(crop)
        return np.stack(batch[:count])

    def plain(self, size: int, count: int, draw: np.random.Generator) -> np.ndarray:
        """Float32 [count, size, size, 3]: crops, every eighth with noise."""
        crops = np.stack([self._any(size, draw) for _ in range(count)])
        crops[::8] += 0.1 * draw.standard_normal(crops[::8].shape, np.float32)
        return crops

    def _any(self, size: int, draw: np.random.Generator) -> np.ndarray:
        return self._of(self.photos if draw.random() < 0.5 else self.paintings, size, draw)

    def _of(self, pictures: list[Image.Image], size: int, draw: np.random.Generator) -> np.ndarray:
        return random_crop(pictures[draw.integers(len(pictures))], size, draw)

    def _two_states(self, size: int, draw: np.random.Generator) -> list[np.ndarray]:
        """The same window of two states of a style transfer: what changed, the teacher must say."""
        states = self.pool[draw.integers(len(self.pool))]
        top, left = draw.integers(0, CANVAS - size + 1, 2)
        turned = slice(None, None, int(draw.choice([-1, 1])))
        # The style image comes first. Whether a late state is like it is what decides.
        late = int(draw.integers(len(states) // 2, len(states)))
        other = 0 if draw.random() < 0.5 else int(draw.integers(late))
        window = states[[other, late]][:, top : top + size, left : left + size, :][:, :, turned]
        return list(window.astype(np.float32))


def square(path: Path) -> np.ndarray:
    """The middle of a picture, CANVAS x CANVAS."""
    return images.cover(images.load(path), CANVAS, CANVAS)
