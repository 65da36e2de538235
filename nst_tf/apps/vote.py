"""`nst-tf vote`: a page that asks people which of two results is better, and the count."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from nst_tf.apps import command
from nst_tf.errors import one_line
from nst_tf.judge import vote
from nst_tf.judge.vote import Share

USAGE = """
nst-tf vote A/ B/ --out=PAGE.html [--contents=DIR --styles=DIR]
nst-tf vote --count ANSWERS.json [ANSWERS.json ...]

Writes a page that shows two results of one pair side by side, in random order and without the
methods' names, and asks which keeps the content, which shows the style and which one would hang on
the wall. A and B hold one method's pictures each; pictures of the same name are a pair. The page is
one file: send it to people, they send back the file of answers that it gives.

    nst-tf vote results/gatys/ results/adain/ --out=vote.html
    nst-tf vote --count answers-*.json

Content and style image are shown where a run left its .json beside the picture, or where pictures
are called CONTENT--STYLE.png and --contents and --styles name the folders of these.

The count takes the answers for independent: with several voters on the same pairs, its intervals
speak of these pairs, not of pictures in general. A pair's second showing counts for consistency
alone.
"""

#: What a question is called in the table.
_SHORT = {"content": "keeps the content", "style": "shows the style", "wall": "on the wall"}


def define_flags() -> flags.FlagValues:
    """The command's flags, apart from absl's global ones."""
    values = flags.FlagValues()
    flags.DEFINE_string("out", None, "Where the page goes.", flag_values=values)
    flags.DEFINE_string("contents", None, "The folder of the content images.", flag_values=values)
    flags.DEFINE_string("styles", None, "The folder of the style images.", flag_values=values)
    flags.DEFINE_integer(
        "seed",
        0,
        "Of the order and the sides that are drawn; answers to pages of several seeds may be"
        " counted together.",
        lower_bound=0,
        flag_values=values,
    )
    flags.DEFINE_integer(
        "repeats",
        3,
        "How many pairs are asked about twice, the second time with their sides swapped.",
        lower_bound=0,
        flag_values=values,
    )
    flags.DEFINE_integer(
        "size",
        1024,
        "Longer side in pixels that larger results are shrunk to; content and style have half.",
        lower_bound=16,
        flag_values=values,
    )
    flags.DEFINE_bool(
        "count", False, "Count files of answers and print the table.", flag_values=values
    )
    return values


def main(argv: list[str]) -> int:
    """Runs the command on `argv`, the command's name and what follows; returns the exit code."""
    values = define_flags()
    arguments = command.parse(values, USAGE, argv, required=1)
    if values.count:
        print(_table([Path(argument) for argument in arguments]))
        return 0
    if len(arguments) != 2:
        raise command.UsageError(f"name two folders of results, not {len(arguments)}: A/ B/")
    if not values.out:
        raise command.UsageError("name the page: --out=vote.html")
    print(_page(Path(arguments[0]), Path(arguments[1]), values))
    return 0


def _page(first: Path, second: Path, values: flags.FlagValues) -> str:
    """Writes the page; returns what there is to say about it."""
    methods = vote.method_names(first, second)
    contents, styles = (
        Path(folder) if folder else None for folder in (values.contents, values.styles)
    )
    found = vote.find_pairs(first, second, contents, styles)
    showings = vote.draw(found.pairs, values.seed, values.repeats)
    missing = sorted({*found.only_first, *found.only_second})
    out = Path(values.out)
    vote.write_page(out, showings, methods, values.seed, missing, values.size)

    known = sum(bool(pair.content and pair.styles) for pair in found.pairs)
    twice = len(showings) - len(found.pairs)
    lines = [
        f"{out}: {len(found.pairs)} in pairs ({twice} of them asked about twice; content and style "
        f"image known of {known}), {len(showings) * len(vote.QUESTIONS)} questions"
    ]
    for method, names in zip(methods, (found.only_first, found.only_second), strict=True):
        if names:
            lines.append(f"only in {method}, not asked about: {', '.join(names)}")
    return "\n".join(map(one_line, lines))


def _table(paths: Sequence[Path]) -> str:
    """Counts files of answers; returns the table."""
    named, counts = vote.count(paths)
    methods = [one_line(str(name)) for name in named]  # whoever answered may have written anything
    rows = [("", methods[0], "95 % interval", "answers", "", "alike when repeated")]
    for question, counted in counts.items():
        chosen, ahead = counted.chosen, counted.ahead()
        verdict = "no difference shown" if ahead is None else f"{methods[ahead]} ahead"
        row = (_SHORT[question], _percent(chosen), _interval(chosen), str(chosen.total), verdict)
        rows.append((*row, _in_full(counted.alike)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    alike = vote.Share(
        sum(counted.alike.hits for counted in counts.values()),
        sum(counted.alike.total for counted in counts.values()),
    )
    voters = "1 voter" if len(paths) == 1 else f"{len(paths)} voters"
    title = f"{methods[0]} against {methods[1]}, {voters}: the share that chose {methods[0]}"
    consistency = f"consistency, repeated questions answered alike: {_in_full(alike)}"
    return "\n".join((title, "", *lines, "", consistency))


def _percent(share: Share) -> str:
    return f"{100 * share.hits / share.total:.0f} %" if share.total else "-"


def _interval(share: Share) -> str:
    ends = share.interval()
    return f"{100 * ends[0]:.1f} to {100 * ends[1]:.1f} %" if ends else "-"


def _in_full(share: Share) -> str:
    if not share.total:
        return "none"
    return f"{share.hits} of {share.total}, {_percent(share)} ({_interval(share)})"
