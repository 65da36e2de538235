"""Nearest neighbours among a style image's hypercolumns, and how far a picture is from them.

Kolkin, Kucera, Paris, Sýkora, Shechtman and Shakhnarovich, "Neural Neighbor Style Transfer",
arXiv:2203.13215, sections 3.2 to 3.4. The distance is the cosine's, of vectors around a centre:

    D(x, y) = 1 − (x − μ)·(y − ν) / (‖x − μ‖ ‖y − ν‖)

A hypercolumn is given as its parts by layer, float32 [positions, channels] each, and nothing here
puts them together: products and squares of hypercolumns are sums of those of their parts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

#: How many distances are looked at at once.
_CHUNK = 1 << 24

#: Parts of hypercolumns by layer, float32 [positions, channels].
Parts = Mapping[str, tf.Tensor]


def centre(parts: Parts) -> dict[str, tf.Tensor]:
    """The mean over positions, float32 [channels] by layer."""
    return {key: tf.reduce_mean(part, 0) for key, part in parts.items()}


def around(parts: Parts, centres: Parts) -> dict[str, tf.Tensor]:
    """Hypercolumns around a centre."""
    return {key: part - centres[key] for key, part in parts.items()}


def sample(counts: Sequence[int], shares: Sequence[float], most: int) -> list[np.ndarray]:
    """Which positions of several style images are looked among, as many of each as its share says.

    Args:
      counts: how many positions each has.
      shares: what part of the neighbours is to be of each; their sum is 1.
      most: how many there are to be of all together; a picture with fewer than its share gives all
        that it has.

    Returns:
      int indices a picture, in their order, the same at every call.
    """
    draw = np.random.default_rng(0)
    chosen = []
    for count, share in zip(counts, shares, strict=True):
        wanted = min(count, round(share * most))
        chosen.append(np.sort(draw.permutation(count)[:wanted]))
    return chosen


def nearest(queries: Parts, candidates: Parts, chunk: int = _CHUNK) -> tf.Tensor:
    """Of each query the candidate with the smallest cosine distance, of vectors around 0.

    Args:
      queries: [n, channels] by layer.
      candidates: [m, channels] by layer, of the same layers.
      chunk: how many of the n m distances are in memory at once, of one query at least.

    Returns:
      int32 [n], the first of several that are equally near.
    """
    squares = tf.add_n([tf.reduce_sum(tf.square(part), 1) for part in candidates.values()])
    # A query's own length changes nothing of which is nearest.
    inverse = tf.math.divide_no_nan(1.0, tf.sqrt(squares))
    scaled = {key: part * inverse[:, tf.newaxis] for key, part in candidates.items()}
    count, rows = int(squares.shape[0]), next(iter(queries.values())).shape[0]
    step = max(1, chunk // max(count, 1))
    found = []
    for start in range(0, rows, step):
        products = [
            tf.matmul(queries[key][start : start + step], part, transpose_b=True)
            for key, part in scaled.items()
        ]
        found.append(tf.argmax(tf.add_n(products), 1, tf.int32))
        del products  # before the next ones are made
    return tf.concat(found, 0)


def distances(
    parts: Parts, candidates: Parts, matches: tf.Tensor, weights: Parts, layerwise: tf.Tensor
) -> tf.Tensor:
    """The mean over positions of the cosine distance between hypercolumns and their neighbours.

    No gradient goes through the choice of neighbours.

    Args:
      parts: [n, channels] by layer, around a centre.
      candidates: [m, channels] by layer, around theirs.
      matches: indices of candidates, int32 [layers, n] in the order of `parts`.
      weights: float32 [] by layer, factors on its parts.
      layerwise: bool []: whether each layer is compared by itself and the mean over layers taken;
        else hypercolumns are compared as wholes.

    Returns:
      float32 [].
    """
    products, squares, lengths = [], [], []
    for (key, part), match in zip(parts.items(), tf.unstack(matches), strict=True):
        target, weight = tf.gather(candidates[key], match), tf.square(weights[key])
        products.append(weight * tf.reduce_sum(part * target, 1))
        squares.append(weight * tf.reduce_sum(tf.square(part), 1))
        lengths.append(weight * tf.reduce_sum(tf.square(target), 1))

    def gathered(values: Sequence[tf.Tensor]) -> tf.Tensor:
        each = tf.stack(values)
        whole = tf.reduce_sum(each, 0, keepdims=True)
        return tf.where(layerwise, each, tf.broadcast_to(whole, tf.shape(each)))

    product, square, length = map(gathered, (products, squares, lengths))
    product_of_squares = square * length
    good = product_of_squares > 0
    cosine = product * tf.math.rsqrt(tf.where(good, product_of_squares, 1.0))
    return tf.reduce_mean(1 - tf.where(good, cosine, 0.0))
