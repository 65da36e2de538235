"""What a SavedModel serves: feature maps, their statistics, and losses between two pictures.

The conventions of TensorFlow Hub for images hold: pictures are float32 RGB in [0, 1],
[batch, height, width, 3], `__call__` is the model itself, `variables` its numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from nst_tf.export.painter import Painter
from nst_tf.losses.border import seen_by
from nst_tf.losses.gram import gram_matrix
from nst_tf.losses.terms import of_maps, total, weights_of
from nst_tf.network import no_pictures
from nst_tf.pictures import checks, decoding
from nst_tf.recipe import layers as layers_module
from nst_tf.recipe.settings import Settings

#: Of a served run: what a client asks for by mistake must not take days and all memory.
MOST_STEPS = 10_000
#: Of the pictures that the network sees at once, by default: 4096 x 4096, which with VGG19 takes
#: 10 GB.
MOST_PIXELS = 2**24
#: What can be exported: feature maps, their statistics and losses, or both.
KINDS = ("features", "style", "all")


class Servable(tf.train.Checkpoint):
    """A feature model with every form of input and output that its users ask for.

    Every signature looks at what it is sent before the network does (`checks`): InvalidArgument
    says what was wrong with rank, channels, size, range, and with which picture or file of a batch.

    Args:
      model: from `vgg.build_model`, with the layers of `settings` and `layers` among its outputs.
      settings: whose losses `style_loss` and `content_loss` are.
      size: height and width in pixels of the fixed-size signature, and of decoded pictures.
      layers: whose feature maps and Gram matrices are served; None for the layers of `settings`,
        Gram matrices of its style layers.
      most_pixels: of all pictures together that an input of a request has for the network to see,
        at most.
    """

    def __init__(
        self,
        model: tf.keras.Model,
        settings: Settings,
        size: int,
        layers: Sequence[str] | None = None,
        most_pixels: int = MOST_PIXELS,
    ) -> None:
        super().__init__()
        # A function, which TensorFlow does not look into: Keras 3 wraps its variables, and of a
        # model the wrappers would be saved as more variables, beside what they wrap. A server
        # restores those, and not the ones that the signatures read.
        network = tf.function(model, autograph=False)  # traced once for all signatures
        self.size, self._settings = size, settings
        needs = model.get_layer("preprocessing").needs
        self._most = most_pixels
        #: The smallest height and width of a picture, in pixels.
        self.least = layers_module.smallest_size(map(layers_module.parse, needs))
        self._model = no_pictures.allowed(lambda pictures: network(pictures), self.least)
        self._features = tuple(layers or settings.layers)
        self._statistics = tuple(layers or settings.style_layers)
        # Of TensorFlow Hub's convention. In a tf.Module it is a property, which is not saved.
        self.variables = [
            variable if isinstance(variable, tf.Variable) else variable.value
            for variable in model.variables
        ]
        self.trainable_variables: list[tf.Variable] = []
        self.regularization_losses: list[tf.Tensor] = []

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3], tf.float32, "pictures")])
    def __call__(self, pictures: tf.Tensor) -> dict[str, tf.Tensor]:
        """Pictures to `{layer: feature map}`, float32 [batch, height, width, channels]."""
        maps = self._model(self._checked(pictures))
        return {_plain(key): tf.cast(maps[key], tf.float32) for key in self._features}

    def signatures(self, kind: str) -> dict[str, Any]:
        """The functions to serve by name, for one of `KINDS`."""
        pictures = tf.TensorSpec([None, None, None, 3], tf.float32, "pictures")
        fixed = tf.TensorSpec([None, self.size, self.size, 3], tf.float32, "pictures")
        whole = tf.TensorSpec([None, None, None, 3], tf.uint8, "pictures")
        encoded = tf.TensorSpec([None], tf.string, "image_bytes")
        served: dict[str, Any] = {}
        if kind != "style":
            served["serving_default"] = _serve(self, pictures)
            served["fixed"] = _serve(
                lambda pictures: self(checks.shaped(pictures, self.least, self._most, self.size)),
                fixed,
            )
            served["uint8"] = _serve(lambda pictures: self(decoding.unit(pictures)), whole)
            served["image_bytes"] = _serve(
                lambda image_bytes: self(self.decode(image_bytes)), encoded
            )
            served["image_bytes_whole"] = _serve(
                lambda image_bytes: self(decoding.whole(image_bytes, self._most)), encoded
            )
        if kind != "features":
            served["grams"] = _serve(self.grams, pictures)
            served["image_bytes_grams"] = _serve(
                lambda image_bytes: self.grams(self.decode(image_bytes)), encoded
            )
            served["image_bytes_whole_grams"] = _serve(
                lambda image_bytes: self.grams(decoding.whole(image_bytes, self._most)), encoded
            )
            other = tf.TensorSpec([None, None, None, 3], tf.float32, "others")
            served["style_loss"] = _serve(self.style_loss, pictures, other)
            served["content_loss"] = _serve(self.content_loss, pictures, other)
            served.setdefault("serving_default", served["grams"])
        if kind == "all":
            file = (tf.TensorSpec([], tf.string, name) for name in ("content_bytes", "style_bytes"))
            served["stylize"] = _serve(self.stylize, *file, tf.TensorSpec([], tf.int32, "steps"))
        return served

    def grams(self, pictures: tf.Tensor) -> dict[str, tf.Tensor]:
        """`{LAYER_gram: mean Gram matrix [b, c, c], LAYER_mean: mean feature [b, c]}`."""
        maps = self._model(self._checked(pictures))
        outputs = {}
        for key in self._statistics:
            outputs[f"{_plain(key)}_gram"] = gram_matrix(maps[key])
            outputs[f"{_plain(key)}_mean"] = tf.reduce_mean(tf.cast(maps[key], tf.float32), (1, 2))
        return outputs

    def style_loss(self, pictures: tf.Tensor, others: tf.Tensor) -> dict[str, tf.Tensor]:
        """L_style of each picture against the one at the same place in `others`, of any size."""
        return self._loss("style", pictures, others)

    def content_loss(self, pictures: tf.Tensor, others: tf.Tensor) -> dict[str, tf.Tensor]:
        """L_content of each picture against the one at the same place in `others`, of its size."""
        return self._loss("content", pictures, others)

    def _loss(self, kind: str, pictures: tf.Tensor, others: tf.Tensor) -> dict[str, tf.Tensor]:
        """`{KIND_loss: the kind's sum, LAYER: its part}`, each float32 [batch]."""
        pictures, others = self._checked(pictures), self._checked(others)
        pictures = checks.paired(pictures, others, same_size=kind == "content")
        model = seen_by(self._model, self._settings)
        terms = of_maps([kind], model(pictures), model(others), self._settings)
        summed = total(terms, weights_of(self._settings), tf.shape(pictures)[:1])
        parts = {_plain(name.split("/")[1]): loss for name, loss in terms.items()}
        return {f"{kind}_loss": summed[kind], **parts}

    def stylize(
        self, content_bytes: tf.Tensor, style_bytes: tf.Tensor, steps: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """A whole run in the graph: two files [] to `image_bytes`, the pastiche as PNG [].

        It is that of `nst_tf.stylize` with these settings, `size`, `iterations=steps` and one style
        image: where the settings have scales, each takes steps · 512 / its size iterations, from
        coarse to fine; else there are `steps` in all. `loss` is L_total of the initial image and
        after each of n iterations, float32 [n + 1], and `scale` the longer side in pixels at which
        it was measured, int32 [n + 1]: losses compare within a scale. A scale that finds no smaller
        loss ends before its time. What a graph cannot do, `painter.check` refuses.
        """
        allowed = (steps >= 0) & (steps <= MOST_STEPS)
        steps = checks.once(steps, allowed, f"steps are 0 to {MOST_STEPS}, not", steps)
        content, style = decoding.decoded(content_bytes), decoding.decoded(style_bytes)
        painted = Painter(self._model, self._settings, self.size)(content, style, steps)
        pixels = tf.cast(painted.image * 255 + 0.5, tf.uint8)  # as images.to_uint8 rounds
        image_bytes = tf.io.encode_png(pixels)
        return {"image_bytes": image_bytes, "loss": painted.loss, "scale": painted.scale}

    def decode(self, image_bytes: tf.Tensor) -> tf.Tensor:
        """JPEG, PNG, GIF (its first frame) or BMP files [b] to pictures [b, size, size, 3]."""
        return decoding.squares(image_bytes, self.size, self._most)

    def _checked(self, pictures: tf.Tensor) -> tf.Tensor:
        """The pictures, once they have been looked at."""
        return checks.in_unit(checks.shaped(pictures, self.least, self._most))


def _serve(function: Callable[..., Any], *inputs: tf.TensorSpec) -> Any:
    return tf.function(function, autograph=False).get_concrete_function(*inputs)


def _plain(key: str) -> str:
    """A layer's name in a signature: `conv4_2`, or `conv4_2_pre` before the ReLU."""
    return key.replace(":", "_")
