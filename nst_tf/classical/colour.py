"""Transfer of colour alone: the style image's mean and covariance, no texture.

Reinhard, Ashikhmin, Gooch and Shirley, "Color Transfer between Images", IEEE Computer Graphics and
Applications 21(5), 2001; Pitié and Kokaram, "The Linear Monge-Kantorovitch Linear Colour Mapping
for Example-Based Colour Transfer", CVMP 2007.
"""

from __future__ import annotations

import numpy as np

from nst_tf.classical import checks

#: RGB to LMS, equation 4 of Reinhard et al.
LMS = np.array(
    [[0.3811, 0.5783, 0.0402], [0.1967, 0.7244, 0.0782], [0.0241, 0.1288, 0.8444]],
)

#: log LMS to lαβ, equation 6; orthogonal.
LAB = np.diag([3**-0.5, 6**-0.5, 2**-0.5]) @ np.array([[1, 1, 1], [1, 1, -2], [1, -1, 0]])

#: What black counts as in the logarithm, half a level of 8 bits: log 0 would be all that a picture
#: with one black pixel has to say.
BLACK = 0.5 / 255

#: Deviations below this are rounding, not colour: they are never stretched.
ROUNDING = 1e-5


def reinhard(content: np.ndarray, style: np.ndarray) -> np.ndarray:
    """Content with the style's mean and standard deviation of l, α and β each.

    Equations 10 and 11 of the paper. LMS below half a level of 8 bits counts as that much; the way
    back is the exact inverse of equation 4, where the paper's has four digits. A channel that
    content has no deviation in keeps none.

    Args:
      content: [height, width, 3], RGB in [0, 1].
      style: likewise, of any size.

    Returns:
      float32, of content's shape; colours outside RGB are clipped to [0, 1].

    Raises:
      SettingsError: either is no such picture.
    """
    source = to_lab(checks.picture(content, "content"))
    target = to_lab(checks.picture(style, "style"))
    deviation = source.std((0, 1))
    ratio = np.where(deviation > ROUNDING, target.std((0, 1)) / np.maximum(deviation, ROUNDING), 1)
    moved = (source - source.mean((0, 1))) * ratio + target.mean((0, 1))
    return np.clip(from_lab(moved), 0, 1).astype(np.float32)


def monge_kantorovich(content: np.ndarray, style: np.ndarray) -> np.ndarray:
    """Content under the linear map of RGB that gives it the style's mean and covariance.

    Of all linear maps that do, the one that moves colours least (`gaussian_map`).

    Args:
      content: [height, width, 3], RGB in [0, 1].
      style: likewise, of any size.

    Returns:
      float32, of content's shape; colours outside RGB are clipped to [0, 1], after which mean and
      covariance are no longer exactly the style's.

    Raises:
      SettingsError: either is no such picture.
    """
    colours = checks.picture(content, "content")
    mean, covariance = moments(colours)
    target_mean, target_covariance = moments(checks.picture(style, "style"))
    moved = (colours - mean) @ gaussian_map(covariance, target_covariance) + target_mean
    return np.clip(moved, 0, 1).astype(np.float32)


def gaussian_map(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """T = A^(-1/2) (A^(1/2) B A^(1/2))^(1/2) A^(-1/2), so that T A T = B: Pitié and Kokaram.

    The optimal transport between the Gaussians N(0, A) and N(0, B) under squared distance.

    Args:
      a: the covariance of what is moved, [channels, channels]. Along directions in which it has no
        variance the inverse is taken as 0: nothing is there to be moved, and T A T is then as much
        of B as can be had.
      b: the covariance it shall have, likewise.

    Returns:
      T, float64 [channels, channels], symmetric and positive semidefinite.
    """
    root, inverse = _power(a, 0.5), _power(a, -0.5)
    return inverse @ _power(root @ b @ root, 0.5, smallest=0.0) @ inverse


def moments(
    picture: np.ndarray, weights: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Mean [channels] and covariance [channels, channels] of the colours [height, width, channels].

    Divided by the number of pixels, so that a picture of one pixel has a covariance too. A pixel
    counts as often as its weight says, [height, width] from 0 and somewhere above.
    """
    flat = picture.reshape(-1, picture.shape[-1])
    if weights is not None:
        share = weights.reshape(-1, 1) / weights.sum()
        mean = (share * flat).sum(0)
        return mean, (flat - mean).T @ (share * (flat - mean))
    mean = flat.mean(0)
    return mean, (flat - mean).T @ (flat - mean) / len(flat)


def to_lab(picture: np.ndarray) -> np.ndarray:
    """RGB [..., 3] in [0, 1] to lαβ: equations 4, 5 and 6 of Reinhard et al., decimal logarithm."""
    return np.log10(np.maximum(picture @ LMS.T, BLACK)) @ LAB.T


def from_lab(lab: np.ndarray) -> np.ndarray:
    """lαβ [..., 3] to RGB, which may lie outside [0, 1]: equations 8 and 9 of Reinhard et al."""
    return 10 ** (lab @ LAB) @ np.linalg.inv(LMS).T


def _power(matrix: np.ndarray, exponent: float, smallest: float = ROUNDING**2) -> np.ndarray:
    """A power of a symmetric positive semidefinite matrix; eigenvalues up to `smallest` stay 0."""
    values, vectors = np.linalg.eigh(matrix)
    powers = np.zeros_like(values)
    np.power(values, exponent, where=values > smallest, out=powers)
    return (vectors * powers) @ vectors.T
