"""The run: pictures and settings in, a pastiche out."""
