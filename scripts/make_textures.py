"""Make the four bundled textures, from the most regular to the least: weave, bricks, cells, grain.

Small on purpose: the oldest methods of texture synthesis compare every pixel with all of them.
"""

from __future__ import annotations

import pathlib

import numpy as np
from absl import app, flags
from PIL import Image
from scipy import ndimage, spatial

ASSETS = pathlib.Path(__file__).resolve().parent.parent / "nst_tf" / "assets"
_OUT = flags.DEFINE_string("out", str(ASSETS), "Folder that receives texture_NAME.png.")

SIZE = 96
SCALE = 4  # They are drawn so much larger: it makes clean edges.
ROWS, COLS = np.mgrid[0 : SIZE * SCALE, 0 : SIZE * SCALE] / SCALE


def rgb(code: str) -> np.ndarray:
    """Turn "rrggbb" into three floats in 0..1."""
    return np.frombuffer(bytes.fromhex(code), np.uint8) / 255


def weave() -> np.ndarray:
    """Bands over and under each other, with a period of 24 pixels: the same everywhere."""
    band = 12.0
    along, across = (ROWS % band) / band, (COLS % band) / band
    upright = (ROWS // band + COLS // band) % 2 == 0
    t = np.where(upright, across, along)
    run = np.where(upright, along, across)
    # Round across a band, and dipping under its neighbours at its ends.
    light = np.sqrt(np.clip(1 - (2 * t - 1) ** 2, 0, 1)) * np.sin(np.pi * (0.12 + 0.76 * run))
    strands = 0.88 + 0.12 * np.cos(2 * np.pi * 4 * t)
    colour = np.where(upright[..., None], rgb("d9a866"), rgb("8c5a35"))
    return colour * (0.25 + 0.85 * light * strands)[..., None]


def bricks(rng: np.random.Generator) -> np.ndarray:
    """Courses of bricks, no two of one colour: regular but for their tones."""
    high, long, joint = 12.0, 24.0, 1.3
    course = (ROWS // high).astype(int)
    shifted = COLS + long / 2 * (course % 2)
    brick = (shifted // long).astype(int) % int(SIZE // long)
    tone = rng.uniform(0.0, 1.0, (int(SIZE // high), int(SIZE // long)))[course, brick][..., None]
    y, x = ROWS % high, shifted % long
    edge = np.minimum(np.minimum(y, high - y), np.minimum(x, long - x))
    grain = rng.normal(0, 1, ROWS.shape)
    rough = ndimage.gaussian_filter(grain, SCALE * 0.6, mode="wrap")
    rough = 0.06 * rough / rough.std()
    face = rgb("7d3426") * (1 - tone) + rgb("c9714a") * tone + rough[..., None]
    inside = np.clip((edge - joint) / 0.5, 0, 1)[..., None]
    return inside * face + (1 - inside) * (rgb("c9c2b4") + 0.6 * rough[..., None])


def cells(rng: np.random.Generator) -> np.ndarray:
    """Round stones, each of its own shape and colour: what is near is alike, nothing repeats."""
    points = rng.uniform(0, SIZE, (70, 2))
    for _ in range(3):  # apart from each other: Lloyd's algorithm, on a torus
        _, nearest = _nearest(points, 1)
        where = np.stack([ROWS, COLS], -1).reshape(-1, 2)
        own = nearest.reshape(-1)
        offset = (where - points[own] + SIZE / 2) % SIZE - SIZE / 2
        counts = np.maximum(np.bincount(own, minlength=len(points)), 1)
        moved = [np.bincount(own, offset[:, k], len(points)) / counts for k in range(2)]
        points = (points + np.stack(moved, -1)) % SIZE
    distances, nearest = _nearest(points, 2)
    edge = distances[..., 1] - distances[..., 0]
    dome = np.clip(edge / 9, 0, 1) ** 0.5
    stones = np.stack([rgb(code) for code in ("8fa3a8", "5f7478", "b9ab8e", "6b5a4c", "a7b59f")])
    colour = stones[rng.integers(0, len(stones), len(points))][nearest[..., 0]]
    down = np.gradient(ndimage.gaussian_filter(dome, SCALE, mode="wrap"), axis=0) * SCALE
    return colour * (0.2 + 0.85 * dome + 1.2 * down)[..., None]


def _nearest(points: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The distances to the nearest points of every pixel, and which they are; on a torus."""
    where = np.stack([ROWS, COLS], -1)
    distances, found = spatial.KDTree(points, boxsize=SIZE).query(where, count)
    shape = (*where.shape[:2], count)
    return np.reshape(distances, shape), np.reshape(found, shape)


def grain(rng: np.random.Generator) -> np.ndarray:
    """Wood: fine fibres along slow waves."""
    slow = ndimage.gaussian_filter(rng.normal(0, 1, ROWS.shape), (40, 90), mode="wrap")
    fibres = ndimage.gaussian_filter(rng.normal(0, 1, ROWS.shape), (1.2, 40), mode="wrap")
    rings = np.sin(2 * np.pi * (ROWS / 12 + 1.3 * slow / slow.std() / 2))
    tone = np.clip(0.5 + 0.28 * rings + 0.16 * fibres / fibres.std(), 0, 1)[..., None]
    return rgb("5b3a1e") * (1 - tone) + rgb("d8a866") * tone


def main(_: list[str]) -> None:
    """Write all of them."""
    out = pathlib.Path(_OUT.value)
    out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(7)
    made = {"weave": weave(), "bricks": bricks(rng), "cells": cells(rng), "grain": grain(rng)}
    for name, picture in made.items():
        levels = (255 * np.clip(picture, 0, 1)).round().astype(np.uint8)
        small = Image.fromarray(levels).resize((SIZE, SIZE), Image.Resampling.BOX)
        small.save(out / f"texture_{name}.png", optimize=True)


if __name__ == "__main__":
    app.run(main)
