"""Pixels in and out: files, PIL images, arrays and tensors to RGB in [0, 1], and back.

Everywhere in the package a picture is float32 [height, width, 3], sRGB-encoded, in [0, 1].
"""

from __future__ import annotations

import io
import os
import reprlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image, ImageCms

from nst_tf import files, reading
from nst_tf.errors import FileError, PictureError, in_bytes
from nst_tf.pictures import encoded
from nst_tf.recipe import sizes

#: What a picture may be given as: a path, a file's bytes, a binary file object, a PIL image, an
#: array or a tensor.
Picture = str | os.PathLike[str] | bytes | IO[bytes] | Image.Image | np.ndarray | Any

#: Suffix to (Pillow's format, Pillow's options): visually lossless where the format loses anything.
FORMATS: dict[str, tuple[str, dict[str, Any]]] = {
    ".png": ("PNG", {}),
    ".jpg": ("JPEG", {"quality": 95, "subsampling": 0}),
    ".jpeg": ("JPEG", {"quality": 95, "subsampling": 0}),
    ".webp": ("WEBP", {"quality": 95}),
    ".tif": ("TIFF", {"compression": "tiff_deflate"}),
    ".tiff": ("TIFF", {"compression": "tiff_deflate"}),
    ".bmp": ("BMP", {}),
}

#: Pixels a side that a format holds, where another could hold more.
_LONGEST = {"JPEG": 65500, "WEBP": 16383}

#: Bytes that are taken from a file object at once.
_PIECE = 1 << 20

#: Rows that are made floats at once.
_ROWS = 256

#: Pixels a side that a picture may have.
MAX_SIZE = encoded.MAX_SIZE

_DATED = ImageCms.ImageCmsProfile(encoded.SRGB).tobytes()
#: LittleCMS writes the time of its making into a profile; without it, the same picture is always
#: the same file.
SRGB_ICC: bytes = _DATED[:24] + bytes(12) + _DATED[36:]


def load(picture: Picture, size: int | None = None, ground: str = "white") -> np.ndarray:
    """Any picture as float32 [height, width, 3], sRGB in [0, 1].

    EXIF orientation is applied, an embedded ICC profile converted to sRGB, transparency laid on
    a ground. Arrays and tensors are RGB, RGBA or gray, [height, width], [height, width, channels]
    or [1, height, width, channels]; integers are 8 or 16 bit full scale, floats are in [0, 1].

    Args:
      picture: a path, a file's bytes, a binary file object (read from where it stands), a PIL
        image, an array or a tensor.
      size: the longer side in pixels that it is scaled to, the aspect kept; None leaves it.
      ground: white or black.

    Raises:
      PictureError: it is no picture that can be read; the text says why.
    """
    if size is not None and size > MAX_SIZE:
        raise PictureError(f"a size of {size} pixels is too large: {MAX_SIZE} at most")
    picture = held(picture)
    if isinstance(picture, Image.Image):
        what = f"the PIL image {picture.mode} {picture.size}"
        return _from_pil(encoded.converted(picture, what, size, ground), what, size)
    if isinstance(picture, (str, os.PathLike, bytes)):
        data = picture if isinstance(picture, bytes) else read(picture)
        given = data is picture
        what = f"the picture in {len(data)} bytes" if given else str(picture)
        return _from_pil(encoded.decoded(data, what, size, ground), what, size)
    return _scaled(_from_array(picture, ground=ground), "the array", size)


def read(path: str | os.PathLike[str]) -> bytes:
    """A picture file's bytes.

    Raises:
      PictureError: it is no regular file, is too large for one picture, or cannot be read.
    """
    try:
        return reading.read(path)
    except FileError as error:
        raise PictureError(str(error)) from error


def held(picture: Picture) -> Picture:
    """A picture in a form that can be read again: of a file object its bytes, else as it is.

    Raises:
      PictureError: a file object gives no bytes, or more than a picture's file has; or a path is
        empty.
    """
    if isinstance(picture, str) and not picture:
        raise PictureError("the name of a picture is empty: give a path")
    if isinstance(picture, (bytearray, memoryview)):
        return bytes(picture)
    read = getattr(picture, "read", None)
    if not callable(read):
        return picture
    name = f"the file object {getattr(picture, 'name', type(picture).__name__)}"
    data = bytearray()
    try:
        while piece := read(_PIECE):  # which may be less than there is
            if not isinstance(piece, bytes):
                raise PictureError(
                    f"{name} gives {type(piece).__name__}, not bytes: open it in binary mode, 'rb'"
                )
            data += piece
            if len(data) > reading.MOST:
                raise PictureError(
                    f"{name} gives more than {in_bytes(reading.MOST)}: no picture's file does"
                )
    except (OSError, ValueError) as error:  # such as one that is closed
        raise PictureError(f"cannot read {name}: {error}") from error
    if not data:
        raise PictureError(f"{name} gives no bytes: it is empty, or stands at its end")
    return bytes(data)


