"""What tests of pictures compare with: profiles, Lanczos, compositing, from their formulas."""

from __future__ import annotations

import struct

import numpy as np


def profile(colour_space, gamma, colorants=()):
    """An ICC 2.1 display profile: a gamma, and for RGB the colorants in XYZ (D50)."""
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    if colour_space == b"GRAY":
        return _icc(b"mntrGRAYXYZ ", {b"kTRC": curve})
    tags = {}
    for letter, colorant in zip("rgb", colorants, strict=True):
        tags[f"{letter}XYZ".encode()] = b"XYZ \0\0\0\0" + _fixed(*colorant)
        tags[f"{letter}TRC".encode()] = curve
    return _icc(b"mntrRGB XYZ ", tags)


def black_ink_only(darkest=0.0, ways=(b"A2B0", b"B2A0")):
    """An ICC 2.1 profile of a printer whose cyan, magenta and yellow are water, its black of the
    lightness `darkest`: lightness is linear in the ink, down from 100."""
    ramp = bytes(range(256))
    floor = round(darkest * 2.55)
    corners = b"".join(bytes([floor if ink % 2 else 255, 128, 128]) for ink in range(2**4))  # Lab
    to_lab = _table(4, 3, 4 * ramp + corners + 3 * ramp)
    ink_at = bytes(round(255 * min(1, (255 - level) / (255 - floor))) for level in range(256))
    inks = b"".join(bytes([0, 0, 0, 255 * (lab // 4)]) for lab in range(2**3))
    to_inks = _table(3, 4, ink_at + 2 * ramp + inks + 4 * ramp)
    tables = {b"A2B0": to_lab, b"B2A0": to_inks}
    return _icc(b"prtrCMYKLab ", {way: tables[way] for way in ways})


def _table(inputs, outputs, content):
    """An 8-bit table of two steps a channel."""
    return (
        b"mft1\0\0\0\0"
        + bytes([inputs, outputs, 2, 0])
        + _fixed(1, 0, 0, 0, 1, 0, 0, 0, 1)
        + content
    )


def _fixed(*numbers):
    return b"".join(struct.pack(">i", round(number * 65536)) for number in numbers)


def _icc(spaces, tags):
    white = _fixed(0.9642, 1.0, 0.8249)
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", 2) + b"t\0" + b"\0" * 78,
        b"cprt": b"text\0\0\0\0none\0\0\0\0",
        b"wtpt": b"XYZ \0\0\0\0" + white,
        **tags,
    }
    table, body = struct.pack(">I", len(tags)), b""
    for name, content in tags.items():
        content += b"\0" * (-len(content) % 4)
        table += name + struct.pack(">II", 128 + 4 + 12 * len(tags) + len(body), len(content))
        body += content
    header = struct.pack(">I", 128 + len(table) + len(body)) + b"none\x02\x10\0\0" + spaces
    header += struct.pack(">6H", 2020, 1, 1, 0, 0, 0) + b"acsp"
    header = header.ljust(68, b"\0") + white
    return header.ljust(128, b"\0") + table + body


# Colorants as the profiles of Adobe RGB (1998) and sRGB IEC61966-2.1 hold them.
ADOBE = np.array(
    [(0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457)]
)
SRGB = np.array(
    [(0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.7141)]
)
WIDE = profile(b"RGB ", 2.2, ADOBE)
LINEAR_GRAY = profile(b"GRAY", 1.0)


def encode_srgb(linear):
    """IEC 61966-2-1."""
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def adobe_to_srgb(array):
    linear = (array / np.float64(np.iinfo(array.dtype).max)) ** (563 / 256)
    return encode_srgb(linear @ ADOBE @ np.linalg.inv(SRGB))


def lanczos(picture, height, width):
    """Lanczos-3, its support stretched when shrinking, normalised, the edges cut off: float64."""

    def matrix(old, new):
        scale = old / new
        stretch = max(scale, 1.0)
        centres = (np.arange(new) + 0.5) * scale
        x = (np.arange(old) + 0.5 - centres[:, None]) / stretch
        kernel = np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0)
        return kernel / kernel.sum(axis=1, keepdims=True)

    rows, columns = matrix(picture.shape[0], height), matrix(picture.shape[1], width)
    return np.clip(np.einsum("hi,wj,ijc->hwc", rows, columns, picture.astype(np.float64)), 0, 1)


def on_white(array):
    """Colour or gray with alpha last, of an integer type, laid on white, in float64."""
    array = array / np.float64(np.iinfo(array.dtype).max)
    colour, alpha = array[..., :-1], array[..., -1:]
    return np.broadcast_to(colour * alpha + 1 - alpha, (*array.shape[:2], 3))


def as_rgb(gray):
    gray = gray / np.float64(np.iinfo(gray.dtype).max)
    return np.repeat(gray[..., np.newaxis], 3, axis=-1)
