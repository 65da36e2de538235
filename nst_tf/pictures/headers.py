"""What a picture file says of itself, read inside a graph before anything is decoded.

A few bytes can promise pixels by the gigabyte, and TensorFlow's decoders believe them. Whatever the
bytes are, nothing here reads beyond them or goes on without end.
"""

from __future__ import annotations

import tensorflow as tf

#: Of segments, extensions and scans, which real files have a few of.
MOST_BLOCKS = 64

#: What files begin with, in the order of `kind`.
_BEGINNINGS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"BM")
JPEG, PNG, GIF, BMP, NONE = range(5)

_EXTENSION, _IMAGE = 0x21, 0x2C  # GIF89a, sections 20 and 24


class Numbers:
    """The numbers in a file [].

    Attributes:
      bytes: of the file, and a 0 behind them, uint8 [size + 1].
      size: of the file in bytes, int32 [].
    """

    def __init__(self, file: tf.Tensor) -> None:
        read = tf.io.decode_raw(tf.strings.join([file, b"\0"]), tf.uint8)  # one byte at least
        self.bytes, self.size = read, tf.size(read) - 1

    def __call__(self, at: tf.Tensor, count: int, little: tf.Tensor | bool = False) -> tf.Tensor:
        """The number of `count` bytes at each place, int32; of bytes that are not there, 0.

        What takes 32 bits is below 0.
        """
        places = tf.expand_dims(at, -1) + tf.range(count)
        there = (places >= 0) & (places < self.size)
        values = tf.gather(self.bytes, tf.where(there, places, 0))
        values = tf.where(there, tf.cast(values, tf.int32), 0)
        powers = tf.constant([256**power for power in range(count)])
        return tf.reduce_sum(values * tf.where(little, powers, powers[::-1]), -1)

    def ends_of_chains(self) -> tf.Tensor:
        """Where a chain of blocks that begins at each byte ends, int32 [size + 1].

        A block is a byte that says how many follow it; one of none ends the chain, and so does the
        end of the file, which is the last place.
        """
        places = tf.range(self.size + 1)
        lengths = tf.cast(self.bytes, tf.int32)
        behind = tf.minimum(places + tf.where(lengths > 0, lengths + 1, 0), self.size)
        # Twice as many blocks at every step.
        return tf.while_loop(
            lambda reached, before: tf.reduce_any(reached != before),
            lambda reached, _: (tf.gather(reached, reached), reached),
            (behind, places),
        )[0]


def kind(file: tf.Tensor) -> tf.Tensor:
    """JPEG, PNG, GIF, BMP or NONE of them, int32 []."""
    begins = [tf.strings.substr(file, 0, len(begin)) == begin for begin in _BEGINNINGS]
    return tf.argmax([*begins, True], output_type=tf.int32)  # the first that holds


def shape(file: tf.Tensor) -> tf.Tensor:
    """Height and width in pixels that a file [] of one of the kinds promises, int32 [2].

    Of a GIF they are those of the first frame. They are 0 or less where there are none, or more
    than 31 bits hold.
    """
    numbers = Numbers(file)

    size = tf.constant([7, 5])  # of a GIF's image, behind where it is described

    def at(*places: int, count: int = 4, little: bool = False) -> tf.Tensor:
        return numbers(tf.constant(places), count, little)

    return tf.switch_case(
        kind(file),
        [
            lambda: tf.io.extract_jpeg_shape(file)[:2],
            lambda: at(20, 16),
            lambda: numbers(_first_image(numbers, numbers.ends_of_chains()) + size, 2, True),
            lambda: tf.abs(at(22, 18, little=True)),  # of a height below 0, rows are top down
            lambda: tf.zeros([2], tf.int32),
        ],
    )


def scans(file: tf.Tensor) -> tf.Tensor:
    """How often a JPEG file [] goes through its picture, int32 [].

    A progressive file has some ten scans; one of few bytes takes as long as any other.
    """
    read = Numbers(file).bytes
    count = tf.maximum(tf.size(read) - 4, 0)
    # ITU-T T.81, B.2.3: the marker SOS, a length of 16 bits and the number of components, of which
    # the length follows.
    first, second, high, low, parts = (read[place : place + count] for place in range(5))
    marked = (first == 0xFF) & (second == 0xDA) & (high == 0)
    fits = (low == 6 + 2 * parts) & (parts >= 1) & (parts <= 4)
    return tf.math.count_nonzero(marked & fits, dtype=tf.int32)


def first_frame(file: tf.Tensor) -> tf.Tensor:
    """A GIF file [] that ends behind its first frame.

    TensorFlow decodes all of them, also where it is asked for one.
    """
    numbers = Numbers(file)
    ends = numbers.ends_of_chains()
    at = _first_image(numbers, ends)
    data = at + 10 + _table(numbers(at + 9, 1))
    end = tf.gather(ends, tf.clip_by_value(data + 1, 0, numbers.size))
    return tf.strings.join([tf.strings.substr(file, 0, end + 1), b";"])


def _first_image(numbers: Numbers, ends: tf.Tensor) -> tf.Tensor:
    """Where a GIF file describes its first image, int32 []; the file's end where it does not."""
    start = 13 + _table(numbers(tf.constant(10), 1))
    at = tf.while_loop(
        lambda at: tf.equal(numbers(at, 1), _EXTENSION),
        lambda at: [tf.gather(ends, tf.minimum(at + 2, numbers.size)) + 1],
        [start],
        maximum_iterations=MOST_BLOCKS,
    )[0]
    return tf.where(tf.equal(numbers(at, 1), _IMAGE), at, numbers.size)


def _table(flags: tf.Tensor) -> tf.Tensor:
    """Bytes of the colour table that a GIF's flags announce."""
    return tf.where(flags >= 128, 3 * tf.bitwise.left_shift(2, flags % 8), 0)
