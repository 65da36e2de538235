"""The feature model as a SavedModel: what it serves, how it is written, how it is checked."""
