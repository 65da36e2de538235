"""A network that paints a photo in one pass.

Johnson, Alahi and Fei-Fei, "Perceptual Losses for Real-Time Style Transfer", arXiv:1603.08155, and
its supplement: down twice by strided convolutions, five residual blocks, up twice. Here with mirror
images in place of zeros around (no frame), nearest upsampling and convolutions in place of
transposed ones (no checkerboard: Odena, Dumoulin and Olah, distill.pub/2016/deconv-checkerboard),
instance normalisation with numbers of each style, and an end that paints over the photo.
"""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from nst_tf.errors import SettingsError
from nst_tf.pictures import images, one_pass
from nst_tf.stylizer import tiles
from nst_tf.stylizer.borders import fitted, mirrored
from nst_tf.stylizer.normalisation import (
    ConditionalInstanceNormalization,
    Moments,
    own_moments,
)
from nst_tf.stylizer.palette import Palette

#: Channels of the three sizes at width 1, as in the paper.
CHANNELS = (32, 64, 128)
#: Residual blocks.
BLOCKS = 5
#: Of the first and the last convolution. The paper's 9 would take more than a third of a narrow
#: network's time, and what they see beyond this, the blocks see as well.
_EDGE = 5
#: Bytes that painting takes for a pixel, and besides at width 1, as measured up to 2048 pixels.
_BYTES, _BYTES_BY_WIDTH = 130, 720
#: Height and width are halved twice, and mirrored by one position or more at the smallest size.
_MULTIPLE, _LEAST = 4, 16


