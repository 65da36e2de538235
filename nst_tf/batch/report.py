"""What is left of a batch beside its pictures: failures.csv, results.csv and index.html."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nst_tf import files, page
from nst_tf.batch.orders import Order
from nst_tf.errors import NSTError
from nst_tf.recipe.settings import Settings
from nst_tf.run.jobs import Manifest

FAILURES, RESULTS, INDEX = "failures.csv", "results.csv", "index.html"
_DIVERGED = "diverged"
#: What is kept of a picture's manifest for the table.
_FIGURES = ("stopped", "iterations", "evaluations", "seconds", "total", "saved_total", "image")


def figures(manifest: Manifest) -> Manifest:
    """What the report needs of a manifest: of a million pictures the rest would not fit."""
    return {name: manifest[name] for name in _FIGURES if name in manifest}


def write(
    folder: Path,
    orders: Mapping[str, Order],
    done: Mapping[str, Manifest],
    failures: Mapping[str, NSTError],
    settings: str,
) -> Path:
    """Writes all three: failures.csv where there are failures, and none of an earlier time else;
    the page where one can be made (`page.available`).

    Args:
      folder: of the batch.
      orders: of all pictures, by their names in there, in the order of the page.
      done: figures of those that are there.
      failures: why others are not, by name.
      settings: what they have in common, for people.

    Returns:
      The path of the page, or of results.csv where there is none.

    Raises:
      OutputError: it cannot be written there.
    """
    wrong = [
        [name, orders[name].content, ";".join(orders[name].styles), str(error)]
        for name, error in failures.items()
    ]
    if wrong:
        files.write_table(folder / FAILURES, [["output", "content", "style", "reason"], *wrong])
    else:
        with contextlib.suppress(FileNotFoundError):
            (folder / FAILURES).unlink()
    head = ["output", "content", "style", "width", "height", *_FIGURES[:-1]]
    made = {name: done[name] for name in orders if name in done}
    lines = [_line(name, orders[name], told) for name, told in made.items()]
    files.write_table(folder / RESULTS, [head, *lines])
    if not page.available():
        return folder / RESULTS
    left = len(orders) - len(made) - len(failures)
    notes = [f"{name} could not be made: {error}" for name, error in failures.items()]
    notes += [f"{name} diverged" for name, told in made.items() if told.get("stopped") == _DIVERGED]
    notes += [f"{left} of {len(orders)} pictures are not made yet."] if left else []
    path = folder / INDEX
    page.Page(
        f"{len(made)} pictures",
        [],
        _rows(folder, [(name, orders[name]) for name in made]),
        notes,
        settings=settings,
        record="the .json beside each picture",
    ).write(path)
    return path


def common(recipes: Sequence[tuple[Settings, str]]) -> str:
    """What all pictures' settings and networks have in common, a line each."""
    told = [{"network": weights, **settings.asdict()} for settings, weights in recipes]
    return page.in_common(told)


def _rows(folder: Path, made: Sequence[tuple[str, Order]]) -> list[page.Row]:
    """A row for each photo: it, and what was made of it."""
    by_photo: dict[str, list[page.Picture]] = {}
    for name, order in made:
        if order.content not in by_photo:
            photo = page.Picture(Path(order.content), "content", 1024, folder)
            by_photo[order.content] = [photo]
        style = " + ".join(Path(style).name for style in order.styles)
        caption = f"{name}: in {style}" if style else name
        by_photo[order.content].append(page.Picture(folder / name, caption, 1024, folder))
    return [page.Row(Path(photo).name, pictures) for photo, pictures in by_photo.items()]


def _line(name: str, order: Order, told: Manifest) -> list[Any]:
    image = told.get("image", {})
    size = [image.get("width"), image.get("height")]
    figures_of_it = [told.get(figure) for figure in _FIGURES[:-1]]
    return [name, order.content, ";".join(order.styles), *size, *figures_of_it]