def resize(
    picture: np.ndarray,
    height: int,
    width: int,
    box: tuple[float, float, float, float] | None = None,
) -> np.ndarray:
    """Lanczos resampling (area-weighted, so that shrinking does not alias), clipped to [0, 1].

    Args:
      picture: float32 [h, w, 3].
      height: pixels of the result.
      width: pixels of the result.
      box: left, top, right and bottom of the part to take, in pixels; None takes all.
    """
    if box is None and picture.shape[:2] == (height, width):
        return picture
    scaled = np.empty((height, width, 3), np.float32)
    for channel in range(3):
        plane = np.ascontiguousarray(picture[..., channel])
        scaled[..., channel] = _plane(plane, height, width, box)
    return np.clip(scaled, 0, 1, out=scaled)


def _plane(
    plane: np.ndarray,
    height: int,
    width: int,
    box: tuple[float, float, float, float] | None = None,
) -> np.ndarray:
    """`resize` of one channel, float32 [h, w], not clipped."""
    lanczos = Image.Resampling.LANCZOS
    return np.asarray(Image.fromarray(plane).resize((width, height), lanczos, box))


def cover(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """The largest middle part of a picture with the aspect of `height` x `width`, at that size."""
    rows, columns = picture.shape[:2]
    scale = max(height / rows, width / columns)
    tall, wide = min(rows, height / scale), min(columns, width / scale)  # not more, by rounding
    top, left = (rows - tall) / 2, (columns - wide) / 2
    box = (left, top, min(columns, left + wide), min(rows, top + tall))
    return resize(picture, height, width, box)


def to_uint8(picture: np.ndarray) -> np.ndarray:
    """Rounds [0, 1] to 0-255; what lies outside is clipped."""
    return (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)


def to_pil(picture: np.ndarray) -> Image.Image:
    """An 8-bit PIL image, tagged sRGB, of a float picture; values outside [0, 1] are clipped."""
    image = Image.fromarray(to_uint8(picture))
    image.info["icc_profile"] = SRGB_ICC
    return image


def side_by_side(pictures: Sequence[np.ndarray], gap: int = 8) -> np.ndarray:
    """A contact sheet: the pictures in a row at the first one's height, with white between."""
    height = pictures[0].shape[0]
    row: list[np.ndarray] = []
    for picture in pictures:
        width = max(1, round(picture.shape[1] * height / picture.shape[0]))
        row += [np.ones((height, gap, 3), np.float32), resize(picture, height, width)]
    return np.concatenate(row[1:], axis=1)


def check_target(path: str | os.PathLike[str], bits: int = 8) -> None:
    """Raises PictureError where `save` could not write: called before long work, not after."""
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise PictureError(f"cannot write {path}: use one of the suffixes {', '.join(FORMATS)}")
    if bits not in (8, 16):
        raise PictureError(f"cannot write {path} with {bits} bits: use 8 or 16")
    if bits == 16 and FORMATS[path.suffix.lower()][0] not in ("PNG", "TIFF"):
        raise PictureError(f"cannot write {path} with 16 bits: only .png and .tif hold them")
    try:
        files.check_writable(path)
    except FileError as error:
        raise PictureError(str(error)) from error


def check_shape(path: Path, shape: tuple[int, int]) -> None:
    """Raises PictureError where the format of `path` does not hold a picture of this height and
    width: called before long work, not after."""
    kind, _ = FORMATS[path.suffix.lower()]
    longest = _LONGEST.get(kind)
    if longest is not None and max(shape) > longest:
        raise PictureError(
            f"cannot write {path}: {kind} holds {longest} pixels a side, and the picture has "
            f"{shape[1]}x{shape[0]}: use .png or .tif"
        )


def save(picture: np.ndarray, path: str | os.PathLike[str], bits: int = 8) -> None:
    """Writes a picture in the format of its suffix, tagged sRGB, atomically.

    Args:
      picture: float [height, width, 3]; values outside [0, 1] are clipped.
      path: PNG, JPEG, WebP, TIFF or BMP by its suffix. A file that is there is replaced only
        once the new one is complete.
      bits: 8, or 16 for PNG and TIFF.

    Raises:
      PictureError: it cannot be written there.
    """
    path = Path(path)
    data = encode(picture, path, bits)
    try:
        files.write(path, data)
    except FileError as error:
        raise PictureError(str(error)) from error


def encode(picture: np.ndarray, path: Path, bits: int = 8) -> bytes:
    """What `save` writes.

    Raises:
      PictureError: it could not be written to `path`, or the format does not hold it.
    """
    check_target(path, bits)
    check_shape(path, picture.shape[:2])
    kind, options = FORMATS[path.suffix.lower()]
    if bits == 16:
        deep = (np.clip(picture, 0, 1) * 65535 + 0.5).astype(np.uint16)
        return _png16(deep) if kind == "PNG" else _tiff16(deep)
    buffer = io.BytesIO()
    if kind != "BMP":  # which has no place for a profile
        options = {**options, "icc_profile": SRGB_ICC}
    try:
        to_pil(picture).save(buffer, kind, **options)
    except (OSError, ValueError) as error:  # a size that the format does not hold
        raise PictureError(f"cannot write {path} as {kind}: {error}") from error
    return buffer.getvalue()


def _png16(deep: np.ndarray) -> bytes:
    """16-bit PNG; Pillow writes 16 bits only in gray, TensorFlow in colour but with no profile."""
    import struct
    import zlib

    import tensorflow as tf

    data: bytes = tf.io.encode_png(deep).numpy()
    body = b"iCCPsRGB\0\0" + zlib.compress(SRGB_ICC)
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    header_end = 33  # signature (8) and IHDR (25); the profile must come before the pixels
    return data[:header_end] + chunk + data[header_end:]


def _tiff16(deep: np.ndarray) -> bytes:
    import tifffile

    buffer = io.BytesIO()
    tifffile.imwrite(buffer, deep, photometric="rgb", compression="zlib", iccprofile=SRGB_ICC)
    return buffer.getvalue()


def _from_pil(image: Image.Image, what: str, size: int | None) -> np.ndarray:
    """Float32 [height, width, 3] of an image of mode RGB or F, scaled as `load` says."""
    if image.mode == "F":
        return _scaled(_from_array(np.asarray(image, np.float32), what), what, size)
    height, width = _scaled_size(image.height, image.width, what, size)
    if (width, height) == image.size:
        return _floats(image)
    picture = np.empty((height, width, 3), np.float32)
    # One after the other: floats of all the channels of a large picture, before it is scaled, would
    # be gigabytes.
    for channel in range(3):
        plane = _floats(image.getchannel(channel))
        picture[..., channel] = _plane(plane, height, width)
    return np.clip(picture, 0, 1, out=picture)


def _floats(image: Image.Image) -> np.ndarray:
    """An image of 8 bits as float32 in [0, 1], some rows at once: Pillow copies what it gives."""
    array = np.empty((image.height, image.width, len(image.getbands())), np.float32)
    for top in range(0, image.height, _ROWS):
        rows = array[top : top + _ROWS]
        part = np.asarray(image.crop((0, top, image.width, top + len(rows))))
        np.divide(part.reshape(rows.shape), np.float32(255), out=rows)
    return array.squeeze(-1) if array.shape[-1] == 1 else array


def _scaled(picture: np.ndarray, what: str, size: int | None) -> np.ndarray:
    height, width = picture.shape[:2]
    return resize(picture, *_scaled_size(height, width, what, size))


def _scaled_size(height: int, width: int, what: str, size: int | None) -> tuple[int, int]:
    """The height and width where the longer side is `size`, if there is memory for it."""
    if size is None:
        return height, width
    height, width = sizes.scaled((height, width), size)
    # As floats, and one channel once more as it is scaled.
    encoded.check_memory(f"{what} at {width}x{height} pixels", 20 * height * width)
    return height, width


def _from_array(picture: Any, what: str = "the array", ground: str = "white") -> np.ndarray:
    try:
        array = np.asarray(picture)
    except Exception as error:  # a ragged list, a symbolic tensor, whatever else has no values
        raise PictureError(f"{what} cannot be read: {error}") from error
    if array.dtype.kind not in "biufcV" or not array.ndim:
        raise PictureError(
            f"{reprlib.repr(picture)}, of type {type(picture).__name__}, is no picture: give a "
            "path, a file's bytes, a binary file object, a PIL image, an array or a tensor"
        )
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    if array.ndim == 4 and array.shape[0] == 1:
        array = array[0]
    if array.ndim == 2:
        array = array[..., np.newaxis]
    if array.ndim != 3 or array.shape[-1] not in (1, 2, 3, 4) or 0 in array.shape:
        raise PictureError(
            f"{what} has the shape {list(np.shape(picture))}: "
            "use [height, width], [height, width, channels] or [1, height, width, channels]"
        )
    if array.dtype in (np.uint8, np.uint16):
        array = array.astype(np.float32) / np.iinfo(array.dtype).max
    elif np.issubdtype(array.dtype, np.floating) or array.dtype.name == "bfloat16":
        array = array.astype(np.float32)
        if not np.isfinite(array).all() or array.min() < 0 or array.max() > 1:
            raise PictureError(
                f"{what} holds values from {array.min():g} to {array.max():g}: "
                "float pictures are in [0, 1]"
            )
    else:
        raise PictureError(f"{what} is of type {array.dtype}: use uint8, uint16 or a float type")
    channels = array.shape[-1]
    if channels in (2, 4):
        colour, alpha = array[..., :-1], array[..., -1:]
        array = colour * alpha + (1 - alpha if ground == "white" else 0)
    if channels in (1, 2):
        array = np.repeat(array, 3, axis=-1)
    return np.ascontiguousarray(array)
