"""Pictures in a tf.data pipeline: files to batches, batches to feature maps and Gram matrices.

pictures = nst_tf.data.pictures("photos/*.jpg", size=256).batch(8)
extractor = nst_tf.FeatureExtractor(["conv1_1", "conv4_2"], weights="imagenet")
for grams in pictures.apply(nst_tf.data.grams(extractor)):
    grams["conv4_2"]    # [8, 512, 512]

Photos to learn from, `crops`; a corpus in a few large files, `write_shards`; and one of paintings,
to look for the nearest style in, `Corpus`.
"""

from nst_tf.data.corpus import Corpus, Neighbour
from nst_tf.data.datasets import Transformation, crops, features, grams, pictures
from nst_tf.data.shards import Shards, write_shards
from nst_tf.data.sources import photos
from nst_tf.pictures.folders import files

__all__ = [
    "Corpus",
    "Neighbour",
    "Shards",
    "Transformation",
    "crops",
    "features",
    "files",
    "grams",
    "photos",
    "pictures",
    "write_shards",
]
