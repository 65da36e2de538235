"""Feature maps and Gram matrices as Beam's RunInference: pictures of one shape make a batch.

Beam's own handler for TensorFlow loads Keras models alone, which a SavedModel is not any more for
Keras 3 (apache/beam issue 30616); the handler here loads an extractor or a SavedModel of `nst-tf
export`.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
from apache_beam.ml.inference.base import KeyedModelHandler, ModelHandler, RunInference
from apache_beam.utils.windowed_value import WindowedValue

from nst_tf.beam.outcomes import Counts, Failure, Split, split
from nst_tf.beam.storing import local_copy
from nst_tf.errors import NSTError, SettingsError, one_line
from nst_tf.pictures import images

#: How lines begin that say where something was.
_PLACES = ("Graph execution", "Detected at", "File ", "[[", "[Op:", "in user code")
#: What Beam's own batching takes, in whose place pictures of one shape make a batch.
_BATCHING = ("min_batch", "max_batch", "batch_", "element_size")
#: Pictures of a batch at most.
BATCH = 16


class PictureModel(ModelHandler[np.ndarray, Any, Any]):
    """A handler for `RunInference`: pictures to `{layer: feature map}` or `{layer: Gram matrix}`.

    An element is a picture as an array, as `images.load` takes it; of a batch, those of one shape
    are computed together. One that the network cannot take gives a `Failure` in its place.

    Args:
      layers: as `nst_tf.FeatureExtractor` takes them; None for those of its losses.
      weights: likewise; a name, or a file on any file system that the workers see.
      saved_model: the folder of one of `nst-tf export`, in place of both; TensorFlow reads it
        wherever that is.
      grams: whether Gram matrices are wanted, float32 [channels, channels], not feature maps.
      max_batch_size: pictures of a batch.
      large_model: whether the processes of a machine share one; likewise model_copies, how many
        (`ModelHandler`).

    Raises:
      SettingsError: a SavedModel and layers or weights as well.
    """

    def __init__(
        self,
        layers: Sequence[str] | None = None,
        weights: str | None = None,
        *,
        saved_model: str | None = None,
        grams: bool = False,
        max_batch_size: int = BATCH,
        large_model: bool = False,
        model_copies: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            max_batch_size=max_batch_size,
            large_model=large_model,
            model_copies=model_copies,
            **kwargs,
        )
        if saved_model and (layers or weights):
            raise SettingsError(f"{saved_model} has its own layers and weights: leave them out")
        self._layers = None if layers is None else tuple(layers)
        self._weights, self._saved_model, self._grams = weights, saved_model, grams

    def load_model(self) -> Any:
        """What computes, of pictures in NumPy alone: it may be in another process."""
        if self._saved_model:
            return _Served(self._saved_model, self._grams)
        return _Extractor(self._layers, self._weights, self._grams)

    def run_inference(
        self, batch: Sequence[np.ndarray], model: Any, inference_args: Any = None
    ) -> Iterator[Any]:
        """What becomes of each picture, in their order."""
        begun = time.perf_counter()
        outcomes: dict[int, Any] = {}
        by_shape: dict[tuple[int, ...], dict[int, np.ndarray]] = {}
        for index, given in enumerate(batch):
            try:
                picture = images.load(given)
                by_shape.setdefault(picture.shape, {})[index] = picture
            except NSTError as error:
                outcomes[index] = Failure("", str(error))
        for pictures in by_shape.values():
            try:
                made = model(np.stack(list(pictures.values())))
                for place, index in enumerate(pictures):
                    outcomes[index] = {layer: values[place] for layer, values in made.items()}
            except NSTError as error:  # such as of all that are too small
                outcomes |= dict.fromkeys(pictures, Failure("", str(error)))
        counts, seconds = Counts("network"), (time.perf_counter() - begun) / len(batch)
        for outcome in outcomes.values():
            counts.add(outcome, seconds)
        return iter([outcomes[index] for index in range(len(batch))])

    def get_num_bytes(self, batch: Sequence[np.ndarray]) -> int:
        return sum(picture.nbytes for picture in batch)

    def get_metrics_namespace(self) -> str:
        return "nst_tf"


class Features(beam.PTransform):
    """(name, picture) to (name, `{layer: feature map [height, width, channels]}`).

    The arguments are those of `PictureModel`; a batch has `max_batch_size` pictures of one shape,
    or those that are left at the end of a bundle.

    Raises:
      SettingsError: as `PictureModel`; what is of Beam's own batching, which is not used.
    """

    _grams = False

    def __init__(
        self,
        layers: Sequence[str] | None = None,
        weights: str | None = None,
        *,
        max_batch_size: int = BATCH,
        **how: Any,
    ) -> None:
        super().__init__()
        if wrong := sorted(name for name in how if name.startswith(_BATCHING)):
            raise SettingsError(
                f"{wrong[0]} does nothing where pictures of one shape make a batch: leave it out"
            )
        self._most = max_batch_size
        self._model = PictureModel(
            layers, weights, grams=self._grams, max_batch_size=max_batch_size, **how
        )

    def expand(self, pcoll: Any) -> Split:
        handler = KeyedModelHandler(self._model).with_no_batching()
        return split(
            pcoll
            | "By shape" >> beam.ParDo(_ByShape(self._most))
            | "Network" >> RunInference(handler)
            | "Named" >> beam.Map(_named)
        )


class Grams(Features):
    """(name, picture) to (name, `{layer: mean Gram matrix, float32 [channels, channels]}`).

    Otherwise as `Features`.
    """

    _grams = True


class _ByShape(beam.DoFn):
    """Pictures to lists of such of one shape, as long as a batch may be."""

    def __init__(self, most: int) -> None:
        self._most = most

    def start_bundle(self) -> None:
        self._held: dict[Any, list[tuple[str, np.ndarray]]] = {}

    def process(
        self,
        element: tuple[str, np.ndarray],
        window: Any = beam.DoFn.WindowParam,
    ) -> Iterator[list[tuple[str, np.ndarray]]]:
        key = window, np.shape(element[1]), str(getattr(element[1], "dtype", None))
        held = self._held.setdefault(key, [])
        held.append(element)
        if len(held) >= self._most:
            yield self._held.pop(key)

    def finish_bundle(self) -> Iterator[WindowedValue]:
        for (window, *_), held in self._held.items():
            yield WindowedValue(held, window.max_timestamp(), [window])
        self._held = {}


def _named(element: tuple[str, Any]) -> tuple[str, Any]:
    """Gives a failure the name of its picture."""
    name, outcome = element
    return name, Failure(name, outcome.reason) if isinstance(outcome, Failure) else outcome


class _Extractor:
    """`nst_tf.FeatureExtractor`, compiled for any shape."""

    def __init__(self, layers: Sequence[str] | None, weights: str | None, grams: bool) -> None:
        import tensorflow as tf

        from nst_tf.keras.models import FeatureExtractor
        from nst_tf.losses.gram import gram_matrix

        with contextlib.ExitStack() as ending:
            path = None if weights is None else ending.enter_context(local_copy(weights))
            self._model = FeatureExtractor(None if layers is None else list(layers), path)

        @tf.function(reduce_retracing=True, autograph=False)
        def measured(pictures: tf.Tensor) -> Any:
            maps = self._model(pictures)
            return {key: gram_matrix(one) for key, one in maps.items()} if grams else maps

        self._measured = measured

    def __call__(self, pictures: np.ndarray) -> dict[str, np.ndarray]:
        return _computed(self._measured, pictures)


class _Served:
    """A SavedModel of `nst-tf export`."""

    def __init__(self, folder: str, grams: bool) -> None:
        import tensorflow as tf

        try:
            self._model = tf.saved_model.load(folder)
            served = self._model.signatures
            # What serves statistics alone has them as its default, too.
            self._signature = served["grams" if grams else "serving_default"]
            if not grams and "fixed" not in served:
                raise KeyError("serving_default")
        except (OSError, ValueError, KeyError) as error:
            raise SettingsError(
                f"{folder} is no SavedModel of nst-tf export with {'Gram matrices' * grams}"
                f"{'features' * (not grams)}: {one_line(str(error))[:200]}"
            ) from error
        self._grams = grams

    def __call__(self, pictures: np.ndarray) -> dict[str, np.ndarray]:
        made = _computed(lambda one: self._signature(pictures=one), pictures)
        if not self._grams:
            return made
        end = "_gram"
        return {key.removesuffix(end): one for key, one in made.items() if key.endswith(end)}


def _words(error: Exception) -> str:
    """What a message of TensorFlow's says, without where in its graph that was."""
    lines = [line.strip() for line in str(error).splitlines()]
    said = [line for line in lines if line and not line.startswith(_PLACES)]
    return one_line(said[-1] if said else type(error).__name__)[:300]


def _computed(function: Any, pictures: np.ndarray) -> dict[str, np.ndarray]:
    """What a TensorFlow function makes of pictures, its errors as ours."""
    import tensorflow as tf

    try:
        return {key: one.numpy() for key, one in function(tf.constant(pictures)).items()}
    except (tf.errors.InvalidArgumentError, ValueError) as error:
        if isinstance(error, NSTError):
            raise
        raise SettingsError(f"pictures of {pictures.shape[1:]}: {_words(error)}") from error
    except tf.errors.ResourceExhaustedError as error:
        raise SettingsError(f"no memory for pictures of {pictures.shape}") from error
