"""The feature model in the form that a machine computes fastest, with its gradient to the picture.

The network is fixed. So the gradient of a convolution to its input is again a convolution, with the
kernel turned by 180 degrees and its channel axes swapped (Dumoulin and Visin, arXiv:1603.07285,
section 4), and both kernels are constants that TensorFlow may prepare once. Where they are large,
Winograd's algorithm needs a quarter of the multiplications.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tensorflow as tf

from nst_tf.network import vgg, winograd
from nst_tf.recipe import layers


@dataclass(frozen=True)
class Stage:
    """One step of the network: maps [1, height, width, channels before] to the next maps.

    Attributes:
      name: of the model's layer whose output it gives.
      apply: the step itself.
      channels: of its output.
      dtype: of its output.
      halo: how many rows on either side a row of the output depends on.
      pools: whether it halves height and width.
    """

    name: str
    apply: Callable[[tf.Tensor], tf.Tensor]
    channels: int
    dtype: str
    halo: int = 0
    pools: bool = False


def stages(model: tf.keras.Model, wanted: Sequence[str], engine: str = "keras") -> list[Stage]:
    """The steps of a model in their order; the same function whatever the engine, to rounding.

    Args:
      model: from `vgg.build_model`.
      wanted: which of its outputs are needed.
      engine: `keras`: its layers as they are; `direct`: fixed convolutions; `winograd`: the large
        ones among them by Winograd's algorithm.
    """
    needed = {vgg.layer_name(key) for key in wanted}
    steps: list[Stage] = []
    chain = iter(model.layers[1:])  # the first is the input
    for layer in chain:
        step, last, convolves = layer, layer, isinstance(layer, tf.keras.layers.Conv2D)
        # Behind a padding of its own a convolution is left to TensorFlow.
        if engine != "keras" and convolves and layer.padding == "same":
            if layer.name not in needed:
                last = next(chain)
            step = _FixedConvolution(layer, last is not layer, engine == "winograd")
        pools = isinstance(layer, vgg.Pooling)
        channels, dtype = int(last.output.shape[-1]), last.compute_dtype
        steps.append(Stage(last.name, step, channels, dtype, int(convolves), pools))
    return steps


def winograd_ends(height: int, width: int) -> int:
    """After how many poolings the maps of a picture are too small for Winograd's algorithm."""
    poolings = 0
    while (height >> poolings) * (width >> poolings) >= _LEAST_POSITIONS:
        poolings += 1
    return poolings


def directly(steps: Sequence[Stage], after: int) -> list[Stage]:
    """The stages for pictures whose size no graph knows: what a graph would choose by their size.

    Args:
      steps: from `stages`.
      after: behind so many poolings convolutions are computed by their definition.
    """
    poolings, chosen = 0, []
    for stage in steps:
        if poolings >= after and isinstance(stage.apply, _FixedConvolution):
            stage = replace(stage, apply=stage.apply.directly())
        poolings += stage.pools
        chosen.append(stage)
    return chosen


class _FixedConvolution:
    """A 3x3 convolution, and the ReLU behind it if wanted, differentiable to its input alone."""

    def __init__(self, layer: tf.keras.layers.Conv2D, relu: bool, use_winograd: bool) -> None:
        kernel, self._bias = layer.get_weights()
        self._relu, self._dtype, self._inner = relu, layer.compute_dtype, layer.compute_dtype
        if self._dtype == "float16" and not tf.config.list_physical_devices("GPU"):
            # On a processor TensorFlow would also sum in float16, which no GPU does, and slowly.
            kernel, self._inner = kernel.astype(np.float16), "float32"
        turned = kernel[::-1, ::-1].swapaxes(2, 3)
        fast = use_winograd and self._inner == "float32" and layers.winograd_pays(*kernel.shape[2:])
        self._forward: _Direct | _Winograd
        self._backward: _Direct | _Winograd
        self._forward, self._backward = (
            _Winograd(weights, self._inner) if fast else _Direct(weights, self._inner)
            for weights in (kernel, turned)
        )

    def directly(self) -> _FixedConvolution:
        """The same convolution by its definition, on maps of any size."""
        other = copy.copy(self)
        other._forward, other._backward = self._forward.direct, self._backward.direct
        return other

    def __call__(self, maps: tf.Tensor) -> tf.Tensor:
        maps = tf.cast(tf.cast(maps, self._dtype), self._inner)
        return tf.cast(self._apply(maps), self._dtype)

    @tf.custom_gradient
    def _apply(self, maps: tf.Tensor) -> Any:
        outputs = tf.nn.bias_add(self._forward(maps), tf.constant(self._bias, self._inner))
        if self._relu:
            outputs = tf.nn.relu(outputs)

        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            if self._relu:
                upstream = tf.raw_ops.ReluGrad(gradients=upstream, features=outputs)
            return self._backward(upstream)

        return outputs, gradient


class _Direct:
    """The convolution by its definition, its kernel a constant of the graph that it is part of."""

    def __init__(self, kernel: np.ndarray, dtype: str) -> None:
        self._kernel = tf.constant(kernel, dtype)

    @property
    def direct(self) -> _Direct:
        return self

    def __call__(self, maps: tf.Tensor) -> tf.Tensor:
        return tf.nn.conv2d(maps, self._kernel, 1, "SAME")


class _Winograd:
    """The convolution by Winograd's algorithm, except on maps that are known to have few tiles."""

    def __init__(self, kernel: np.ndarray, dtype: str) -> None:
        self.direct = _Direct(kernel, dtype)
        # Four times the size of the kernel: captured, not copied into every graph.
        self._transformed = tf.constant(winograd.transform_kernel(kernel))

    def __call__(self, maps: tf.Tensor) -> tf.Tensor:
        height, width = maps.shape[1:3]
        if height and width and height * width < _LEAST_POSITIONS:
            return self.direct(maps)
        return winograd.convolve(maps, self._transformed)


#: Below, reading the transformed kernel costs more than the multiplications that are saved: with
#: 512 channels 256 positions take 1.3 times as long as directly, 1024 half as long.
_LEAST_POSITIONS = 400
