"""`nst-tf shards`: a corpus of pictures in a few TFRecord files."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from absl import flags

from nst_tf import files
from nst_tf.apps import command
from nst_tf.errors import SettingsError
from nst_tf.pictures import folders
from nst_tf.run import outlook

USAGE = """
nst-tf shards PICTURES... --out=DIR/NAME [flags]

Writes pictures (files, folders, patterns) to DIR/NAME-00000-of-00004.tfrecord and so on, of about
one size, which tf.data reads fast, also from another machine: nst-tf train
--photos='DIR/NAME-*.tfrecord', in Python nst_tf.data.pictures or crops. What cannot be read is left
out and told, and the exit code is 1 then. The same command makes what is not there, or was made of
other pictures.

    nst-tf shards photos/ --out=corpus/photos --size=512
"""


def define_flags() -> flags.FlagValues:
    """The command's flags, apart from absl's global ones."""
    values = flags.FlagValues()
    text = partial(flags.DEFINE_string, flag_values=values)
    text("out", None, "Folder and beginning of the files' names.")
    flags.DEFINE_integer(
        "size",
        0,
        "Longer side in pixels that larger pictures are shrunk to, as JPEG; 0 keeps every file as "
        "it is, but for kinds other than JPEG and PNG.",
        lower_bound=0,
        flag_values=values,
    )
    text("shard_size", "100MiB", "About how large a file is, counted by the pictures' own files.")
    flags.DEFINE_boolean("quiet", False, "No progress bar.", flag_values=values)
    return values


def main(argv: list[str]) -> int:
    """Runs the command on `argv`, the command's name and what follows; returns the exit code."""
    values = define_flags()
    patterns = command.parse(values, USAGE, argv, required=1)
    if not values.out:
        raise command.UsageError("name the folder and the beginning of the names: --out=DIR/NAME")
    try:
        shard_bytes = outlook.parse(values.shard_size)
    except SettingsError as error:
        raise command.UsageError(f"--shard_size={values.shard_size}: use 100MiB or so") from error
    folders.files(patterns)
    files.check_folder(Path(values.out).parent)
    command.import_tensorflow()
    from nst_tf import data
    from nst_tf.watch.progress_bar import share_bar

    with share_bar(shown=not values.quiet) as report:
        made = data.write_shards(
            patterns,
            values.out,
            size=values.size or None,
            shard_bytes=shard_bytes,
            report=lambda done, total: report(done / total),
        )
    for path, reason in made.failures.items():
        print(f"nst-tf shards: left out: {path}: {reason}", file=sys.stderr)
    print(f"{made.pictures} pictures in {len(made.paths)} files: {made.paths[0]} ...")
    return command.SOME_FAILED if made.failures else 0
