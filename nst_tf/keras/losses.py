r"""Perceptual losses for `model.compile`: how different pictures look.

Johnson, Alahi and Fei-Fei, arXiv:1603.08155, section 3.2: a network that makes pictures is trained
on how different they look, not on how different their pixels are. The gradient flows through the
fixed feature model, which is computed in float32 whatever the trained model's policy, or in what
`dtype` says; statistics and losses are float32 always.

Targets are looked at as the pictures of a `FeatureExtractor` are (`checks.of_scale`): uint8 and
uint16 are converted from full scale; what is not finite, on another scale than [0, 1], of other
channels or too small is a PictureError or SettingsError, where only a graph's run tells it an
InvalidArgumentError of the same words. So are the pictures that are compared with them, but that
these may be as far as 9 beyond [0, 1]: training brings them there. XLA, with which Keras may
compile a model by itself, leaves errors out: there the loss of what is on another scale is NaN.

**Scale.** Published losses are as large as 1e10, and half precision, whose gradients Keras
multiplies by 2^15 besides, ends at 65504. So a loss here is L / L_0 by default, where L is the
published one and L_0 a constant: L of a picture without any feature, where all feature maps are 0,

    L_0 = α Σ_l c_l C_l(0, P) + β Σ_l w_l E_l(0, A),

with P the features of the package's photo, A the statistics of the fixed style, or where there is
none of the package's painting, both at 128 pixels; and likewise for what else of the photo is
kept. (That of total variation is 0.) An untrained network's pictures have about as much, so losses
are of order 1 for every preset and network. Being a constant, L_0 changes no minimum: α, β and γ
weigh as in `stylize`, and the same pictures have the same loss in every batch.
"""

from __future__ import annotations

import inspect
import os
import warnings
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf
from typing_extensions import Unpack

from nst_tf import assets
from nst_tf.errors import SettingsError
from nst_tf.keras.paintings import Paintings, is_text, read_paintings, style_targets, to_text
from nst_tf.losses import statistics
from nst_tf.losses.border import seen_by
from nst_tf.losses.laplacian import laplacian
from nst_tf.losses.statistics import Nest
from nst_tf.losses.terms import (
    against,
    laplacian_terms,
    targets_of,
    total,
    tv_terms,
    weights_of,
)
from nst_tf.network import no_pictures
from nst_tf.network import weights as weights_module
from nst_tf.network.feature_model import feature_model
from nst_tf.pictures import checks, images
from nst_tf.recipe import choices, presets
from nst_tf.recipe import layers as layers_module
from nst_tf.recipe import overrides as kinds_of_fields

#: Pixels of the longer side of the package's pictures, which L_0 is measured of.
_SIZE = 128


