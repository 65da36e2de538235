"""Encoded pictures inside a graph: JPEG, PNG, GIF (its first frame) and BMP to RGB in [0, 1].

What comes out is what `images.load` and `images.cover` make of the same file outside of a graph, to
rounding: the same decoder of JPEG, its orientation applied, PNG's transparency laid on white, the
same kernel. Only a colour profile is not looked at: every file is taken for sRGB.
"""

from __future__ import annotations

import tensorflow as tf

from nst_tf.pictures import checks, exif, headers

#: Where there is no limit of pixels.
NO_LIMIT = 2**63 - 1
#: Of a file's picture, looked at before it is decoded: 8192 x 4096, in the works 1 GiB at most.
MOST_PIXELS = 2**25
#: Of all files of a request, which take their time: eight of the largest.
MOST_TOGETHER = 8 * MOST_PIXELS
#: Files of a batch that are decoded at once, on as many threads as there are, and their pixels.
_AT_ONCE, _PIXELS_AT_ONCE = 8, 2 * MOST_PIXELS

#: TensorFlow would rewrite a pipeline in every call, which takes longer than a small picture.
_PLAIN = tf.data.Options()
_PLAIN.autotune.enabled = False
_PLAIN.experimental_optimization.apply_default_optimizations = False


def squares(files: tf.Tensor, size: int, most: int = NO_LIMIT) -> tf.Tensor:
    """Files [batch] to pictures [batch, size, size, 3]: of each its largest middle square.

    Each is decoded on its own, if it has `MOST_PIXELS` at most; where some are no such pictures,
    the error (in a graph InvalidArgument) names their places in the batch. A mask in place of it
    would go unseen by whoever does not ask.

    Args:
      files: of `MOST_TOGETHER` pixels at most.
      size: of the squares, in pixels.
      most: the most pixels of the squares together.
    """
    files = checks.listed(files)
    count = most // size**2
    said = f"files for {size} x {size} pixels are at most {count} in a request; these are"
    files = checks.once(files, tf.size(files, tf.int64) <= count, said, tf.size(files))
    # Of one file alone the decoder's own error says enough, and a pipeline takes milliseconds.
    return tf.cond(
        tf.equal(tf.size(files), 1),
        lambda: _cover(_pixels(files[0]), size)[tf.newaxis],
        lambda: _each(files, size),
    )


def whole(files: tf.Tensor, most: int = MOST_PIXELS) -> tf.Tensor:
    """One file [1] to its picture [1, height, width, 3], of its own size, `most` pixels or less."""
    files = checks.once(
        checks.listed(files),
        tf.equal(tf.size(files), 1),
        "pictures of their own size come one at a time: send one file, not",
        tf.size(files),
    )
    return decoded(files[0], most)[tf.newaxis]


def decoded(file: tf.Tensor, most: int = MOST_PIXELS) -> tf.Tensor:
    """A file [] to its picture [height, width, 3], of its own size, `most` pixels or less."""
    return unit(_pixels(file, most))


def _each(files: tf.Tensor, size: int) -> tf.Tensor:
    """`squares`, with an error that names the bad files' places."""
    files, at_once = _few(files)
    count = tf.size(files, tf.int64)
    readable = (
        tf.data.Dataset.from_tensor_slices(files)
        .enumerate()
        .map(lambda place, file: (place, _cover(_pixels(file), size)), num_parallel_calls=at_once)
        .ignore_errors()
    )
    # Behind the last: where no file is good, there is still something to make a batch of.
    behind = tf.data.Dataset.from_tensors((count, tf.zeros([size, size, 3])))
    good, pictures = (
        readable.concatenate(behind).batch(count + 1).with_options(_PLAIN).get_single_element()
    )
    bad = tf.raw_ops.ListDiff(x=tf.range(count), y=good).out
    return checks.once(
        pictures[:-1],
        tf.equal(tf.size(bad), 0),
        f"files are JPEG, PNG, GIF or BMP, of at most {MOST_PIXELS} pixels; at these places of the "
        "batch, from 0, not or cut short:",
        bad,
    )


