"""Pixels in and out: files, PIL images, arrays and tensors to RGB in [0, 1], and back.

Everywhere in the package a picture is float32 [height, width, 3], sRGB-encoded, in [0, 1].
"""

from __future__ import annotations

import contextlib
import io
import os
import reprlib
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError, features

from nst_tf import files
from nst_tf.errors import FileError, PictureError

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

#: Beyond this many pixels a side no format here holds a picture; most stop far below.
MAX_SIZE = 100_000

if not features.check("littlecms2"):
    raise PictureError(
        "this Pillow was built without LittleCMS, which colours need: reinstall it as a wheel, "
        "pip install --force-reinstall --only-binary=pillow pillow"
    )
_SRGB = ImageCms.createProfile("sRGB")
_DATED = ImageCms.ImageCmsProfile(_SRGB).tobytes()
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
    if isinstance(picture, (str, os.PathLike)):
        array = _from_file(Path(picture), ground)
    elif isinstance(picture, bytes):
        array = _decoded(picture, f"the picture in {len(picture)} bytes", ground)
    elif isinstance(picture, Image.Image):
        what = f"the PIL image {picture.mode} {picture.size}"
        with _one_line(what):
            array = _from_pil(picture, what, ground)
    else:
        array = _from_array(picture, ground=ground)
    if size is None:
        return array
    height, width = array.shape[:2]
    scale = size / max(height, width)
    return resize(array, max(1, round(height * scale)), max(1, round(width * scale)))


def held(picture: Picture) -> Picture:
    """A picture in a form that can be read again: of a file object its bytes, else as it is.

    Raises:
      PictureError: a file object gives no bytes, or a path is empty.
    """
    if isinstance(picture, str) and not picture:
        raise PictureError("the name of a picture is empty: give a path")
    if isinstance(picture, (bytearray, memoryview)):
        return bytes(picture)
    read = getattr(picture, "read", None)
    if not callable(read):
        return picture
    name = f"the file object {getattr(picture, 'name', type(picture).__name__)}"
    try:
        data = read()
    except (OSError, ValueError) as error:  # such as one that is closed
        raise PictureError(f"cannot read {name}: {error}") from error
    if not isinstance(data, bytes):
        raise PictureError(
            f"{name} gives {type(data).__name__}, not bytes: open it in binary mode, 'rb'"
        )
    if not data:
        raise PictureError(f"{name} gives no bytes: it is empty, or stands at its end")
    return data


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
    channels = [
        Image.fromarray(np.ascontiguousarray(picture[..., channel])).resize(
            (width, height), Image.Resampling.LANCZOS, box
        )
        for channel in range(3)
    ]
    return np.clip(np.stack([np.asarray(channel) for channel in channels], axis=-1), 0, 1)


