"""What a SavedModel of a stylizer serves: photos in, pictures out, in the forms users send them.

The conventions of TensorFlow Hub for images hold: pictures are float32 RGB in [0, 1],
[batch, height, width, 3], `__call__` is the model itself, `variables` its numbers. As of Magenta's
arbitrary-image-stylization the photo is `content`; the style is in the model.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import tensorflow as tf

from nst_tf.export.servable import MOST_PIXELS
from nst_tf.network import no_pictures
from nst_tf.pictures import checks, decoding
from nst_tf.stylizer.network import Stylizer

_content = partial(tf.TensorSpec, dtype=tf.float32, name="content")


class ServedStylizer(tf.train.Checkpoint):
    """A stylizer with every form of input and output that its users ask for.

    Every signature looks at what it is sent before the network does: InvalidArgument says what was
    wrong, and with which picture or file of a batch.

    Args:
      stylizer: it paints.
      size: height and width in pixels of the fixed-size signature, and of decoded pictures.
      most_pixels: of all pictures of a request together, at most.
    """

    def __init__(self, stylizer: Stylizer, size: int, most_pixels: int = MOST_PIXELS) -> None:
        super().__init__()
        self.size, self._most, self._styles = size, most_pixels, len(stylizer.paintings)
        # Traced once for all signatures, and behind a lambda, into which TensorFlow does not look:
        # the function itself is not to be saved, and of Keras' model the wrappers of its variables
        # would be, beside what they wrap.
        network = tf.function(
            lambda *given: _painted(stylizer, *given),
            input_signature=[_content([None, None, None, 3]), *dials(stylizer)],
            autograph=False,
        )
        self._network = lambda *given: network(*given)
        # Of TensorFlow Hub's convention.
        self.variables = numbers(stylizer)
        self.trainable_variables: list[tf.Variable] = []
        self.regularization_losses: list[tf.Tensor] = []
        self._dials = dials(stylizer)
        # What a loaded model can be called with.
        given: list[Any] = [_content([None, None, None, 3])]
        self.__call__.get_concrete_function(*given)
        for dial in self._dials:
            given.append(tf.TensorSpec(None, dial.dtype, dial.name))
            self.__call__.get_concrete_function(*given)

    @tf.function(autograph=False)
    def __call__(self, content: Any, strength: Any = None, styles: Any = None) -> tf.Tensor:
        """Photos painted, float32 [batch, height, width, 3] in [0, 1].

        Args:
          content: the photos, likewise.
          strength: how much is painted, from 0 (the photo) to 1: [], [1] or [batch]; 1 by default.
          styles: the share of each style, [styles], [1, styles] or [batch, styles]; equal parts by
            default.
        """
        strength = tf.ones([1]) if strength is None else tf.reshape(strength, [-1])
        styles = tf.ones([self._styles]) if styles is None else styles
        mixed = [tf.reshape(styles, [-1, self._styles])] if self._styles > 1 else []
        return self.painted(content, strength, *mixed)

    def signatures(self) -> dict[str, Any]:
        """The functions to serve by name."""
        any_size, size, most = [None, None, None, 3], self.size, self._most
        files = tf.TensorSpec([None], tf.string, "image_bytes")

        def serve(spec: Any, read: Callable[..., Any], give: Callable[..., Any]) -> Any:
            def signature(given: tf.Tensor, *dials: tf.Tensor) -> dict[str, tf.Tensor]:
                return give(self.painted(read(given), *dials))

            function = tf.function(signature, autograph=False)
            return function.get_concrete_function(spec, *self._dials)

        return {
            "serving_default": serve(_content(any_size), tf.identity, _floats),
            "fixed": serve(
                _content([None, size, size, 3]),
                lambda content: checks.shaped(content, 1, most, size),
                _floats,
            ),
            "uint8": serve(tf.TensorSpec(any_size, tf.uint8, "content"), decoding.unit, _levels),
            "image_bytes": serve(files, lambda files: decoding.squares(files, size, most), _files),
            "image_bytes_whole": serve(files, lambda files: decoding.whole(files, most), _files),
        }

    def painted(self, content: tf.Tensor, *dials: tf.Tensor) -> tf.Tensor:
        """The photos painted, once they and what says how have been looked at."""
        content = checks.in_unit(checks.shaped(content, 1, self._most))
        count = tf.shape(content)[0]
        looked_at = (
            _looked_at(given, spec, count) for given, spec in zip(dials, self._dials, strict=True)
        )
        # Of no pictures a black one is painted in their place, which needs a row of each, too.
        rows = [_filled(given, count) for given in looked_at]
        network = no_pictures.allowed(lambda content: {"": self._network(content, *rows)}, 1)
        return network(content)[""]


def dials(stylizer: Stylizer, batch: int | None = None) -> list[tf.TensorSpec]:
    """What says how it paints: `strength`, and of several styles `styles`."""
    count = len(stylizer.paintings)
    strength = tf.TensorSpec([batch], tf.float32, "strength")
    styles = tf.TensorSpec([batch, count], tf.float32, "styles")
    return [strength, styles] if count > 1 else [strength]


def numbers(stylizer: Stylizer) -> list[tf.Variable]:
    """Its variables; of those of Keras 3, TensorFlow's."""
    return [
        variable if isinstance(variable, tf.Variable) else variable.value
        for variable in stylizer.variables
    ]


