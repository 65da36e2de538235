"""The studio: a page to paint with, served on one's own machine.

Its process has no TensorFlow: `painter.py` runs in a process of its own, and so does what reads
uploads, `reader.py`. `desk.py` stands between, `shelf.py` keeps what is there.
"""
