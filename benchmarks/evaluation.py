"""One step of ours against the same step as others write it, side by side in one run.

    python benchmarks/evaluation.py --size=512 --weights=VGG19.h5 --json=FILE

- `ours`: one evaluation of loss and gradient, preset gatys2016, in float32 and in bfloat16.
- `plain`: the same without our engine: Keras' layers and TensorFlow's gradients in a tf.function.
- `tutorial`: the step of TensorFlow's tutorial "Neural style transfer": a model of all layers, Gram
  matrices by einsum, one tf.function that also takes Adam's step.
- `keras.io`: the step of Keras' example "Neural style transfer": the content, the style and the
  generated image go through the network together, in every step.
- `torch`, `torch-compile`, each in float32 and in bfloat16 autocast, channels_last: if torch is
  installed (the extra `bench`).
- `floor`: the convolutions' multiplications, forward and back to the image, at the rate of this
  machine's own matrix product of 2048 x 2048, in float32 and in bfloat16.

All use the same layers: conv1_1 ... conv5_1 for style, conv4_2 for content. They take turns; the
table shows medians, and how many times as long as ours (float32) each takes.
"""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf
from absl import app, flags

from nst_tf.network import vgg
from nst_tf.network import weights as weights_module
from nst_tf.network.weights import Weights
from nst_tf.recipe import layers, presets
from nst_tf.run.transfer import StyleTransfer

_SIZE = flags.DEFINE_integer("size", 512, "Height and width in pixels.")
_WEIGHTS = flags.DEFINE_string("weights", "random", "The network; the time does not depend on it.")
_REPEATS = flags.DEFINE_integer("repeats", 7, "Steps of each.")
_ONLY = flags.DEFINE_list("only", None, "Leave out all but these and ours.")
_JSON = flags.DEFINE_string("json", None, "Also write the table here.")

STYLE = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")
CONTENT = "conv4_2"
OURS = "ours float32"

Step = Callable[[], object]


def ours(weights: Weights, content: np.ndarray, style: np.ndarray, **options: Any) -> Step:
    options = {"preset": presets.PUBLISHED, "weights": weights, "size": _SIZE.value, **options}
    run = StyleTransfer(content, style, **options)
    objective, image = run.build_objective(), tf.constant(content[np.newaxis])
    return lambda: objective(image).gradient.numpy()


