"""Pixels in and out: files, arrays and tensors to pictures and back, the initial image, filters."""
