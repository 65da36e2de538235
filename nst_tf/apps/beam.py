"""`nst-tf beam`: many pictures on many machines, by Apache Beam."""

from __future__ import annotations

import json
import logging
import posixpath
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from absl import flags

from nst_tf.apps import command, ordering, run_flags
from nst_tf.batch import names
from nst_tf.errors import NSTError, PictureError, SettingsError, one_line
from nst_tf.network import weights as weights_module
from nst_tf.pictures import images
from nst_tf.recipe import presets

USAGE = """
nst-tf beam stylize CONTENTS... --styles=STYLE,... --out=DIR --runner=RUNNER [flags]
nst-tf beam stylize TABLE.csv|TABLE.jsonl --out=DIR --runner=RUNNER [flags]
nst-tf beam grams PICTURES... --out=DIR/NAME --runner=RUNNER [flags]

As nst-tf batch, and as nst-tf grams, but by Apache Beam (pip install 'nst_tf[beam]'): on this
machine, or on a cluster. Files, folders and patterns may be of every file system that Beam knows.
What could not be made is in failures-*.jsonl with its name and the reason, all else in
manifest-*.jsonl; the exit code is 1 where there are failures.

    nst-tf beam stylize 'gs://b/photos/*' --styles=gs://b/night.jpg --out=gs://b/painted
        --runner=DataflowRunner --project=... --region=... --temp_location=gs://b/temp
    nst-tf beam stylize photos/ --styles=night.jpg --out=painted --runner=DaskRunner
    nst-tf beam grams paintings/ --out=corpus/paintings --shards=4 --direct_num_workers=0

Flags that are not below are Beam's own, as --name=value; docs/beam.md has more of them.
"""

#: The flags that hold with --stylizer, and those of `grams`.
_OF_STYLIZER = ("stylizer", "styles", "out", "pairs", "names", "shards", "strength", "size")
_OF_GRAMS = ("out", "shards", "weights", "size", "layers")
#: Longer side of pictures that `grams` looks at.
_GRAMS_SIZE = 256


def define_flags() -> flags.FlagValues:
    """The command's flags, apart from absl's global ones."""
    values = flags.FlagValues()
    ordering.define(values)
    flags.DEFINE_string(
        "out", None, "The folder for all that it writes; of grams, with a name.", flag_values=values
    )
    flags.DEFINE_integer(
        "shards",
        1,
        "How many files the manifest, the failures and the styles have each.",
        lower_bound=1,
        flag_values=values,
    )
    flags.DEFINE_list("layers", [], "Of grams: such as conv1_1,conv3_1.", flag_values=values)
    run_flags.define_recipe(values)
    return values


def main(argv: list[str]) -> int:
    """Runs the command on `argv`, the command's name and what follows; returns the exit code."""
    values = define_flags()
    others: list[str] = []
    kind, *arguments = command.parse(values, USAGE, argv, required=2, others=others)
    if kind not in ("stylize", "grams"):
        raise command.UsageError(f"no {kind!r}: use nst-tf beam stylize, or nst-tf beam grams")
    if not values.out:
        raise command.UsageError("name the folder for what it writes: --out=DIR")
    if kind == "grams":
        command.refuse_others(values, _OF_GRAMS, "nst-tf beam grams")
    elif values.layers:
        raise command.UsageError("--layers is of nst-tf beam grams: leave it out")
    elif values.stylizer:
        command.refuse_others(values, _OF_STYLIZER, "--stylizer")
    command.import_tensorflow()
    # What its import warns of, clients of clouds that are not there, is nobody's concern here.
    logging.getLogger().setLevel(logging.ERROR)
    try:
        import apache_beam as beam
        from apache_beam.runners.dask import dask_runner  # noqa: F401  its options are known then
    except ImportError as error:
        raise NSTError("nst-tf beam needs Apache Beam: pip install 'nst_tf[beam]'") from error
    finally:
        logging.getLogger().setLevel(logging.WARNING)
    try:
        pipeline = beam.Pipeline(options=_options(others))
    except (ValueError, SystemExit) as error:  # an unknown runner, an option without its value
        raise command.UsageError(f"Beam does not take {' '.join(others)}: {error}") from error
    make = _stylize if kind == "stylize" else _grams
    written = make(values, arguments, pipeline)
    pipeline.run().wait_until_finish()
    return _end(written)


def _options(others: Sequence[str]) -> Any:
    """Beam's options, of which those that nobody knows are refused where nobody else could."""
    from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions

    # Which Beam knows by its whole name alone.
    dask = "--runner=apache_beam.runners.dask.dask_runner.DaskRunner"
    given = [dask if one == "--runner=DaskRunner" else one for one in others]
    options = PipelineOptions(given)
    runner = str(options.view_as(StandardOptions).runner or "DirectRunner")
    if runner.endswith("DaskRunner") and not any("--dask_p" in one for one in given):
        # A picture takes seconds: each can be done again by itself where a worker is lost.
        options = PipelineOptions([*given, "--dask_npartitions=1000000"])
    if runner.endswith(("DirectRunner", "DaskRunner")):
        known = PipelineOptions(given).get_all_options()
        unknown = PipelineOptions(given).get_all_options(retain_unknown_options=True)
        if wrong := sorted(unknown.keys() - known.keys()):
            raise command.UsageError(f"neither nst-tf beam nor Beam knows --{wrong[0]}")
    return options


