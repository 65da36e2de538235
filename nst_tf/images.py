"""Pixels in and out: files, PIL images, arrays and tensors to RGB in [0, 1], and back.

Everywhere in the package a picture is float32 [height, width, 3], sRGB-encoded, in [0, 1].
"""

from __future__ import annotations

import contextlib
import io
import os
import uuid
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image, ImageCms, ImageOps, UnidentifiedImageError

from nst_tf.errors import PictureError

#: What a picture may be given as: a path, a PIL image, an array or a tensor.
Picture = str | os.PathLike[str] | Image.Image | np.ndarray | Any

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

_SRGB = ImageCms.createProfile("sRGB")
SRGB_ICC: bytes = ImageCms.ImageCmsProfile(_SRGB).tobytes()


def load(picture: Picture, size: int | None = None) -> np.ndarray:
    """Any picture as float32 [height, width, 3], sRGB in [0, 1].

    EXIF orientation is applied, an embedded ICC profile converted to sRGB, transparency laid on
    white. Arrays and tensors are RGB, RGBA or gray, [height, width], [height, width, channels] or
    [1, height, width, channels]; integers are 8 or 16 bit full scale, floats are in [0, 1].

    Args:
      picture: a path, a PIL image, an array or a tensor.
      size: the longer side in pixels that it is scaled to, the aspect kept; None leaves it.

    Raises:
      PictureError: it is no picture that can be read; the text says why.
    """
    if isinstance(picture, (str, os.PathLike)):
        array = _from_file(Path(picture))
    elif isinstance(picture, Image.Image):
        with _one_line(f"the PIL image {picture.mode} {picture.size}"):
            array = _from_pil(picture)
    else:
        array = _from_array(picture)
    if size is None:
        return array
    height, width = array.shape[:2]
    scale = size / max(height, width)
    return resize(array, max(1, round(height * scale)), max(1, round(width * scale)))


