"""`nst-tf experiment`: the figures that people make of this algorithm, from one command each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from absl import flags

from nst_tf import files, locks, signals
from nst_tf.apps import command, run_flags
from nst_tf.experiments.plan import Inputs, Plan
from nst_tf.experiments.sweeps import SWEEPS
from nst_tf.network import weights as weights_module
from nst_tf.pictures import images, masks
from nst_tf.recipe import presets

USAGE = """
nst-tf experiment NAME CONTENT STYLE [STYLE ...] --out=DIR [flags]

Runs an experiment and writes DIR/index.html (one page with its pictures, plots and tables), the
pictures, results.csv and run.json. A run that is done is kept, one in its midst is put aside: the
same command goes on where it was, whatever ended it.

    nst-tf experiment ratio photo.jpg painting.jpg --out=ratio
    nst-tf experiment styles photo.jpg one.jpg two.jpg three.jpg --out=styles --size=384
    nst-tf experiment optimizers photo.jpg painting.jpg --out=o --values=adam,lbfgs

Experiments:
"""

#: What is no sweep of runs.
_FEATURE_MAPS, _CLASSICAL = "feature-maps", "classical"
_OTHERS = {
    _FEATURE_MAPS: "the strongest maps of a low, a middle and a high layer; Gram matrices",
    _CLASSICAL: "texture synthesis and transfer from before neural networks, beside Gatys' own",
}


def define_flags() -> flags.FlagValues:
    """The command's flags, apart from absl's global ones."""
    values = flags.FlagValues()
    flags.DEFINE_string("out", None, "The folder for all that it writes.", flag_values=values)
    flags.DEFINE_list(
        "values",
        [],
        "What to vary over, in place of the experiment's own: weights, step lengths, layers, sizes,"
        " optimizers, initial images, seeds, shares, iterations or presets.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "workers",
        1,
        "Processes that share the runs; on a processor they share its cores, too.",
        lower_bound=1,
        flag_values=values,
    )
    flags.DEFINE_enum(
        "preset",
        None,
        list(presets.PRESETS),
        "Published recipe to start from; by default the experiment's own.",
        flag_values=values,
    )
    run_flags.define(values)
    run_flags.define_checkpoint_every(values)
    return values


def usage() -> str:
    """The usage with a line for each experiment."""
    lines = {name: sweep.help for name, sweep in SWEEPS.items()} | _OTHERS
    return USAGE + "\n".join(f"  {name:16}{what}" for name, what in lines.items())


def main(argv: list[str]) -> int:
    """Runs the command on `argv`, the command's name and what follows; returns the exit code."""
    values = define_flags()
    arguments = command.parse(values, usage(), argv, required=3)
    name, content, *styles = arguments
    masks.refuse(styles, "an experiment")
    known = (*SWEEPS, *_OTHERS)
    if name not in known:
        raise command.UsageError(f"no experiment {name!r}: use one of {', '.join(known)}")
    if not values.out:
        raise command.UsageError("name the folder for what it writes: --out=DIR")
    inputs = Inputs(
        content,
        tuple(styles),
        values.weights,
        values.preset,
        run_flags.changes(values, values.preset or presets.PUBLISHED),
        tuple(values["values"].value),
    )
    plan = SWEEPS[name](inputs) if name in SWEEPS else None
    if plan is None and values.logdir:
        raise command.UsageError(f"{name} knows no --logdir: leave it out")
    tile = run_flags.tile(values)
    run_flags.check_max_memory(values)
    for picture in (content, *styles):
        images.load(picture, values.size or None)  # what cannot be read is found out at once
    source = presets.network(values.preset or presets.PUBLISHED, values.weights)
    source = weights_module.at_once(source)
    folder = Path(values.out)
    files.make_folder(folder)
    with locks.alone(folder):
        return _experiment(values, inputs, plan, name, source, folder, tile)


def _experiment(
    values: flags.FlagValues,
    inputs: Inputs,
    plan: Plan | None,
    name: str,
    source: Any,
    folder: Path,
    tile: int | str,
) -> int:
    """Makes what an experiment consists of, as far as it is not there, and its page."""
    command.import_tensorflow()
    run_flags.determine(values)
    from nst_tf import page
    from nst_tf.experiments import report
    from nst_tf.experiments.grid import Folder
    from nst_tf.network import machine
    from nst_tf.run.jobs import Engine, Jobs, Manifest, Work
    from nst_tf.watch.progress_bar import JobsBar

    page.check_installed()
    network = weights_module.load(source)
    print(command.weights_line(network.source, network.kind), flush=True)
    if name == _FEATURE_MAPS:
        from nst_tf.experiments import feature_maps

        print(feature_maps.run(inputs, folder))
        return 0
    if plan is None:
        from nst_tf.experiments.classical import Classical

        classical = Classical(inputs, folder)
        jobs: Sequence[Work] = classical.works
        write: Callable[[dict[str, Manifest]], Path] = classical.write
    else:
        for note in plan.notes:
            print(note)
        made = Folder(folder, Path(values.logdir) if values.logdir else None)
        jobs, write = made.jobs(plan.cells), partial(report.write, plan, folder=made)
    engine = machine.choose_engine(values.engine)
    dtype = machine.choose_dtype(values.dtype)
    print(f"engine: {engine} in {dtype}; others: --engine, --dtype", flush=True)
    with JobsBar(jobs, shown=not values.quiet) as bar:
        how = Engine(tile, engine, dtype, values.checkpoint_every, values.max_memory)
        running = Jobs(jobs, how, values.workers, bar, held=folder)
        with signals.stopping(running.stop) as stop:
            manifests = running.run()
    print(write(manifests))
    missing = len(jobs) - len(manifests)
    if missing:
        print(f"{missing} of {len(jobs)} runs are left: the same command goes on with them")
        return stop.code
    return 0
