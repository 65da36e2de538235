"""Encoded pictures inside a graph: JPEG, PNG, GIF (its first frame) and BMP to RGB in [0, 1].

What comes out is what `images.load` and `images.cover` make of the same file outside of a graph, to
rounding: the same decoder of JPEG, its orientation applied, PNG's transparency laid on white, the
same kernel. Only a colour profile is not looked at: every file is taken for sRGB.
"""

from __future__ import annotations

import tensorflow as tf

from nst_tf.pictures import checks, exif

#: Files of a batch that are decoded at once, on as many threads as there are.
_AT_ONCE = 8


def squares(files: tf.Tensor, size: int) -> tf.Tensor:
    """Files [batch] to pictures [batch, size, size, 3]: of each its largest middle square.

    Each is decoded on its own; where some are no pictures, the error (in a graph InvalidArgument)
    names their places in the batch. A mask in place of it would go unseen by whoever does not ask.
    """
    files = checks.listed(files)
    # Of one file alone the decoder's own error says enough, and a pipeline takes milliseconds.
    return tf.cond(
        tf.equal(tf.size(files), 1),
        lambda: _cover(_pixels(files[0]), size)[tf.newaxis],
        lambda: _each(files, size),
    )


def whole(files: tf.Tensor) -> tf.Tensor:
    """One file [1] to its picture [1, height, width, 3], of its own size."""
    files = checks.once(
        checks.listed(files),
        tf.equal(tf.size(files), 1),
        "pictures of their own size come one at a time: send one file, not",
        tf.size(files),
    )
    return decoded(files[0])[tf.newaxis]


def decoded(file: tf.Tensor) -> tf.Tensor:
    """A file [] to its picture [height, width, 3], of its own size."""
    return unit(_pixels(file))


def _each(files: tf.Tensor, size: int) -> tf.Tensor:
    """`squares`, with an error that names the bad files' places."""
    count = tf.size(files, tf.int64)
    readable = (
        tf.data.Dataset.from_tensor_slices(files)
        .enumerate()
        .map(lambda place, file: (place, _cover(_pixels(file), size)), num_parallel_calls=_AT_ONCE)
        .ignore_errors()
    )
    # Behind the last: where no file is good, there is still something to make a batch of.
    behind = tf.data.Dataset.from_tensors((count, tf.zeros([size, size, 3])))
    # TensorFlow would rewrite the pipeline in every call, which takes longer than a small picture.
    options = tf.data.Options()
    options.autotune.enabled = False
    options.experimental_optimization.apply_default_optimizations = False
    good, pictures = (
        readable.concatenate(behind).batch(count + 1).with_options(options).get_single_element()
    )
    bad = tf.raw_ops.ListDiff(x=tf.range(count), y=good).out
    return checks.once(
        pictures[:-1],
        tf.equal(tf.size(bad), 0),
        "files are JPEG, PNG, GIF or BMP; at these places of the batch, from 0, not or cut short:",
        bad,
    )


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


@tf.function(input_signature=[tf.TensorSpec([], tf.string)], autograph=False)
def _pixels(file: tf.Tensor) -> tf.Tensor:
    """A file [] to uint8 [height, width, 3], as it is meant to be looked at."""

    def jpeg() -> tf.Tensor:
        # TensorFlow's default is fast, and up to 18 levels from what other programs see.
        pixels = tf.io.decode_jpeg(file, channels=3, dct_method="INTEGER_ACCURATE")
        return exif.upright(pixels, exif.orientation(file))

    def png() -> tf.Tensor:
        pixels = tf.cast(tf.io.decode_png(file, channels=4), tf.float32)
        colour, alpha = pixels[..., :3], pixels[..., 3:]
        # Where a file of fewer than 8 bits has no alpha, TensorFlow fills in a number of that many.
        bits = tf.cast(tf.io.decode_raw(tf.strings.substr(file, 24, 1), tf.uint8)[0], tf.float32)
        none = (bits < 8) & tf.reduce_all(alpha == 2.0**bits - 1)
        alpha = tf.where(none, 255.0, alpha)
        return tf.cast(tf.round((colour * alpha + 255 * (255 - alpha)) / 255), tf.uint8)

    def other() -> tf.Tensor:
        return tf.io.decode_image(file, channels=3, expand_animations=False)

    is_png = tf.equal(tf.strings.substr(file, 0, 4), b"\x89PNG")
    pixels = tf.cond(tf.io.is_jpeg(file), jpeg, lambda: tf.cond(is_png, png, other))
    return tf.ensure_shape(pixels, [None, None, 3])


def unit(pixels: tf.Tensor) -> tf.Tensor:
    """uint8 to float32 in [0, 1]."""
    return tf.cast(pixels, tf.float32) / 255
