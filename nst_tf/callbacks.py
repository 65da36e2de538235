"""What watches a run: progress, snapshots."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, TextIO

from tqdm.auto import tqdm

from nst_tf import images
from nst_tf.transfer import Step, StyleTransfer


class Callback:
    """A base to inherit from: every method does nothing."""

    def on_begin(self, run: StyleTransfer) -> None:
        """Before the first evaluation."""

    def on_step(self, run: StyleTransfer, step: Step) -> None:
        """After every iteration, the initial image (iteration 0) included."""

    def on_end(self, run: StyleTransfer) -> None:
        """When the run ends, whatever ended it."""


class ProgressBar(Callback):
    """A progress bar with iteration, evaluations, every loss term, rate and time left.

    Args:
      stream: where to; None is standard error. Where that is no terminal, a line every ten
        seconds at most.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream
        self._bar: Any = None

    def on_begin(self, run: StyleTransfer) -> None:
        settings = run.settings
        by_evaluations = settings.evaluations is not None
        stream = self._stream or sys.stderr
        self._bar = tqdm(
            total=settings.evaluations if by_evaluations else settings.iterations,
            unit=" evaluations" if by_evaluations else " iterations",
            file=stream,
            mininterval=0.2 if stream.isatty() else 10.0,
            dynamic_ncols=True,
            bar_format="{percentage:3.0f}% {bar:12} {n_fmt}/{total_fmt}{unit} "
            "[{elapsed}<{remaining}, {rate_fmt}]{postfix}",
        )

    def on_step(self, run: StyleTransfer, step: Step) -> None:
        done = step.iteration if run.settings.evaluations is None else step.evaluations
        words = [f"iteration {step.iteration}"]
        if run.settings.evaluations is None:
            words.append(f"{step.evaluations} evaluations")
        words += [f"{name} {step.terms[name]:.3g}" for name in ("total", "content", "style", "tv")]
        self._bar.set_postfix_str(", ".join(words), refresh=False)
        # The last step may end beyond the budget; a bar beyond its end looks broken.
        self._bar.update(min(done, self._bar.total) - self._bar.n)

    def on_end(self, run: StyleTransfer) -> None:
        if self._bar is not None:
            self._bar.refresh()
            self._bar.close()


class Snapshots(Callback):
    """Writes the image at the iterations that the settings name, as it stands then.

    Args:
      path: of the result; iteration 100 of `out.png` becomes `out-0100.png` beside it.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)

    def on_step(self, run: StyleTransfer, step: Step) -> None:
        if run.settings.snapshot_due(step.iteration):
            name = f"{self._path.stem}-{step.iteration:04d}{self._path.suffix}"
            images.save(step.array, self._path.with_name(name))
