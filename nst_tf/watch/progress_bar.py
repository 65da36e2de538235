"""Progress bars: of one run, of many jobs, of a share of something."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TextIO

from tqdm.auto import tqdm

from nst_tf.run.jobs import Work
from nst_tf.run.record import Step
from nst_tf.run.transfer import Callback, StyleTransfer


class ProgressBar(Callback):
    """A progress bar with iteration, evaluations, every kind of loss, rate and time left.

    Args:
      stream: where to; None is standard error. Where that is no terminal, a line every ten
        seconds at most.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream
        self._bar: Any = None
        self._goes_on = False

    def on_begin(self, run: StyleTransfer) -> None:
        self._goes_on = bool(run.history)
        settings = run.settings
        by_evaluations = settings.evaluations is not None
        stream = self._stream or sys.stderr
        counts = "{n_fmt}/{total_fmt}{unit} [{elapsed}<{remaining}, {rate_fmt}]"
        limits = run.stages[0].limits  # a recipe's are those at 512 pixels
        total: float | None = limits.evaluations if by_evaluations else limits.iterations
        if len(run.stages) > 1:
            # Steps of several scales are not alike: how much of the work is done says more.
            counts, total = "[{elapsed}<{remaining}]", 1.0
        self._bar = tqdm(
            total=total,
            unit=" evaluations" if by_evaluations else " iterations",
            file=stream,
            mininterval=0.2 if stream.isatty() else 10.0,
            dynamic_ncols=True,
            bar_format=f"{{percentage:3.0f}}% {{bar:12}} {counts}{{postfix}}",
        )

    def on_step(self, run: StyleTransfer, step: Step) -> None:
        done: float = step.iteration if run.settings.evaluations is None else step.evaluations
        words = [f"iteration {step.iteration}"]
        if len(run.stages) > 1:
            done = run.share
            words = [f"{max(step.pixels.shape[1:3])} px", *words]
        if run.settings.evaluations is None:
            words.append(f"{step.evaluations} evaluations")
        words += [f"{name} {value:.3g}" for name, value in step.terms.items() if "/" not in name]
        self._bar.set_postfix_str(", ".join(words), refresh=False)
        done = min(done, self._bar.total)  # beyond which the last step may end: it looks broken
        if self._goes_on:  # what was done before says nothing of the time left
            self._bar.initial = self._bar.n = self._bar.last_print_n = done
            self._goes_on = False
        self._bar.update(done - self._bar.n)

    def on_end(self, run: StyleTransfer) -> None:
        self._bar.refresh()
        self._bar.close()


@contextlib.contextmanager
def share_bar(
    shown: bool = True, stream: TextIO | None = None
) -> Iterator[Callable[[float], None]]:
    """A bar for work that tells what share of it is done.

        with share_bar() as report:
            methods.transfer("quilting", content, style, report=report)

    Args:
      shown: False to show none.
      stream: where to; None is standard error.
    """
    with tqdm(
        total=1.0,
        file=stream or sys.stderr,
        disable=not shown,
        dynamic_ncols=True,
        bar_format="{percentage:3.0f}% {bar:12} [{elapsed}<{remaining}]",
    ) as bar:

        def report(share: float) -> None:
            bar.update(share - bar.n)

        yield report


class JobsBar:
    """One bar over all jobs, a `jobs.Observer`; its unit is what ends a run, evaluations or
    iterations.

        with JobsBar(jobs) as bar:
            Jobs(jobs, observer=bar).run()

    Args:
      jobs: to come.
      shown: False to show none.
      stream: where to; None is standard error.
    """

    def __init__(
        self, jobs: Sequence[Work], shown: bool = True, stream: TextIO | None = None
    ) -> None:
        self._lengths = {job.name: job.length for job in jobs}
        self._done = dict.fromkeys(self._lengths, 0)
        self._finished = 0
        self._lock = threading.Lock()
        self._bar = tqdm(
            total=sum(self._lengths.values()),
            smoothing=0,  # a mean: runs that are done already would pass for speed
            unit=" steps",
            file=stream or sys.stderr,
            disable=not shown,
            dynamic_ncols=True,
            bar_format="{percentage:3.0f}% {bar:12} {n_fmt}/{total_fmt} "
            "[{elapsed}<{remaining}]{postfix}",
        )

    def __enter__(self) -> JobsBar:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def __str__(self) -> str:
        """The bar as it would be drawn now."""
        return str(self._bar)

    def update(self, name: str, done: int, loss: float | None) -> None:
        """A job has come so far."""
        with self._lock:
            # A run that was put aside goes on: the steps before took no time now, either.
            if self._done[name] == 0 and done > 1 and not self._bar.disable:
                self._bar.initial += min(done, self._lengths[name]) - 1
            self._done[name] = max(self._done[name], min(done, self._lengths[name]))
            self._move(f", {name}" + ("" if loss is None else f": loss {loss:.3g}"))

    def finish(self, name: str) -> None:
        """A job is done, however early."""
        with self._lock:
            self._finished += 1
            skipped = self._done[name] == 0
            self._done[name] = self._lengths[name]
            # What took no time says nothing of the time left. (A bar not shown has no such thing.)
            if skipped and not self._bar.disable:
                self._bar.initial += sum(self._done.values()) - self._bar.n
            self._move()

    def _move(self, news: str = "") -> None:
        self._bar.set_postfix_str(f"{self._finished}/{len(self._lengths)} runs{news}", False)
        self._bar.update(sum(self._done.values()) - self._bar.n)
