"""How much memory a run takes at its peak, told before it begins.

What takes it: the network's kernels, in every form that an engine keeps them in; the feature maps
that one evaluation keeps for its gradient, and what the costliest layer needs meanwhile; what the
style loss makes of its layers' maps; the images that the optimizer remembers. Each is counted from
sizes and channels; the factors are what `benchmarks/memory.py` finds. What is made of it stands in
`outlook.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from nst_tf.recipe import choices, layers, sizes
from nst_tf.recipe.settings import Settings

#: Bytes of a run's graphs: of one size, and of any.
_GRAPHS, _GRAPHS_OF_SCALES = 110 << 20, 180 << 20
#: TensorFlow Probability, and the graphs of its line search besides.
_PROBABILITY = 450 << 20
#: Copies of a layer's maps that are there at once while it is computed, by its definition and by
#: Winograd's algorithm, which makes 36 values of 16.
_DIRECT, _WINOGRAD = 2.8, 4 * 36 / 16
#: Of many strips, how many of them take as much in one piece: there are results of the one before,
#: and each is computed once more for the gradient. Rows that each has besides.
_STRIPS, _HALO = 4.0, 8
#: Copies of what is left of a block behind its strips: joined, and its gradient.
_LEFT = 2.1
#: Images that a run has besides those that its optimizer remembers, and those of a result that is
#: larger than what was optimised.
_IMAGES, _ENLARGED = 14, 8
#: Copies of what a statistic sorts: a style layer's channels, or their projections.
_SORTED, _PROJECTIONS = 9.0, 64
#: Copies of all hypercolumns; how many candidates they have, and products of each layer that are
#: there at once (`neighbours.nearest`).
_COLUMNS, _CANDIDATES, _PRODUCTS = 4.0, 1 << 12, 1 << 24


@dataclass(frozen=True)
class Need:
    """What a run has to hold at one of its scales.

    Attributes:
      settings: of the run.
      channels: of the network's convolutions by layer, first to last.
      content: height and width in pixels of the image that is optimised.
      styles: likewise of each style image.
      engine: one of `choices.ENGINES` but auto; likewise dtype.
      regions: how many masks there are.
      result: as `content`, of a result that is larger.
    """

    settings: Settings
    channels: Mapping[str, int]
    content: tuple[int, int]
    styles: Sequence[tuple[int, int]]
    engine: str
    dtype: str
    regions: int = 0
    result: tuple[int, int] = (0, 0)

    def bytes(self, tile: int | None = None) -> int:
        """What it takes at its peak, besides what the process has taken before.

        Args:
          tile: of `strips.Strips`; None where pictures are measured as a whole.
        """
        pixels, at_once = _pixels(self.content), _at_once(self.content, tile)
        evaluation = at_once * (self._kept() + self._meanwhile())
        if at_once != pixels:
            evaluation += pixels * self._left()
        evaluation += pixels * self._of_statistic()
        # Of a style image nothing is kept for a gradient, and it comes before the first of them.
        seen = max(_at_once(shape, tile) for shape in self.styles) * self._meanwhile()
        maps = max(evaluation, seen)
        graphs = _GRAPHS if self.settings.min_scale is None else _GRAPHS_OF_SCALES
        graphs += _PROBABILITY * (self.settings.optimizer == "tfp-lbfgs")
        return int(graphs + self._kernels() + maps + self._images() + self._looking())

    def scaled(self, size: int) -> Need:
        """The same at another size, in pixels of the result's longer side."""
        whole = self.result if max(self.result) else self.content
        factor = size / max(whole)

        def to(shape: tuple[int, int], factor: float = factor) -> tuple[int, int]:
            return max(1, round(factor * shape[0])), max(1, round(factor * shape[1]))

        content, most = to(whole), self.settings.max_scale or size
        fixed = self.settings.style_size is not None
        styles = self.styles if fixed else [to(shape) for shape in self.styles]
        if most < size:
            shrunk = most / size
            styles = [to(shape, shrunk) for shape in styles]
            return replace(self, content=to(content, shrunk), styles=styles, result=content)
        return replace(self, content=content, styles=styles, result=(0, 0))

    def _network(self) -> list[tuple[str, int, int]]:
        """The convolutions as far as they are computed: names, channels before and after."""
        names = list(self.channels)
        last = layers.deepest([layers.parse(key) for key in self.settings.layers]).name
        names = names[: names.index(last) + 1] if last in names else names
        after = [self.channels[name] for name in names]
        return list(zip(names, [3, *after[:-1]], after, strict=True))

    def _bytes_of(self, name: str) -> int:
        """Of a value of a layer's maps."""
        # On a processor all engines but Keras' compute in float32 what is rounded to float16.
        of_floats = self.dtype == "mixed_float16" and self.engine != "keras"
        return 2 if self.dtype.startswith("mixed") and not of_floats and name != "conv1_1" else 4

    def _by_winograd(self, name: str, before: int, after: int) -> bool:
        of_floats = self._bytes_of(name) == 4
        return self.engine == "winograd" and of_floats and layers.winograd_pays(before, after)

    def _kernels(self) -> float:
        copies = 2 if self.settings.normalise else 1  # of the model
        total = 0.0
        for name, before, after in self._network():
            forms = 0.0 if self.engine == "keras" else 2.0  # there and back
            if self._by_winograd(name, before, after):
                forms += 2 * 36 / 9
            total += 36 * before * after * (copies + forms)
        return total

    def _kept(self) -> float:
        """Bytes a pixel of the maps that are kept for the gradient."""
        return sum(
            self._bytes_of(name) * _share(name) * after for name, _, after in self._network()
        )

    def _meanwhile(self) -> float:
        """Bytes a pixel while the costliest layer is computed."""
        return max(
            self._bytes_of(name)
            * _share(name)
            * after
            * (_WINOGRAD if self._by_winograd(name, before, after) else _DIRECT)
            for name, before, after in self._network()
        )

    def _left(self) -> float:
        """Bytes a pixel of what blocks leave that are measured strip by strip."""
        last = {layers.parse(name).block: (name, after) for name, _, after in self._network()}
        pooled = [self._bytes_of(name) * _share(name) / 4 * after for name, after in last.values()]
        return _LEFT * sum(pooled)

    def _of_statistic(self) -> float:
        """Bytes a pixel of what losses make of maps."""
        settings = self.settings
        content = 4 * 2 * self._wanted(settings.content_layers)
        style = 4 * self._wanted(settings.style_layers)
        if settings.style_loss == choices.NEIGHBOURS:
            columns = 4 / 16 * sum(self._wide(key) for key in settings.style_layers)
            return content + style + _COLUMNS * columns
        if settings.style_loss == "histogram":
            content += _SORTED * style
        if settings.style_loss == "sliced":
            places = sum(_share(layers.parse(key).name) for key in settings.style_layers)
            content += _SORTED * 4 * _PROJECTIONS * places
        return content + style * self.regions

    def _wide(self, key: str) -> int:
        return self.channels.get(layers.parse(key).name, 0)

    def _wanted(self, keys: Mapping[str, float]) -> float:
        return sum(_share(layers.parse(key).name) * self._wide(key) for key in keys)

    def _images(self) -> float:
        """Bytes of images in full."""
        remembered = {
            "lbfgs": 2.0 * self._pairs(),
            "tfp-lbfgs": 80.0,  # room for all pairs from the beginning, and a copy
            "gd": 0.0,
            "pyramid": 8.0,
        }
        count = _IMAGES + remembered.get(str(self.settings.optimizer), 3.0)
        every = sum(map(_pixels, self.styles)) * _views(self.settings)
        return 12 * (
            count * _pixels(self.content) + 2 * every + _ENLARGED * _pixels(self.result)
        ) + 4 * 3 * self.regions * _pixels(self.content)

    def _pairs(self) -> float:
        """How many pairs of images L-BFGS comes to remember."""
        steps = self.settings.evaluations or self.settings.iterations or 1
        factor = sizes.steps_factor(self.settings, max(self.content))
        return min(20.0, max(1.0, steps * factor))

    def _looking(self) -> float:
        """Bytes that looking for neighbours takes."""
        if self.settings.style_loss != choices.NEIGHBOURS:
            return 0.0
        seen = sum(map(_pixels, self.styles)) * _views(self.settings)
        products = _pixels(self.content) / 16 * min(seen / 16, _CANDIDATES)
        return 4 * min(products, _PRODUCTS) * len(self.settings.style_layers)


def _pixels(shape: tuple[int, int]) -> int:
    return shape[0] * shape[1]


def _share(name: str) -> float:
    """Positions of a layer's maps for each pixel of the picture."""
    return 0.25 ** (layers.parse(name).block - 1)


def _at_once(shape: tuple[int, int], tile: int | None) -> float:
    """How many pixels in one piece take as much as what is in the works of a picture."""
    height, width = shape
    rows = height if tile is None else max(16, tile**2 // width // 4 * 4)
    strips = height // rows
    if strips < 2:
        return height * width
    return min(_STRIPS * strips / (strips + 3) * (rows + _HALO), height) * width


def _views(settings: Settings) -> float:
    """How many times as many pixels as a painting all its views have."""
    turned = (4 if settings.rotations else 1) * (2 if settings.mirrored else 1)
    return turned * (1 + sum(factor**2 for factor in settings.stroke_sizes))
