"""How a print will look, on screen: a soft proof by the printer's ICC profile.

ICC.1:2022 has the profiles; LittleCMS, by way of Pillow, converts by them.
"""

from __future__ import annotations

import io
import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms

from nst_tf import reading
from nst_tf.errors import FileError, one_line
from nst_tf.pictures import images, spaces

#: How far, in CIE 1976 ΔE*ab, a print may be from a colour that counts as printable: what
#: LittleCMS' own gamut check takes. A just noticeable difference is about 2.3, and the tables of a
#: profile are off by as much among the colours that a printer has.
TOLERANCE = 5.0

#: Kinds of devices that a picture can be sent to: printers, screens, and spaces as Adobe RGB.
_DEVICES = ("prtr", "mntr", "spac")
#: An ICC colour space to Pillow's mode.
_MODES = {"RGB": "RGB", "CMYK": "CMYK"}
#: Bytes that a profile may have: those of presses, with the finest tables, have some 3 MB.
_MOST = 64 << 20
#: Rows that are compared at once: float64 Lab of a large picture does not fit in memory.
_ROWS = 256


@dataclass(frozen=True)
class Proof:
    """A print, on screen.

    Attributes:
      picture: the print as a screen shows it, float32 [height, width, 3], sRGB in [0, 1].
      outside: the share of the pixels in [0, 1] whose colour the printer does not have: those that
        its nearest colour misses by more than `TOLERANCE`.
      printer: the profile's own description.
    """

    picture: np.ndarray = field(repr=False)
    outside: float
    printer: str


class Printer:
    """Conversions from sRGB to the inks of a profile, and back to what the inks look like.

    To inks there are two ways. `perceptual`, with black point compensation, is how a photo is
    printed: colours that there are not are fitted in, and all others give way a little.
    `colorimetric` leaves every colour that the printer has as it is and takes the nearest for the
    others: what it changes lies outside the gamut. Back is relative colorimetric without
    compensation: the paper is the screen's white, as to eyes that are used to it, and the blackest
    ink is no blacker than it is.

    Args:
      profile: path of an ICC profile of RGB or CMYK (.icc, .icm).

    Raises:
      FileError: it cannot be read, or is no profile that RGB or CMYK can be printed by.
    """

    def __init__(self, profile: str | os.PathLike[str]) -> None:
        path = Path(profile)
        data = reading.read(profile, _MOST)
        try:
            opened = ImageCms.ImageCmsProfile(io.BytesIO(data))
            device, space = (
                word.strip() for word in (opened.profile.device_class, opened.profile.xcolor_space)
            )
        except (OSError, UnicodeDecodeError) as error:  # words of four letters that are none
            raise FileError(
                f"{path} is not an ICC profile: name the .icc or .icm file of the printer and paper"
            ) from error
        if device not in _DEVICES or space not in _MODES:
            raise FileError(
                f"{path} is an ICC profile of the kind {device!r} for {space}, by which no picture "
                "is printed: use one of an RGB or CMYK printer"
            )
        srgb, mode = ImageCms.createProfile("sRGB"), _MODES[space]
        exact = ImageCms.Intent.RELATIVE_COLORIMETRIC
        try:
            self._perceptual = ImageCms.buildTransform(
                srgb,
                opened,
                "RGB",
                mode,
                ImageCms.Intent.PERCEPTUAL,
                ImageCms.Flags.BLACKPOINTCOMPENSATION,
            )
            self._colorimetric = ImageCms.buildTransform(srgb, opened, "RGB", mode, exact)
            self._back = ImageCms.buildTransform(opened, srgb, mode, "RGB", exact)
        except ImageCms.PyCMSError as error:
            raise FileError(
                f"the profile {path} does not convert both to {space} and back: use one of an RGB "
                "or CMYK printer"
            ) from error
        described = ImageCms.getProfileDescription(opened).strip()
        self.description = one_line(described or path.stem)

    def perceptual(self, image: Image.Image) -> Image.Image:
        """The print of an RGB image, fitted into the printer's gamut, as RGB."""
        return self._print(image, self._perceptual)

    def colorimetric(self, image: Image.Image) -> Image.Image:
        """The print of an RGB image in the nearest colours that the printer has, as RGB."""
        return self._print(image, self._colorimetric)

    def _print(self, image: Image.Image, to_inks: ImageCms.ImageCmsTransform) -> Image.Image:
        # By way of inks in 8 bits, as a print goes: where all is one conversion and the profile's
        # curves are formulas, LittleCMS does not clip inks beyond 1, and shows what nobody prints.
        return self._back.apply(to_inks.apply(image))


def soft_proof(picture: np.ndarray, profile: str | os.PathLike[str]) -> Proof:
    """How a picture will look when it is printed, and how much of it cannot be.

    The picture is converted to the profile's colours perceptually with black point compensation,
    and back by relative colorimetry (`Printer`). A pixel lies outside the gamut where the print by
    relative colorimetry both ways, which keeps all colours that the printer has, is further than
    `TOLERANCE` from it in CIE Lab; this compares 8-bit sRGB, whose own steps are at most about one.

    Args:
      picture: float [height, width, 3], sRGB in [0, 1]; it is printed as 8 bits hold it.
      profile: path of an ICC profile of a printer, RGB or CMYK.

    Raises:
      FileError: a profile that cannot be read or printed by.
    """
    printer = Printer(profile)
    image = Image.fromarray(images.to_uint8(picture))
    seen = np.asarray(printer.perceptual(image), np.float32) / 255
    wanted, nearest = np.asarray(image), np.asarray(printer.colorimetric(image))
    outside = sum(
        int(np.count_nonzero(_differ(wanted[row : row + _ROWS], nearest[row : row + _ROWS])))
        for row in range(0, len(wanted), _ROWS)
    )
    return Proof(seen, outside / (image.width * image.height), printer.description)


def proof_path(result: Path) -> Path:
    """Where the proof of a result goes: `out-proof.png` beside `out.jpg`."""
    return result.with_name(f"{result.stem}-proof.png")


def _differ(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Whether pixels, uint8 [..., 3], are further apart than `TOLERANCE`."""
    apart = spaces.to_lab(one / 255) - spaces.to_lab(other / 255)
    return np.asarray(np.linalg.norm(apart, axis=-1) > TOLERANCE)
