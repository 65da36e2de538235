"""What is measured of a picture, and the one loss made of it.

The formulas are reached from here: `nst_tf.losses.gram_matrix(maps)`.
"""

from __future__ import annotations

from nst_tf.losses.forms import content_loss, total_variation
from nst_tf.losses.gram import gram_matrix, style_loss

__all__ = ["content_loss", "gram_matrix", "style_loss", "total_variation"]
