"""From weights to a SavedModel that TF Serving, a C++ program or a Keras pipeline loads."""

from __future__ import annotations

import numbers
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from nst_tf import assets
from nst_tf.errors import ExportError, SettingsError
from nst_tf.export import card, painter, parity, probe, serving, tflite, versions
from nst_tf.export.servable import KINDS, MOST_PIXELS, Servable
from nst_tf.losses import statistics
from nst_tf.network import weights as weights_module
from nst_tf.network.feature_model import feature_model
from nst_tf.network.weights import Weights
from nst_tf.pictures import decoding, images
from nst_tf.recipe import choices, presets
from nst_tf.recipe import layers as layers_module
from nst_tf.recipe.settings import Settings
from nst_tf.version import __version__

DTYPES = ("float32", "mixed_float16", "mixed_bfloat16", "float16", "bfloat16")


def build(
    weights: Weights,
    settings: Settings,
    size: int,
    dtype: str,
    what: str,
    layers: Sequence[str] | None,
    most_pixels: int = MOST_PIXELS,
) -> Servable:
    """The servable that `export` saves."""
    wanted = _wanted(settings, what, layers)
    model = feature_model(weights, settings, dtype, wanted)
    return Servable(model, settings, size, layers, most_pixels)


def check_warmup(warmup: bool) -> None:
    """Whether warm-up requests that are wanted can be written.

    Raises:
      ExportError: they cannot.
    """
    if warmup and not serving.can_write_warmup():
        raise ExportError(
            "warm-up requests need tensorflow-serving-api: pip install 'nst_tf[serve]'"
        )


def check_pixels(size: int, most_pixels: int) -> None:
    """Whether an export can have a size, and such a limit of a request's pixels.

    Raises:
      SettingsError: it cannot.
    """
    for name, count in (("size", size), ("most_pixels", most_pixels)):
        if isinstance(count, bool) or not isinstance(count, numbers.Integral) or count < 1:
            raise SettingsError(f"{name} is {count!r}: use a number of pixels such as 256")
    least = 2 * size * size  # it is tried with two pictures
    if most_pixels < least:
        raise SettingsError(
            f"most_pixels is {most_pixels}: use {least} or more for a size of {size}"
        )


def _wanted(settings: Settings, what: str, layers: Sequence[str] | None) -> list[str]:
    """The layers that the network must have."""
    # Of feature maps alone, it ends at the deepest that is served.
    ours = settings.layers if layers is None or what != "features" else []
    return list(dict.fromkeys([*(layers or []), *ours]))


