"""What is left of a judgement: index.html, results.csv, table.csv and judge.json."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nst_tf import files, page
from nst_tf.judge import table
from nst_tf.judge.comparison import Comparison
from nst_tf.judge.measures import OTHERS, Measure
from nst_tf.judge.protocol import Pair
from nst_tf.judge.table import Judged, Row
from nst_tf.version import __version__

#: Pixels of the longer side of a picture on the contact sheet.
_SMALL = 192

_TEXT = (
    "Every number is a median over {count} pairs of pictures; in brackets its 95 % interval, from "
    "resampling whole style images. A network flatters what was optimised with it: such numbers "
    "are marked with an asterisk, and the plots and the failures go by what is fair, the first "
    "network that a method did not optimise. A failure is a result with less than {gained} of the "
    "style gained (fair, W2) or an SSIM below {kept}. The row identity is the untouched content "
    "image, the row style the style image in its place: a method is worth as much as it has more "
    "style than the first and more of the photo than the second."
)


def write(
    comparison: Comparison,
    rows: Sequence[Row],
    judged: Sequence[Judged],
    settings: Mapping[str, Any],
    notes: Sequence[str] = (),
) -> Path:
    """Writes what there is into the comparison's folder, also where results are missing.

    Args:
      comparison: of the methods.
      rows: its table.
      judged: every result.
      settings: of the runs, as plain values.
      notes: what else there is to say, such as what is missing.

    Returns:
      The page's path.

    Raises:
      NSTError: matplotlib or jinja2 is missing.
      FileError: it cannot be written there.
    """
    protocol, folder = comparison.protocol, comparison.folder
    labels = list(comparison.networks)
    columns = table.columns(labels, comparison.reference)
    files.write_table(folder / "results.csv", _results(judged, columns))
    files.write_table(folder / "table.csv", _table(rows, columns))
    record = {
        "nst_tf": __version__,
        **settings,
        "protocol": {
            "name": protocol.name,
            "size": protocol.size,
            "contents": [str(path) for path in protocol.contents],
            "styles": [str(path) for path in protocol.styles],
        },
        "networks": dict(comparison.networks),
        "notes": list(notes),
        "columns": {measure.key: measure.help for measure in columns},
        "table": _plain(rows),
        "results": [_of(result) | dict(result.values) for result in judged],
    }
    files.write(folder / "judge.json", json.dumps(record, indent=1))
    path = folder / "index.html"
    page.Page(
        "The judge",
        [
            _TEXT.format(count=len(protocol.pairs), gained=table.GAINED, kept=table.KEPT),
            *(f"{measure.heading}: {measure.help}" for measure in OTHERS),
        ],
        [*_worst(judged, folder, labels), *_sheet(rows, protocol.pairs, folder)],
        notes,
        _plots(rows, judged, labels),
        shown(rows, labels, comparison.reference),
        "\n".join(f"{key}: {value}" for key, value in settings.items()),
        record="judge.json",
        width=_SMALL,
        figures_first=True,
    ).write(path)
    return path


def shown(
    rows: Sequence[Row], labels: Sequence[str], reference: str | None = None
) -> list[list[str]]:
    """The table for people, its head first.

    Args:
      rows: of the table.
      labels: of the networks that judge.
      reference: the row whose gains are a unit; None for none.
    """
    columns = [
        measure
        for measure in table.columns(labels, reference)
        if "nepers" not in measure.key or measure.key.endswith(f"@{labels[0]}")
    ]
    head = ["method", *(measure.heading for measure in columns), "failures", "results"]
    lines = [
        [
            row.method.name,
            *(_cell(row, measure) for measure in columns),
            "" if row.failures is None else str(row.failures),
            str(row.count),
        ]
        for row in rows
    ]
    return [head, *lines]


def _cell(row: Row, measure: Measure) -> str:
    cell = row.cells[measure.key]
    if cell.median is None or cell.low is None or cell.high is None:
        return ""
    scale = 2.0**-20 if measure.key == "peak_memory" else 1.0
    median, low, high = (_short(scale * value) for value in (cell.median, cell.low, cell.high))
    own = "*" if measure.key.partition("@")[2] == (row.method.network or "-") else ""
    return f"{median}{own}" + ("" if low == high else f" [{low}, {high}]")


def _short(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}" if value else "0"


def _results(judged: Sequence[Judged], columns: Sequence[Measure]) -> list[list[Any]]:
    keys = [measure.key for measure in columns]
    return [
        ["method", "content", "style", *keys],
        *([*_of(result).values(), *(result.values.get(key) for key in keys)] for result in judged),
    ]


def _of(result: Judged) -> dict[str, str]:
    return {
        "method": result.method.name,
        "content": result.pair.content.name,
        "style": result.pair.style.name,
    }


def _table(rows: Sequence[Row], columns: Sequence[Measure]) -> list[list[Any]]:
    head = ["method", "results", "failures"]
    head += [f"{measure.key}{end}" for measure in columns for end in ("", " low", " high")]
    lines: list[list[Any]] = [
        [
            row.method.name,
            row.count,
            row.failures,
            *(
                value
                for measure in columns
                for value in (
                    row.cells[measure.key].median,
                    row.cells[measure.key].low,
                    row.cells[measure.key].high,
                )
            ),
        ]
        for row in rows
    ]
    return [head, *lines]


def _plain(rows: Sequence[Row]) -> list[dict[str, Any]]:
    return [
        {
            "method": row.method.name,
            "network": row.method.network,
            "results": row.count,
            "failures": row.failures,
            "missing": list(row.missing),
            "medians": {key: [cell.median, cell.low, cell.high] for key, cell in row.cells.items()},
        }
        for row in rows
    ]


def _plots(rows: Sequence[Row], judged: Sequence[Judged], labels: Sequence[str]) -> list[str]:
    plots = []
    for key, x in (("cfsd", "CFSD: less is more coherent"), ("ssim", "SSIM: more is kept")):
        dots = {}
        for row in rows:
            found = [
                (value, gained)
                for result in judged
                if result.method == row.method
                and (value := result.values.get(key)) is not None
                and (gained := result.fair(labels)) is not None
            ]
            if found:
                xs, ys = zip(*found, strict=True)
                dots[row.method.name] = (xs, ys)
        if dots:
            y = "style gained (fair, W2)"
            plots.append(page.scatter("Effectiveness against coherence", x, y, dots))
    return plots


def _worst(judged: Sequence[Judged], folder: Path, labels: Sequence[str]) -> list[page.Row]:
    rows = []
    for place, result in enumerate(table.worst(judged, labels), start=1):
        gained, kept = result.fair(labels), result.values.get("ssim")
        if gained is None or kept is None:
            continue
        caption = f"style gained {gained:.2f}, SSIM {kept:.2f}"
        pictures = [
            page.Picture(result.pair.content, result.pair.content.name, 2 * _SMALL),
            page.Picture(result.pair.style, result.pair.style.name, 2 * _SMALL),
            page.Picture(result.method.picture(result.pair, folder), caption, 2 * _SMALL),
        ]
        rows.append(page.Row(f"Worst, {place}: {result.method.name}", pictures))
    return rows


def _sheet(rows: Sequence[Row], pairs: Sequence[Pair], folder: Path) -> list[page.Row]:
    sheet = []
    for pair in pairs:
        pictures = [
            page.Picture(pair.content, pair.content.name, _SMALL),
            page.Picture(pair.style, pair.style.name, _SMALL),
        ]
        pictures += [
            page.Picture(row.method.picture(pair, folder), row.method.name, _SMALL)
            for row in rows
            if not row.method.still and pair.name not in row.missing
        ]
        sheet.append(page.Row(pair.name, pictures))
    return sheet