def _stylize(values: flags.FlagValues, arguments: Sequence[str], pipeline: Any) -> _Written:
    """Has pictures painted."""
    import apache_beam as beam

    from nst_tf.beam import storing
    from nst_tf.beam.manifest import WriteManifest
    from nst_tf.beam.stylize import Paint, Painting

    found = ordering.ordered(values, arguments, _files)
    outputs = names.outputs(found, values.names, Path())
    if values.stylizer:  # of whose settings the size alone counts
        size = values["size"].value or None
        recipes = [(presets.settings(values.preset, size=size), "mini")] * len(found)
    else:
        recipes = ordering.recipes(values, found)
    for settings, weights in ordering.distinct(recipes):
        with storing.local_copy(presets.network(settings.preset, weights)) as path:
            weights_module.at_once(path)
    works = [
        Painting(output.as_posix(), order.content, order.styles, *recipe)
        for order, output, recipe in zip(found, outputs, recipes, strict=True)
    ]
    paint = Paint(values.out, stylizer=values.stylizer, strength=ordering.painted(values))
    (
        pipeline
        | "Paintings" >> beam.Create(works)
        | "Spread" >> beam.Reshuffle()
        | "Paint" >> beam.ParDo(paint)
        | "Manifest" >> WriteManifest(values.out, values.shards)
    )
    print(f"{len(works)} pictures to {values.out}", flush=True)
    folders = {posixpath.dirname(posixpath.join(values.out, one.output)) for one in works}
    return _Written(_forgotten(values.out), {values.out, *folders})


def _grams(values: flags.FlagValues, arguments: Sequence[str], pipeline: Any) -> _Written:
    """Has styles measured."""
    import apache_beam as beam

    from nst_tf.beam import Grams, ReadPictures, WriteManifest, WriteStyles, storing

    if type(pipeline.runner).__name__ == "DaskRunner":
        raise SettingsError(
            "Beam's runner for Dask loses what is left of a batch at the end of its pictures: use "
            "another for grams"
        )
    folder, _, name = values.out.rpartition("/")
    size = _GRAMS_SIZE if values["size"].value is None else values["size"].value or None
    layers = values.layers or list(presets.settings(presets.PUBLISHED).style_layers)
    with storing.local_copy(values.weights) as path:
        network = weights_module.load(presets.network(presets.PUBLISHED, path)).sha256
    paths = _files(arguments)
    read = pipeline | beam.Create(paths) | beam.Reshuffle() | ReadPictures(size)
    measured = read.good | "Grams" >> Grams(layers, values.weights)
    styles = WriteStyles(values.out, layers, size or 0, network, values.shards)
    measured.good | "Styles" >> styles
    failed = (read.failed, measured.failed) | beam.Flatten()
    keyed = failed | beam.Map(lambda failure: (failure.name, failure))
    keyed | WriteManifest(folder or ".", values.shards, f"{name}-")
    print(f"{len(paths)} pictures to {values.out}-*.npz", flush=True)
    return _Written(_forgotten(folder or ".", f"{name}-"), {folder or "."})


def _files(patterns: Sequence[str]) -> list[str]:
    """The pictures that paths, folders and patterns stand for, on any file system."""
    from nst_tf.beam import storing

    found: list[str] = []
    for pattern in patterns:
        whole = pattern.rstrip("/")
        if pattern.endswith("/") or Path(pattern).is_dir():
            paths = [path for path in storing.matched([f"{whole}/*"]) if _is_picture(path)]
            if not paths:
                raise PictureError(f"no picture is in the folder {pattern}")
            found += paths
        else:
            found += storing.matched([pattern])
    return list(dict.fromkeys(found))


def _is_picture(path: str) -> bool:
    name = Path(path)
    return name.suffix.lower() in images.FORMATS and not name.name.startswith(".")


def _forgotten(folder: str, prefix: str = "") -> str:
    """The pattern of the failures' files, of which none of an earlier time is left."""
    from nst_tf.beam import storing

    pattern = f"{folder}/{prefix}failures-*.jsonl"
    storing.forget(pattern)
    return pattern


class _Written(NamedTuple):
    """The pattern of the failures' files, and the folders that were written into."""

    failures: str
    folders: set[str]


def _end(written: _Written) -> int:
    """Tidies up, and says what could not be made; the exit code."""
    from nst_tf.beam import storing

    for folder in written.folders:
        storing.swept(folder)
    paths = storing.found(written.failures)
    lines = [line for path in paths for line in storing.read_file(path).splitlines()]
    if not lines:
        return 0
    told = json.loads(lines[0])
    more = f", and {len(lines) - 1} more: {written.failures}" * (len(lines) > 1)
    first = f"{told['name']} could not be made: {told['reason']}"
    print(f"nst-tf beam: {one_line(first)}{more}", file=sys.stderr)
    return command.SOME_FAILED
