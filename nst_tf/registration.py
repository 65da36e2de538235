"""Keras finds our classes in saved models after `import nst_tf` alone, which imports neither them
nor Keras.

A model's file names its custom classes, and Keras looks them up among those that are registered,
where a class gets by its decorator when its module is imported. Until then a substitute is
registered here that imports it when a model with it is loaded: at once where Keras is there, else
when it comes.
"""

from __future__ import annotations

import importlib
import sys
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

#: The module of every class with the decorator.
CLASSES = {
    "CaffePreprocessing": "nst_tf.network.vgg",
    "ConditionalInstanceNormalization": "nst_tf.stylizer.normalisation",
    "ContentLoss": "nst_tf.keras.losses",
    "Convolution": "nst_tf.stylizer.network",
    "FeatureExtractor": "nst_tf.keras.models",
    "GramMatrix": "nst_tf.keras.layers",
    "Palette": "nst_tf.stylizer.palette",
    "PerceptualLoss": "nst_tf.keras.losses",
    "Pooling": "nst_tf.network.vgg",
    "ReplicatePadding": "nst_tf.network.vgg",
    "StyleLoss": "nst_tf.keras.losses",
    "Stylizer": "nst_tf.stylizer.network",
}
#: Keras as tf.keras has it, and Keras 2 beside Keras 3 (TF_USE_LEGACY_KERAS=1).
_KERAS = ("keras", "tf_keras")


def register() -> None:
    """Registers the substitutes, now or when Keras has been imported."""
    for name in _KERAS:
        if name in sys.modules:
            _register_with(sys.modules[name])
    if not all(name in sys.modules for name in _KERAS):
        sys.meta_path.insert(0, _Finder())


class _Finder:
    """Finds Keras as Python does, and registers with it when it has been imported."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name) if name in _KERAS else None
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def execute_and_register(module: ModuleType) -> None:
            execute(module)
            _register_with(module)

        spec.loader.exec_module = execute_and_register  # type: ignore[method-assign]
        return spec


def _register_with(keras: ModuleType) -> None:
    utils = getattr(keras, "utils", None)
    if utils is None:
        return  # one that is still being imported, by what imports us
    registered = utils.get_custom_objects()
    for name, module in CLASSES.items():
        registered.setdefault(f"nst_tf>{name}", _substitute(name, module))


def _substitute(name: str, module: str) -> type:
    """A class of this name, for Keras to make objects with of their configuration."""

    def from_config(config: dict[str, Any]) -> Any:
        return getattr(importlib.import_module(module), name).from_config(config)

    return type(name, (), {"from_config": staticmethod(from_config)})
