"""What is left of an experiment: index.html, results.csv and run.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nst_tf import files, page
from nst_tf.experiments.grid import Folder
from nst_tf.experiments.plan import Curves, Plan
from nst_tf.recipe.settings import strength_factors
from nst_tf.run.jobs import Manifest
from nst_tf.version import __version__

#: Longer side in pixels of what the user's own pictures are shown at: a camera's have many more.
_INPUT = 1024

_TERMS = ("total", *strength_factors(0.5))


def write(plan: Plan, manifests: dict[str, Manifest], folder: Folder) -> Path:
    """Writes what there is of an experiment, also when not all of its runs are done.

    Args:
      plan: of the experiment.
      manifests: of the runs that are done, by the cell's name.
      folder: of the runs.

    Returns:
      The page's path.
    """
    table = _table(plan, manifests)
    record = {
        "nst_tf": __version__,
        "experiment": plan.name,
        "runs": {
            cell.name: {"varied": dict(cell.varied), **manifests[cell.name]}
            for cell in plan.cells
            if cell.name in manifests
        },
    }
    write_records(folder.path, table, record)
    missing = len(plan.cells) - len(manifests)
    notes = list(plan.notes)
    if missing:
        notes.append(f"{missing} of {len(plan.cells)} runs are not done yet.")
    shown = [column for column in table[0] if "/" not in column]
    path = folder.path / "index.html"
    page.Page(
        plan.title,
        [*plan.text.split("\n\n"), *_findings(plan, manifests)],
        _inputs(plan) + _rows(plan, manifests, folder),
        notes,
        [_plot(curves, manifests) for curves in plan.curves],
        [shown]
        + [[page.short(line[table[0].index(column)]) for column in shown] for line in table[1:]],
        _common(manifests),
    ).write(path)
    return path


def write_records(folder: Path, table: list[list[Any]], record: dict[str, Any]) -> None:
    """Writes results.csv, whose first line is the table's head, and run.json."""
    files.write_table(folder / "results.csv", table)
    files.write(folder / "run.json", json.dumps(record, indent=1))


def _findings(plan: Plan, manifests: dict[str, Manifest]) -> list[str]:
    """Where runs are looked at after the same iterations, which is ahead then; in a sentence."""
    losses: dict[int, dict[str, float]] = {}
    for row in plan.rows:
        for panel in row.panels:
            if panel.iteration is not None and panel.cell.name in manifests:
                loss = _best(manifests[panel.cell.name], panel.iteration)
                losses.setdefault(panel.iteration, {})[row.label] = loss
    leaders = [
        f"after {iteration} iterations {min(by_row, key=by_row.__getitem__)} "
        f"({min(by_row.values()):.4g})"
        for iteration, by_row in sorted(losses.items())
        if len(by_row) > 1
    ]
    return [f"Smallest loss: {', '.join(leaders)}."] if leaders else []


def _best(manifest: Manifest, iteration: int) -> float:
    return min(row["total"] for row in manifest["history"] if row["iteration"] <= iteration)


def _at_its_size(manifest: Manifest) -> list[dict[str, Any]]:
    """The rows whose losses are those of pictures of the result's size: of several scales, the last
    one alone is known to be."""
    several = manifest.get("stages", 1) > 1 or manifest["settings"].get("min_scale") is not None
    rows: list[dict[str, Any]] = manifest["history"][-1:] if several else manifest["history"]
    return rows


def _table(plan: Plan, manifests: dict[str, Manifest]) -> list[list[Any]]:
    """A head, and a line for every run that is done: what it varies, its end, its best losses."""
    done = [cell for cell in plan.cells if cell.name in manifests]
    varied = list(dict.fromkeys(key for cell in done for key in cell.varied))
    ends = ["stopped", "iterations", "evaluations", "seconds"]
    best = [min(_at_its_size(manifests[cell.name]), key=lambda row: row["total"]) for cell in done]
    terms = dict.fromkeys(key for row in best for key in row if key in _TERMS or "/" in key)
    head = ["run", *varied, *ends, *terms]
    lines = [
        [
            cell.name,
            *(cell.varied.get(key) for key in varied),
            *(manifests[cell.name][key] for key in ends),
            *(row.get(key) for key in terms),
        ]
        for cell, row in zip(done, best, strict=True)
    ]
    return [head, *lines]


def _inputs(plan: Plan) -> list[page.Row]:
    contents = dict.fromkeys(cell.content for cell in plan.cells)
    styles = dict.fromkeys(style for cell in plan.cells for style in cell.styles)
    named = [*(("content", path) for path in contents), *(("style", path) for path in styles)]
    pictures = [
        page.Picture(Path(path), f"{what}: {Path(path).name}", _INPUT) for what, path in named
    ]
    return [page.Row("From", pictures)]


def _rows(plan: Plan, manifests: dict[str, Manifest], folder: Folder) -> list[page.Row]:
    rows = []
    for row in plan.rows:
        pictures = [
            page.Picture(
                folder.path / panel.film
                if panel.film
                else folder.picture(panel.cell, panel.iteration),
                panel.caption,
            )
            for panel in row.panels
            if panel.cell.name in manifests
        ]
        # A run that found no smaller loss may have ended before a snapshot was due.
        rows.append(
            page.Row(row.label, [picture for picture in pictures if picture.path.is_file()])
        )
    return rows


def _plot(curves: Curves, manifests: dict[str, Manifest]) -> str:
    by_name = {}
    for name, cell in curves.cells.items():
        if cell.name in manifests:
            history = manifests[cell.name]["history"]
            x = "iteration" if curves.x == "iterations" else curves.x
            if x == "seconds":  # the first iteration also compiles
                history = history[1:]
                first = history[0][x] if history else 0.0
                xs = [row[x] - first for row in history]
            else:
                xs = [row[x] for row in history]
            by_name[name] = (xs, [row[curves.term] for row in history])
    return page.plot(curves.title, curves.x, curves.term, by_name)


def _common(manifests: dict[str, Manifest]) -> str:
    """The settings that all runs have in common, a line each."""
    runs = [
        {
            "network": manifest["weights"]["source"],
            "engine": manifest["engine"],
            **manifest["settings"],
        }
        for manifest in manifests.values()
    ]
    return page.in_common(runs)