class _Loss(tf.keras.losses.Loss):
    """L_content, L_style or L_total of each picture of a batch."""

    #: Which kind of `terms.total` it is.
    _kind: ClassVar[str]
    #: The fields of `Settings` that have an effect.
    _fields: ClassVar[type]

    def __init__(
        self,
        weights: str | os.PathLike[str],
        preset: str,
        style: Paintings | None,
        scale: str,
        keras: dict[str, Any],
        overrides: Mapping[str, Any],
        dtype: str = "float32",
        apart: bool = False,
    ) -> None:
        # Newer Keras casts what a loss is given, by default to its floatx.
        typed = "dtype" in inspect.signature(tf.keras.losses.Loss.__init__).parameters
        super().__init__(**keras, **({"dtype": "float32"} if typed else {}))
        if not isinstance(weights, (str, os.PathLike)):
            raise SettingsError(f"weights is {type(weights).__name__}: name a network or a file")
        choices.check("scale", scale, choices.LOSS_SCALES)
        choices.check("dtype of a loss", dtype, choices.LOSS_DTYPES)
        kinds_of_fields.check(type(self).__name__, overrides, self._fields)
        self._settings = settings = presets.settings(preset, **overrides)
        self._config: dict[str, Any] = {
            "weights": os.fspath(weights),
            "preset": preset,
            "scale": scale,
            "dtype": dtype,
            **({"apart": True} if apart else {}),
            **overrides,
        }
        by_kind = {
            "content": settings.content_layers,
            "structure": settings.structure_layers,
            "style": settings.style_layers,
        }
        #: The kinds of terms, those of layers first, whose targets are pictures.
        self._kinds = [
            kind for kind, keys in by_kind.items() if keys and self._kind in (kind, "total")
        ]
        if self._kind == "total":
            self._kinds += ["laplacian"] * (settings.laplacian_weight > 0)
            self._kinds += ["tv"] * (settings.tv_weight > 0)
        if "style" in self._kinds:
            statistics.named(settings.style_loss)  # is it one of pictures alone?
        wanted = [key for kind in self._kinds for key in by_kind.get(kind, ())]
        numbers = weights_module.load(weights, seed=settings.seed)
        self._needs = [layers_module.parse(key) for key in dict.fromkeys(wanted)]
        model = feature_model(numbers, settings, dtype, list(dict.fromkeys(wanted)))
        smallest = layers_module.smallest_size(self._needs)
        self._model = seen_by(no_pictures.allowed(model, smallest), settings)
        self._apart = apart
        self._style = self._fixed(style, overrides)
        compared = [kind for kind in self._kinds if kind != "style" or not self._style]
        #: The kinds whose targets are y_true; with a fixed style alone that may be anything.
        self._compared = set(compared) - {"tv"}
        self._published, self._warned = scale == "published", False
        count = len(tf.nest.flatten(self._style)[0]) if apart else 1
        #: Of each style.
        self._unit = self._blank(count) if scale == "normalised" else np.ones(count, np.float32)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> tf.Tensor:
        made, others = checks.as_floats(y_pred), y_true
        # Keras would make floats of 0-255.
        if self._compared:
            others = checks.as_floats(y_true)
        computed = (tf.keras.mixed_precision.global_policy().compute_dtype, made.dtype.name)
        if self._published and "float16" in computed and not self._warned:
            self._warned = True
            warnings.warn(
                'losses of scale="published" are up to 1e10, and float16 ends at 65504: steps may '
                'not be taken. Use scale="normalised" or mixed_bfloat16',
                stacklevel=2,
            )
        return super().__call__(others, made, sample_weight)

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), **self._config}
        config.pop("fn", None)
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> _Loss:
        """Of a saved model, which holds its paintings: no path of one that a file names is read."""
        style = config.get("style") or []
        if not isinstance(style, list) or not all(map(is_text, style)):
            raise SettingsError(
                f"a saved {cls.__name__} names a style that it does not hold: make the loss anew"
            )
        return cls(**config)

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Float32 [batch]."""
        if self._apart:
            raise SettingsError("the paintings are apart: say of which each picture is, by each()")
        return self._each(y_true, y_pred, tf.constant(0))

    def each(self, y_true: Any, y_pred: Any, paintings: Any) -> tf.Tensor:
        """The loss of each picture in the style of its own painting, float32 [batch].

        Args:
          y_true: the targets, as Keras' losses have them.
          y_pred: the pictures.
          paintings: the places, from 0, of their paintings in the fixed style, int [batch]; of a
            loss that was made with `apart=True`.

        Raises:
          SettingsError: it was not.
        """
        if not self._apart:
            raise SettingsError("the paintings are blended: make the loss with apart=True")
        made = checks.as_floats(y_pred)
        others = checks.as_floats(y_true) if self._compared else y_true
        return self._each(others, made, tf.convert_to_tensor(paintings))

    def _each(self, y_true: tf.Tensor, y_pred: tf.Tensor, painting: tf.Tensor) -> tf.Tensor:
        made, fits = self._seen(y_pred, checks.UNTRAINED)
        others = y_true
        if self._compared:
            others, also = self._seen(y_true, checks.OVERSHOOT)
        # Of the targets, statistics alone may be of pictures of another size.
        if set(self._kinds) & {"content", "structure", "laplacian"}:
            made, others = checks.alike(made, others)
        if self._compared:
            fits &= also
        targets: dict[str, Mapping[str, Nest]] = {}
        if self._compared & {"content", "structure", "style"}:
            maps = self._model(tf.stop_gradient(others))
            targets.update(targets_of(self._compared, maps, self._settings))
        if self._style:
            rows = tf.reshape(painting, [-1])
            targets["style"] = tf.nest.map_structure(lambda all: tf.gather(all, rows), self._style)
        lines = laplacian(tf.stop_gradient(others)) if "laplacian" in self._compared else None
        unit = tf.gather(self._unit, painting)
        loss = self._summed(targets, self._model(made), made, lines) / unit
        return tf.where(fits, loss, float("nan"))

    def _seen(self, pictures: tf.Tensor, overshoot: float) -> tuple[tf.Tensor, tf.Tensor]:
        """Float32, once they have been looked at, and which are on its scale, bool [batch]."""
        seen, fits = checks.of_scale(pictures, self._needs, overshoot)
        return tf.cast(seen, tf.float32), fits

    def _summed(
        self,
        targets: Mapping[str, Mapping[str, Nest]],
        maps: Mapping[str, tf.Tensor],
        made: tf.Tensor,
        lines: tf.Tensor | None,
    ) -> tf.Tensor:
        """The published loss of pictures by their feature maps, float32 [batch]."""
        terms = against(targets, maps, self._settings)
        if lines is not None:
            terms |= laplacian_terms(made, lines)
        if "tv" in self._kinds:
            terms |= tv_terms(made, self._settings.tv_loss)
        return total(terms, weights_of(self._settings), tf.shape(made)[:1])[self._kind]

    def _fixed(self, style: Paintings | None, overrides: Mapping[str, Any]) -> dict[str, Nest]:
        """The targets of a fixed style, without a graph of their own: of all paintings in one, or
        one of each below the others. {} where there is no fixed style."""
        if style is None:
            if self._apart:
                raise SettingsError("apart is of a fixed style: give style=, too")
            for name in kinds_of_fields.SeenOverrides.__annotations__:
                if name in overrides:
                    raise SettingsError(f"{name} is of a fixed style: give style=, too")
            return {}
        if "style" not in self._kinds:
            raise SettingsError("style is given, and no style_layers to measure it at")
        paintings = read_paintings(style, self._settings.style_size)
        self._config["style"] = [to_text(painting) for painting in paintings]
        if self._apart and "style_blend" in overrides:
            raise SettingsError("style_blend is of paintings that are blended: leave out apart")
        return style_targets(paintings, self._model, self._settings, self._apart)

    def _blank(self, count: int) -> np.ndarray:
        """L_0, of the module's own description, float32 [count]: of each of so many styles."""
        photo = tf.convert_to_tensor(images.load(assets.SCENE, _SIZE))[tf.newaxis]
        photo = tf.repeat(photo, count, 0)
        maps = self._model(photo)
        kinds = [kind for kind in self._kinds if kind != "style"]
        targets: dict[str, Mapping[str, Nest]] = dict(targets_of(kinds, maps, self._settings))
        if self._style:
            targets["style"] = self._style
        elif "style" in self._kinds:
            painting = tf.convert_to_tensor(images.load(assets.PAINTING, _SIZE))[tf.newaxis]
            targets.update(targets_of(["style"], self._model(painting), self._settings))
        none = {key: tf.zeros_like(value) for key, value in maps.items()}
        lines = laplacian(photo) if "laplacian" in kinds else None
        loss: np.ndarray = self._summed(targets, none, tf.zeros_like(photo), lines).numpy()
        if not (loss > 0).all():
            raise SettingsError(
                f"{type(self).__name__} has no scale, of a picture without content or style or of "
                'weights that are 0: give another, or scale="published"'
            )
        return loss


