"""`nst-tf batch`: many photos, many paintings, one command that compiles once and loses nothing."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from nst_tf import files, locks, signals
from nst_tf.apps import command, ordering, run_flags
from nst_tf.batch import names
from nst_tf.errors import in_bytes
from nst_tf.network import weights as weights_module
from nst_tf.recipe import presets

if TYPE_CHECKING:
    from nst_tf.batch.foresee import Foreseen
    from nst_tf.run.jobs import Engine, Work

USAGE = """
nst-tf batch CONTENTS... --styles=STYLE,... --out=DIR [flags]
nst-tf batch TABLE.csv|TABLE.jsonl [--styles=STYLE,...] --out=DIR [flags]

Paints many photos (files, folders, patterns) in each of many paintings, or pair by pair, or what a
table says line by line. Writes the pictures, each with its .json, index.html with all of them,
results.csv, and failures.csv with what could not be made and why: that does not stop the others,
and the exit code is 1. What is done is kept, what is in its midst is put aside: the same command
goes on where it was, whatever ended it.

    nst-tf batch photos/ --styles=starry_night.jpg,wave.jpg --out=painted --size=512 --workers=2
    nst-tf batch photos/*.jpg --styles=paintings/ --pairs --out=painted --names={number}-{content}
    nst-tf batch table.csv --out=painted --dry_run
    nst-tf batch photos/ --stylizer=trained/stylizer.keras --out=painted

A table has a column content, and may have style (several with ; between them are blended), output,
preset, weights and every setting by its flag's name; other columns are for --names. Its files are
looked for from its own folder on.
"""

#: The flags that hold with --stylizer.
_OF_STYLIZER = (
    *("stylizer", "styles", "out", "pairs", "names", "workers"),
    *("strength", "size", "quiet", "dry_run"),
)


def define_flags() -> flags.FlagValues:
    """The command's flags, apart from absl's global ones."""
    values = flags.FlagValues()
    text = partial(flags.DEFINE_string, flag_values=values)
    switch = partial(flags.DEFINE_boolean, flag_values=values)
    ordering.define(values)
    text("out", None, "The folder for all that it writes.")
    flags.DEFINE_integer(
        "workers",
        1,
        "Processes that share the work; on a processor they share its cores, too.",
        lower_bound=1,
        flag_values=values,
    )
    switch("dry_run", False, "List what would be done and how long that takes; write nothing.")
    run_flags.define(values)
    run_flags.define_checkpoint_every(values)
    return values


def main(argv: list[str]) -> int:
    """Runs the command on `argv`, the command's name and what follows; returns the exit code."""
    values = define_flags()
    arguments = command.parse(values, USAGE, argv, required=1)
    if not values.out:
        raise command.UsageError("name the folder for what it writes: --out=DIR")
    if values.stylizer:
        command.refuse_others(values, _OF_STYLIZER, "--stylizer")
        command.import_tensorflow()  # a stylizer's file says what its paintings are called
    run_flags.check_max_memory(values)
    batch = _Batch(values, arguments)
    if values.dry_run:
        return batch.foresee()
    files.make_folder(batch.folder)
    with locks.alone(batch.folder):
        return batch.make()


class _Batch:
    """The pictures of one command, each known by its name in the folder."""

    def __init__(self, values: flags.FlagValues, arguments: Sequence[str]) -> None:
        self._values, self.folder = values, Path(values.out)
        self._tile = run_flags.tile(values)
        self._orders = ordering.ordered(values, arguments)
        self._outputs = names.outputs(self._orders, values.names, self.folder)
        self._recipes = [] if values.stylizer else ordering.recipes(values, self._orders)
        for settings, weights in ordering.distinct(self._recipes):
            weights_module.at_once(presets.network(settings.preset, weights))

    def make(self) -> int:
        """Makes what is not there, and the report."""
        values = self._values
        from nst_tf import page

        if not page.available():
            print(
                "no index.html will be written: pages need pip install 'nst_tf[experiments]'",
                file=sys.stderr,
            )
        engine, works = self._begin()
        from nst_tf.batch import report
        from nst_tf.run.jobs import Jobs
        from nst_tf.watch.progress_bar import JobsBar

        with JobsBar(works, shown=not values.quiet) as bar:
            jobs = Jobs(works, engine, values.workers, bar, None, True, self.folder, report.figures)
            with signals.stopping(jobs.stop) as stop:
                done = jobs.run()
        settings = f"stylizer: {values.stylizer}"
        if not values.stylizer:
            settings = report.common(ordering.distinct(self._recipes))
        told = {
            path.relative_to(self.folder).as_posix(): order
            for path, order in zip(self._outputs, self._orders, strict=True)
        }
        print(report.write(self.folder, told, done, jobs.failures, settings))
        if failed := len(jobs.failures):
            name, why = next(iter(jobs.failures.items()))
            more = f", and {failed - 1} more: {self.folder / report.FAILURES}" * (failed > 1)
            print(f"nst-tf batch: {name} could not be made: {why}{more}", file=sys.stderr)
        if left := len(works) - len(done) - failed:
            print(f"{left} pictures are left: the same command goes on with them")
            return stop.code
        return command.SOME_FAILED if failed else 0

    def foresee(self) -> int:
        """Lists what would be done."""
        engine, works = self._begin()
        from nst_tf.batch import foresee

        peak, seconds, compiling, counts = 0, 0.0, 0.0, dict.fromkeys(("to make", "done", "not"), 0)
        for one in foresee.foresee(works, engine):
            print(_line(one), flush=True)
            counts["not" if one.error else "done" if one.done else "to make"] += 1
            peak, seconds = max(peak, one.peak), seconds + one.seconds
            compiling += one.compiling
        workers = min(self._values.workers, max(1, counts["to make"]))
        print(
            f"{len(works)} pictures: {counts['to make']} to make, {counts['done']} done, "
            f"{counts['not']} that cannot be made"
        )
        total = command.duration(seconds / workers + compiling)
        memory = f", and {in_bytes(peak * workers)} of memory" if peak else ""
        print(f"takes about {total}" + f" with {workers} workers" * (workers > 1) + memory)
        return command.SOME_FAILED if counts["not"] else 0

    def _begin(self) -> tuple[Engine, Sequence[Work]]:
        """How pictures are computed, and the work that makes them."""
        values = self._values
        command.import_tensorflow()
        if values.dry_run and values.workers > 1:  # measured as one of them
            from nst_tf.run import jobs

            jobs.share_cores(values.workers)
        run_flags.determine(values)
        from nst_tf.batch import plan
        from nst_tf.network import machine
        from nst_tf.run.jobs import Engine

        chosen, dtype = machine.choose_engine(values.engine), machine.choose_dtype(values.dtype)
        engine = Engine(self._tile, chosen, dtype, values.checkpoint_every, values.max_memory)
        if values.stylizer:
            size = values["size"].value or None
            how = values.stylizer, ordering.painted(values), size
            return engine, plan.passes(self._orders, self._outputs, *how, self.folder)
        print(f"engine: {chosen} in {dtype}; others: --engine, --dtype", flush=True)
        logdir = Path(values.logdir) if values.logdir else None
        return engine, plan.runs(self._orders, self._outputs, self._recipes, self.folder, logdir)


def _line(one: Foreseen) -> str:
    if one.shape is None:
        return f"{one.name}: cannot be made: {one.error}"
    size = f"{one.name}: {one.shape[1]}x{one.shape[0]}"
    return f"{size}, done" if one.done else f"{size}, about {command.duration(one.seconds)}"
