r"""How far apart two computations of the same thing may be: by rounding, and no further.

On another processor the same sum has another order, with or without fused multiply-add. Whatever
the order, a floating-point sum of n products is off by at most n u Σ|a_i b_i|, u being the unit
roundoff, and as a rule by √n u Σ|a_i b_i|: roundings are as often up as down (Higham, "Accuracy and
Stability of Numerical Algorithms", 2nd edition, sections 3.1 and 2.8). Sums of sums add up their
errors. Every bound here is that rule times `SAFETY`, for what the rule does not know: that
summands cancel, that both sides are rounded, and that the largest error of many values is taken.

Errors are relative to the largest value of the whole array. A value next to 0 is what summands of
its neighbours' size left over, and in units of its own it may be wrong by any factor.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nst_tf.network import vgg
from nst_tf.network.weights import Weights
from nst_tf.recipe import layers

#: The unit roundoff: half the distance from 1 to the next number.
UNIT = {"float64": 2.0**-53, "float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8}

#: How much more than the usual error is allowed. A wrong factor, a shifted pixel or a lost bias
#: give errors of 0.01 to 1: a hundred times what this allows in the deepest layer of VGG19.
SAFETY = 16


def of_sums(*terms: int, dtype: str = "float32") -> float:
    """The bound for sums of so many terms, each made of the results of the one before."""
    return SAFETY * UNIT[dtype] * sum(map(math.sqrt, terms))


def of_maps(weights: Weights, key: str | None = None, dtype: str = "float32") -> float:
    """The bound for the feature maps of a layer; None for the deepest of the network."""
    last = list(weights.kernels)[-1] if key is None else layers.parse(key).name
    depth = list(weights.kernels).index(last) + 1
    kernels = list(weights.kernels.values())[:depth]
    return of_sums(*(math.prod(kernel.shape[:3]) for kernel in kernels), dtype=dtype)


def of_terms(weights: Weights, key: str, positions: int) -> float:
    """The bound for one layer's loss: squares, and of Gram matrices, of its maps; then a sum."""
    return 4 * of_maps(weights, key) + of_sums(positions, positions)


def of_served(name: str) -> float:
    """The bound for a signature of the small exported network, between two programs.

    13 layers of 4 channels, their squares, sums over positions, and a loss that is a small
    difference of these. Of `stylize` an output are pixels, which may fall to the next level.
    """
    if name == "stylize":
        return 1.5 / 255
    return 2 * of_sums(27, *[36] * 12, 1, 64 * 64)


def of_smooth_gradient(weights: Weights, key: str | None = None) -> float:
    """The bound for the gradient of a loss to a picture that `is_smooth_at`, in the norm.

    The way back is as long as the way there, and it begins with the error of the maps.
    """
    return 3 * of_maps(weights, key)


def of_gradient(weights: Weights, key: str | None = None) -> float:
    """The same for any picture.

    Where a rectifier's input is nearer to 0 than its error, or two values of a pooling window are
    as near to each other, rounding decides which way the gradient takes. Of values that are spread
    evenly, a share of about the relative error ε is so near, and it has a share ε of the gradient's
    square: the gradient is off by √ε.
    """
    return math.sqrt(of_maps(weights, key))


def is_smooth_at(weights: Weights, picture: np.ndarray, **options: Any) -> bool:
    """Whether no rectifier and no max pooling is so near to a tie that rounding would decide it.

    Calculated in float64, the answer is the same on every machine. Near is four times the usual
    error of a value, relative to the largest of its layer.

    Args:
      weights: of the network, all layers of which are looked at.
      picture: float32 [height, width, 3].
      **options: of `vgg.build_model`.
    """
    keys = [f"{name}:pre" for name in weights.kernels]
    maps = vgg.build_model(keys, weights, dtype="float64", **options)(picture[np.newaxis])
    for key, following in zip(keys, [*keys[1:], None], strict=True):
        values = np.asarray(maps[key][0])
        near = 4 / SAFETY * of_maps(weights, key) * np.abs(values).max()
        if np.abs(values).min() < near:
            return False
        pooled = following and layers.parse(following).block > layers.parse(key).block
        if pooled and options.get("pooling", "max") == "max":
            height, width, channels = values.shape
            windows = np.maximum(values[: height // 2 * 2, : width // 2 * 2], 0)
            windows = windows.reshape(height // 2, 2, width // 2, 2, channels)
            second, first = np.sort(windows.transpose(0, 2, 4, 1, 3).reshape(-1, 4))[:, 2:].T
            if np.min(first - second, where=first > 0, initial=np.inf) < near:
                return False
    return True


def smooth_picture(weights: Weights, shape: tuple[int, int], **options: Any) -> np.ndarray:
    """Random pixels, float32 [height, width, 3], at which the network `is_smooth_at`."""
    for seed in range(100):
        picture = np.random.default_rng(seed).random((*shape, 3), np.float32)
        if is_smooth_at(weights, picture, **options):
            return picture
    raise AssertionError(f"of 100 pictures of {shape} none is smooth: the network is too large")


def error(actual: Any, expected: Any) -> float:
    """The largest difference, relative to the largest magnitude expected."""
    actual, expected = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    assert actual.shape == expected.shape, f"{actual.shape} instead of {expected.shape}"
    return float(np.abs(actual - expected).max() / np.abs(expected).max())


def norm_error(actual: Any, expected: Any) -> float:
    """The norm of the difference, relative to that of what is expected."""
    actual, expected = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    assert actual.shape == expected.shape, f"{actual.shape} instead of {expected.shape}"
    return float(np.linalg.norm(actual - expected) / np.linalg.norm(expected))


def assert_close(actual: Any, expected: Any, bound: float, what: object = "") -> None:
    """That `error` is below a bound; values that are not finite are above every bound."""
    assert_below(error(actual, expected), bound, what)


def assert_below(value: float, bound: float, what: object = "") -> None:
    """That an error is below its bound."""
    assert value < bound, f"{what}: {value:.2e} is not below {bound:.2e}"