def tutorial(weights: Weights, content: np.ndarray, style: np.ndarray) -> Step:
    model = vgg.build_model([*STYLE, CONTENT], weights)

    def grams(maps_of: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return {
            name: tf.einsum("bhwc,bhwd->bcd", maps_of[name], maps_of[name])
            / tf.cast(tf.shape(maps_of[name])[1] * tf.shape(maps_of[name])[2], tf.float32)
            for name in STYLE
        }

    style_targets = grams(model(style[np.newaxis]))
    content_target = model(content[np.newaxis])[CONTENT]
    image = tf.Variable(content[np.newaxis])
    adam = tf.keras.optimizers.Adam(0.02, beta_1=0.99, epsilon=0.1)

    @tf.function
    def step() -> tf.Tensor:
        with tf.GradientTape() as tape:
            maps_of = model(tf.convert_to_tensor(image))
            made = grams(maps_of)
            loss = tf.add_n(
                [tf.reduce_mean((made[name] - style_targets[name]) ** 2) for name in STYLE]
            )
            loss += tf.reduce_mean((maps_of[CONTENT] - content_target) ** 2)
            loss += 30 * tf.reduce_sum(tf.image.total_variation(image))
        adam.apply_gradients([(tape.gradient(loss, image), image)])
        image.assign(tf.clip_by_value(image, 0.0, 1.0))
        return loss

    return lambda: step().numpy()


def keras_io(weights: Weights, content: np.ndarray, style: np.ndarray) -> Step:
    model = vgg.build_model(list(layers.NAMES), weights)
    image = tf.Variable(content[np.newaxis])

    def gram(maps: tf.Tensor) -> tf.Tensor:
        flat = tf.reshape(tf.transpose(maps, (2, 0, 1)), (tf.shape(maps)[2], -1))
        return tf.matmul(flat, tf.transpose(flat))

    @tf.function
    def step() -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            maps_of = model(tf.concat([content[np.newaxis], style[np.newaxis], image], 0))
            loss = tf.reduce_sum((maps_of[CONTENT][2] - maps_of[CONTENT][0]) ** 2)
            for name in STYLE:
                maps = maps_of[name]
                loss += tf.reduce_sum((gram(maps[1]) - gram(maps[2])) ** 2)
        return loss, tape.gradient(loss, image)

    return lambda: step()[1].numpy()


def torchs(
    weights: Weights, content: np.ndarray, style: np.ndarray, *, compiled: bool, bfloat16: bool
) -> Step:
    import torch
    from torch import nn

    torch.set_num_threads(os.cpu_count() or 1)
    chain, taps, before = [], {}, 3
    for name, kernel in weights.kernels.items():
        if layers.Layer(name).block > 1 and name.endswith("_1"):
            chain.append(nn.MaxPool2d(2))
        convolution = nn.Conv2d(before, kernel.shape[-1], 3, padding=1)
        convolution.weight.data = torch.tensor(kernel.transpose(3, 2, 0, 1))
        convolution.bias.data = torch.tensor(weights.biases[name])
        chain += [convolution, nn.ReLU()]
        taps[len(chain) - 1], before = name, kernel.shape[-1]
        if name == "conv5_1":
            break
    network = nn.ModuleList(chain).requires_grad_(False).to(memory_format=torch.channels_last)

    def features(picture: torch.Tensor) -> dict[str, torch.Tensor]:
        maps_of, maps = {}, picture * 255 - 115
        for index, layer in enumerate(network):
            maps = layer(maps)
            if index in taps:
                maps_of[taps[index]] = maps
        return maps_of

    def gram(maps: torch.Tensor) -> torch.Tensor:
        flat = maps.float().flatten(2)[0]
        return flat @ flat.T / flat.shape[1]

    def tensor(picture: np.ndarray) -> torch.Tensor:
        batch = torch.tensor(picture.transpose(2, 0, 1)[np.newaxis].copy())
        return batch.to(memory_format=torch.channels_last)

    with torch.no_grad():
        style_targets = {name: gram(features(tensor(style))[name]) for name in STYLE}
        content_target = features(tensor(content))[CONTENT]
    image = tensor(content).requires_grad_()

    def loss_of(picture: torch.Tensor) -> torch.Tensor:
        maps_of = features(picture)
        style_loss = sum(
            ((gram(maps_of[name]) - style_targets[name]) ** 2).mean() for name in STYLE
        )
        return style_loss + ((maps_of[CONTENT].float() - content_target) ** 2).mean()

    function = torch.compile(loss_of) if compiled else loss_of

    def step() -> object:
        image.grad = None
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            loss = function(image)
        loss.backward()
        return image.grad.numpy()

    return step


def floor(dtype: tf.DType) -> Step:
    """A product of square matrices; `main` turns its time into that of the convolutions."""
    left, right = tf.cast(tf.random.normal([2, 2048, 2048]), dtype)
    product = tf.function(lambda a, b: tf.reduce_sum(tf.matmul(a, b)))
    return lambda: product(left, right).numpy()


def multiplications(weights: Weights) -> float:
    """Of the convolutions conv1_1 ... conv5_1, forward, and backward to the image."""
    total = 0.0
    for name, kernel in weights.kernels.items():
        side = _SIZE.value >> (layers.Layer(name).block - 1)
        total += 2 * kernel.size * side**2
        if name == "conv5_1":
            break
    return total


def processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"unexpected {argv[1]!r}")
    weights = weights_module.load(_WEIGHTS.value)
    content, style = np.random.default_rng(0).random((2, _SIZE.value, _SIZE.value, 3), np.float32)
    made: dict[str, Callable[[], Step]] = {
        OURS: lambda: ours(weights, content, style, dtype="float32"),
        "ours bfloat16": lambda: ours(weights, content, style, dtype="mixed_bfloat16"),
        "plain": lambda: ours(weights, content, style, engine="keras", dtype="float32"),
        "tutorial": lambda: tutorial(weights, content, style),
        "keras.io": lambda: keras_io(weights, content, style),
        "floor float32": lambda: floor(tf.float32),
        "floor bfloat16": lambda: floor(tf.bfloat16),
    }
    if importlib.util.find_spec("torch"):
        for compiled in (False, True):
            for bfloat16 in (False, True):
                name = f"torch{'-compile' * compiled} {'bfloat16' if bfloat16 else 'float32'}"
                made[name] = partial(
                    torchs, weights, content, style, compiled=compiled, bfloat16=bfloat16
                )
    if _ONLY.value:
        made = {name: make for name, make in made.items() if name in (OURS, *_ONLY.value)}
    steps = {name: make() for name, make in made.items()}
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for repeat in range(_REPEATS.value + 2):
        for name, step in steps.items():
            began = time.perf_counter()
            step()
            if repeat > 1:  # the first ones compile
                seconds[name].append(time.perf_counter() - began)
    share = multiplications(weights) / 2048**3
    for name in seconds:
        if name.startswith("floor"):
            seconds[name] = [share * value for value in seconds[name]]
    median = {name: float(np.median(values)) for name, values in seconds.items()}
    print(f"{processor()}, {os.cpu_count()} cores, TensorFlow {tf.__version__}, {_SIZE.value} px")
    for name, value in median.items():
        print(f"{name:24} {value:8.3f} s   {value / median[OURS]:6.2f} x ours")
    if _JSON.value:
        table = {
            "processor": processor(),
            "cores": os.cpu_count(),
            "tensorflow": tf.__version__,
            "size": _SIZE.value,
            "preset": presets.PUBLISHED,
            "seconds": median,
        }
        Path(_JSON.value).write_text(json.dumps(table, indent=1))


if __name__ == "__main__":
    app.run(main)
