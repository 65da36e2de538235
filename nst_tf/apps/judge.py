"""`nst-tf judge`: how good results are, by numbers; single pictures, or methods on many pairs."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from nst_tf import files, locks, signals
from nst_tf.apps import command, run_flags
from nst_tf.errors import NSTError
from nst_tf.judge import protocol as protocols
from nst_tf.judge.protocol import Protocol
from nst_tf.pictures import heads, images
from nst_tf.recipe import presets

if TYPE_CHECKING:
    from nst_tf.judge.comparison import Comparison

USAGE = """
nst-tf judge CONTENT STYLE RESULT [RESULT ...] [--out=DIR]
nst-tf judge --protocol=small|brief|full --methods=METHOD,... --pictures=DIR --out=DIR

Measures how much of a painting's style results have gained, under networks that they were perhaps
not optimised with, and how much of the photo they have kept; always beside the untouched photo
(identity) and the painting in its place (style). Writes index.html, results.csv, table.csv and
judge.json into DIR.

    nst-tf judge photo.jpg painting.jpg results/*.png
    nst-tf judge --protocol=small --methods=gatys2016,quilting,reinhard --pictures=DIR --out=judged
    nst-tf judge --protocol=full --methods=gatys2016 --contents=photos/ --styles=paintings/ --out=j

With a protocol, every method paints every pair first. What is done is kept, what is in its midst is
put aside: the same command goes on where it was, whatever ended it. Methods are presets, each with
every network of --weights:
{presets};
and classical ones:
{classical}.
"""

#: Of a run of one scale under a protocol, where the user does not say.
_EVALUATIONS = 200
#: The flags that hold for single pictures; all hold for a protocol.
_OF_PICTURES = ("judges", "weights", "out", "workers", "quiet")


def define_flags() -> flags.FlagValues:
    """The command's flags, apart from absl's global ones."""
    values = flags.FlagValues()
    flags.DEFINE_enum(
        "protocol",
        None,
        list(protocols.names()),
        "Pairs: small (8 x 5 at 512 pixels), brief (8 of these) or full (20 x 10 at 256).",
        flag_values=values,
    )
    flags.DEFINE_list("methods", [], "What to compare under the protocol.", flag_values=values)
    flags.DEFINE_string(
        "pictures",
        None,
        "The folder that the protocol's pictures lie in; the two bundled pictures stand in where "
        "there is none.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "contents",
        None,
        "A folder or pattern of photos in place of the protocol's.",
        flag_values=values,
    )
    flags.DEFINE_string("styles", None, "Likewise of paintings.", flag_values=values)
    flags.DEFINE_list(
        "results",
        [],
        "Rows of results that were made elsewhere, each NAME=DIR, where DIR has a picture "
        "CONTENT--STYLE.png for each pair.",
        flag_values=values,
    )
    flags.DEFINE_list(
        "weights",
        ["auto"],
        "The networks that presets optimise with, as `nst-tf stylize` takes them.",
        flag_values=values,
    )
    flags.DEFINE_list(
        "judges",
        ["auto"],
        "The networks that judge. 'auto' is mini, and VGG19 where --weights, $NST_TF_WEIGHTS "
        "or Keras has it.",
        flag_values=values,
    )
    flags.DEFINE_string("out", None, "The folder for all that it writes.", flag_values=values)
    flags.DEFINE_integer(
        "workers", 1, "Processes that share the work.", lower_bound=1, flag_values=values
    )
    run_flags.define_settings(values, run_flags.SETTINGS)
    run_flags.define_engine(values)
    run_flags.define_checkpoint_every(values)
    return values


def usage() -> str:
    """The usage with the names of all methods."""
    from nst_tf.classical import methods as classical

    return USAGE.format(
        presets=", ".join(presets.PRESETS), classical=", ".join(classical.TRANSFERS)
    )


def main(argv: list[str]) -> int:
    """Runs the command on `argv`, the command's name and what follows; returns the exit code."""
    values = define_flags()
    arguments = command.parse(values, usage(), argv, required=0)
    if values.protocol is None:
        if len(arguments) < 3:
            raise command.UsageError(
                "name CONTENT STYLE RESULT..., or a --protocol; --help says more"
            )
        command.refuse_others(values, _OF_PICTURES, "judging single pictures")
        return _pictures(values, arguments)
    if arguments:
        raise command.UsageError(f"a protocol names the pictures itself: leave out {arguments[0]}")
    if not values.out:
        raise command.UsageError("name the folder for what it writes: --out=DIR")
    return _protocol(values)


def _pictures(values: flags.FlagValues, arguments: Sequence[str]) -> int:
    """Judges single pictures of one pair."""
    content, style, *results = arguments
    there = [result for result in results if Path(result).is_file()]
    if not there:
        raise NSTError(f"none of the results is there: {', '.join(results)}")
    # Its head says how large it is; where it does not, the reader what is wrong.
    size = max(heads.shape(there[0]) or images.load(there[0]).shape[:2])
    for path in (content, style):
        images.load(path, size)  # what cannot be read is found out at once
    command.import_tensorflow()
    from nst_tf.judge.comparison import Comparison
    from nst_tf.judge.methods import IDENTITY, STYLE, Method

    _check_installed(values)
    protocol = Protocol("pictures", size, (Path(content),), (Path(style),))
    methods = [Method(IDENTITY), Method(STYLE)]
    methods += [Method(result, results=Path(result)) for result in dict.fromkeys(results)]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(values.out or folder)
        files.make_folder(out)
        with locks.alone(out):
            return _judge(values, Comparison(protocol, methods, out, _judges(values)), {})


def _protocol(values: flags.FlagValues) -> int:
    """Makes the pictures of a protocol, as far as they are not there, and judges them."""
    protocol = protocols.load(
        values.protocol, values.pictures, values.contents, values.styles, values["size"].value
    )
    results = [_named(part) for part in values.results]
    tile = run_flags.tile(values)
    run_flags.check_max_memory(values)
    out = Path(values.out)
    files.make_folder(out)
    with locks.alone(out):
        return _compare(values, protocol, results, tile)


def _compare(
    values: flags.FlagValues,
    protocol: Protocol,
    results: Sequence[tuple[str, str]],
    tile: int | str,
) -> int:
    """Compares methods under a protocol."""
    command.import_tensorflow()
    run_flags.determine(values)
    from nst_tf.judge import methods as methods_module
    from nst_tf.judge.comparison import Comparison
    from nst_tf.network import machine
    from nst_tf.run.jobs import Engine, Jobs
    from nst_tf.watch.progress_bar import JobsBar

    _check_installed(values)
    networks = methods_module.labels(values.weights)
    methods = methods_module.choose(values.methods, networks, results)
    comparison = Comparison(protocol, methods, Path(values.out), _judges(values))
    changes = {"": {"seed": values["seed"].value or 0}}
    changes |= {
        method.preset: _limited(method.preset, run_flags.changes(values, method.preset))
        for method in methods
        if method.preset
    }
    paintings = comparison.paintings(changes)
    engine, dtype = machine.choose_engine(values.engine), machine.choose_dtype(values.dtype)
    print(
        f"{len(protocol.pairs)} pairs at {protocol.size} pixels, {len(paintings)} pictures to "
        f"make; engine: {engine} in {dtype}; judged by {', '.join(comparison.networks)}",
        flush=True,
    )
    with JobsBar(paintings, shown=not values.quiet) as bar:
        how = Engine(tile, engine, dtype, values.checkpoint_every, values.max_memory)
        painting = Jobs(paintings, how, values.workers, bar, keep_going=True)
        with signals.stopping(painting.stop) as stop:
            done = painting.run()
    left = len(paintings) - len(done) - len(painting.failures)
    if left:
        print(f"{left} pictures are left: the same command goes on with them")
        return stop.code
    notes = [f"{name} could not be made: {error}" for name, error in painting.failures.items()]
    notes += [
        f"{name} diverged" for name, ended in done.items() if ended.get("stopped") == "diverged"
    ]
    settings = {
        **{f"settings of {name}": made for name, made in changes.items() if name},
        "seed": changes[""]["seed"],
        "engine": f"{engine} in {dtype}",
    }
    made = replace(comparison, failed=tuple(painting.failures))
    return _judge(values, made, settings, notes)


def _judge(
    values: flags.FlagValues,
    comparison: Comparison,
    settings: dict[str, Any],
    notes: Sequence[str] = (),
) -> int:
    """Judges what there is, prints the table and writes the report."""
    from nst_tf.judge import report
    from nst_tf.run.jobs import Jobs
    from nst_tf.watch.progress_bar import JobsBar

    judgings = comparison.judgings()
    with JobsBar(judgings, shown=not values.quiet) as bar:
        judging = Jobs(judgings, workers=values.workers, observer=bar)
        with signals.stopping(judging.stop) as stop:
            manifests = judging.run()
    left = len(judgings) - len(manifests)
    if left:
        again = ": the same command goes on with them" if values.out else ""
        print(f"{left} judgements are left{again}")
        return stop.code
    hashes = next(iter(manifests.values()))["networks"]
    settings |= {
        f"judge {name}": f"{source}, sha256 {hashes[name]}"
        for name, source in comparison.networks.items()
    }
    judged = comparison.judged(manifests)
    rows = comparison.rows(judged)
    print(_text(report.shown(rows, list(comparison.networks), comparison.reference)))
    missing = comparison.missing()
    notes = [*notes, *(f"missing: {picture}" for picture in missing)]
    print(*notes, sep="\n", end="\n" if notes else "")
    if values.out:
        print(report.write(comparison, rows, judged, settings, notes))
    return command.BAD_INPUT if missing else 0


def _judges(values: flags.FlagValues) -> dict[str, str]:
    """The networks that judge, VGG19 first: it knows most."""
    from nst_tf.judge.methods import labels

    if values.judges == ["auto"]:
        known = labels([*values.weights, "auto", "mini"])
        return {label: known[label] for label in ("vgg19", "mini") if label in known}
    return labels(values.judges)


def _check_installed(values: flags.FlagValues) -> None:
    from nst_tf import page
    from nst_tf.judge import measures

    measures.check_installed()
    if values.out:
        page.check_installed()


def _limited(preset: str, changes: dict[str, Any]) -> dict[str, Any]:
    """Changes of a preset with an end that is the same for all that have none of their own."""
    if presets.has_own_end(preset, changes):
        return changes
    return {"evaluations": _EVALUATIONS, **changes}


def _named(part: str) -> tuple[str, str]:
    name, separator, folder = part.partition("=")
    if not (name and separator and folder):
        raise command.UsageError(f"--results={part}: say NAME=DIR")
    return name, folder


def _text(table: Sequence[Sequence[str]]) -> str:
    """The table for a terminal: a line a measure, a column a method."""
    turned = list(zip(*table, strict=True))
    widths = [max(map(len, column)) for column in zip(*turned, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in turned
    )
