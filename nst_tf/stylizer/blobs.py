"""Whether a stylizer makes blobs: spots that are neither the photo's nor the painting's.

Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", arXiv:1912.04958, section 2:
where a channel is nothing but a strong spike, instance normalisation makes the spike as large as
other channels' contents, and the network learns to hide what it has to hide behind it. Style
parameters bring that about whose offsets leave of a channel but its highest peak.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from nst_tf.stylizer.network import Stylizer
from nst_tf.stylizer.normalisation import Moments, own_moments

#: Of a channel's variance, the share of a single place from which on it is a spike. Of sixteen
#: styles and eight photos of 256 pixels the largest was 0.09.
SPIKE = 0.25


def spike(maps: tf.Tensor) -> tf.Tensor:
    """The largest share of its channel's variance that a single place has, float32 [].

    Args:
      maps: float32 [batch, height, width, channels].
    """
    squares = (maps - own_moments(maps)[0]) ** 2
    shares = tf.math.divide_no_nan(tf.reduce_max(squares, (1, 2)), tf.reduce_sum(squares, (1, 2)))
    return tf.reduce_max(shares)


def spikes(stylizer: Stylizer, photos: Sequence[np.ndarray]) -> dict[str, float]:
    """By style, the largest share of a channel's variance that a single place has in any of the
    normalisations, of any photo.

    Args:
      stylizer: painted with each of its styles alone.
      photos: float32 [height, width, 3] in [0, 1].
    """
    names = stylizer.paintings
    found = dict.fromkeys(names, 0.0)
    for name, shares in zip(names, np.eye(len(names), dtype=np.float32), strict=True):
        shown: list[tf.Tensor] = []

        def look(maps: tf.Tensor, shown: list[tf.Tensor] = shown) -> Moments:
            shown.append(spike(maps))
            return own_moments(maps)

        for photo in photos:
            fitted = stylizer.fitted(tf.convert_to_tensor(photo)[tf.newaxis])
            stylizer.painted(fitted, shares[np.newaxis], look)
        found[name] = max(map(float, shown), default=0.0)
    return found


def warning(stylizer: Stylizer, photos: Sequence[np.ndarray]) -> str | None:
    """What is to be said of styles that make blobs; None where none does."""
    bad = {name: share for name, share in spikes(stylizer, photos).items() if share > SPIKE}
    if not bad:
        return None
    told = ", ".join(f"{name} ({share:.0%} of a channel)" for name, share in bad.items())
    return (
        f"single spots outweigh all else within the network: {told}. Look for blobs on the sheets; "
        "where there are some, train anew with a smaller learning_rate or another seed"
    )
