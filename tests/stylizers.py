"""A stylizer that paints something, for tests, without what learning takes."""

import numpy as np

import nst_tf


def stirred(paintings=("painting",), width=1 / 8):
    """One with other numbers than those that it begins with, always the same."""
    model = nst_tf.Stylizer(paintings, width)
    draw = np.random.default_rng(1)
    for variable in model.trainable_variables:
        variable.assign_add((0.2 * draw.standard_normal(variable.shape)).astype(np.float32))
    return model
