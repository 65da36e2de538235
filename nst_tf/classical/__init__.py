"""Texture synthesis and transfer before neural networks: NumPy and SciPy, no TensorFlow."""
