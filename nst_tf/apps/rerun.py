"""`nst-tf rerun`: a result made again from the .json beside it, and whether it is the same."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

from nst_tf import files, signals
from nst_tf.apps import command, run_flags
from nst_tf.errors import DivergenceError, FileError
from nst_tf.pictures import images, initial
from nst_tf.run.again import Files, Manifest
from nst_tf.run.output import Output

USAGE = """
nst-tf rerun OUT.json [-o AGAIN.png] [flags]

Makes the result that OUT.json lies beside again: with its settings, from the same pictures and
weights, which are known by their hashes. Writes it to OUT-again.png, with a .json of its own, and
says whether its pixels, in 8 bits, are the same; where they are not, what is not as it was:
versions, processor, threads, devices. A run that was stopped is stopped where it was.

    nst-tf rerun out.json
    nst-tf rerun theirs/out.json --inputs=pictures/

Exit code 0 where the pixels are the same, 1 where they are not or there is no hash to compare with.
"""

#: Exit code where another picture came out.
OTHER = 1


def define_flags() -> flags.FlagValues:
    """The command's flags, apart from absl's global ones."""
    values = flags.FlagValues()
    flags.DEFINE_string(
        "output",
        None,
        "Where the result goes; by default beside OUT.json, with -again.png.",
        short_name="o",
        flag_values=values,
    )
    flags.DEFINE_string(
        "inputs",
        None,
        "A folder where pictures and weights are looked for by their names, where they are not at "
        "the places that OUT.json says.",
        flag_values=values,
    )
    run_flags.define_max_memory(values)
    run_flags.define_deterministic(values)
    flags.DEFINE_boolean("quiet", False, "No progress bar.", flag_values=values)
    return values


def main(argv: list[str]) -> int:
    """Runs the command on `argv`, the command's name and what follows; returns the exit code."""
    values = define_flags()
    arguments = command.parse(values, USAGE, argv, required=1, most=1)
    run_flags.check_max_memory(values)
    path, folder = Path(arguments[0]), Path(values.inputs) if values.inputs else None
    manifest = Manifest.read(path, folder)
    found = manifest.files()
    output = Path(values.output or path.with_name(f"{path.stem}-again.png"))
    begun = [] if manifest.method else initial.files(manifest.settings().init)
    _check_output(output, path, [*found.pictures, *begun])
    values.deterministic = values.deterministic or manifest.deterministic
    make = _run if manifest.method is None else _classical
    made, told = make(values, manifest, found, output)
    print(f"{output}: written")
    print("\n".join(manifest.verdict(told)))
    if manifest.sha256 == told["result_sha256"]:
        return 0
    _tell_distance(manifest, made)
    return OTHER


def _check_output(output: Path, manifest: Path, inputs: Sequence[str]) -> None:
    """Finds out before the long work that a result cannot be written, or would be over another."""
    images.check_target(output)
    beside = output.with_suffix(".json")
    files.check_writable(beside)
    if beside.resolve() == manifest.resolve():
        raise FileError(f"{output} is the result that is to be made again: name another output")
    if any(output.resolve() == Path(picture).resolve() for picture in inputs):
        raise FileError(f"{output} is one of the pictures to read: name another output")


def _run(
    values: flags.FlagValues, manifest: Manifest, found: Files, output: Path
) -> tuple[np.ndarray, dict[str, Any]]:
    """Runs with a network; the picture and its manifest."""
    settings, source = manifest.settings(), manifest.network()
    image = manifest.told["image"]
    target = Output(output, (image["height"], image["width"]))
    command.import_tensorflow()
    run_flags.determine(values)
    from nst_tf.network import weights as weights_module
    from nst_tf.run.record import Step
    from nst_tf.run.transfer import StyleTransfer
    from nst_tf.watch.watchers import Watchers

    def stop_where_it_was(step: Step) -> None:
        if manifest.ended(step.iteration):
            run.stop()

    weights = weights_module.load(source, seed=settings.seed)
    manifest.check_network(weights.sha256)
    run = StyleTransfer(
        found.content,
        found.styles,
        protect=found.protect,
        settings=settings,
        weights=weights,
        callbacks=[*Watchers(bar=not values.quiet)(), stop_where_it_was],
        tile=manifest.tile,
        engine=manifest.told["engine"],
        dtype=manifest.told["dtype"],
        max_memory=values.max_memory,
        keep_snapshots=False,
    )
    with signals.stopping(run.stop, lambda: bool(run.history)) as stop:
        try:
            result = run.run()
        except DivergenceError as error:
            if error.result is None:
                raise
            result = error.result
    if result.stopped == "interrupted" and not manifest.ended(result.manifest["iterations"]):
        raise signals.Signalled(stop.number or signal.SIGINT)  # half of it is nothing to compare
    target.save(result.array, result.manifest)
    return result.array, result.manifest


def _classical(
    values: flags.FlagValues, manifest: Manifest, found: Files, output: Path
) -> tuple[np.ndarray, dict[str, Any]]:
    """Paints by a method from before neural networks; the picture and its manifest."""
    from nst_tf.classical import methods

    if manifest.method not in methods.TRANSFERS or len(found.styles) != 1:
        raise FileError(f"{manifest.path}: {manifest.method} is no method that paints")
    command.import_tensorflow()
    from nst_tf.run import classical_work, one_go
    from nst_tf.watch.progress_bar import share_bar

    work = classical_work.Painting(
        str(manifest.method),
        str(manifest.method),
        found.content,
        str(found.styles[0]),
        manifest.size,
        output,
        manifest.told["seed"],
    )
    with share_bar(shown=not values.quiet) as report:
        told, made = one_go.make(work, work.load(), report)
    return made, told


def _tell_distance(manifest: Manifest, made: np.ndarray) -> None:
    """Says how far the new picture is from the one beside the manifest, if that is still there."""
    from nst_tf.run import record

    for suffix in images.FORMATS:
        path = manifest.path.with_suffix(suffix)
        if not path.is_file():
            continue
        before = images.load(path)
        if record.pixels_sha256(before) == manifest.sha256:
            apart = np.abs(images.to_uint8(made).astype(int) - images.to_uint8(before))
            print(f"{(apart > 0).mean():.2%} of the values differ, by {apart.max()} of 255 at most")
            return
