r"""The style of each picture of a corpus, in one file, and which of them are nearest to another's.

Style is what Gatys, Ecker and Bethge take for it, the Gram matrices G^l of some layers
(arXiv:1508.06576, equation 3). Here each is divided by its norm, so that contrast and brightness
count for nothing and every layer for as much, and two pictures are apart by

    d = sqrt( (1 / L) Σ_l ‖ G^l / ‖G^l‖ - A^l / ‖A^l‖ ‖² ),    from 0 to √2.

Of a matrix `NUMBERS` numbers are kept, uᵀ G v for random vectors u and v of signs: the mean square
of their differences is that of the matrices' (Kar and Karnick, "Random feature maps for dot product
kernels", AISTATS 2012).
"""

from __future__ import annotations

import functools
import io
import os
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from nst_tf import files, reading
from nst_tf.errors import FileError, NSTError, PictureError, SettingsError
from nst_tf.losses.gram import gram_matrix
from nst_tf.network import weights as weights_module
from nst_tf.network.feature_model import feature_model
from nst_tf.network.weights import Weights
from nst_tf.pictures import folders, images
from nst_tf.pictures.images import Picture
from nst_tf.recipe import presets

#: Numbers that are kept of each layer's Gram matrix.
NUMBERS = 512
#: Longer side in pixels that pictures are looked at.
SIZE = 256
_SEED = 20120
#: Bytes of a file, and of the styles that are measured for one: of five layers 800 000 pictures'.
_MOST = 4 << 30
#: Bytes of a name, at most.
_ABOUT = 512
#: What reading a file raises that holds something else.
_NO_CORPUS = (KeyError, ValueError, TypeError, OSError, zipfile.BadZipFile, EOFError)
_KEYS = ("names", "styles", "layers", "size", "sha256")


class Neighbour(NamedTuple):
    """A picture of the corpus.

    Attributes:
      name: its path, as the corpus has it.
      distance: of its style from that which was asked for, from 0 to about 1.4.
    """

    name: str
    distance: float


