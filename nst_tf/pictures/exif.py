"""How the camera was held when a JPEG file was made, inside a graph.

CIPA DC-008 (Exif 2.32): the segment APP1 begins with "Exif" and two zeros and holds a TIFF file,
whose first directory may have the tag Orientation.
"""

from __future__ import annotations

import tensorflow as tf

from nst_tf.pictures import headers

_APP0, _APP1, _APP15, _COMMENT = 0xFFE0, 0xFFE1, 0xFFEF, 0xFFFE
_EXIF = int.from_bytes(b"Exif", "big")
_LITTLE_ENDIAN = int.from_bytes(b"II", "big")
_ORIENTATION = 0x0112


def orientation(file: tf.Tensor) -> tf.Tensor:
    """The tag Orientation of a JPEG file [], int32 [] from 1 to 8; 1, upright, where it has none.

    Whatever the bytes are, it ends and reads none beyond them.
    """
    number = headers.Numbers(file)

    def is_exif(at: tf.Tensor) -> tf.Tensor:
        return (number(at, 2) == _APP1) & (number(at + 4, 4) == _EXIF)

    def goes_on(at: tf.Tensor) -> tf.Tensor:
        marker = number(at, 2)
        skipped = (marker >= _APP0) & (marker <= _APP15) | (marker == _COMMENT)
        return skipped & ~is_exif(at)

    at = tf.while_loop(
        goes_on,
        lambda at: [at + 2 + number(at + 2, 2)],
        [tf.constant(2)],
        maximum_iterations=headers.MOST_BLOCKS,
    )[0]
    start = at + 10
    little = number(start, 2) == _LITTLE_ENDIAN
    directory = start + number(start + 4, 4, little)
    entries = directory + 2 + 12 * tf.range(number(directory, 2, little))
    tags, values = number(entries, 2, little), number(entries + 8, 2, little)
    found = tf.reduce_max(tf.where(tags == _ORIENTATION, values, 1))
    return tf.where(is_exif(at) & (found >= 1) & (found <= 8), found, 1)


def upright(pixels: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Pixels [height, width, channels] turned and mirrored as the tag says."""
    turned = tf.transpose(pixels, tf.where(orientation >= 5, [1, 0, 2], [0, 1, 2]))
    rows = tf.reduce_any(orientation == [3, 4, 7, 8])
    columns = tf.reduce_any(orientation == [2, 3, 6, 7])
    return tf.raw_ops.Reverse(tensor=turned, dims=tf.stack([rows, columns, False]))
