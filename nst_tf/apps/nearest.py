"""`nst-tf nearest`: the pictures of a corpus whose style is nearest to a picture's."""

from __future__ import annotations

from pathlib import Path

from absl import flags

from nst_tf.apps import command, grams
from nst_tf.errors import PictureError
from nst_tf.network import weights as weights_module
from nst_tf.pictures import images

USAGE = """
nst-tf nearest PICTURE GRAMS.npz [flags]

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
    picture, corpus = command.parse(values, USAGE, argv, required=2, most=2)
    if values.sheet:
        images.check_target(values.sheet)
    images.load(picture)
    network = weights_module.at_once(values.weights)
    command.import_tensorflow()
    from nst_tf import data

    known = data.Corpus.load(corpus)
    found = known.nearest(picture, network, count=values.count)
    for name, distance in found:
        print(f"{distance:.3f}  {name}")
    if values.sheet:
        names = [name for name, _ in found if Path(name).is_file()]
        if not names:
            raise PictureError(f"none of the pictures of {corpus} is where it was measured")
        pictures = [images.load(path, 256) for path in (picture, *names)]
        images.save(images.side_by_side(pictures), values.sheet)
        print(f"{values.sheet}: {picture} | {' | '.join(Path(name).name for name in names)}")
    return 0
