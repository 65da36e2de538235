"""Where a training begins: with what a stylizer of other paintings can already do.

Dumoulin, Shlens and Kudlur, arXiv:1610.07629, section 3: the convolutions of a network that has
learnt some paintings serve further ones, whose own numbers (γ, β and colours) are all that has to
be learnt at first. The package brings such a network along, made by `scripts/make_base.py`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from nst_tf import assets, reading
from nst_tf.errors import SettingsError
from nst_tf.stylizer.course import BASE_WIDTH, Course
from nst_tf.stylizer.network import Stylizer

#: Of pictures [batch, height, width, 3], the loss in the style of each painting, [paintings].
Losses = Callable[[tf.Tensor], tf.Tensor]


def file_of(course: Course) -> Path | None:
    """The file that a training begins with; None where it begins anew."""
    if not course.has_base:
        return None
    return assets.STYLIZER if course.base == "auto" else Path(course.base)


def load(path: str | os.PathLike[str]) -> Stylizer:
    """A stylizer to begin with: the package's own file, or any that was trained.

    Raises:
      FileError: the file cannot be read, or holds none.
    """
    if Path(path) != assets.STYLIZER:
        return Stylizer.load(path)
    with np.load(reading.opened(path, reading.MOST_WEIGHTS), allow_pickle=False) as arrays:
        base = Stylizer([str(name) for name in arrays["paintings"]], BASE_WIDTH)
        base.set_weights([arrays[f"weight_{place:03d}"] for place in range(len(base.weights))])
    return base


def save(base: Stylizer, path: str | os.PathLike[str]) -> None:
    """Writes one as the package has it: arrays that every version of Keras can read."""
    arrays = {f"weight_{place:03d}": array for place, array in enumerate(base.get_weights())}
    np.savez_compressed(path, paintings=np.array(base.paintings), **arrays)


def begin(stylizer: Stylizer, base: Stylizer, photos: tf.Tensor, losses: Losses) -> list[str]:
    """Gives a stylizer the body of another, and each of its styles the numbers of that among the
    other's which is nearest to the painting by the loss.

    Args:
      stylizer: to be trained.
      base: of the same width.
      photos: a few, float32 [batch, height, width, 3] in [0, 1].
      losses: of these photos, painted.

    Returns:
      The nearest style of each painting, by name.

    Raises:
      SettingsError: they are of two widths.
    """
    if stylizer.get_config()["width"] != base.get_config()["width"]:
        widths = [f"{model.get_config()['width']:g}" for model in (stylizer, base)]
        raise SettingsError(f"width is {widths[0]}, and the base's {widths[1]}: use that one")
    styles = np.eye(len(base.paintings), dtype=np.float32)
    painted = [base({"content": photos, "styles": style[np.newaxis]}) for style in styles]
    nearest = np.argmin([losses(pictures) for pictures in painted], 0)
    for own, theirs in zip(stylizer.body, base.body, strict=True):
        own.assign(tf.convert_to_tensor(theirs))
    for own, theirs in zip(stylizer.numbers_of_styles, base.numbers_of_styles, strict=True):
        own.assign(tf.gather(tf.convert_to_tensor(theirs), nearest))
    return [base.paintings[place] for place in nearest]