def resize(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """Lanczos resampling (area-weighted, so that shrinking does not alias), clipped to [0, 1].

    Args:
      picture: float32 [h, w, 3].
      height: pixels of the result.
      width: pixels of the result.
    """
    if picture.shape[:2] == (height, width):
        return picture
    channels = [
        Image.fromarray(np.ascontiguousarray(picture[..., channel])).resize(
            (width, height), Image.Resampling.LANCZOS
        )
        for channel in range(3)
    ]
    return np.clip(np.stack([np.asarray(channel) for channel in channels], axis=-1), 0, 1)


def cover(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """Scales a picture, aspect kept, until it covers `height` x `width`, and crops the middle."""
    scale = max(height / picture.shape[0], width / picture.shape[1])
    rows = max(height, round(picture.shape[0] * scale))
    columns = max(width, round(picture.shape[1] * scale))
    top, left = (rows - height) // 2, (columns - width) // 2
    return resize(picture, rows, columns)[top : top + height, left : left + width]


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
    check_writable(path)


def check_writable(path: Path) -> None:
    """Raises PictureError where a file could not be written at `path`."""
    folder = path.resolve().parent
    if path.is_dir():
        raise PictureError(f"cannot write {path}: it is a directory")
    if path.exists() and not path.is_file():
        raise PictureError(f"cannot write {path}: it is not an ordinary file")
    if not folder.is_dir():
        raise PictureError(f"cannot write {path}: there is no directory {folder}")
    if not os.access(folder, os.W_OK):
        raise PictureError(f"cannot write {path}: no permission in {folder}")


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
        to_pil(picture).save(buffer, kind, **options)
        data = buffer.getvalue()
    write_atomically(path, data)


def write_atomically(path: Path, data: bytes) -> None:
    """Writes a file beside `path`, then moves it there: nobody ever sees half of it.

    Raises:
      PictureError: the folder cannot be written or is full.
    """
    path = path.resolve()  # so that a link stays one
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        try:
            with part.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise PictureError(f"cannot write {path}: {error.strerror}") from error


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
            # Between one and two times Pillow's limit it warns; beyond, it raises.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
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


def _from_file(path: Path) -> np.ndarray:
    try:
        data = path.read_bytes()
    except IsADirectoryError as error:
        raise PictureError(f"{path} is a directory, not a picture") from error
    except OSError as error:
        raise PictureError(f"cannot read {path}: {error.strerror}") from error
    if not data:
        raise PictureError(f"{path} is empty")
    with _one_line(str(path)), Image.open(io.BytesIO(data)) as image:
        deep = _sixteen_bits(image, data)
        if deep is None:
            return _from_pil(image, str(path))
        return _oriented(
            _from_array(deep, str(path)), image.getexif().get(ExifTags.Base.Orientation)
        )


def _from_pil(image: Image.Image, what: str = "the PIL image") -> np.ndarray:
    # A phone's MPO file holds a second view behind the picture; the others here are animations
    # or documents, of which nobody can say which page is meant.
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO":
        raise PictureError(f"{what} is animated or has pages ({frames}): save one as a picture")
    image.load()
    profile = image.info.get("icc_profile")
    image = ImageOps.exif_transpose(image)
    if image.mode == "F":
        return _from_array(np.asarray(image, np.float32), what)
    if image.mode.startswith("I"):  # 16 bits of gray, which Pillow may hold in 32
        gray = np.asarray(image)
        if gray.min() < 0 or gray.max() > 65535:
            raise PictureError(f"{what} holds gray values beyond 16 bits: save it with 8 or 16")
        return _from_array(gray.astype(np.uint16), what)
    alpha = None
    if image.has_transparency_data:
        image = image.convert("RGBA")
        alpha = image.getchannel("A")
        image = image.convert("RGB")
    if image.mode in ("P", "1", "PA"):
        image = image.convert("RGB")
    image = _to_srgb(image, profile, what)
    if alpha is not None:
        white = Image.new("RGB", image.size, "white")
        image = Image.composite(image, white, alpha)
    return np.asarray(image, np.float32) / 255


def _to_srgb(image: Image.Image, profile: bytes | None, what: str) -> Image.Image:
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


def _sixteen_bits(image: Image.Image, data: bytes) -> np.ndarray | None:
    """The pixels of a 16-bit PNG or TIFF in colour, of which Pillow drops the lower byte.

    None for every other picture, and where a profile other than sRGB must be converted: LittleCMS
    as Pillow binds it has no 16-bit colour, and a right colour matters more than the lower byte.
    """
    raw_modes = " ".join(str(tile[3]) for tile in getattr(image, "tile", ()))
    if "16" not in raw_modes or image.mode not in ("RGB", "RGBA", "LA"):
        return None
    profile = image.info.get("icc_profile")
    if profile and profile != SRGB_ICC:
        return None
    if image.format == "PNG":
        import tensorflow as tf

        image.load()  # for Pillow's word on a damaged file
        return tf.io.decode_png(data, dtype=tf.uint16).numpy()
    if image.format == "TIFF" and getattr(image, "n_frames", 1) == 1:
        import tifffile

        pixels = tifffile.imread(io.BytesIO(data))
        planar = pixels.ndim == 3 and pixels.shape[0] in (3, 4) and pixels.shape[2] not in (3, 4)
        return np.moveaxis(pixels, 0, -1) if planar else pixels
    return None


def _oriented(array: np.ndarray, orientation: int | None) -> np.ndarray:
    """Turns pixels upright by EXIF's orientation, 1 to 8, where Pillow did not read them."""
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    if orientation in (5, 6, 7, 8):
        array = np.swapaxes(array, 0, 1)
    return np.ascontiguousarray(array)


def _from_array(picture: Any, what: str = "the array") -> np.ndarray:
    array = np.asarray(picture)
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
        array = colour * alpha + (1 - alpha)
    if channels in (1, 2):
        array = np.repeat(array, 3, axis=-1)
    return np.ascontiguousarray(array)