def unguarded(stylizer: Stylizer, size: int) -> dict[str, Any]:
    """Signatures for one picture that look at nothing, for small computers: `serving_default` for
    any size and `fixed`, in which every shape is known."""

    def serve(shape: list[int | None]) -> Any:
        # A function each: one would take the trace of any size for the other, too.
        function = tf.function(lambda *given: _floats(_painted(stylizer, *given)), autograph=False)
        return function.get_concrete_function(_content(shape), *dials(stylizer, 1))

    return {"serving_default": serve([1, None, None, 3]), "fixed": serve([1, size, size, 3])}


def _painted(stylizer: Stylizer, content: tf.Tensor, *dials: tf.Tensor) -> tf.Tensor:
    names = ("content", "strength", "styles")
    return stylizer.call(dict(zip(names, (content, *dials), strict=False)))


def _looked_at(given: tf.Tensor, spec: tf.TensorSpec, count: tf.Tensor) -> tf.Tensor:
    """Strengths or shares, if they are one for all pictures or one for each, and such as can be."""
    shape = tf.shape(given)
    # As text, for the reason of `checks.shaped`.
    text, rest = tf.strings.format("{}", shape), "".join(f" {side}" for side in spec.shape[1:])
    fits = tf.equal(text, f"[1{rest}]") | tf.equal(text, tf.strings.format(f"[{{}}{rest}]", count))
    said = f"{spec.name}: one for all pictures, [1{rest}], or one for each; these are"
    given = checks.once(given, fits, said, shape)
    if spec.name == "strength":
        fits, said = (given >= 0) & (given <= 1), "strengths are 0 to 1; these are"
    else:
        together = tf.reduce_sum(given, -1)
        fits = tf.reduce_all(given >= 0, -1) & (together > 0) & (together < float("inf"))
        said = "shares of styles are from 0, and those of a picture not all 0; these are"
    return checks.once(given, tf.reduce_all(fits), said, given)


def _filled(rows: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """Rows for `count` pictures, or one where there are none."""
    lacking = tf.cast(tf.equal(count, 0), tf.int32)
    others = [[0, 0]] * (rows.shape.rank - 1)
    return tf.pad(rows, [[0, lacking], *others], constant_values=1)[: tf.maximum(count, 1)]


def _floats(painted: tf.Tensor) -> dict[str, tf.Tensor]:
    return {"stylized": painted}


def _levels(painted: tf.Tensor) -> dict[str, tf.Tensor]:
    return {"stylized": tf.cast(painted * 255 + 0.5, tf.uint8)}  # as images.to_uint8 rounds


def _files(painted: tf.Tensor) -> dict[str, tf.Tensor]:
    """PNG files [batch]. (Over REST, what ends in `_bytes` is sent as base64.)"""
    pixels = _levels(painted)["stylized"]
    return {"stylized_bytes": tf.map_fn(tf.io.encode_png, pixels, fn_output_signature=tf.string)}