@tf.keras.utils.register_keras_serializable("nst_tf")
class Convolution(tf.keras.layers.Layer):
    """A convolution with the mirror image around, normalised by style, and a ReLU if wanted.

    Args:
      channels: of the result.
      kernel: its side in positions, odd.
      stride: 2 halves height and width.
      styles: how many there are.
      relu: whether negative values end as 0.
      seed: of the first weights.
    """

    def __init__(
        self,
        channels: int,
        kernel: int = 3,
        stride: int = 1,
        styles: int = 1,
        relu: bool = True,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._config = {
            "channels": channels,
            "kernel": kernel,
            "stride": stride,
            "styles": styles,
            "relu": relu,
        }
        policy = {"dtype": kwargs.get("dtype")}
        self.convolution = tf.keras.layers.Conv2D(
            channels,
            kernel,
            stride,
            use_bias=False,
            kernel_initializer=tf.keras.initializers.HeNormal(seed),
            **policy,
        )
        self.normalisation = ConditionalInstanceNormalization(styles, **policy)

    def build(self, input_shape: Any) -> None:
        before, channels = input_shape[-1], self._config["channels"]
        self.convolution.build((None, None, None, before))
        self.normalisation.build((None, None, None, channels))
        self.built = True

    @property
    def reach(self) -> int:
        """How many positions away what it sees of the maps before it is at most."""
        return int(self._config["kernel"]) // 2

    def call(
        self,
        maps: tf.Tensor,
        shares: tf.Tensor,
        moments: Callable[[tf.Tensor], Moments] = own_moments,
    ) -> tf.Tensor:
        """Feature maps [batch, height, width, channels] by the styles' shares [batch, styles] and
        the moments that `ConditionalInstanceNormalization` takes."""
        around = mirrored(maps, self.reach)
        maps = self.normalisation(self.convolution(around), shares, moments=moments)
        return tf.nn.relu(maps) if self._config["relu"] else maps

    def compute_output_shape(self, input_shape: Any, *_: Any) -> Any:
        batch, *sides, _before = input_shape
        stride, channels = self._config["stride"], self._config["channels"]
        return (batch, *(side and -(-side // stride) for side in sides), channels)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self._config}


@tf.keras.utils.register_keras_serializable("nst_tf")
class Stylizer(tf.keras.Model):
    """Photos to pictures in the style of a painting it was trained for, or of several.

        stylizer = nst_tf.Stylizer.load("starry-night.keras")
        painted = stylizer(photos)                          # float RGB in [0, 1]
        painted = stylizer({"content": photos, "strength": [0.5], "styles": [[0.0, 1.0]]})

    It nests in other models, and is saved and loaded like any. A new one gives back the photo.

    Args:
      paintings: their names, which are those of the styles.
      width: of the paper's channels the share that it has, such as 1, 1/2 or 1/4.
      dtype: a Keras dtype policy; None for the global one. Pictures are float32 always.
      name: of the model.
      seed: of the first weights; None for others every time.

    Raises:
      SettingsError: no painting, two of one name, or a width that leaves no channel.
    """

    def __init__(
        self,
        paintings: Sequence[str] = ("painting",),
        width: float = 0.25,
        dtype: Any = None,
        name: str = "stylizer",
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        names = [paintings] if isinstance(paintings, str) else list(paintings)
        if not names or len(set(names)) < len(names):
            raise SettingsError(f"paintings are {names}: name at least one, each once")
        if not isinstance(width, (int, float)) or not 1 / 16 <= width <= 4:
            raise SettingsError(f"width is {width!r}: use a share such as 1, 0.5 or 0.25")
        super().__init__(name=name, dtype=dtype, **kwargs)
        self._numbers: dict[str, Any] = {"paintings": names, "width": width}
        few, more, most = (max(1, round(width * count)) for count in CHANNELS)
        seeds = itertools.count(seed) if seed is not None else itertools.repeat(None)

        def layer(channels: int, kernel: int = 3, stride: int = 1, relu: bool = True) -> Any:
            given = {"dtype": dtype, "seed": next(seeds)}
            return Convolution(channels, kernel, stride, len(names), relu, **given)

        self.down = [layer(few, _EDGE), layer(more, stride=2), layer(most, stride=2)]
        self.blocks = [layer(most, relu=first) for _ in range(BLOCKS) for first in (True, False)]
        self.up = [layer(more), layer(few)]
        self.last = tf.keras.layers.Conv2D(
            3, _EDGE, use_bias=False, dtype=dtype, kernel_initializer="zeros"
        )
        self.palette = Palette(len(names))
        self(tf.zeros([1, _LEAST, _LEAST, 3]))  # which makes all numbers

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Stylizer:
        """One that was trained: `stylizer.keras` of `nst-tf train`, or what `save` wrote.

        Raises:
          FileError: the file cannot be read, or holds none.
        """
        model: Stylizer = one_pass.load(path)
        return model

    def shares(self, by_name: Mapping[str, float]) -> list[float]:
        """The share of each style, for `styles`, of those of some by name.

        Raises:
          SettingsError: there is no style of a name, or a share that cannot be.
        """
        for name, share in by_name.items():
            if name not in self.paintings:
                raise SettingsError(f"no style {name!r}: use one of {', '.join(self.paintings)}")
            if not 0 <= share < float("inf"):
                raise SettingsError(f"the share of {name} is {share:g}: use a number from 0")
        if not sum(by_name.values()):
            raise SettingsError("all shares of styles are 0: give one that is not")
        return [float(by_name.get(name, 0)) for name in self.paintings]

    def paint(
        self,
        photo: Any,
        strength: float = 1.0,
        styles: Sequence[float] | None = None,
        tile: int | None = None,
    ) -> np.ndarray:
        """One photo painted, float32 [height, width, 3] in [0, 1].

        Args:
          photo: as `images.load` takes it.
          strength: how much is painted, from 0 (the photo) to 1.
          styles: the share of each style; None for equal parts.
          tile: pixels of the side of tiles, whose moments are those of parts of the photo
            (`tiles.painted`); 0 for the whole photo at once; None for that where there is the
            memory, else for tiles as large as there is.

        Raises:
          PictureError: it cannot be read, or there is not the memory to paint it.
          SettingsError: tile is no such number.
        """
        content = images.load(photo)
        bytes_of_pixel = _BYTES + _BYTES_BY_WIDTH * self._numbers["width"]
        side = tiles.side(content.shape[:2], tile, bytes_of_pixel, self.reach)
        shares = self._shares(None if styles is None else np.array([styles], np.float32), 1)
        if side:
            painted = tiles.painted(self, content, shares, side)
        else:
            painted = self._of_any_size(content[np.newaxis], shares)[0].numpy()
        share = np.clip(np.float32(strength), 0, 1)
        mixed: np.ndarray = content + share * (painted - content)
        return mixed

    @functools.cached_property
    def _of_any_size(self) -> Any:
        signature = [tf.TensorSpec([1, None, None, 3]), tf.TensorSpec([1, len(self.paintings)])]
        return tf.function(
            lambda photo, styles: self.call({"content": photo, "styles": styles}),
            input_signature=signature,
            autograph=False,
        )

    @property
    def paintings(self) -> list[str]:
        """The names of its styles."""
        return list(self._numbers["paintings"])

    @property
    def body(self) -> list[Any]:
        """The convolutions' kernels, which all styles share."""
        layers = [layer.convolution for layer in (*self.down, *self.blocks, *self.up)]
        return [layer.kernel for layer in (*layers, self.last)]

    @property
    def numbers_of_styles(self) -> list[Any]:
        """What each style has of its own, [styles, ...] each: γ, β, and what the photo's colours
        become."""
        layers = [layer.normalisation for layer in (*self.down, *self.blocks, *self.up)]
        numbers = [number for layer in layers for number in (layer.gamma, layer.beta)]
        return [*numbers, self.palette.matrix, self.palette.offset]

    def call(self, inputs: tf.Tensor | Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Float32 [batch, height, width, 3] in [0, 1].

        Args:
          inputs: pictures, RGB in [0, 1] [batch, height, width, 3] of any size; or by name
            `content`, the pictures; `strength`, how much is painted, from 0 (the photo) to 1, [1]
            or [batch]; `styles`, the share of each style, [1, styles] or [batch, styles], in equal
            parts where it is left out.
        """
        given = dict(inputs) if isinstance(inputs, Mapping) else {"content": inputs}
        photo = tf.cast(given["content"], tf.float32)
        count, sides = tf.shape(photo)[0], tf.shape(photo)[1:3]
        shares = self._shares(given.get("styles"), count)
        painted = self.painted(self.fitted(photo), shares)
        painted = tf.reshape(painted[:, : sides[0], : sides[1]], tf.shape(photo))
        painted.set_shape(photo.shape)
        if given.get("strength") is None:
            return painted
        strength = tf.reshape(tf.cast(given["strength"], tf.float32), [-1, 1, 1, 1])
        return photo + tf.clip_by_value(strength, 0.0, 1.0) * (painted - photo)

    #: Height and width of what `painted` takes are multiples of it.
    multiple = _MULTIPLE

    def fitted(self, photos: tf.Tensor) -> tf.Tensor:
        """Photos [batch, height, width, 3] of any size as `painted` takes them, their mirror image
        to the right and below."""
        return fitted(photos, _MULTIPLE, _LEAST)

    def painted(
        self,
        photo: tf.Tensor,
        shares: tf.Tensor,
        moments: Callable[[tf.Tensor], Moments] = own_moments,
    ) -> tf.Tensor:
        """Photos of a height and width that are multiples of `multiple`, 16 at least, painted.

        Args:
          photo: float32 [batch, height, width, 3] in [0, 1].
          shares: of each style, float32 [batch, styles], each picture's summing to 1.
          moments: asked for those of each normalisation, in their order.
        """
        maps = tf.cast(photo - 0.5, self.compute_dtype)
        for layer in self.down:
            maps = layer(maps, shares, moments=moments)
        for first, second in zip(self.blocks[::2], self.blocks[1::2], strict=True):
            maps += second(first(maps, shares, moments=moments), shares, moments=moments)
        for layer in self.up:
            maps = layer(_doubled(maps), shares, moments=moments)
        pictures: tf.Tensor = self.palette(self.last(mirrored(maps, _EDGE // 2)), photo, shares)
        return pictures

    @property
    def reach(self) -> int:
        """How many pixels away what a pixel of a result is made of is at most, but for the moments
        of normalisations: a multiple of `multiple`."""
        first, second, third = (layer.reach for layer in self.down)
        blocks = sum(layer.reach * _MULTIPLE for layer in self.blocks)
        # Of maps that are made twice as large, a position is up to one of the smaller ones away.
        larger, largest = (layer.reach + 1 for layer in self.up)
        far = first + second + 2 * third + blocks + 2 * larger + largest + _EDGE // 2
        return -(-far // _MULTIPLE) * _MULTIPLE

    def _shares(self, given: Any, count: tf.Tensor) -> tf.Tensor:
        """Of each style, float32 [batch, styles], each picture's summing to 1."""
        styles = len(self._numbers["paintings"])
        if given is None:
            return tf.fill([count, styles], 1 / styles)
        shares = tf.cast(given, tf.float32)
        shares = tf.math.divide_no_nan(shares, tf.reduce_sum(shares, -1, keepdims=True))
        return tf.broadcast_to(tf.reshape(shares, [-1, styles]), [count, styles])

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape["content"] if isinstance(input_shape, Mapping) else input_shape

    def get_config(self) -> dict[str, Any]:
        return {**self._numbers, "dtype": self._policy(), "name": self.name}

    def _policy(self) -> str:
        policy = getattr(self, "dtype_policy", None) or self._dtype_policy
        return str(policy.name)

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Stylizer:
        return cls(**config)


def _doubled(maps: tf.Tensor) -> tf.Tensor:
    """[batch, 2 height, 2 width, channels]: every position four times."""
    shape = maps.shape
    size = tf.shape(maps)[1:3] * 2 if None in shape[1:3] else [2 * side for side in shape[1:3]]
    return tf.image.resize(maps, size, "nearest")
