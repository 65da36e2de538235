"""Make the two bundled pictures: a lakeside landscape (content) and a swirling painting (style)."""

from __future__ import annotations

import itertools
import pathlib
from collections.abc import Callable

import numpy as np
from absl import app, flags
from PIL import Image, ImageDraw

ASSETS = pathlib.Path(__file__).resolve().parent.parent / "nst_tf" / "assets"
_OUT = flags.DEFINE_string("out", str(ASSETS), "Folder that receives scene.png and painting.png.")

WIDTH, HEIGHT = 384, 288
SCALE = 3  # Renderings, and the pixel sizes below, are this much larger: it makes clean edges.
W, H = WIDTH * SCALE, HEIGHT * SCALE
ROWS, COLS = np.mgrid[0:H, 0:W].astype(np.float32)

HORIZON, SHORE = 0.575 * H, 0.615 * H  # Eye level, and the row where the far bank meets water.
SUN_X, SUN_Y = 0.385 * W, 0.40 * H
FOCAL = 1.1 * W
FAR_BANK = 300.0  # Metres from the viewer to the far bank.

# A closed round of colours, from night blue through cream and rust back to night blue.
PALETTE = ["0d1738", "142c6b", "1c4f96", "2a86a6", "7fc0b4", "f5ecd0", "f6cb4e", "e0902c", "b0452a"]
PALETTE += ["4a2340", "0d1738"]
SPACING = 0.8  # Between the samples of a stroke, in pixels: close enough to leave no holes.

Array = np.ndarray
Rng = np.random.Generator
Draw = ImageDraw.ImageDraw


def rgb(code: str) -> Array:
    """Turn "rrggbb" into three floats in 0..1."""
    return np.frombuffer(bytes.fromhex(code), np.uint8).astype(np.float32) / 255


def fill(colour: Array) -> tuple[int, ...]:
    """Give a colour the form that Pillow draws with."""
    return tuple(int(255 * c) for c in np.clip(colour, 0, 1))


def ramp(t: Array | float, codes: list[str]) -> Array:
    """Blend through evenly spaced colours as t goes from 0 to 1."""
    stops, table = np.linspace(0, 1, len(codes)), np.stack([rgb(c) for c in codes])
    return np.stack([np.interp(t, stops, table[:, k]) for k in range(3)], -1).astype(np.float32)


def mix(a: Array, b: Array, t: Array | float) -> Array:
    """Go from colour a to colour b; t may be one number or one per pixel."""
    return a + (b - a) * np.asarray(t, np.float32)[..., None]