class Corpus:
    """Styles of pictures.

        paintings = nst_tf.data.Corpus.of("paintings/*.jpg", weights="imagenet")
        paintings.save("grams.npz")
        for name, distance in nst_tf.data.Corpus.load("grams.npz").nearest("photo.jpg", count=5):
            print(name, distance)

    Attributes:
      names: of the pictures.
      styles: float16 [pictures, layers, NUMBERS].
      layers: whose Gram matrices they are of.
      size: longer side in pixels that pictures were looked at; 0 for their own.
      network: the hash of its numbers.
      failures: why pictures of the pattern are not in it, by path; of one that was loaded none.
    """

    def __init__(
        self,
        names: Sequence[str],
        styles: np.ndarray,
        layers: Sequence[str],
        size: int,
        network: str,
        failures: dict[str, str] | None = None,
    ) -> None:
        self.names, self.styles, self.layers = list(names), styles, tuple(layers)
        self.size, self.network, self.failures = size, network, failures or {}

    @classmethod
    def of(
        cls,
        pattern: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
        weights: str | os.PathLike[str] | Weights | None = None,
        *,
        layers: Sequence[str] = (),
        size: int = SIZE,
        report: Callable[[int, int], object] = lambda _done, _total: None,
    ) -> Corpus:
        """Measures pictures.

        Args:
          pattern: of the files, as `files` takes it.
          weights: the network, as `weights.load` takes it.
          layers: such as conv3_1; none are those of the style in `gatys2016`.
          size: longer side in pixels that pictures are scaled to.
          report: told how many are done, and how many there are; what it raises ends the work.

        Raises:
          PictureError: no file matches, or none of them can be read.
          SettingsError, WeightsError: a layer, size or network that cannot be had.
        """
        settings = presets.settings(presets.PUBLISHED, size=size)
        wanted = tuple(layers) or tuple(settings.style_layers)
        network = weights_module.load(presets.network(presets.PUBLISHED, weights))
        style_of = _measuring(network, wanted)
        names, styles, failures = [], [], {}
        paths = folders.files(pattern)
        most = _MOST // (2 * NUMBERS * len(wanted) + _ABOUT)
        if len(paths) > most:
            raise SettingsError(
                f"{len(paths)} pictures are too many for one file: measure {most} at a time, and "
                "look for the nearest in several"
            )
        for number, path in enumerate(paths, 1):
            try:
                styles.append(style_of(images.load(path, size)).astype(np.float16))
                names.append(path)
            except NSTError as error:
                failures[path] = str(error)
            report(number, len(paths))
        if not names:
            raise PictureError(f"none of {len(paths)} pictures can be read: {failures[paths[0]]}")
        return cls(names, np.stack(styles), wanted, size, network.sha256, failures)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes it as `.npz`, for `load`.

        Raises:
          OutputError: it cannot be written.
        """
        files.write(Path(path), self.encode())

    def encode(self) -> bytes:
        """What `save` writes."""
        names = np.array([os.fsencode(name) for name in self.names])
        what = (names, self.styles, np.array(self.layers), self.size, self.network)
        data = io.BytesIO()
        np.savez(data, **dict(zip(_KEYS, what, strict=True)))  # type: ignore[arg-type]
        return data.getvalue()

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Corpus:
        """One that was saved.

        Raises:
          FileError: it cannot be read, or is none.
        """
        try:
            with reading.opened(path, _MOST) as file, np.load(file, allow_pickle=False) as held:
                names, styles, layers, size, network = (held[key] for key in _KEYS)
        except _NO_CORPUS as error:
            raise FileError(f"{path} holds no styles of pictures: nst-tf grams makes it") from error
        fits = styles.shape == (len(names), len(layers), NUMBERS) and len(names)
        if not fits or not np.isfinite(styles).all():
            raise FileError(f"{path} is damaged: its styles are {styles.dtype} {styles.shape}")
        found = [os.fsdecode(bytes(name)) for name in names]
        return cls(found, styles, [str(layer) for layer in layers], int(size), str(network))

    def nearest(
        self,
        picture: Picture,
        weights: str | os.PathLike[str] | Weights | None = None,
        *,
        count: int = 5,
    ) -> list[Neighbour]:
        """The pictures whose style is nearest to that of another one, the nearest first.

        Args:
          picture: as `images.load` takes it.
          weights: the network, as `weights.load` takes it: that which the corpus was measured by.
          count: how many.

        Raises:
          PictureError: it cannot be read.
          SettingsError: another network.
          WeightsError: the network cannot be had.
        """
        return self.nearest_to(self.style_of(picture, weights), count=count)

    def style_of(
        self, picture: Picture, weights: str | os.PathLike[str] | Weights | None = None
    ) -> np.ndarray:
        """The style of a picture as the corpus has those of its own, float32 [layers, NUMBERS]; the
        arguments and errors are those of `nearest`."""
        network = weights_module.load(presets.network(presets.PUBLISHED, weights))
        if network.sha256 != self.network:
            raise SettingsError(
                f"the corpus was measured by another network than {network.source}: name that one"
            )
        return _measuring(network, self.layers)(images.load(picture, self.size or None))

    def nearest_to(self, style: np.ndarray, *, count: int = 5) -> list[Neighbour]:
        """Likewise, of a style as the corpus has them, [layers, NUMBERS]."""
        square = np.empty(len(self.names), np.float32)
        for begin in range(0, len(square), _BLOCK):
            apart = self.styles[begin : begin + _BLOCK].astype(np.float32) - style
            square[begin : begin + _BLOCK] = np.mean(np.square(apart), axis=(1, 2))
        order = np.argsort(square, kind="stable")[:count]
        return [Neighbour(self.names[index], float(np.sqrt(square[index]))) for index in order]


#: Pictures that are compared at a time.
_BLOCK = 4096


def _measuring(network: Weights, layers: Sequence[str]) -> Callable[[np.ndarray], np.ndarray]:
    """What measures the style, float32 [layers, NUMBERS], of a picture [height, width, 3]."""
    settings = presets.settings(presets.PUBLISHED)
    model = feature_model(network, settings, "float32", list(layers))

    @functools.partial(tf.function, input_signature=[tf.TensorSpec([1, None, None, 3])])
    def measured(picture: tf.Tensor) -> tf.Tensor:
        maps = model(picture)
        return tf.stack([sketch(gram_matrix(maps[layer]))[0] for layer in layers])

    def style_of(picture: np.ndarray) -> np.ndarray:
        found: np.ndarray = measured(tf.constant(picture[np.newaxis])).numpy()
        return found

    return style_of


def sketch(grams: tf.Tensor, numbers: int = NUMBERS) -> tf.Tensor:
    """uᵀ G v / ‖G‖ for pairs of random vectors of signs, of Gram matrices [batch, c, c]: float32
    [batch, numbers]. The mean square of differences is the square of the matrices' distance, in
    expectation."""
    # Of the generators whose numbers are promised never to change: files live longer than NumPys.
    draw = np.random.RandomState([_SEED, grams.shape[-1]])
    signs = 2 * draw.randint(0, 2, [2, numbers, grams.shape[-1]]) - 1
    left, right = signs.astype(np.float32)
    norm = tf.norm(grams, axis=(1, 2), keepdims=True)
    return tf.einsum("ki,bij,kj->bk", left, tf.math.divide_no_nan(grams, norm), right)
