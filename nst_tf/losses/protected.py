"""The photo protected: a change of variables between an image that descends and its objective.

What is measured is x = p · photo + (1 − p) · image, so ∂L/∂image = (1 − p) · ∂L/∂x: where p is 1
the image has no part in the picture, and any optimizer leaves it alone.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from nst_tf.losses.objective import Evaluation, Objective
from nst_tf.pictures import masks


class Protected(tf.Module):
    """An objective of the picture that an image becomes with the protected photo laid over it.

    Call it as the objective. Another photo and another mask, of any size, take effect without
    another trace.

    Args:
      objective: of the picture.

    Attributes:
      objective: the same.
      any_size: whether one trace serves pictures of all sizes, as the objective's.
    """

    def __init__(self, objective: Objective) -> None:
        super().__init__(name="protected")
        self.objective, self.any_size = objective, objective.any_size
        self._photo, self._protect = _of_any_size(3), _of_any_size(1)

    def set(self, photo: np.ndarray, protect: np.ndarray) -> None:
        """Names what is protected.

        Args:
          photo: float32 [height, width, 3].
          protect: p, float32 [height, width, 1] in [0, 1].
        """
        self._photo.assign(photo[np.newaxis])
        self._protect.assign(protect[np.newaxis])

    def __call__(self, image: tf.Tensor) -> Evaluation:
        """Loss, gradient and terms at `image`, float32 [1, height, width, 3], by that image."""
        picture = masks.laid_over(image, self._photo, self._protect)
        evaluation = self.objective(tf.ensure_shape(picture, image.shape))
        gradient = (1.0 - self._protect) * evaluation.gradient
        return evaluation._replace(gradient=tf.ensure_shape(gradient, image.shape))


def _of_any_size(channels: int) -> tf.Variable:
    shape = tf.TensorShape([1, None, None, channels])
    nothing = tf.zeros([1, 1, 1, channels])
    return tf.Variable(nothing, trainable=False, dtype=tf.float32, shape=shape)