def step(low: float, high: float, x: Array) -> Array:
    """Rise smoothly from 0 at low to 1 at high."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def noise(lattice: Array, x: Array, y: Array) -> Array:
    """Interpolate a periodic lattice of random values at any coordinates."""
    col, row = np.floor(x).astype(np.int32), np.floor(y).astype(np.int32)
    u, v = step(0, 1, x - col), step(0, 1, y - row)
    (c0, c1), (r0, r1) = ((i % len(lattice), (i + 1) % len(lattice)) for i in (col, row))
    upper = lattice[r0, c0] * (1 - u) + lattice[r0, c1] * u
    lower = lattice[r1, c0] * (1 - u) + lattice[r1, c1] * u
    return (upper * (1 - v) + lower * v).astype(np.float32)


def fractal(lattice: Array, x: Array, y: Array, octaves: int, ridged: bool = False) -> Array:
    """Sum ever finer noise into clouds, or into sharp crests when ridged; within 0..1."""
    total, gain = np.zeros((), np.float32), 1.0
    for _ in range(octaves):
        layer = noise(lattice, x, y)
        total = total + gain * ((1 - np.abs(2 * layer - 1)) ** 2 if ridged else layer)
        gain /= 2
        # Turning each octave hides the axes of the lattice.
        x, y = 1.6 * x - 1.2 * y + 17.3, 1.2 * x + 1.6 * y + 5.1
    return total / (2 - 2 * gain)


def to_image(pixels: Array) -> Image.Image:
    """Round floats in 0..1 to an 8-bit image."""
    return Image.fromarray((np.clip(pixels, 0, 1) * 255 + 0.5).astype(np.uint8))


def reduced(pixels: Array) -> Array:
    """Shrink a rendering to the size of the picture."""
    small = to_image(pixels).resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
    return np.asarray(small, np.float32) / 255


def sky(lattice: Array) -> Array:
    """Paint an evening sky: a gradient, the glow of a low sun, and clouds that recede."""
    height = np.clip(1 - ROWS / HORIZON, 0, 1)
    colour = ramp(height, ["ffd9a6", "f7d5b4", "bcd3de", "86b4d6", "5590c4", "3f78b4"])
    distance = np.hypot(COLS - SUN_X, ROWS - SUN_Y) / H
    glow = np.exp(-4.5 * distance)
    colour = mix(colour, rgb("ffe0a0"), 0.75 * glow)
    # A flat layer of cloud seen from below: its pattern shrinks towards the horizon.
    far = 1 / (height + 0.16)
    x, y = (COLS - W / 2) / H * far * 2.6 + 3.4, far * 1.7
    density = fractal(lattice, x, y, 7)
    lit = np.clip(0.62 + 4 * (density - fractal(lattice, x - 0.12, y + 0.16, 7)), 0, 1)
    cloud = mix(ramp(lit, ["8f9db4", "d9d0cc", "fff6e8"]), rgb("ffdca4"), 0.6 * glow)
    colour = mix(colour, cloud, 0.92 * step(0.47, 0.66, density))
    colour = mix(colour, rgb("fff3c9"), 0.9 * np.exp(-22 * distance))
    return mix(colour, rgb("fffdf0"), step(0.034, 0.024, distance))


def land(lattice: Array, picture: Array) -> Array:
    """Add meadow, woods and snowy mountains: a height field seen in perspective."""
    depth = np.geomspace(FAR_BANK, 13000, 1500, dtype=np.float32)[:, None]
    east = (np.arange(W, dtype=np.float32) - W / 2) / FOCAL * depth
    z = np.broadcast_to(depth, east.shape)
    valley = 0.26 + 0.74 * step(0, 0.42, np.abs(east / z + 0.10))
    massif = fractal(lattice, east / 2300 + 31, z / 2300 + 7, 8, ridged=True)
    hills = fractal(lattice, east / 700 + 9, z / 700, 6)
    ground = 3300 * step(2400, 9000, z) * massif + 330 * step(420, 2400, z) * hills
    ground = 3 + 8 * step(300, 420, z) + valley * ground
    woods = step(0.36, 0.46, fractal(lattice, east / 260, z / 260 + 40, 4))
    woods *= step(400, 520, z) * step(800, 520, ground)
    crowns = noise(lattice, east / 5, z / 5) ** 2
    surface = ground + 16 * woods * (0.3 + crowns)
    east_slope = np.gradient(surface, axis=1) * FOCAL / z
    north_slope = np.gradient(surface, axis=0) / np.gradient(depth, axis=0)
    light = 0.95 * east_slope + 0.30 * north_slope + 0.45  # From the left, where the sun stands.
    light = np.clip(light / np.sqrt(1 + east_slope**2 + north_slope**2), 0, 1.2)[..., None]
    grain = fractal(lattice, east / 30, z / 30, 4)
    colour = mix(rgb("9aa84f"), rgb("6f8a3c"), grain)
    colour = mix(colour, rgb("2f4a2b") * (0.7 + 0.8 * crowns[..., None]), woods)
    colour = mix(colour, rgb("7a6f68") * (0.8 + 0.4 * grain[..., None]), step(420, 800, ground))
    colour = mix(colour, rgb("e9ecf0"), step(650, 1000, ground + 500 * (grain - 1)))
    colour = colour * (rgb("46587e") + light * rgb("ffe3b4") * 1.05)
    colour = mix(colour, rgb("bccad8"), 1 - np.exp(-(z - FAR_BANK) / 9500))  # Blue haze.
    # In each column, the nearest slice that rises to a row is the one seen there.
    eye = (SHORE - HORIZON) * FAR_BANK / FOCAL
    skyline = np.minimum.accumulate(HORIZON + FOCAL * (eye - surface) / z, axis=0)
    for col in range(W):
        rows = np.arange(int(np.ceil(skyline[-1, col])), H)
        first = np.searchsorted(-skyline[:, col], -rows)
        picture[rows, col] = colour[np.minimum(first, len(depth) - 1), col]
    return picture


def pen(draw: Draw, x: float, y: float, size: float) -> Callable[..., None]:
    """Return a function that fills polygons in units of size, y upwards, around (x, y)."""

    def put(colour: Array, *points: tuple[float, float]) -> None:
        if len(points) == 2:  # Opposite corners of an upright rectangle.
            (a, b), (c, d) = points
            points = (a, b), (a, d), (c, d), (c, b)
        draw.polygon([(x + size * a, y - size * b) for a, b in points], fill(colour))

    return put


def house(draw: Draw, x: float, y: float, size: float, wall: str, roof: str) -> None:
    """Draw a gabled house: its sunny front from (x, y) to the right, then its shaded side."""
    put, tiles = pen(draw, x, y, size), rgb(roof)
    put(rgb(wall) * rgb("a3a6b8"), (0.8, 0), (0.8, 0.62), (1.95, 0.62), (1.95, 0.05))
    put(rgb(wall), (0, 0), (0, 0.62), (0.4, 1.12), (0.8, 0.62), (0.8, 0))
    for t in np.arange(7) / 7:  # Courses of tiles, from the ridge down to the eaves.
        a, b, tone = 0.4 + 0.46 * t, 1.18 - 0.62 * t, tiles * (1.1 if round(7 * t) % 2 else 0.88)
        put(tone, (a, b), (a + 1.15, b), (a + 1.22, b - 0.09), (a + 0.07, b - 0.09))
    put(rgb("8a5a48"), (1.2, 1.02), (1.31, 1.28))
    for side in (-1, 1):  # The boards along the gable.
        foot = 0.4 + side * 0.46
        put(tiles * 0.6, (0.4, 1.21), (foot, 0.58), (foot, 0.51), (0.4, 1.13))
    windows = [(0.13, 0.26), (0.5, 0.26), (0.31, 0.66), (0.96, 0.28), (1.3, 0.28), (1.65, 0.28)]
    for a, b in windows:
        put(rgb("f4efe4"), (a, b), (a + 0.2, b + 0.24))
        for pane in (a + 0.03, a + 0.11):
            put(rgb("2b3646"), (pane, b + 0.03), (pane + 0.06, b + 0.21))
    put(rgb("6b4630"), (0.31, 0), (0.48, 0.3))


def church(draw: Draw, x: float, y: float, size: float) -> None:
    """Draw a nave and, before it, a tower with a tall spire."""
    house(draw, x, y, size, "f3ead8", "8c4a3a")
    put = pen(draw, x, y, size)
    put(rgb("fbf3e2"), (-0.32, 0), (-0.04, 1.65))
    put(rgb("b9b2b4"), (-0.04, 0), (0.14, 1.65))
    put(rgb("7a8f8a"), (-0.38, 1.65), (-0.09, 2.75), (-0.04, 1.65))
    put(rgb("4b5f62"), (-0.04, 1.65), (-0.09, 2.75), (0.2, 1.65))
    put(rgb("3a3f4c"), (-0.23, 1.15), (-0.14, 1.45))


def leafy_tree(draw: Draw, rng: Rng, x: float, y: float, size: float, hue: str) -> None:
    """Build a crown from many dabs of leaf, dark ones first, lit from the upper left."""
    put, count = pen(draw, x, y, size), int(500 + 16 * size)
    put(rgb("4a382b"), (-0.035, 0), (0.035, 0.6))
    puffs = rng.uniform(-1, 1, (18, 2)) * (0.30, 0.27)
    offset = rng.normal(0, 0.07, (count, 2))
    leaf = puffs[rng.integers(0, len(puffs), count)] + offset
    light = 0.66 + 0.55 * leaf @ (-0.6, 1.0) + 2.2 * offset @ (-0.7, 1.0)
    light = np.clip(light + rng.normal(0, 0.13, count), 0.15, 1.3)
    for k in np.argsort(light):
        colour = rgb(hue) * light[k] * mix(rgb("8fa6d0"), rgb("ffeebb"), min(light[k], 1))
        a, b = leaf[k] + (0, 0.68)
        put(colour, (a - 0.02, b), (a, b + 0.016), (a + 0.02, b), (a, b - 0.016))


def conifer(draw: Draw, rng: Rng, x: float, y: float, size: float) -> None:
    """Draw a spruce as drooping boughs that reach farther towards the ground."""
    put = pen(draw, x, y, size)
    for t in np.sort(rng.uniform(0, 0.95, int(50 + 2.2 * size))):
        reach = rng.uniform(-1, 1) * (0.015 + 0.2 * t)
        up, droop = 1 - t, (0.04 + 0.05 * t) * rng.uniform(0.6, 1.3)
        light = np.clip(0.5 - 1.9 * reach + rng.normal(0, 0.13), 0, 1)
        colour = mix(rgb("142620"), rgb("71864a"), light)
        put(colour, (0.3 * reach, up + droop), (reach, up - droop), (0, up - droop / 2))


def far_bank(draw: Draw, rng: Rng) -> None:
    """Line the far bank with a village and trees, the farthest first."""
    for x in rng.uniform(0, W, 60):
        conifer(draw, rng, x, SHORE - rng.uniform(16, 26), rng.uniform(35, 80))
    church(draw, 0.60 * W, SHORE - 16, 62)
    house(draw, 0.44 * W, SHORE - 14, 50, "efe0bf", "a8523a")
    house(draw, 0.88 * W, SHORE - 14, 56, "e9d3b0", "7d4438")
    leafy_tree(draw, rng, 0.545 * W, SHORE - 8, 85, "8ba24a")
    leafy_tree(draw, rng, 0.735 * W, SHORE - 10, 120, "b39a44")
    house(draw, 0.765 * W, SHORE - 7, 66, "f6ecd6", "b5583a")
    house(draw, 0.50 * W, SHORE - 6, 60, "b5452f", "5c5150")
    for x, size in ((0.42, 66), (0.655, 56), (0.96, 125), (0.70, 62), (0.33, 84), (0.295, 104)):
        leafy_tree(draw, rng, x * W, SHORE - 3, size, rng.choice(["94a048", "7d9a44", "b39a44"]))
    for x, size in ((0.05, 150), (0.10, 190), (0.14, 130), (0.19, 165), (0.24, 110), (0.99, 180)):
        conifer(draw, rng, x * W, SHORE - 2, size)
    for x in rng.uniform(0, W, 900):  # Rough grass at the water's edge.
        y, tone = SHORE - rng.uniform(0, 5), rng.uniform(0.5, 1.1)
        draw.line([(x, y), (x + rng.normal(0, 3), y - 7)], fill(rgb("7c8646") * tone), 2)


def lake(lattice: Array, picture: Array) -> Array:
    """Mirror the far bank in water whose ripples grow towards the viewer."""
    near = np.clip((ROWS - SHORE) / (H - SHORE), 0, 1)
    far, x = 1 / (near + 0.07), (COLS - W / 2) / H
    wave = fractal(lattice, x * far * 5, far * 16, 4) - 0.5
    rows = np.clip(2 * SHORE - ROWS + wave * (20 + 170 * near), 0, SHORE - 2).astype(int)
    cols = np.clip(COLS + wave * 26 * near, 0, W - 1).astype(int)
    water = mix(picture[rows, cols] * rgb("d8e2e6"), rgb("24506a"), 0.16 + 0.42 * near)
    path = np.exp(-(((COLS - SUN_X) / (50 + 110 * near)) ** 2))  # Where the sun may glitter.
    glint = step(0.53, 0.68, fractal(lattice, x * far * 11, far * 42, 3))
    water = mix(water, rgb("ffeec0"), 0.9 * path * glint)
    water = mix(water, rgb("2d3a30"), 0.7 * step(7, 0, ROWS - SHORE))  # The shadow of the bank.
    return np.where((ROWS < SHORE)[..., None], picture, water)


def sailing_boat(draw: Draw, rng: Rng) -> None:
    """Draw a small boat under two sails, above their broken reflection."""
    put = pen(draw, 0.2 * W, 0.725 * H, 74)
    for depth in rng.uniform(0, 0.95, 45):
        half, shift = 0.33 * (1 - depth) * rng.uniform(0.4, 1.1), rng.normal(0, 0.03)
        put(rgb("b9bcb6"), (shift - half, -depth), (shift + half, -depth))
    put(rgb("7c2f26"), (-0.46, 0.12), (0.5, 0.14), (0.36, -0.02), (-0.36, -0.02))
    put(rgb("fbf4e2"), (-0.02, 1.1), (-0.02, 0.2), (-0.44, 0.2))
    put(rgb("d9cdbb"), (0.03, 1.0), (0.46, 0.2), (0.03, 0.2))
    put(rgb("4a382b"), (-0.015, 0.1), (0.015, 1.15))


def jetty(draw: Draw, rng: Rng) -> None:
    """Lay a wooden jetty, on posts, from the far end of its planks to the near one."""
    far, near = np.array([0.655, 0.695, 0.735, 0.76, 1.02, 1.02]).reshape(2, 3) * (W, W, H)
    edges = [far + (near - far) * t / (3.6 - 2.6 * t) for t in np.linspace(0, 1, 34)]
    for k, ((l0, r0, y0), (l1, r1, y1)) in enumerate(itertools.pairwise(edges)):
        for x in (l1, r1) if k % 6 == 3 else ():
            put = pen(draw, x, y1, 0.055 * (r1 - l1))
            put(rgb("4a3a30"), (-1, -6), (1, 5))
            put(rgb("a5835c"), (-1, -6), (-0.1, 5))
            put(rgb("c9ab84"), (-1, 4.5), (1, 5))
        tone = rgb("b39472") * rng.uniform(0.72, 1.08)
        draw.polygon([(l0, y0), (r0, y0), (r1, y1), (l1, y1)], fill(tone))
        for x, y in rng.uniform((l1, y0), (r1, y1), (6, 2)):  # Grain of the wood.
            line = [(x, y), (min(x + 0.2 * (r1 - l1), r0), y)]
            draw.line(line, fill(tone * rng.uniform(0.8, 1.1)), 2)
        draw.line([(l1, y1), (r1, y1)], fill(rgb("4a3a30")), 2)


def near_bank(draw: Draw, rng: Rng, count: int = 5200) -> None:
    """Cover the foot of the picture with blades of grass and flowers, the farthest first."""
    x = rng.uniform(0, W, count)
    crest = (0.90 + 0.13 * x / W + 0.01 * np.sin(17 * x / W)) * H
    y = crest + rng.uniform(0, 1, count) ** 1.5 * (H + 20 - crest)
    tall = 40 * rng.uniform(0.5, 1.2, count) * (0.7 + 0.6 * (y - crest) / H)
    tone = ramp(rng.beta(2, 2.4, count), ["1f3320", "3f5a28", "7f8c3c", "d3bd68"])
    for k in np.argsort(y):
        a, b = x[k] + rng.normal(0.15, 0.25) * tall[k], y[k] - tall[k]
        draw.line([(x[k], y[k]), (a, b)], fill(tone[k]), 3)
        if rng.random() < 0.035:
            petal = rgb(rng.choice(["f0ead8", "f0ead8", "d9b23c", "b8452f"]))
            p, q = rng.uniform((2.5, 1.5), (5, 3))
            draw.ellipse([a - p, b - q, a + p, b + q], fill(petal * rng.uniform(0.8, 1)))


def drawn(picture: Array, rng: Rng, *parts: Callable[[Draw, Rng], None]) -> Array:
    """Let Pillow draw some parts on a picture."""
    image = to_image(picture)
    for part in parts:
        part(ImageDraw.Draw(image), rng)
    return np.asarray(image, np.float32) / 255


def make_scene() -> Image.Image:
    """Compose the landscape from back to front and finish it like a photograph."""
    rng = np.random.default_rng(7)
    lattice = rng.random((256, 256), dtype=np.float32)
    picture = drawn(land(lattice, sky(lattice)), rng, far_bank)
    picture = lake(lattice, picture)
    picture = drawn(picture, rng, sailing_boat, jetty, near_bank)
    return to_image(reduced(picture) + rng.normal(0, 0.007, (HEIGHT, WIDTH, 1)))  # Film grain.


def flow_and_tone(lattice: Array) -> tuple[Array, Array]:
    """Give each pixel the direction of its stroke and its place on the palette."""
    x, y = COLS / H, ROWS / H
    phase = 0.1 + 1.25 * y - 0.35 * x + fractal(lattice, 1.7 * x + 3, 1.7 * y + 8, 2)
    for cx, cy in ((0.86, 0.42), (0.30, 0.66)):
        # A full turn around an eye leads the colours back to where they were: a spiral arm.
        phase += np.arctan2(y - cy, x - cx) / (2 * np.pi)
        phase -= 1.1 * np.exp(-np.hypot(x - cx, y - cy) / 0.22)
    # Strokes follow the level lines; the complex wave has no jump where the phase wraps.
    wave = np.exp(2j * np.pi * phase)
    dy, dx = ((wave.conj() * d).imag for d in np.gradient(wave))
    return np.arctan2(-dx, dy), phase


def trace(angle: Array, start: Array, steps: int) -> Array:
    """Follow the flow both ways from many points at once; strokes x steps x (x, y)."""
    halves: list[list[Array]] = []
    for sign in (-1, 1):
        path = [start]
        for _ in range(steps // 2):
            col, row = np.clip(path[-1], 0, (W - 1, H - 1)).astype(int).T
            theta = angle[row, col]
            path.append(path[-1] + sign * SPACING * np.stack([np.cos(theta), np.sin(theta)], -1))
        halves.append(path)
    return np.stack(halves[0][:0:-1] + halves[1], 1)


def brush(rng: Rng, length: int, breadth: int) -> tuple[Array, Array]:
    """Make the mark of a bristle brush, straightened: its streaks and how much paint it leaves."""
    coarse = rng.random((length // 90 + 2, max(3, breadth // 3)), dtype=np.float32)
    size = (breadth, length)
    streaks = np.asarray(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC))
    along = np.arange(length, dtype=np.float32)[:, None] / breadth
    across = np.linspace(-1, 1, breadth, dtype=np.float32)[None]
    # Both tips are round; the far one is ragged too, as only full bristles still hold paint.
    head = step(-0.3, 0.9, along - 0.4 * across**2)
    tail = step(-0.4, 0.9, along[::-1] - 0.9 * (1 - streaks))
    cover = np.minimum(head, tail) * (1.2 - np.abs(across) ** 3) + 0.45 * (streaks - 0.5)
    return streaks, step(0.2, 0.5, cover)


def stroke(canvas: Array, relief: Array, rng: Rng, path: Array, width: int, tone: float) -> None:
    """Drag a loaded brush along a path: it leaves colour and a thickness of paint."""
    breadth = int(width * rng.uniform(0.7, 1.3) / SPACING)
    streaks, cover = brush(rng, len(path), breadth)
    tangent = np.gradient(path, axis=0) / SPACING
    offset = (np.arange(breadth)[None] - breadth / 2) * SPACING
    cols = (path[:, :1] - tangent[:, 1:] * offset).astype(int)
    rows = (path[:, 1:] + tangent[:, :1] * offset).astype(int)
    # The brush carries neighbouring colours, which part along its bristles.
    colour = ramp((tone + rng.normal(0, 0.07) + 0.12 * (streaks - 0.5)) % 1, PALETTE)
    colour = colour * (0.82 + 0.36 * streaks)[..., None] + rng.normal(0, 0.02, 3)
    inside = (cols >= 0) & (cols < W) & (rows >= 0) & (rows < H)
    spot, cover = (rows[inside], cols[inside]), cover[inside]
    canvas[spot] = mix(canvas[spot], colour[inside], cover)
    body = (0.35 + streaks[inside]) * np.sqrt(width)
    relief[spot] = relief[spot] * (1 - 0.75 * cover) + body * cover


def make_painting() -> Image.Image:
    """Paint from broad to fine, then light the relief of the paint from the upper left."""
    rng = np.random.default_rng(11)
    angle, tone = flow_and_tone(rng.random((256, 256), dtype=np.float32))
    canvas, relief = np.tile(rgb(PALETTE[1]), (H, W, 1)), np.zeros((H, W), np.float32)
    for width, count in ((84, 420), (54, 800), (34, 900), (18, 600)):
        start = rng.uniform(0, 1, (count, 2)) * (W - 1, H - 1)
        paths = trace(angle, start, int((9 * width**0.75 + 36) / SPACING))
        for path, (x, y) in zip(paths, start.astype(int), strict=True):
            stroke(canvas, relief, rng, path, width, tone[y, x])
    soft = Image.fromarray(relief).resize((W // 2, H // 2), Image.Resampling.BICUBIC)
    dy, dx = np.gradient(np.asarray(soft.resize((W, H), Image.Resampling.BICUBIC)))
    slope = np.tanh(0.45 * (dx + dy))[..., None]
    return to_image(reduced(canvas * (1 + 0.35 * slope) + 0.10 * np.maximum(slope, 0) ** 2))


def main(_: list[str]) -> None:
    """Write both pictures."""
    out = pathlib.Path(_OUT.value)
    out.mkdir(parents=True, exist_ok=True)
    make_scene().save(out / "scene.png", optimize=True)
    make_painting().save(out / "painting.png", optimize=True)


if __name__ == "__main__":
    app.run(main)