def cover(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """The largest middle part of a picture with the aspect of `height` x `width`, at that size."""
    rows, columns = picture.shape[:2]
    scale = max(height / rows, width / columns)
    top, left = (rows - height / scale) / 2, (columns - width / scale) / 2
    box = (left, top, min(columns, left + width / scale), min(rows, top + height / scale))
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
    check_target(path, bits)
    kind, options = FORMATS[path.suffix.lower()]
    if bits == 16:
        deep = (np.clip(picture, 0, 1) * 65535 + 0.5).astype(np.uint16)
        data = _png16(deep) if kind == "PNG" else _tiff16(deep)
    else:
        buffer = io.BytesIO()
        if kind != "BMP":  # which has no place for a profile
            options = {**options, "icc_profile": SRGB_ICC}
        try:
            to_pil(picture).save(buffer, kind, **options)
        except (OSError, ValueError) as error:  # a size that the format does not hold
            raise PictureError(f"cannot write {path} as {kind}: {error}") from error
        data = buffer.getvalue()
    try:
        files.write(path, data)
    except FileError as error:
        raise PictureError(str(error)) from error


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


@contextlib.contextmanager
def _one_line(what: str) -> Iterator[None]:
    """Turns what Pillow and its codecs raise for a bad picture into one PictureError."""
    try:
        with warnings.catch_warnings():
            # Of a large or slightly damaged picture that it reads all the same.
            warnings.simplefilter("ignore")
            yield
    except PictureError:
        raise
    except Image.DecompressionBombError as error:
        limit = 2 * (Image.MAX_IMAGE_PIXELS or 0) // 1_000_000
        raise PictureError(
            f"{what} is too large: more than {limit} megapixels (a decompression bomb?)"
        ) from error
    except UnidentifiedImageError as error:
        raise PictureError(f"{what} is not a picture in a format that Pillow reads") from error
    except MemoryError as error:
        raise PictureError(f"{what} does not fit in memory") from error
    except Exception as error:  # codecs raise OSError, SyntaxError, struct.error, ValueError, ...
        reason = " ".join(str(error).split()) or type(error).__name__
        raise PictureError(f"{what} is damaged or cut short: {reason}") from error


def _from_file(path: Path, ground: str) -> np.ndarray:
    try:
        data = path.read_bytes()
    except IsADirectoryError as error:
        raise PictureError(f"{path} is a directory, not a picture") from error
    except (OSError, ValueError) as error:
        raise PictureError(f"cannot read {path}: {getattr(error, 'strerror', error)}") from error
    return _decoded(data, str(path), ground)


def _decoded(data: bytes, what: str, ground: str) -> np.ndarray:
    if not data:
        raise PictureError(f"{what} is empty")
    with _one_line(what):
        Image.init()
        # Pillow hands EPS to Ghostscript, a program that a picture should not be able to run.
        formats = [name for name in Image.OPEN if name != "EPS"]
        with Image.open(io.BytesIO(data), formats=formats) as image:
            return _from_pil(image, what, ground)


def _from_pil(image: Image.Image, what: str, ground: str) -> np.ndarray:
    """Float32 RGB of a PIL image. Pillow reads colour of 16 bits at 8; gray keeps to 8 with it."""
    if 0 in image.size:
        raise PictureError(f"{what} has no pixels")
    # A phone's MPO file holds a second view behind the picture; the others here are animations
    # or documents, of which nobody can say which page is meant.
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO":
        raise PictureError(f"{what} is animated or has pages ({frames}): save one as a picture")
    tags: Any = getattr(image, "tag_v2", {})
    if tags.get(284) == 2 and tags.get(258, (8,))[0] > 8:
        raise PictureError(f"{what} holds 16 bits in planes, which Pillow misreads: save it anew")
    image.load()
    profile = image.info.get("icc_profile")
    image = ImageOps.exif_transpose(image)
    if image.mode == "F":
        return _from_array(np.asarray(image, np.float32), what)
    if image.mode.startswith("I"):
        image = _gray_of_8_bits(image, tags, what)
    image, alpha = _without_alpha(image)
    image = _to_srgb(image, profile)
    if alpha is not None:
        image = Image.composite(image, Image.new("RGB", image.size, ground), alpha)
    return np.asarray(image, np.float32) / 255


def _gray_of_8_bits(image: Image.Image, tags: Any, what: str) -> Image.Image:
    """Gray of 12 or 16 bits, which Pillow may hold in 32, scaled to 8; its own way is to clip."""
    gray = np.asarray(image).astype(np.int64)
    top = 4095 if tags.get(258) == (12,) else 65535
    if gray.min() < 0 or gray.max() > top:
        raise PictureError(f"{what} holds gray values beyond 16 bits: save it with 8 or 16")
    clear = image.info.get("transparency")
    if tags.get(262) == 0:  # TIFF's WhiteIsZero
        gray = top - gray
    scaled = Image.fromarray((gray * (255 / top) + 0.5).astype(np.uint8))
    if clear is None:
        return scaled
    opaque = Image.fromarray(np.where(gray == clear, 0, 255).astype(np.uint8))
    return Image.merge("LA", (scaled, opaque))


def _without_alpha(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """The colours and the transparency of an image; gray stays gray, for its own profile."""
    if image.mode in ("La", "RGBa"):  # premultiplied
        image = image.convert(image.mode.upper())
    if image.mode == "LA":
        return image.getchannel("L"), image.getchannel("A")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return image.convert("RGB"), image.getchannel("A")
    return image, None


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Converts by the embedded profile where it has one that fits, else as Pillow converts."""
    if image.mode not in ("RGB", "L", "CMYK", "LAB"):
        image = image.convert("RGB")
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(image, source, _SRGB, outputMode="RGB")
        except (ImageCms.PyCMSError, OSError):
            # A damaged profile, or one for another number of channels (gray turned colour):
            # every viewer shows such a picture as if it had none, and so do we.
            converted = None
        if converted is not None:
            return converted
    return image.convert("RGB")


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
