"""`nst-tf export`: the feature model, or a stylizer, as a SavedModel."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from absl import flags

from nst_tf.apps import command, run_flags
from nst_tf.network import weights as weights_module
from nst_tf.recipe import presets

USAGE = """
nst-tf export --out=saved_models/NAME [flags]

Writes the feature model as a SavedModel, into the folder of the next free version: NAME/1, NAME/2,
... TF Serving finds it there; NAME/serving/ gets its configuration and a compose.yaml that starts
it. Nothing that exists is overwritten. With --stylizer it is that of nst-tf train in place of the
feature model: photos in, pictures out.

    nst-tf export --out=saved_models/vgg19 --weights=imagenet
    nst-tf verify-export saved_models/vgg19 --weights=imagenet
    nst-tf export --out=saved_models/starry --stylizer=trained/stylizer.keras --tflite
"""

#: What has a meaning for a stylizer, which brings its own of all else.
_OF_STYLIZERS = ("stylizer", "out", "o", "size", "most_pixels", "tflite")


def define_flags() -> flags.FlagValues:
    """The command's flags, apart from absl's global ones."""
    values = flags.FlagValues()
    text = partial(flags.DEFINE_string, flag_values=values)
    one_of = partial(flags.DEFINE_enum, flag_values=values)
    text("out", None, "The model's folder, such as saved_models/vgg19.", short_name="o")
    text("stylizer", None, "The network of nst-tf train, such as trained/stylizer.keras.")
    one_of(
        "what", "all", ["features", "style", "all"], "Feature maps, statistics and losses, or both."
    )
    text("weights", "auto", "The network, as for nst-tf stylize.")
    one_of(
        "preset", presets.PUBLISHED, list(presets.PRESETS), "Whose layers and losses are served."
    )
    flags.DEFINE_list(
        "layers",
        None,
        "Layers whose feature maps and Gram matrices are served, such as conv1_1,conv4_2, in place "
        "of the losses'. With --what=features the network ends at the deepest of them.",
        flag_values=values,
    )
    run_flags.define_settings(values, ["content_layers", "style_layers"])
    flags.DEFINE_integer(
        "size", 256, "Pixels of the fixed-size signature and of decoded files.", flag_values=values
    )
    flags.DEFINE_integer(
        "most_pixels",
        2**24,
        "The most pixels that the network sees of one request: height times width, of all its "
        "pictures together; more, also where a file's header promises it, is refused.",
        flag_values=values,
    )
    one_of(
        "dtype",
        "float32",
        ["float32", "mixed_float16", "mixed_bfloat16", "float16", "bfloat16"],
        "What the network is computed in; without 'mixed_' it is stored so, too.",
    )
    flags.DEFINE_boolean(
        "tflite",
        False,
        "Also write NAME/VERSION/tflite/float32.tflite and float16.tflite; of a stylizer "
        "float16.tflite and int8.tflite.",
        flag_values=values,
    )
    return values


def main(argv: list[str]) -> int:
    """Runs the command on `argv`, the command's name and what follows; returns the exit code."""
    values = define_flags()
    command.parse(values, USAGE, argv, required=0, most=0)
    if not values.out:
        raise command.UsageError("name the model's folder: --out=saved_models/NAME")
    if values.stylizer:
        return _export_stylizer(values)
    settings = presets.settings(values.preset)
    chosen = run_flags.changes(values, values.preset)
    settings = settings.replace(**{name: chosen[name] for name in chosen if "layers" in name})

    source = weights_module.at_once(presets.network(settings.preset, values.weights))

    command.import_tensorflow()
    from nst_tf.export import serving
    from nst_tf.export.saved_model import export

    serving.check_name(Path(values.out))
    weights = weights_module.load(source)
    print(command.weights_line(weights.source, weights.kind), flush=True)
    version = export(
        values.out,
        what=values.what,
        weights=weights,
        settings=settings,
        layers=values.layers,
        size=values.size,
        dtype=values.dtype,
        warmup=serving.can_write_warmup(),
        with_tflite=values.tflite,
        most_pixels=values.most_pixels,
    )
    return _told(version)


def _export_stylizer(values: flags.FlagValues) -> int:
    command.refuse_others(values, _OF_STYLIZERS, "--stylizer")

    command.import_tensorflow()
    from nst_tf.export import serving
    from nst_tf.stylizer import shipping

    serving.check_name(Path(values.out))
    version = shipping.export(
        values.out,
        values.stylizer,
        size=values.size,
        warmup=serving.can_write_warmup(),
        with_tflite=values.tflite,
        most_pixels=values.most_pixels,
    )
    return _told(version)


def _told(version: Path) -> int:
    """Writes a server's configuration, and prints what was written."""
    from nst_tf.export import serving

    print(version)
    if not serving.can_write_warmup():
        print("no warm-up requests for TF Serving: they need pip install 'nst_tf[serve]'")
    for path in serving.write_configuration(version):
        print(path)
    return 0
