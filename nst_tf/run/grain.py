"""Fine detail in the painting's measure: no more of it in a place than is due there.

Style losses compare what whole pictures have. A painting's finest detail stands in its strokes and
edges, with calm between them; a result with as much of it in all may have it spread as grain over
skies and walls, and the losses cannot tell. Here places are compared with places: detail that the
painting has no room for, and the photo none there, is made weaker.

After Bae, Paris and Durand, "Two-scale Tone Management for Photographic Look", ACM Transactions on
Graphics 25(3), 2006, who carry over a photo's texture by matching local amplitudes of its high
frequencies by their ranks.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from nst_tf.losses import quantiles

#: Levels of detail, from 1 to 8 pixels. In pixels, whatever the picture's size: grain comes of the
#: network's first layers, which see 3 to 10.
LEVELS = 3
#: Pixels a side of what is taken for a place.
PLACE = 11
#: Below it there is nothing to weaken; it keeps a quotient finite.
_NONE = 1e-6
#: The windows in which colour is led by light, and the deviation of light that is an edge to it.
_WINDOW, _EDGE = 7, 0.03
#: Luminance and the two channels of colour, as `tf.image.rgb_to_yuv` has them.
_YUV = (
    (0.299, 0.587, 0.114),
    (-0.14714119, -0.28886916, 0.43601035),
    (0.61497538, -0.51496512, -0.10001026),
)
#: So many places are ranked at least.
_RANKED = 256 * 256
_SPLINE = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)


def shaped(
    image: tf.Tensor,
    content: tf.Tensor,
    styles: Sequence[tf.Tensor],
    shares: Sequence[float] | None = None,
    region: tf.Tensor | None = None,
) -> tf.Tensor:
    """The image with no more fine detail in any place than is due there.

    Colour first follows light: what it has of its own within 7 pixels, fringes along edges and
    speckle, costs the losses next to nothing. Then, for luminance and the two channels of colour,
    and for every level of detail (of an undecimated wavelet transform with the B3 spline:
    Holschneider et al. 1989), each place's amplitude is lowered to what the painting has in the
    place of the same rank, or to what the photo has there, whichever is more. Nothing is made
    stronger.

    Args:
      image: float32 [height, width, 3], RGB in [0, 1].
      content: the photo, of the same shape.
      styles: the paintings, of any sizes; best at those that the run saw them at.
      shares: of each painting, numbers from 0; None for the same of all. Amplitudes of one rank are
        averaged, which makes the Wasserstein barycentre of their distributions.
      region: how much each place counts when they are ranked, float32 [height, width]; None for all
        the same. What lies outside is shaped, too, for somebody else to leave out.

    Returns:
      float32 [height, width, 3] in [0, 1].
    """
    shares = shares or [1.0] * len(styles)
    shares = [share / sum(shares) for share in shares]
    light, channels = _channel(image, _YUV[0]), []
    for weights in _YUV:  # a channel at a time: a third of the memory
        own = light if weights is _YUV[0] else _led(light, _channel(image, weights))
        others = (_channel(picture, weights) for picture in (content, *styles))
        channels.append(_shaped(own, *others, shares=shares, region=region)[0, :, :, 0])
    return tf.clip_by_value(tf.image.yuv_to_rgb(tf.stack(channels, axis=-1)), 0.0, 1.0)


def _channel(picture: tf.Tensor, weights: Sequence[float]) -> tf.Tensor:
    """A channel of YUV, [1, height, width, 1]."""
    return tf.tensordot(picture, tf.constant(weights), 1)[tf.newaxis, :, :, tf.newaxis]


def _led(light: tf.Tensor, colour: tf.Tensor) -> tf.Tensor:
    """Colour as a linear function of light in every window of 7 pixels: the guided filter (He, Sun
    and Tang, ECCV 2010; see `pictures.guided`)."""
    mean, its = _mean(light, _WINDOW), _mean(colour, _WINDOW)
    variance = _mean(light * light, _WINDOW) - mean * mean
    slope = (_mean(light * colour, _WINDOW) - mean * its) / (variance + _EDGE**2)
    return _mean(slope, _WINDOW) * light + _mean(its - slope * mean, _WINDOW)


def _shaped(
    image: tf.Tensor,
    content: tf.Tensor,
    *styles: tf.Tensor,
    shares: Sequence[float],
    region: tf.Tensor | None,
) -> tf.Tensor:
    """`shaped`, of one channel of all pictures, [1, height, width, 1]."""
    maps = [image, content, *styles]
    kept = tf.zeros_like(image)
    for level in range(LEVELS):
        smooth = [_smooth(one, 2**level) for one in maps]
        found, there, *paintings = (
            _amplitude(one - its) for one, its in zip(maps, smooth, strict=True)
        )
        due = sum(
            share * _quantiles(painting) for share, painting in zip(shares, paintings, strict=True)
        )
        wanted = tf.maximum(_of_rank(found, _quantiles(found, region), due), there)
        kept += (maps[0] - smooth[0]) * tf.minimum(wanted / found, 1.0)
        maps = smooth
    return kept + maps[0]


def _smooth(maps: tf.Tensor, step: int) -> tf.Tensor:
    """Values [1, height, width, 1] averaged by (1, 4, 6, 4, 1) / 16 over every `step`-th pixel; the
    border's own go on beyond it."""
    for axis in (1, 2):
        size = tf.shape(maps)[axis]
        within = tf.clip_by_value(tf.range(-2 * step, size + 2 * step), 0, size - 1)
        spline = tf.reshape(
            tf.constant(_SPLINE), [-1 if along == axis else 1 for along in (1, 2, 0, 0)]
        )
        maps = tf.nn.conv2d(tf.gather(maps, within, axis=axis), spline, 1, "VALID", dilations=step)
    return maps