def export(
    out: str | os.PathLike[str],
    *,
    what: str = "all",
    weights: str | os.PathLike[str] | Weights | None = None,
    preset: str | None = None,
    settings: Settings | None = None,
    layers: Sequence[str] | None = None,
    size: int = 256,
    dtype: str = "float32",
    warmup: bool = False,
    with_tflite: bool = False,
    most_pixels: int = MOST_PIXELS,
) -> Path:
    """Writes the feature model as the next version of the SavedModel `out`.

    Args:
      out: the model's folder; the version becomes a folder in it.
      what: one of `KINDS`: which signatures it has.
      weights: what `weights.load` takes.
      preset: a name in `presets.PRESETS`: the layers, their weights and the losses, and how
        `stylize` runs; None for the default.
      settings: in place of a preset.
      layers: whose feature maps and Gram matrices are served, in either notation; None for the
        preset's layers, Gram matrices of its style layers. Losses are always the preset's.
      size: of the fixed-size signature and of decoded pictures, in pixels.
      dtype: what the network is computed in; a policy without `mixed_` stores it so, too. Gram
        matrices, losses and outputs are float32.
      warmup: whether requests are written that a server answers before it says it is ready.
      with_tflite: whether TFLite files are written into the version's folder, too (`tflite`); the
        model card says which signatures they lack.
      most_pixels: of the pictures together that an input of a request has for the network to see,
        at most; of more, also where a file's header promises them, the model says so and does
        nothing.

    Returns:
      The version's folder.

    Raises:
      SettingsError, WeightsError, ExportError: nothing is left in the folder then. Among them is
        an output that is not finite in `dtype`, and with what=all a setting that a run in a graph
        cannot have (`painter.check`).
    """
    out = Path(out)
    check_warmup(warmup)
    choices.check("kind of export", what, KINDS)
    choices.check("dtype", dtype, DTYPES)
    if with_tflite and dtype != "float32":
        raise SettingsError(
            f"TFLite files are made of a float32 model, in float32 and float16: leave out {dtype}"
        )
    settings = presets.choose(preset, settings, presets.PUBLISHED)
    for field in ("optimizer", "style_loss", "init"):
        if not isinstance(getattr(settings, field), str):
            raise ExportError(f"{field} is an object of yours, which a card cannot tell: name one")
    check_pixels(size, most_pixels)
    layers = None if layers is None else layers_module.distinct(layers)
    if what != "features" and not (layers or settings.style_layers):
        raise SettingsError("no layer to serve Gram matrices of: name style layers, or layers")
    if what != "features":
        statistics.named(settings.style_loss)  # is it one of pictures alone?
    wanted = map(layers_module.parse, _wanted(settings, what, layers))
    layers_module.check_size(int(size), int(size), wanted)
    if what == "all":
        painter.check(settings, int(size))  # before any work
    network = weights_module.load(presets.network(settings.preset, weights))
    servable = build(network, settings, size, dtype, what, layers, most_pixels)
    made = {
        "nst_tf": __version__,
        "tensorflow": tf.__version__,
        "what": what,
        "size": size,
        "least": servable.least,
        "most_pixels": most_pixels,
        "most_pixels_of_files": decoding.MOST_PIXELS,
        "most_pixels_of_files_together": decoding.MOST_TOGETHER,
        "files": card.FILES,
        "dtype": dtype,
        "settings": settings.asdict(),
        "layers": layers,
        "weights": network.identity,
        "license": card.LICENSE,
    }
    if what == "all":
        made["scales"] = painter.scales(settings, int(size))

    # Not a square, so that it shows whether files are cropped as elsewhere.
    encoded = parity.encode(images.cover(images.load(assets.SCENE), size, size * 5 // 4))

    def right() -> dict[str, Any]:
        exact = servable
        if dtype != "float32":
            exact = build(network, settings, size, "float32", what, layers)
        return parity.expected(exact, what, encoded, stylize=False)

    def measured(folder: Path, expected: Mapping[str, Any]) -> dict[str, float]:
        signatures = dict(tf.saved_model.load(os.fspath(folder)).signatures)
        signatures.pop("stylize", None)
        served = probe.run(signatures, encoded)
        return parity.errors(str(out), served, expected)

    def small(
        folder: Path, signatures: Mapping[str, Any], expected: Mapping[str, Any]
    ) -> dict[str, Any]:
        without = tflite.write(folder, signatures)
        there = {key: value for key, value in expected.items() if key.split("/")[0] not in without}
        errors = {}
        for precision in tflite.PRECISIONS:
            path = tflite.path_of(folder, precision)
            served = probe.run(tflite.load(path), encoded)
            errors[precision] = parity.errors(str(path), served, there)
        return {"without": without, "parity": errors}

    def save(folder: Path) -> None:
        signatures = servable.signatures(what)
        tf.saved_model.save(servable, os.fspath(folder), signatures)
        if warmup:
            serving.write_warmup(folder, out.resolve().name, signatures, size)
        inputs = {
            name: [spec.name for spec in function.structured_input_signature[0]]
            for name, function in signatures.items()
        }
        expected = right()
        told = {**made, "signatures": inputs, "parity": measured(folder, expected)}
        if with_tflite:
            told["tflite"] = small(folder, signatures, expected)
        card.write(folder, told)

    return versions.write(out, save)
