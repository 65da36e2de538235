"""For Keras programs: the feature model, a Gram layer, and losses for `model.compile`.

Pictures are float RGB in [0, 1], [batch, height, width, 3]. `models`, `layers` and `losses` hold
what is reached from here.
"""

from __future__ import annotations

from nst_tf.keras.layers import GramMatrix
from nst_tf.keras.losses import ContentLoss, PerceptualLoss, StyleLoss
from nst_tf.keras.models import FeatureExtractor

__all__ = ["ContentLoss", "FeatureExtractor", "GramMatrix", "PerceptualLoss", "StyleLoss"]