def _few(files: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The files, if they promise no more than `MOST_TOGETHER` pixels, and how many of them may be
    decoded at once, int64 []."""
    together, largest = (
        tf.data.Dataset.from_tensor_slices(files)
        .map(_promised)
        .ignore_errors()
        .with_options(_PLAIN)
        .reduce(
            (tf.constant(0, tf.int64), tf.constant(1, tf.int64)),
            lambda before, pixels: (before[0] + pixels, tf.maximum(before[1], pixels)),
        )
    )
    said = f"files have at most {MOST_TOGETHER} pixels together: send fewer at a time; these have"
    files = checks.once(files, together <= MOST_TOGETHER, said, together)
    return files, tf.clip_by_value(_PIXELS_AT_ONCE // largest, 1, _AT_ONCE)


def _promised(file: tf.Tensor) -> tf.Tensor:
    """How many pixels a file [] is to be decoded to, int64 []: 0 of one that will not be."""
    pixels = tf.reduce_prod(tf.cast(tf.maximum(headers.shape(file), 0), tf.int64))
    return tf.where(pixels <= MOST_PIXELS, pixels, 0)


def _cover(pixels: tf.Tensor, size: int) -> tf.Tensor:
    """`images.cover` for a square: the largest one in the middle of 0-255 pixels, in [0, 1]."""
    shape = tf.cast(tf.shape(pixels)[:2], tf.float64)
    scale = size / tf.reduce_min(shape)
    # In pixels of the result, how far the picture's corner is from the square's.
    corner = (size - scale * shape) / 2
    square = tf.raw_ops.ScaleAndTranslate(
        images=pixels[tf.newaxis],
        size=[size, size],
        scale=tf.cast(tf.fill([2], scale), tf.float32),
        translation=tf.cast(corner, tf.float32),
        kernel_type="lanczos3",
        antialias=True,
    )[0]
    return tf.clip_by_value(tf.ensure_shape(square, [size, size, 3]) / 255, 0.0, 1.0)


@tf.function(
    input_signature=[tf.TensorSpec([], tf.string), tf.TensorSpec([], tf.int64)], autograph=False
)
def _pixels(file: tf.Tensor, most: int | tf.Tensor = MOST_PIXELS) -> tf.Tensor:
    """A file [] to uint8 [height, width, 3], as it is meant to be looked at.

    In a graph, InvalidArgument says that it is no picture, or one of more than `most` pixels.
    """
    kind = headers.kind(file)
    known = "files are JPEG, PNG, GIF or BMP; this one is none of them, of length in bytes"
    file = checks.once(file, kind != headers.NONE, known, tf.strings.length(file))
    shape = headers.shape(file)
    pixels = tf.reduce_prod(tf.cast(shape, tf.int64))
    fits = (tf.reduce_min(shape) > 0) & (pixels <= most)
    said = "the most pixels of a file's picture, and the height and width that this one promises:"
    file = checks.once(file, fits, said, most, shape)

    def jpeg() -> tf.Tensor:
        scans, said = headers.scans(file), "the most scans of a JPEG file, and those of this one:"
        once = checks.once(file, scans <= headers.MOST_BLOCKS, said, headers.MOST_BLOCKS, scans)
        # TensorFlow's default is fast, and up to 18 levels from what other programs see.
        pixels = tf.io.decode_jpeg(once, channels=3, dct_method="INTEGER_ACCURATE")
        return exif.upright(pixels, exif.orientation(file))

    def png() -> tf.Tensor:
        pixels = tf.io.decode_png(file, channels=4)
        colour, alpha = pixels[..., :3], pixels[..., 3:]
        # Where a file of fewer than 8 bits has no alpha, TensorFlow fills in a number of that many.
        bits = tf.minimum(headers.Numbers(file)(tf.constant(24), 1), 8)
        filled = tf.cast(tf.bitwise.left_shift(1, bits) - 1, tf.uint8)
        opaque = tf.reduce_all(alpha == filled) | tf.reduce_all(alpha == 255)
        return tf.cond(opaque, lambda: colour, lambda: _on_white(colour, alpha))

    def gif() -> tf.Tensor:
        return tf.io.decode_gif(headers.first_frame(file))[0]

    def bmp() -> tf.Tensor:
        return tf.io.decode_image(file, channels=3, expand_animations=False)

    return tf.ensure_shape(tf.switch_case(kind, [jpeg, png, gif, bmp]), [None, None, 3])


def _on_white(colour: tf.Tensor, alpha: tf.Tensor) -> tf.Tensor:
    """Colours, uint8 [height, width, 3], with the transparency [height, width, 1], on white."""
    # At most 255 · 255 + 127, which 16 bits hold.
    colour, alpha = tf.cast(colour, tf.uint16), tf.cast(alpha, tf.uint16)
    return tf.cast((colour * alpha + 255 * (255 - alpha) + 127) // 255, tf.uint8)


def unit(pixels: tf.Tensor) -> tf.Tensor:
    """uint8 to float32 in [0, 1]."""
    return tf.cast(pixels, tf.float32) / 255
