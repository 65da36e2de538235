"""`nst-tf nearest`: the pictures of a corpus whose style is nearest to a picture's."""

from __future__ import annotations

import sys
from pathlib import Path

from absl import flags

from nst_tf.apps import command, grams
from nst_tf.errors import PictureError, SettingsError
from nst_tf.network import weights as weights_module
from nst_tf.pictures import folders, images

USAGE = """
nst-tf nearest PICTURE GRAMS.npz [GRAMS.npz ...] [flags]

Lists the pictures of a corpus (nst-tf grams) whose style is nearest to that of PICTURE, with their
distances: 0 is the same, about 1.4 the farthest.

    nst-tf nearest photo.jpg grams.npz --count=5 --sheet=nearest.png
"""


def define_flags() -> flags.FlagValues:
    """The command's flags, apart from absl's global ones."""
    values = flags.FlagValues()
    flags.DEFINE_integer("count", 5, "How many.", lower_bound=1, flag_values=values)
    flags.DEFINE_string(
        "sheet", None, "Also write the picture and its nearest, side by side.", flag_values=values
    )
    grams.define_weights(values)
    return values


def main(argv: list[str]) -> int:
    """Runs the command on `argv`, the command's name and what follows; returns the exit code."""
    values = define_flags()
    picture, *paths = command.parse(values, USAGE, argv, required=2)
    if values.sheet:
        images.check_target(values.sheet)
    images.load(picture)
    network = weights_module.at_once(values.weights)
    command.import_tensorflow()
    from nst_tf import data

    first, style, found = None, None, []
    for path in folders.files(paths):
        corpus = data.Corpus.load(path)
        first = first or corpus
        if (corpus.layers, corpus.size) != (first.layers, first.size):
            raise SettingsError(f"{path} was measured with other --layers or another --size")
        if style is None or corpus.network != first.network:  # which says that it is another
            style = corpus.style_of(picture, network)
        found += corpus.nearest_to(style, count=values.count)
    found = sorted(found, key=lambda neighbour: neighbour.distance)[: values.count]
    for name, distance in found:
        print(f"{distance:.3f}  {name}")
    if values.sheet:
        names = [name for name, _ in found if Path(name).is_file()]
        for name, _ in found:
            if name not in names:
                print(f"nst-tf nearest: not on the sheet: {name} is gone", file=sys.stderr)
        if not names:
            raise PictureError("none of these pictures is where it was measured: no sheet")
        pictures = [images.load(path, 256) for path in (picture, *names)]
        images.save(images.side_by_side(pictures), values.sheet)
        print(f"{values.sheet}: {picture} | {' | '.join(Path(name).name for name in names)}")
    return 0
