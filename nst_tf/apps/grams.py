"""`nst-tf grams`: the style of each picture of a corpus, for nst-tf nearest."""

from __future__ import annotations

import sys
from pathlib import Path

from absl import flags

from nst_tf import files
from nst_tf.apps import command
from nst_tf.network import weights as weights_module
from nst_tf.pictures import folders
from nst_tf.recipe import layers

USAGE = """
nst-tf grams PICTURES... [-o grams.npz] [flags]

Measures the style of pictures (files, folders, patterns), which is Gram matrices of some layers,
and keeps 5 KB of each in one file. What cannot be read is left out and told; the exit code is 1
then.

    nst-tf grams paintings/ -o grams.npz
    nst-tf nearest photo.jpg grams.npz
"""


def define_flags() -> flags.FlagValues:
    """The command's flags, apart from absl's global ones."""
    values = flags.FlagValues()
    flags.DEFINE_string(
        "output", "grams.npz", "The file to write.", short_name="o", flag_values=values
    )
    define_weights(values)
    flags.DEFINE_list(
        "layers",
        [],
        "Such as conv1_1,conv3_1; without, the style's in gatys2016: the first of each block.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "size",
        256,
        "Longer side in pixels that pictures are scaled to.",
        lower_bound=16,
        flag_values=values,
    )
    flags.DEFINE_boolean("quiet", False, "No progress bar.", flag_values=values)
    return values


def define_weights(values: flags.FlagValues) -> None:
    """Defines --weights."""
    flags.DEFINE_string(
        "weights",
        "auto",
        "The network, as nst-tf stylize takes it; nst-tf nearest wants the same.",
        flag_values=values,
    )


def main(argv: list[str]) -> int:
    """Runs the command on `argv`, the command's name and what follows; returns the exit code."""
    values = define_flags()
    patterns = command.parse(values, USAGE, argv, required=1)
    output = Path(values.output)
    files.check_writable(output)
    wanted = layers.distinct(values.layers) if values.layers else []
    folders.files(patterns)
    network = weights_module.at_once(values.weights)
    command.import_tensorflow()
    from nst_tf import data
    from nst_tf.watch.progress_bar import share_bar

    with share_bar(shown=not values.quiet) as report:
        corpus = data.Corpus.of(
            patterns,
            network,
            layers=wanted,
            size=values.size,
            report=lambda done, total: report(done / total),
        )
    corpus.save(output)
    for path, reason in corpus.failures.items():
        print(f"nst-tf grams: left out: {path}: {reason}", file=sys.stderr)
    print(f"{output}: the styles of {len(corpus.names)} pictures")
    return command.SOME_FAILED if corpus.failures else 0