@tf.keras.utils.register_keras_serializable("nst_tf")
class ContentLoss(_Loss):
    """L_content of each picture against its target, of the same size.

    Args:
      weights: of the network, by name or as a path (`weights.load`).
      preset: whose layers and forms are taken, a name in `presets.PRESETS`.
      scale: `normalised`, of order 1 as the module says, or `published`: as the preset's source
        has it.
      dtype: what the network is computed in, one of `choices.LOSS_DTYPES`: `mixed_bfloat16` takes
        little more than half the time on processors with AVX512-BF16 or AMX.
      name: of the loss.
      reduction: of the batch, as Keras' losses have it.
      **overrides: fields of `Settings` (`overrides.ContentOverrides`).

    Raises:
      SettingsError, WeightsError: something that cannot be used, or would have no effect.
    """

    _kind = "content"
    _fields = kinds_of_fields.ContentOverrides

    def __init__(
        self,
        weights: str | os.PathLike[str] = "mini",
        preset: str = presets.PUBLISHED,
        *,
        scale: str = "normalised",
        dtype: str = "float32",
        name: str | None = None,
        reduction: str = "sum_over_batch_size",
        **overrides: Unpack[kinds_of_fields.ContentOverrides],
    ) -> None:
        keras = {"name": name, "reduction": reduction}
        super().__init__(weights, preset, None, scale, keras, overrides, dtype)