def _amplitude(detail: tf.Tensor) -> tf.Tensor:
    """The root mean square of detail about each place, [1, height, width, 1]."""
    return tf.sqrt(_mean(tf.square(detail), PLACE)) + _NONE


def _mean(maps: tf.Tensor, side: int) -> tf.Tensor:
    """Of a square about each pixel, of which at a border there is a part."""
    for window in ((side, 1), (1, side)):
        maps = tf.nn.avg_pool2d(maps, window, 1, "SAME")
    return maps


def _quantiles(amplitude: tf.Tensor, region: tf.Tensor | None = None) -> tf.Tensor:
    """Of all places, ascending, float32 [`quantiles.COUNT`]; of a large picture, of as many on a
    grid as tell, since amplitudes are the same over some pixels and sorting takes long."""
    size = tf.cast(tf.size(amplitude), tf.float32)
    every = tf.maximum(tf.cast(tf.sqrt(size / _RANKED), tf.int32), 1)
    some = tf.reshape(amplitude[:, ::every, ::every], [1, 1, -1])
    weights = None if region is None else tf.reshape(region[::every, ::every], [1, -1])
    return quantiles.means(some, weights)[0, 0]


def _of_rank(amplitude: tf.Tensor, own: tf.Tensor, due: tf.Tensor) -> tf.Tensor:
    """What is `due` at the ranks that amplitudes have among their `own` quantiles; of amplitude's
    shape. Linear between two quantiles, constant beyond the last."""
    flat = tf.reshape(amplitude, [-1])
    upper = tf.clip_by_value(tf.searchsorted(own, flat, side="right"), 1, quantiles.COUNT - 1)
    low, high = tf.gather(own, upper - 1), tf.gather(own, upper)
    part = tf.clip_by_value(tf.math.divide_no_nan(flat - low, high - low), 0.0, 1.0)
    low, high = tf.gather(due, upper - 1), tf.gather(due, upper)
    return tf.reshape(low + part * (high - low), tf.shape(amplitude))
