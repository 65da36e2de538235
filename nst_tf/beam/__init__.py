"""Pictures by the million: transforms for Apache Beam (`pip install 'nst_tf[beam]'`).

    import apache_beam as beam
    from nst_tf.beam import Grams, ReadPictures

    with beam.Pipeline() as pipeline:
        pictures = pipeline | beam.Create(paths) | ReadPictures(size=256)
        grams = pictures.good | Grams(["conv1_1", "conv4_1"], weights="imagenet")
        grams.good | beam.Map(print)    # (path, {"conv1_1": [64, 64], "conv4_1": [512, 512]})
        (pictures.failed, grams.failed) | beam.Flatten() | beam.Map(print)   # Failure(name, reason)

Every transform gives two collections, `good` and `failed`: what cannot be read or painted is there
with its name and the reason, and stops nothing.
"""

try:
    import apache_beam as _apache_beam  # noqa: F401
except ImportError as error:
    raise ImportError("nst_tf.beam needs Apache Beam: pip install 'nst_tf[beam]'") from error

from nst_tf.beam.features import Features, Grams, PictureModel
from nst_tf.beam.manifest import WriteManifest
from nst_tf.beam.outcomes import Failure, Split, split
from nst_tf.beam.pictures import ReadPictures
from nst_tf.beam.styles import WriteStyles
from nst_tf.beam.stylize import Painting, Stylize

__all__ = [
    "Failure",
    "Features",
    "Grams",
    "Painting",
    "PictureModel",
    "ReadPictures",
    "Split",
    "Stylize",
    "WriteManifest",
    "WriteStyles",
    "split",
]
