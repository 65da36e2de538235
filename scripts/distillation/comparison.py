"""How far the student is from the teacher: the terms of the loss.

Where the two are compared, a linear embedding E maps the student's features h to the teacher's t.
"""

from __future__ import annotations

import tensorflow as tf

from distillation.student import CHANNELS, TAPS, Student
from nst_tf import losses
from nst_tf.recipe import layers

#: The weight of every comparison at every tap. conv4_1 makes up 86 to 98 % of the style loss
#: between a photo and a painting, and nearly all of what the student's own pastiches leave of it.
SHARES = {
    "feature": (0.5, 1.0, 1.0, 1.5, 1.5, 0.3),
    "gram": (1.0, 3.0, 3.0, 10.0, 0, 0.3),
    "change": (0.2, 0.5, 0.5, 3.0, 0, 0),
    "distance": (0.2, 0.3, 0.3, 0.6, 0.3, 0.1),
    "isometry": (0.03, 0.05, 0.05, 0.1, 0.05, 0.02),
}

Tensors = dict[str, tf.Tensor]


def thin(name: str, maps: tf.Tensor) -> tf.Tensor:
    """Every fourth or second position in the first blocks, where neighbours say the same."""
    step = {1: 4, 2: 2}.get(layers.Layer(name).block, 1)
    return maps[:, ::step, ::step]


def square_distances(values: tf.Tensor) -> tf.Tensor:
    """Mean square of the differences of the entries of a batch, [batch, batch]."""
    flat = tf.reshape(values, [tf.shape(values)[0], -1])
    products = tf.matmul(flat, flat, transpose_b=True) / tf.cast(tf.shape(flat)[1], tf.float32)
    squares = tf.linalg.diag_part(products)
    return tf.maximum(squares[:, None] + squares[None, :] - 2 * products, 0)


def mean_of_pairs(values: tf.Tensor) -> tf.Tensor:
    """Mean of a matrix without its diagonal, which is zero."""
    count = tf.cast(tf.shape(values)[0], tf.float32)
    return tf.math.divide_no_nan(tf.reduce_sum(values), count * (count - 1))


def log_distances(student: tf.Tensor, teacher: tf.Tensor) -> tf.Tensor:
    """Mean over pairs i < j of ln²(|a_i − a_j|² / |b_i − b_j|²), each divided by its dimension."""
    # The floor: two flat colours have no distance deep in the network, and no logarithm.
    ours, theirs = square_distances(student) + 1e-3, square_distances(teacher) + 1e-3
    return mean_of_pairs(tf.square(tf.math.log(ours / theirs)))


def unseen_change(errors: tf.Tensor, teacher: tf.Tensor) -> tf.Tensor:
    """Mean over pairs i < j of |e_i − e_j|² / |b_i − b_j|²: what share of the change from picture
    to picture the student does not see."""
    floor = 0.02 * tf.reduce_mean(tf.square(teacher)) + 1e-4
    ratio = square_distances(errors) / (square_distances(teacher) + floor)
    return mean_of_pairs(ratio)


def compare(student: Student, pictures: tf.Tensor, features: Tensors, grams: Tensors) -> Tensors:
    """By tap: relative errors `feature` and `gram`, `change` (see `unseen_change`), `distance` (see
    `log_distances`) and `isometry`.

    Args:
      student: to be compared.
      pictures: [batch, height, width, 3].
      features: the teacher's, divided by its scales and thinned, any float type.
      grams: of these before thinning, float32.
    """
    terms = {}
    for name, own in student(pictures).items():
        embedding, target = student.embeddings[name], tf.cast(features[name], tf.float32)
        outer, inner = layers.CHANNELS[name], CHANNELS[name]
        # The floors keep dark and flat crops, where the teacher says little, from dominating.
        error = tf.matmul(thin(name, own), embedding) - target
        error = tf.reduce_mean(tf.square(error), [1, 2, 3])
        size = tf.reduce_mean(tf.square(target), [1, 2, 3]) + 0.05
        terms[f"feature/{name}"] = tf.reduce_mean(error / size)
        product = tf.matmul(embedding, embedding, transpose_b=True) * (inner / outer)
        terms[f"isometry/{name}"] = tf.reduce_sum(tf.square(product - tf.eye(inner))) / inner
        if name == "conv4_2":  # the content layer
            terms[f"distance/{name}"] = log_distances(own, target)
            continue
        gram = losses.gram_matrix(own)
        errors = tf.matmul(embedding, tf.matmul(gram, embedding), transpose_a=True) - grams[name]
        size = tf.reduce_mean(tf.square(grams[name]), [1, 2]) + 0.002
        terms[f"gram/{name}"] = tf.reduce_mean(tf.reduce_mean(tf.square(errors), [1, 2]) / size)
        terms[f"distance/{name}"] = log_distances(gram, grams[name])
        if name != "conv5_1":
            terms[f"change/{name}"] = unseen_change(errors, grams[name])
    return terms


def total(terms: Tensors) -> tf.Tensor:
    """The loss: the weighted sum of the terms."""
    return tf.add_n(
        [
            share * terms[f"{kind}/{name}"]
            for kind, shares in SHARES.items()
            for name, share in zip(TAPS, shares, strict=True)
            if share
        ]
    )