@tf.keras.utils.register_keras_serializable("nst_tf")
class StyleLoss(_Loss):
    """L_style of each picture: against its target, which may have another size; or against a fixed
    style, whatever the targets are.

    Args:
      weights: of the network, by name or as a path (`weights.load`).
      preset: whose layers and forms are taken, a name in `presets.PRESETS`. Wasserstein distances,
        those of `crisp`, are not for XLA: compile the model with `jit_compile=False`.
      style: a painting of any size (`images.load`), or several, which are blended. It is measured
        once, and saved with the loss.
      apart: whether several paintings are several styles, of which each picture has its own: then
        the loss is asked by `each`.
      scale: `normalised`, of order 1 as the module says, or `published`: as the preset's source
        has it.
      dtype: what the network is computed in, one of `choices.LOSS_DTYPES`: `mixed_bfloat16` takes
        little more than half the time on processors with AVX512-BF16 or AMX.
      name: of the loss.
      reduction: of the batch, as Keras' losses have it.
      **overrides: fields of `Settings` (`overrides.StyleOverrides`). `style_size`, the longer side
        of the paintings, says how large their strokes are; by default it is their own, at most 512.

    Raises:
      SettingsError, PictureError, WeightsError: something that cannot be used, or would have no
        effect.
    """

    _kind = "style"
    _fields = kinds_of_fields.StyleOverrides

    def __init__(
        self,
        weights: str | os.PathLike[str] = "mini",
        preset: str = presets.PUBLISHED,
        *,
        style: Paintings | None = None,
        apart: bool = False,
        scale: str = "normalised",
        dtype: str = "float32",
        name: str | None = None,
        reduction: str = "sum_over_batch_size",
        **overrides: Unpack[kinds_of_fields.StyleOverrides],
    ) -> None:
        keras = {"name": name, "reduction": reduction}
        super().__init__(weights, preset, style, scale, keras, overrides, dtype, apart)


@tf.keras.utils.register_keras_serializable("nst_tf")
class PerceptualLoss(_Loss):
    """α L_content + β L_style + γ L_tv of each picture; and what else of the content image the
    settings keep, its self-similarity and its Laplacian.

    The content image is the picture's target, of the same size. So is the style, unless it is
    fixed, as for a network that paints whatever it sees in the style of one painting:

        loss = nst_tf.keras.PerceptualLoss(style="painting.jpg", style_size=256)
        painter.compile("adam", loss)
        painter.fit(photos.map(lambda batch: (batch, batch)))

    Args:
      weights: of the network, by name or as a path (`weights.load`).
      preset: whose layers, forms and weights are taken, a name in `presets.PRESETS`. Wasserstein
        distances, those of `crisp`, are not for XLA: compile the model with `jit_compile=False`.
      style: a painting of any size (`images.load`), or several, which are blended. It is measured
        once, and saved with the loss. None for each picture's own target.
      apart: whether several paintings are several styles, of which each picture has its own: then
        the loss is asked by `each`.
      scale: `normalised`, of order 1 as the module says, or `published`: as the preset's source
        has it.
      dtype: what the network is computed in, one of `choices.LOSS_DTYPES`: `mixed_bfloat16` takes
        little more than half the time on processors with AVX512-BF16 or AMX.
      name: of the loss.
      reduction: of the batch, as Keras' losses have it.
      **overrides: fields of `Settings` (`overrides.LossOverrides`). `style_size`, the longer side
        of the paintings, says how large their strokes are; by default it is their own, at most 512.

    Raises:
      SettingsError, PictureError, WeightsError: something that cannot be used, or would have no
        effect; SettingsError also when called with targets of another size.
    """

    _kind = "total"
    _fields = kinds_of_fields.LossOverrides

    def __init__(
        self,
        weights: str | os.PathLike[str] = "mini",
        preset: str = presets.PUBLISHED,
        *,
        style: Paintings | None = None,
        apart: bool = False,
        scale: str = "normalised",
        dtype: str = "float32",
        name: str | None = None,
        reduction: str = "sum_over_batch_size",
        **overrides: Unpack[kinds_of_fields.LossOverrides],
    ) -> None:
        keras = {"name": name, "reduction": reduction}
        super().__init__(weights, preset, style, scale, keras, overrides, dtype, apart)
