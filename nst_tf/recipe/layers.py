"""VGG19's layers: what they are called, how wide they are, how small a picture they take.

Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition",
arXiv:1409.1556, table 1, column E.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from nst_tf.errors import SettingsError

#: Channels of the convolutions of each of the five blocks; a 2x2 pooling stands between blocks.
BLOCKS: tuple[tuple[int, ...], ...] = (
    (64, 64),
    (128, 128),
    (256, 256, 256, 256),
    (512, 512, 512, 512),
    (512, 512, 512, 512),
)

#: The 16 convolutions in the papers' notation, with their numbers of channels, first to last.
CHANNELS: dict[str, int] = {
    f"conv{block}_{index}": channels
    for block, widths in enumerate(BLOCKS, start=1)
    for index, channels in enumerate(widths, start=1)
}

#: The 16 names, first to last.
NAMES: tuple[str, ...] = tuple(CHANNELS)

#: The built-in `mini`: the layers that style transfer uses, with fewer channels. Half of them where
#: nearly all of the style loss is measured (conv4_1) and where all else comes from (blocks 1, 2).
MINI: dict[str, int] = {
    name: {"conv1": 32, "conv2": 64, "conv3": 96}.get(name[:5], 256 if name == "conv4_1" else 128)
    for name in NAMES[: NAMES.index("conv5_1") + 1]
}

#: The networks known here by their layers and channels, told apart by the channels of conv1_1.
NETWORKS: tuple[dict[str, int], ...] = (CHANNELS, MINI)

_NOTATION = re.compile(r"(?:conv(\d)_(\d)|block(\d)_conv(\d))(:pre)?")


class Layer(NamedTuple):
    """One place in the network where features are taken.

    Attributes:
      name: the convolution, in the papers' notation (`conv4_2`).
      before_relu: whether the value before the rectifier is meant (`conv4_2:pre`).
    """

    name: str
    before_relu: bool = False

    @property
    def block(self) -> int:
        """The block, 1 to 5; block b sees the picture at 1 / 2^(b-1) of its size."""
        return int(self.name[4])

    def __str__(self) -> str:
        return self.name + (":pre" if self.before_relu else "")


def parse(text: str) -> Layer:
    """Reads a layer in either notation: `conv4_2`, `block4_conv2`, each with `:pre` or without.

    Raises:
      SettingsError: `text` names no layer of VGG19.
    """
    match = _NOTATION.fullmatch(str(text).strip())
    if match:
        block, index = match[1] or match[3], match[2] or match[4]
        name = f"conv{block}_{index}"
        if name in CHANNELS:
            return Layer(name, match[5] is not None)
    raise SettingsError(
        f"no layer {text!r} in VGG19: use one of {', '.join(NAMES)} "
        "(or block1_conv1 ... block5_conv4), with ':pre' behind it for the value before the ReLU"
    )


def distinct(texts: Iterable[str]) -> list[str]:
    """The layers of a list in the papers' notation, in its order.

    Raises:
      SettingsError: it is empty, or names a layer twice or one that VGG19 has not.
    """
    names = [str(parse(text)) for text in texts]
    if not names:
        raise SettingsError("name at least one layer")
    for name in names:
        if names.count(name) > 1:
            raise SettingsError(f"the layers {','.join(names)} name {name} twice: name it once")
    return names


def deepest(layers: Iterable[Layer]) -> Layer:
    """The layer of `layers` that comes last in the network."""
    return max(layers, key=lambda layer: NAMES.index(layer.name))


def smallest_size(layers: Iterable[Layer]) -> int:
    """The least height and width in pixels that leave the deepest layer one position: 2^(b-1)."""
    return 1 << (deepest(layers).block - 1)


def check_size(height: int, width: int, layers: Iterable[Layer]) -> None:
    """Raises SettingsError where a picture of `height` x `width` pixels is too small."""
    layers = list(layers)
    least = smallest_size(layers)
    if min(height, width) < least:
        raise SettingsError(
            f"{width}x{height} pixels are too few for {deepest(layers)}: "
            f"it takes at least {least}x{least}"
        )


def weight_like(layer: Layer, weights: Mapping[str, float]) -> float:
    """The weight of a layer that was named without: its own in `weights`, else that of the layer
    there in the same block, else their mean; 1 where there are none."""
    by_block = {parse(name).block: weight for name, weight in weights.items()}
    mean = sum(weights.values()) / len(weights) if weights else 1.0
    return weights.get(str(layer), by_block.get(layer.block, mean))


def width_ratio(key: str, channels: int) -> float:
    """How many times as many channels as a network's VGG19 has in the layer `key`."""
    return CHANNELS[parse(key).name] / channels


def winograd_pays(before: int, after: int) -> bool:
    """Whether a convolution with so many channels is faster by Winograd's algorithm: where moving
    its tiles about costs less than the multiplications that are saved.

    Of the direct convolution's time it takes 0.41 from 512 to 512 channels, 0.56 from 256 to 256,
    0.7 from 128 to 256, 0.9 from 128 to 128, 1.1 from 64 to 128, 1.35 from 64 to 64.
    """
    return before * after / (before + after) > 45
