"""`nst-tf train`: a network that paints in one pass, for one's own paintings."""

from __future__ import annotations

from functools import partial

from absl import flags

from nst_tf import signals
from nst_tf.apps import command, run_flags
from nst_tf.errors import SettingsError
from nst_tf.recipe import choices, presets

USAGE = """
nst-tf train PAINTING [PAINTING ...] --photos=DIR --out=DIR [flags]

Trains a network that paints any photo in the style of a painting in one pass; of several paintings,
each is a style of the same network. --out gets stylizer.keras, for nst-tf paint and for
tf.keras.models.load_model after import nst_tf; sheets of photos that are held out; and what is put
aside: the same command goes on, whatever ended it.

    nst-tf train painting.jpg --photos=photos --out=trained
    nst-tf paint photo.jpg --stylizer=trained/stylizer.keras -o painted.png
"""

#: Fields of `Settings` that decide the loss.
_LOSS = (
    "strength",
    "content_weight",
    "style_weight",
    "tv_weight",
    "laplacian_weight",
    "structure_weight",
    "content_layers",
    "style_layers",
    "structure_layers",
    "content_loss",
    "style_loss",
    "pooling",
    "padding",
    "normalise",
)
#: Flags that are fields of `Course` as they are.
_COURSE = (
    "weights",
    "preset",
    "width",
    "base",
    "styles_first",
    "steps",
    "batch",
    "style_size",
    "learning_rate",
    "seed",
)


def define_flags() -> flags.FlagValues:
    """The command's flags, apart from absl's global ones."""
    values = flags.FlagValues()
    text, whole, number, one_of = (
        partial(define, flag_values=values)
        for define in (
            flags.DEFINE_string,
            flags.DEFINE_integer,
            flags.DEFINE_float,
            flags.DEFINE_enum,
        )
    )
    text(
        "photos",
        None,
        "Photos to learn from: a folder, a pattern such as "
        "'photos/*.jpg', TFRecord files, or tfds:NAME of tensorflow-datasets.",
    )
    text("out", None, "The folder of the training.", short_name="o")
    whole("steps", 2000, "Steps of all stages; each stage takes about as long.")
    number("width", 0.25, "Of the published network's channels: 1, 0.5 or 0.25.")
    text(
        "base",
        "auto",
        "The stylizer that it begins with: 'auto' for the package's own where --width is its 0.25, "
        "'none' to begin anew, or a file.",
    )
    number(
        "styles_first",
        0.1,
        "Share of the steps in which only what each style has of its own is learnt, if there is a "
        "base.",
    )
    flags.DEFINE_list(
        "sizes", ["128", "256"], "Pixels of the crops of each stage.", flag_values=values
    )
    whole("batch", 4, "Crops a step.")
    whole(
        "style_size",
        384,
        "Longer side of the paintings in pixels: strokes will be as large as in them.",
    )
    number("learning_rate", 0.002, "Adam's largest.")
    whole("seed", 0, "Of the crops and of the first weights.")
    text("weights", "mini", "The network of the losses: 'mini', 'imagenet' or a file.")
    one_of("preset", presets.DEFAULT, list(presets.PRESETS), "Whose losses they are.")
    run_flags.define_settings(values, _LOSS)
    one_of(
        "dtype",
        "auto",
        ["auto", *choices.LOSS_DTYPES],
        "What the losses' network is computed in; 'auto' is what suits the machine.",
    )
    one_of(
        "precision",
        "float32",
        choices.LOSS_DTYPES,
        "What the stylizer itself is computed in: half precision pays on a GPU.",
    )
    whole("sheet_every", 200, "Steps between two sheets, each with the network so far.")
    number("checkpoint_every", 60.0, "Seconds after which the training is put aside again.")
    text("logdir", None, "Also write curves for TensorBoard to this folder.")
    flags.DEFINE_boolean("quiet", False, "No progress bar.", flag_values=values)
    return values


def main(argv: list[str]) -> int:
    """Runs the command on `argv`, the command's name and what follows; returns the exit code."""
    values = define_flags()
    paintings = command.parse(values, USAGE, argv, required=1)
    if not values.photos or not values.out:
        raise command.UsageError("name the photos and a folder: --photos=DIR --out=DIR")
    if values.sheet_every < 1 or values.checkpoint_every < 0:
        raise command.UsageError("--sheet_every is from 1, --checkpoint_every from 0")
    chosen = run_flags.changes(values, values.preset)
    overrides = {name: chosen[name] for name in _LOSS if name in chosen}
    presets.settings(values.preset, **overrides)
    sizes = _sizes(values.sizes)

    command.import_tensorflow()
    from nst_tf.stylizer.callbacks import Stop
    from nst_tf.stylizer.course import Course
    from nst_tf.stylizer.record import RESULT
    from nst_tf.stylizer.training import train

    course = Course(
        overrides=overrides, sizes=sizes, **{name: values[name].value for name in _COURSE}
    )
    stop = Stop()
    with signals.stopping(stop.ask, lambda: stop.begun) as stopped:
        train(
            paintings,
            values.photos,
            values.out,
            course,
            dtype=values.dtype,
            precision=values.precision,
            sheet_every=values.sheet_every,
            checkpoint_every=values.checkpoint_every,
            logdir=values.logdir,
            stop=stop,
            progress=not values.quiet,
        )
    again = "; the same command goes on" if stop.asked else ""
    print(f"{values.out}/{RESULT}{again}")
    return stopped.code if stop.asked else 0


def _sizes(given: list[str]) -> tuple[int, ...]:
    try:
        return tuple(map(int, given))
    except ValueError as error:
        raise SettingsError(f"sizes are {','.join(given)!r}: use some such as 128,256") from error
