"""The initial image: content, style, blurred content, noise, blank, a file, what a
stylizer paints, or a mix of these."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from nst_tf.errors import SettingsError
from nst_tf.pictures import images
from nst_tf.pictures.images import Picture
from nst_tf.recipe.choices import INITIAL_IMAGES
from nst_tf.recipe.objects import Given

#: Before the file of a network that paints the photo in one pass: what it paints.
STYLIZER = "stylizer:"

#: Standard deviation of the blur, as a share of the longer side: the large shapes stay, and strokes
#: find none of the photo's own lines in their way.
BLUR = 1 / 64

#: Standard deviation of the noise around mid-gray, black to white being 1. Faint, as in the papers'
#: own code (one gray level): the losses hardly see the finest grain, so what noise an image starts
#: with it keeps.
NOISE = 0.01


def image(
    init: str | Given,
    content: np.ndarray,
    styles: Sequence[np.ndarray],
    seed: int,
    paintings: Mapping[str, float] | None = None,
) -> np.ndarray:
    """The image that a run starts from.

    Args:
      init: `content`; `style`, the first style image; `blurred`, the content image blurred by a
        Gaussian of a 64th of its longer side; `noise`, faint white noise around mid-gray; `blank`,
        mid-gray; the path of a picture; `stylizer:` and the path of a `Stylizer`, what it paints of
        the content image in one pass, in those of its styles that `paintings` names; or a mix,
        `content=0.7,noise=0.3`, whose shares are scaled to sum to 1. Or a picture itself. What has
        another shape than the content image is scaled to cover it and cropped.
      content: float32 [height, width, 3] in [0, 1].
      styles: likewise, of any sizes.
      seed: of the noise.
      paintings: the run's style images by name, each with its share, for a stylizer of several
        styles, as `one_pass.painted` takes them.

    Returns:
      float32, of the content image's shape, in [0, 1].

    Raises:
      SettingsError: `init` is none of these.
      PictureError: the file is no picture.
      FileError: the file is no stylizer.
    """
    if isinstance(init, Given):
        return images.cover(images.load(given(init)), *content.shape[:2])
    mixed = np.zeros_like(content)
    shares = parse(init)
    for kind, share in shares.items():
        one = _one(kind, content, styles, seed, paintings)
        mixed += np.float32(share / sum(shares.values())) * one
    return mixed


def parse(init: str) -> dict[str, float]:
    """Reads `init` into the share of each kind or file; the shares need not sum to 1.

    Raises:
      SettingsError: it is neither a kind, nor a file, nor a mix of them.
    """
    if init in INITIAL_IMAGES or _is_file(init):
        return {init: 1.0}
    shares: dict[str, float] = {}
    for part in init.split(","):
        kind, separator, number = part.strip().rpartition("=")
        try:
            share = float(number)
        except ValueError:
            share = -1.0
        if not separator or not (kind in INITIAL_IMAGES or _is_file(kind)) or not 0 <= share < 1e9:
            raise SettingsError(
                f"init {init!r}: {part.strip()!r} is no file and none of "
                f"{', '.join(INITIAL_IMAGES)}, {STYLIZER}FILE; a mix reads content=0.7,noise=0.3"
            )
        shares[kind] = shares.get(kind, 0.0) + share
    if not sum(shares.values()) > 0:
        raise SettingsError(f"init {init!r}: at least one share must be above 0")
    return shares


def given(init: Given) -> Picture:
    """The picture that was given; of a file object its bytes, which are kept for the next run."""
    init.picture = images.held(init.picture)
    return init.picture


def files(init: str | Given) -> list[str]:
    """The files that `init` names, which are read when the run is set up."""
    if isinstance(init, Given):
        return []
    kinds = [kind for kind in parse(init) if kind not in INITIAL_IMAGES]
    return [kind.removeprefix(STYLIZER) for kind in kinds]


def is_painted(init: str | Given) -> bool:
    """Whether a network has a share in it."""
    return isinstance(init, str) and any(kind.startswith(STYLIZER) for kind in parse(init))


def _is_file(name: str) -> bool:
    try:
        return Path(name.removeprefix(STYLIZER)).is_file()
    except (OSError, ValueError):  # no file system takes such a name
        return False


def noise(seed: int, shape: Sequence[int]) -> np.ndarray:
    """Faint white noise around mid-gray, float32 in [0, 1]: a seed's numbers, in their order."""
    normal = np.random.default_rng(seed).standard_normal(tuple(shape), np.float32)
    return np.clip(0.5 + NOISE * normal, 0, 1)


def _one(
    kind: str,
    content: np.ndarray,
    styles: Sequence[np.ndarray],
    seed: int,
    paintings: Mapping[str, float] | None,
) -> np.ndarray:
    height, width = content.shape[:2]
    if kind == "content":
        return content
    if kind == "style":
        return images.cover(styles[0], height, width)
    if kind == "blurred":
        return _blurred(content)
    if kind == "noise":
        return noise(seed, content.shape)
    if kind == "blank":
        return np.full_like(content, 0.5)
    if kind.startswith(STYLIZER):
        from nst_tf.pictures import one_pass

        return one_pass.painted(kind.removeprefix(STYLIZER), content, paintings)
    return images.cover(images.load(kind), height, width)


def _blurred(picture: np.ndarray) -> np.ndarray:
    from nst_tf.pictures import filters

    sigma = BLUR * max(picture.shape[:2])
    reach = math.ceil(3 * sigma)
    # What lies beyond a border is mirrored once, at most up to the other border.
    shape = tuple(2 * min(reach, side - 1) + 1 for side in picture.shape[:2])
    return np.clip(filters.gaussian_filter2d(picture, shape, sigma).numpy(), 0, 1)
