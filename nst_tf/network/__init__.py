"""The feature model: weights, VGG19's layers, normalisation, and how a machine computes it."""
