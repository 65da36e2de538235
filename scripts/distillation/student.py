"""`mini` while it learns, and its start: VGG19's most telling channels."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from nst_tf.network import vgg
from nst_tf.network.weights import Weights
from nst_tf.recipe import layers

#: The student's layers and channels.
CHANNELS = layers.MINI
#: Where student and teacher are compared.
TAPS = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv4_2", "conv5_1")
#: RMS of the preprocessed pixels, by which the student's input is divided.
INPUT_SCALE = 64.0


class Student(tf.Module):
    """`mini` in units in which features and pixels are about 1, and its embeddings.

    Args:
      scales: RMS of the teacher's features by layer.
      draw: of the initial values.
    """

    def __init__(self, scales: dict[str, float], draw: np.random.Generator) -> None:
        super().__init__(name="student")
        self.kernels, self.biases, self.embeddings = {}, {}, {}
        before = 3
        for name, channels in CHANNELS.items():
            kernel = draw.standard_normal((3, 3, before, channels), np.float32)
            self.kernels[name] = tf.Variable(kernel * np.float32(np.sqrt(2 / (9 * before))))
            self.biases[name] = tf.Variable(tf.zeros(channels))
            before = channels
        for name in TAPS:
            shape = (layers.CHANNELS[name], CHANNELS[name])
            isometry = np.linalg.qr(draw.standard_normal(shape))[0].T
            scale = np.sqrt(layers.CHANNELS[name] / CHANNELS[name])
            self.embeddings[name] = tf.Variable((scale * isometry).astype(np.float32))
        self.scales = scales

    def __call__(self, pictures: tf.Tensor) -> dict[str, tf.Tensor]:
        """Features of RGB pictures in [0, 1], at `TAPS`, divided by the teacher's scales."""
        maps = (pictures[..., ::-1] * 255 - vgg.MEAN_RGB[::-1]) / INPUT_SCALE
        by_layer, block = {}, 1
        for name in CHANNELS:
            if layers.Layer(name).block > block:
                maps = tf.nn.max_pool2d(maps, 2, 2, "VALID")
                block += 1
            maps = tf.nn.conv2d(maps, self.kernels[name], 1, "SAME") + self.biases[name]
            maps = tf.nn.relu(maps)
            if name in TAPS:
                by_layer[name] = maps
        return by_layer

    def export(self) -> Weights:
        """The weights for Caffe's preprocessing, with features as large as the teacher's:
        kernel_l ← kernel_l s_l / s_(l−1), bias_l ← bias_l s_l."""
        kernels, biases, before = {}, {}, INPUT_SCALE
        for name in CHANNELS:
            scale = self.scales[name]
            kernels[name] = self.kernels[name].numpy() * np.float32(scale / before)
            biases[name] = self.biases[name].numpy() * np.float32(scale)
            before = scale
        return Weights(kernels, biases, "mini")


def most_telling(features: np.ndarray, count: int) -> list[int]:
    """The channels of which a linear map explains most of the others, found greedily.

    Args:
      features: [positions, channels].
      count: of channels to choose.
    """
    left = features.T @ features
    # A channel that is almost silent would be amplified, with its errors, to explain the others.
    floor = 1e-2 * np.trace(left) / len(left)
    chosen: list[int] = []
    for _ in range(count):
        energy = np.maximum(np.diag(left), floor)
        explained = np.sum(np.square(left), 0) / energy
        explained[chosen] = -1
        chosen.append(int(np.argmax(explained)))
        column = left[:, chosen[-1]]
        left = left - np.outer(column, column) / energy[chosen[-1]]
    return chosen


def least_squares(inputs: np.ndarray, outputs: np.ndarray, ridge: float = 1e-4) -> np.ndarray:
    """The matrix W of least |inputs W − outputs|², with a ridge in units of the mean square."""
    square = inputs.T @ inputs
    square += ridge * np.trace(square) / len(square) * np.eye(len(square), dtype=square.dtype)
    return np.linalg.solve(square, inputs.T @ outputs)


def graft(student: Student, weights: Weights, crops: np.ndarray) -> None:
    """Starts the student from the teacher: layer by layer, its channels are the teacher's most
    telling ones, fitted to what the student has of the layer before.

    Args:
      student: whose kernels, biases and embeddings are set.
      weights: the teacher's.
      crops: float32 [many, height, width, 3].
    """
    model = vgg.build_model([f"{name}:pre" for name in CHANNELS], weights)
    # Deep maps have fewer positions: as many crops more give as many equations.
    counts = {name: len(crops) >> max(0, 4 - layers.Layer(name).block) for name in CHANNELS}
    by_block: dict[str, list[np.ndarray]] = {name: [] for name in CHANNELS}
    for at in range(0, len(crops), 8):
        for name, maps in model(crops[at : at + 8]).items():
            if at < counts[name[:7]]:
                by_block[name[:7]].append(maps.numpy())
    maps, block = (
        (crops[..., ::-1] * 255 - np.array(vgg.MEAN_RGB[::-1], np.float32)) / INPUT_SCALE,
        1,
    )
    for name, channels in CHANNELS.items():
        if layers.Layer(name).block > block:
            maps, block = tf.nn.max_pool2d(maps, 2, 2, "VALID").numpy(), block + 1
        before = np.concatenate(by_block.pop(name))[: counts[name]] / np.float32(
            student.scales[name]
        )
        before = before.reshape(-1, before.shape[-1])
        target = np.maximum(before, 0)
        chosen = most_telling(target[:: max(1, len(target) // 8192)], channels)
        loudness = np.sqrt(np.mean(target**2) / np.mean(target[:, chosen] ** 2))
        patches = tf.image.extract_patches(
            maps[: counts[name]], [1, 3, 3, 1], [1, 1, 1, 1], [1, 1, 1, 1], "SAME"
        ).numpy()
        patches = patches.reshape(-1, patches.shape[-1])
        inputs = np.concatenate([patches, np.ones_like(patches[:, :1])], 1)
        fitted = least_squares(inputs, loudness * before[:, chosen])
        student.kernels[name].assign(fitted[:-1].reshape(3, 3, -1, channels))
        student.biases[name].assign(fitted[-1])
        own = np.maximum(inputs @ fitted, 0)
        if name in TAPS:
            student.embeddings[name].assign(least_squares(own, target, 1e-2))
        maps = np.concatenate(
            [
                tf.nn.relu(
                    tf.nn.conv2d(maps[at : at + 8], student.kernels[name], 1, "SAME")
                    + student.biases[name]
                )
                for at in range(0, len(maps), 8)
            ]
        )
