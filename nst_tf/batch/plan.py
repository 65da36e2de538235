"""Orders as work for `jobs.Jobs`, in an order in which little is compiled and measured."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

from nst_tf.batch.one_pass import OnePass, parse_shares
from nst_tf.batch.orders import Order
from nst_tf.errors import NSTError
from nst_tf.pictures import heads
from nst_tf.recipe import sizes
from nst_tf.recipe.settings import Settings
from nst_tf.run.course import serves_any_size
from nst_tf.run.job import Job
from nst_tf.watch.watchers import Watchers


def runs(
    orders: Sequence[Order],
    outputs: Sequence[Path],
    recipes: Sequence[tuple[Settings, str]],
    folder: Path,
    logdir: Path | None = None,
) -> list[Job]:
    """A run for each order, those next to each other that share most (`sharing`).

    Args:
      orders: of pictures.
      outputs: their files.
      recipes: of each the settings, and the network as `weights.load` takes it.
      folder: that all files lie in; their names in there tell the runs apart.
      logdir: for TensorBoard, a folder in it for each run; None for none.
    """
    found = []
    for order, output, (settings, weights) in zip(orders, outputs, recipes, strict=True):
        name = output.relative_to(folder).as_posix()
        log = None if logdir is None else logdir / output.relative_to(folder).with_suffix("")
        watchers = Watchers(snapshots_of=output, logdir=log)
        found.append(Job(name, settings, order.content, order.styles, weights, output, watchers))
    return sharing(found)


def passes(
    orders: Sequence[Order],
    outputs: Sequence[Path],
    stylizer: str,
    strength: float,
    size: int | None,
    folder: Path,
) -> list[OnePass]:
    """Likewise, by a trained stylizer.

    Raises:
      SettingsError: a style that is no mix of names.
    """
    return [
        OnePass(
            output.relative_to(folder).as_posix(),
            stylizer,
            order.content,
            tuple(share for style in order.styles for share in parse_shares(style)),
            strength,
            size,
            output,
        )
        for order, output in zip(orders, outputs, strict=True)
    ]


def sharing(jobs: Sequence[Job]) -> list[Job]:
    """The same runs in another order: a process keeps what its last run has compiled, and the
    targets of the last few paintings.

    Runs of one network and one graph follow each other. Where a graph serves pictures of one shape
    alone, those of one shape do, too: photos of mixed sizes are as many shapes as they have
    proportions, since `size` is that of the longer side. The largest are the first: what takes more
    memory than there is is found out at once, and what later ones take is there.
    """
    numbers: dict[object, int] = {}
    heads_of = functools.cache(_shape)  # a photo comes in many styles

    def place(job: Job) -> tuple[object, ...]:
        graph = numbers.setdefault((job.weights, job.settings.graph_key), len(numbers))
        height, width = shape = _scaled(heads_of(job.content), job.settings)
        large = -height * width, height
        if any_size(job, shape):
            return 0, graph, job.styles, large
        return 1, graph, large, job.styles  # apart from the others: what is compared is alike

    return sorted(jobs, key=place)


def any_size(job: Job, shape: tuple[int, int]) -> bool:
    """Whether the graph of a run serves photos of other shapes, too."""
    return serves_any_size(job.settings.min_scale is not None, shape, job.settings)


def _shape(photo: str) -> tuple[int, int] | None:
    """The height and width of a photo, by its head; None where that does not tell them."""
    try:
        return heads.shape(photo)
    except NSTError:  # said where it is read
        return None


def _scaled(shape: tuple[int, int] | None, settings: Settings) -> tuple[int, int]:
    """The height and width of a run's picture; (0, 0) where its photo's are not known."""
    if shape is None:
        return 0, 0
    return sizes.scaled(shape, settings.size) if settings.size else shape
