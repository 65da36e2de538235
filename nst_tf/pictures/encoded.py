"""Encoded pictures, and PIL images, to upright RGB in sRGB: Pillow's work, within limits.

A file of a few kilobytes may decode to gigabytes. What it will take is estimated from its head,
before a pixel is decoded.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import ExifTags, Image, ImageCms, ImageOps, UnidentifiedImageError, features

from nst_tf import memory_at_hand
from nst_tf.errors import PictureError, in_bytes

#: Beyond this many pixels a side no format here holds a picture; most stop far below.
MAX_SIZE = 100_000
#: From so many pixels on a picture is large: it is reduced before it is scaled, and its file must
#: hold some bytes for its pixels.
_LARGE = 32_000_000
#: Pixels that a byte of a large file may stand for. Flat colour comes to 340 in PNG, a photo to 50.
_PIXELS_A_BYTE = 1000
#: Pixels of a format that Pillow decodes in Python, at about one million a second.
_MAX_IN_PYTHON = 1_000_000
#: Files that Pillow hands to a program, Ghostscript, or unpacks without a limit.
_LEFT_OUT = ("EPS", "FITS")

if not features.check("littlecms2"):
    raise PictureError(
        "this Pillow was built without LittleCMS, which colours need: reinstall it as a wheel, "
        "pip install --force-reinstall --only-binary=pillow pillow"
    )
SRGB = ImageCms.createProfile("sRGB")


def decoded(data: bytes, what: str, size: int | None, ground: str) -> Image.Image:
    """A file's bytes as an upright PIL image of mode RGB, sRGB, or F, float32 as it is.

    Args:
      data: the file.
      what: it is called in errors.
      size: the longer side in pixels that it will be scaled to, None to be kept. What is large is
        reduced to a whole fraction that still has twice as many: a JPEG as it is decoded.
      ground: what transparency is laid on, white or black.

    Raises:
      PictureError: it is no picture, holds several, is damaged, or is larger than memory allows.
    """
    if not data:
        raise PictureError(f"{what} is empty")
    with _one_line(what):
        image = opened(io.BytesIO(data))
        _check_size(image, len(data), what)
        pixels = image.width * image.height
        if (times := _reducible(image, size)) > 1:
            image.draft(None, (image.width // times, image.height // times))
        # A progressive JPEG is kept whole, as coefficients, whatever is made of it.
        kept = 6 * pixels if image.info.get("progressive") else 0
        return _converted(image, what, size, ground, kept)


def opened(file: Any) -> Image.Image:
    """A picture's file, by its path or as a file object, of which but the head has been read.

    Raises:
      Exception: what Pillow and its codecs raise of what is none.
    """
    Image.init()
    return Image.open(file, formats=[name for name in Image.OPEN if name not in _LEFT_OUT])


def converted(image: Image.Image, what: str, size: int | None, ground: str) -> Image.Image:
    """A PIL image, which stays as it is, as `decoded` gives it; arguments and errors as there."""
    with _one_line(what):
        return _converted(image, what, size, ground)


def check_memory(what: str, needed: float) -> None:
    """Raises PictureError where this process may not take as many bytes."""
    left = memory_at_hand.allowed()
    if needed > left:
        raise PictureError(
            f"{what} is too large: it takes about {in_bytes(needed)} of memory, and "
            f"{in_bytes(left)} are at hand"
        )


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


def _check_size(image: Image.Image, held: int, what: str) -> None:
    """Raises PictureError where a file's head promises what no picture is."""
    pixels = image.width * image.height
    if max(image.size) > MAX_SIZE:
        raise PictureError(
            f"{what} is too large: {image.width}x{image.height} pixels, {MAX_SIZE} a side at most"
        )
    if pixels > max(_LARGE, _PIXELS_A_BYTE * held):
        raise PictureError(
            f"{what} is too large: {pixels // 1_000_000} megapixels in {held} bytes "
            "(a decompression bomb?)"
        )
    in_python = any(tile[0] in Image.DECODERS for tile in getattr(image, "tile", ()))
    if in_python and pixels > _MAX_IN_PYTHON:
        raise PictureError(
            f"{what} is too large for {image.format}, which is read slowly: save it as PNG"
        )


def _converted(
    image: Image.Image, what: str, size: int | None, ground: str, kept: int = 0
) -> Image.Image:
    """RGB of a PIL image. Pillow reads colour of 16 bits at 8; gray keeps to 8 with it."""
    if 0 in image.size:
        raise PictureError(f"{what} has no pixels")
    # A phone's MPO file holds a second view behind the picture; the others here are animations
    # or documents, of which nobody can say which page is meant. They are not counted: each would
    # have to be looked for.
    if getattr(image, "is_animated", False) and image.format != "MPO":
        raise PictureError(f"{what} is animated or has pages: save one as a picture")
    tags: Any = getattr(image, "tag_v2", {})
    if tags.get(284) == 2 and tags.get(258, (8,))[0] > 8:
        raise PictureError(f"{what} holds 16 bits in planes, which Pillow misreads: save it anew")
    check_memory(what, kept + image.width * image.height * _bytes_a_pixel(image, size))
    image.load()
    profile = image.info.get("icc_profile")
    if image.getexif().get(ExifTags.Base.Orientation, 1) != 1:
        image = ImageOps.exif_transpose(image)
    if image.mode == "F":
        return image
    if image.mode.startswith("I"):
        image = _gray_of_8_bits(image, tags, what)
    image, alpha = _without_alpha(image)
    image = _to_srgb(image, profile)
    if alpha is not None:
        image = Image.composite(image, Image.new("RGB", image.size, ground), alpha)
    times = _reducible(image, size)
    return image.reduce(times) if times > 1 else image


def _reducible(image: Image.Image, size: int | None) -> int:
    """How many pixels of a large image, each way, can be one where it will be scaled to `size`."""
    if size is None or image.width * image.height <= _LARGE:
        return 1
    return max(image.size) // (2 * size)


def _bytes_a_pixel(image: Image.Image, size: int | None) -> int:
    """What is taken for a pixel, from its decoding to floats; a test measures it.

    Pillow holds 4 bytes for a pixel of colour, and two images while it makes one of the other.
    """
    held = {"1": 1, "L": 1, "P": 1}.get(image.mode, 2 if image.mode.startswith("I;") else 4)
    whole = size is None or size >= max(image.size)
    # As floats all three channels are wanted, or one after the other to be scaled.
    floats = 0 if _reducible(image, size) > 1 else 13 if whole else 10
    alpha, wide = 18 * image.has_transparency_data, 20 * (image.mode[0] in "IF")
    return held + max(4, alpha, wide, floats + (0 if image.mode == "RGB" else 4))


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
            converted = ImageCms.profileToProfile(image, source, SRGB, outputMode="RGB")
        except (ImageCms.PyCMSError, OSError):
            # A damaged profile, or one for another number of channels (gray turned colour):
            # every viewer shows such a picture as if it had none, and so do we.
            converted = None
        if converted is not None:
            return converted
    return image if image.mode == "RGB" else image.convert("RGB")  # which would be a copy
