"""A picture of any size through the network, strip by strip, exactly.

What does not fit into memory are the feature maps of the first blocks: 64 channels at the
picture's full size. So a block, the convolutions between two poolings, is applied to one strip of
rows after the other. A strip is cut one row wider on either side for every 3x3 convolution, and
what those rows gave is dropped again, so what stays is what the whole picture gives. Of a block
remain its pooled output, the sums over positions that the statistic of its style layers is made of,
and the feature maps of its content layers. The backward pass computes every strip's features once
more (Chen et al., "Training Deep Nets with Sublinear Memory Cost", arXiv:1604.06174).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from nst_tf.losses.measured import Measured
from nst_tf.losses.statistics import Nest, Statistic
from nst_tf.network import vgg
from nst_tf.network.engine import Stage

#: Masks by style layer, [1, height, width, regions] of the layer's size; empty for none.
Masks = Mapping[str, tf.Tensor]

#: Fewer rows would not pay for the rows that are computed twice.
_LEAST_ROWS = 16


class Strips:
    """A feature model that measures a picture strip by strip; differentiable.

    Args:
      stages: of the network, from `engine.stages`.
      content_layers: whose feature maps are wanted, keyed as the model's outputs are.
      style_layers: whose statistics are wanted.
      statistic: of the style layers. Of one that is not additive the layers' maps are put together
        from all strips first, which takes their memory.
      tile: about tile² pixels, times 64 channels, are in the works at a time.
    """

    def __init__(
        self,
        stages: Sequence[Stage],
        content_layers: Sequence[str],
        style_layers: Sequence[str],
        statistic: Statistic,
        tile: int,
    ) -> None:
        self._tile, self._statistic = tile, statistic
        self._content_layers, self._style_layers = tuple(content_layers), tuple(style_layers)
        whole = [*content_layers, *(() if statistic.additive else style_layers)]
        summed = style_layers if statistic.additive else ()
        cuts = [at for at, stage in enumerate(stages) if stage.pools]
        self._blocks = [
            _Block(
                stages[start:end],
                stages[end] if end < len(stages) else None,
                whole,
                summed,
                statistic,
            )
            for start, end in zip(
                [0, *(cut + 1 for cut in cuts)], [*cuts, len(stages)], strict=True
            )
        ]

    def __call__(self, image: tf.Tensor, masks: Masks | None = None) -> Measured:
        """Measures `image`, float32 [1, height, width, 3].

        Args:
          image: the picture.
          masks: by style layer, as the statistic takes them; None for none.
        """
        # Read here: inside the strips' own gradient a variable would count as a weight.
        masks = {key: tf.convert_to_tensor(mask) for key, mask in (masks or {}).items()}
        features: dict[str, tf.Tensor] = {}
        sums: dict[str, Nest] = {}
        maps = image
        rows = max(_LEAST_ROWS, self._tile**2 // int(image.shape[2]) // 4 * 4)
        for block in self._blocks:
            # A row of the next block has half the positions and twice the channels: it weighs as
            # much, and as many rows make a strip.
            in_strips = maps.shape[1] >= 2 * rows
            outputs = block.measure(maps, masks, rows) if in_strips else block.strip(maps, masks)
            maps = outputs.maps.pop(_NEXT, None)
            features.update(outputs.maps)
            sums.update(outputs.sums)
        if not self._statistic.additive:
            sums = {
                key: self._statistic.measure(features[key], masks.get(key))
                for key in self._style_layers
            }
        return Measured(
            {key: features[key] for key in self._content_layers},
            {key: self._statistic.finish(sums[key]) for key in self._style_layers},
        )


#: What a block passes on, among its maps.
_NEXT = "next"


class _Outputs(NamedTuple):
    """What is left of a block.

    Attributes:
      maps: feature maps [1, height, width, channels] by layer; `next`, those behind the pooling.
      sums: what the statistic measures, by layer: it adds up over strips.
    """

    maps: dict[str, tf.Tensor]
    sums: dict[str, Nest]


class _Block:
    """The convolutions between two poolings, and the pooling behind them.

    Args:
      stages: the convolutions and rectifiers.
      pooling: None behind the last block.
      whole: layers whose feature maps are wanted; those of other blocks are passed over.
      summed: layers whose statistic is wanted, likewise.
      statistic: additive where `summed` names a layer.
    """

    def __init__(
        self,
        stages: Sequence[Stage],
        pooling: Stage | None,
        whole: Sequence[str],
        summed: Sequence[str],
        statistic: Statistic,
    ) -> None:
        self._stages, self._pooling, self._statistic = stages, pooling, statistic
        by_name = {stage.name: stage for stage in stages}
        self._whole, self._summed = (
            {key: by_name[name] for key in wanted if (name := vgg.layer_name(key)) in by_name}
            for wanted in (whole, summed)
        )
        # In whole tiles of Winograd's algorithm: the same tiles as in the whole picture, and so the
        # same rounding.
        self._halo = -(-sum(stage.halo for stage in stages) // 4) * 4

    def strip(self, maps: tf.Tensor, masks: Masks, above: Any = 0, rows: Any = None) -> _Outputs:
        """The outputs of one strip, without the rows that only its neighbours need.

        Args:
          maps: [1, height, width, channels], the block's input.
          masks: by layer, of the rows that are kept.
          above: rows to leave out at the top.
          rows: rows to keep; None for all.
        """

        def kept(maps: tf.Tensor) -> tf.Tensor:
            # The gradient of an index expression, maps[:, above:end], is slow; of tf.slice, not.
            if rows is None:
                return maps
            return tf.slice(maps, [0, above, 0, 0], [1, rows, *maps.shape[2:]])

        by_stage = {}
        for stage in self._stages:
            by_stage[stage.name] = maps = stage.apply(maps)
        outputs = _Outputs(
            {key: kept(by_stage[stage.name]) for key, stage in self._whole.items()},
            {
                key: self._statistic.measure(kept(by_stage[stage.name]), masks.get(key))
                for key, stage in self._summed.items()
            },
        )
        if self._pooling is not None:
            outputs.maps[_NEXT] = self._pooling.apply(kept(maps))
        return outputs

    def measure(self, maps: tf.Tensor, masks: Masks, rows: int) -> _Outputs:
        """The outputs of all maps, [1, height, width, channels], `rows` rows at a time."""
        masks = {key: mask for key, mask in masks.items() if key in self._summed}
        structure: list[_Outputs] = []

        @tf.custom_gradient
        def strip_by_strip(maps: tf.Tensor) -> Any:
            outputs = self._forward(maps, masks, rows)
            structure[:] = [outputs]

            def gradient(*upstream: tf.Tensor, variables: Sequence[tf.Variable] = ()) -> Any:
                by_output = tf.nest.pack_sequence_as(structure[0], upstream)
                gradient_of_maps = self._backward(maps, masks, rows, by_output)
                return gradient_of_maps, [None] * len(variables)  # the network is fixed

            return tf.nest.flatten(outputs), gradient

        leaves = strip_by_strip(maps)
        packed: _Outputs = tf.nest.pack_sequence_as(structure[0], leaves)
        return packed

    def _forward(self, maps: tf.Tensor, masks: Masks, rows: int) -> _Outputs:
        height, width = int(maps.shape[1]), int(maps.shape[2])
        count = height // rows
        shapes = {
            key: ([height, width, stage.channels], stage.dtype)
            for key, stage in self._whole.items()
        }
        if self._pooling is not None:
            channels = self._stages[-1].channels
            shapes[_NEXT] = ([height // 2, width // 2, channels], self._pooling.dtype)
        arrays = {
            key: tf.TensorArray(dtype, count, infer_shape=False)
            for key, (_, dtype) in shapes.items()
        }

        def take(index: tf.Tensor, arrays: Any, sums: Any) -> Any:
            window, above, kept = self._window(maps, rows, index)
            outputs = self.strip(window, _rows_of(masks, index * rows, kept), above, kept)
            arrays = {
                key: array.write(index, outputs.maps[key][0]) for key, array in arrays.items()
            }
            return index + 1, arrays, tf.nest.map_structure(tf.add, sums, outputs.sums)

        _, arrays, sums = tf.while_loop(
            lambda index, *_: index < count,
            take,
            (0, arrays, self._no_sums(maps, masks)),
            parallel_iterations=1,
        )
        joined = {
            key: tf.reshape(array.concat(), [1, *shapes[key][0]]) for key, array in arrays.items()
        }
        return _Outputs(joined, sums)

    def _no_sums(self, maps: tf.Tensor, masks: Masks) -> dict[str, Nest]:
        """What the statistic measures of no position at all."""
        row = _rows_of(masks, 0, 1)
        measured = {
            key: self._statistic.measure(
                tf.zeros([1, 1, maps.shape[2], stage.channels]), row.get(key)
            )
            for key, stage in self._summed.items()
        }
        zeros: dict[str, Nest] = tf.nest.map_structure(tf.zeros_like, measured)
        return zeros

    def _backward(self, maps: tf.Tensor, masks: Masks, rows: int, upstream: _Outputs) -> tf.Tensor:
        """∂L/∂maps from ∂L/∂outputs: the strips' gradients, added up where they overlap."""
        count = int(maps.shape[1]) // rows

        def take(index: tf.Tensor, array: tf.TensorArray, overlap: tf.Tensor) -> Any:
            window, above, kept = self._window(maps, rows, index)
            # Of a sum, every strip has the whole gradient; of maps, its own rows.
            of_strip = _Outputs({}, upstream.sums)
            for key, value in upstream.maps.items():
                step = 2 if key == _NEXT else 1
                of_strip.maps[key] = value[:, index * rows // step : (index * rows + kept) // step]
            of_rows = _rows_of(masks, index * rows, kept)
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(window)
                outputs = self.strip(window, of_rows, above, kept)
            gradient = tape.gradient(tf.nest.flatten(outputs), window, tf.nest.flatten(of_strip))[0]
            missing = tf.shape(gradient)[0] - tf.shape(overlap)[0]
            gradient += tf.pad(overlap, [[0, missing], [0, 0], [0, 0]])
            # What the next strip adds to begins `halo` rows above it.
            done = tf.where(index < count - 1, above + kept - self._halo, tf.shape(gradient)[0])
            return index + 1, array.write(index, gradient[:done]), gradient[done:]

        array = tf.TensorArray(maps.dtype, count, infer_shape=False)
        nothing = tf.zeros([0, *maps.shape[2:]], maps.dtype)
        unknown = tf.TensorShape([None, *maps.shape[2:]])
        _, array, _ = tf.while_loop(
            lambda index, *_: index < count,
            take,
            (0, array, nothing),
            shape_invariants=(tf.TensorShape([]), tf.TensorShape(None), unknown),
            parallel_iterations=1,
        )
        return tf.reshape(array.concat(), maps.shape)

    def _window(
        self, maps: tf.Tensor, rows: int, index: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Strip `index` with its halo, how many rows of that lie above it, how many rows it has.

        The last one has up to twice as many rows: a strip of one row could not be pooled.
        """
        height, top = int(maps.shape[1]), index * rows
        kept = tf.where(index < height // rows - 1, rows, height - top)
        above = tf.minimum(self._halo, top)
        return maps[:, top - above : top + kept + self._halo], above, kept


def _rows_of(masks: Masks, top: Any, rows: Any) -> Masks:
    """So many rows of masks from `top` on."""
    return {
        key: tf.slice(mask, [0, top, 0, 0], [1, rows, *mask.shape[2:]])
        for key, mask in masks.items()
    }
