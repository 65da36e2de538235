"""Neural style transfer for TensorFlow and Keras, as Gatys, Ecker and Bethge published it.

Names are imported when they are first used, so that `import nst_tf` costs nothing and does not
itself start TensorFlow.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from nst_tf import registration

if TYPE_CHECKING:
    from nst_tf import data, export, keras
    from nst_tf.errors import (
        CheckpointError,
        DamagedCheckpointError,
        DivergenceError,
        ExportError,
        FileError,
        Interrupted,
        NSTError,
        OutputError,
        PictureError,
        SettingsError,
        WeightsError,
    )
    from nst_tf.keras import FeatureExtractor
    from nst_tf.losses.objective import Evaluation, Objective
    from nst_tf.losses.own_terms import Term
    from nst_tf.network.vgg import build_model
    from nst_tf.network.weights import Weights
    from nst_tf.pictures import filters
    from nst_tf.pictures.masks import Masked
    from nst_tf.recipe.presets import PRESETS
    from nst_tf.recipe.settings import Settings
    from nst_tf.run.computer import be_deterministic
    from nst_tf.run.many import Painted, stylize_many
    from nst_tf.run.record import Result, Step
    from nst_tf.run.transfer import Callback, StyleTransfer, stylize
    from nst_tf.run.workshop import Workshop
    from nst_tf.run.workshops import clear_workshops
    from nst_tf.stylizer.network import Stylizer
    from nst_tf.version import __version__
    from nst_tf.watch import film, tensorboard

__all__ = [
    "PRESETS",
    "Callback",
    "CheckpointError",
    "DamagedCheckpointError",
    "DivergenceError",
    "Evaluation",
    "ExportError",
    "FeatureExtractor",
    "FileError",
    "Interrupted",
    "Masked",
    "NSTError",
    "Objective",
    "OutputError",
    "Painted",
    "PictureError",
    "Result",
    "Settings",
    "SettingsError",
    "Step",
    "StyleTransfer",
    "Stylizer",
    "Term",
    "Weights",
    "WeightsError",
    "Workshop",
    "__version__",
    "be_deterministic",
    "build_model",
    "clear_workshops",
    "data",
    "export",
    "film",
    "filters",
    "keras",
    "stylize",
    "stylize_many",
    "tensorboard",
]

#: Where the names live that are reached from here.
_HOME = {
    "errors": (
        "CheckpointError",
        "DamagedCheckpointError",
        "DivergenceError",
        "ExportError",
        "FileError",
        "Interrupted",
        "NSTError",
        "OutputError",
        "PictureError",
        "SettingsError",
        "WeightsError",
    ),
    "keras": ("FeatureExtractor",),
    "losses.objective": ("Evaluation", "Objective"),
    "losses.own_terms": ("Term",),
    "network.vgg": ("build_model",),
    "network.weights": ("Weights",),
    "pictures.masks": ("Masked",),
    "recipe.presets": ("PRESETS",),
    "recipe.settings": ("Settings",),
    "run.computer": ("be_deterministic",),
    "run.many": ("Painted", "stylize_many"),
    "run.record": ("Result", "Step"),
    "run.transfer": ("Callback", "StyleTransfer", "stylize"),
    "run.workshop": ("Workshop",),
    "run.workshops": ("clear_workshops",),
    "stylizer.network": ("Stylizer",),
    "version": ("__version__",),
}

# So that saved models with our classes in them can be loaded.
registration.register()

# Modules that had another path before 0.2.0 are found there for one more release.
__path__.append(str(Path(__file__).with_name("former")))


if not TYPE_CHECKING:  # to a type checker, every name would be there

    def __getattr__(name):
        for module, names in _HOME.items():
            if name in names:
                return getattr(importlib.import_module(f"nst_tf.{module}"), name)
        module = f"nst_tf.{name}"
        try:
            return importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name != module:
                raise
        raise AttributeError(f"module 'nst_tf' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
