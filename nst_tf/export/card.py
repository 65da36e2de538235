"""The model card in a SavedModel: what it was made from, under which licence, how exact it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nst_tf import files, reading
from nst_tf.errors import ExportError, FileError
from nst_tf.recipe.settings import Settings

#: Where TensorFlow keeps what is not a graph or a variable.
PATH = Path("assets.extra") / "nst_tf.json"

LICENSE = (
    "Apache-2.0; VGG19's weights and what is derived from them: K. Simonyan and A. Zisserman, "
    "Visual Geometry Group, University of Oxford, CC BY 4.0"
)

#: How a file becomes a picture, in one rule for `nst_tf.data` and what is served.
FILES = (
    "A file's picture is its largest middle square, scaled to `size` with the Lanczos-3 kernel, "
    "which is stretched where it shrinks the picture (antialiasing), and clipped to [0, 1]: pixels "
    "as `nst_tf.data.pictures(files, size)` gives them. `image_bytes_whole` and "
    "`image_bytes_whole_grams` take one file at a time and leave its size. JPEG is turned by its "
    "Exif orientation; PNG's transparency is laid on white; of GIF the first frame counts. Unlike "
    "`nst_tf.data`, a served model applies no ICC profile (files are taken as sRGB), turns no PNG "
    "by Exif, and drops the lower 8 of 16 bits."
)


#: What a card is of, in place of one of `servable.KINDS`, where a stylizer was exported.
STYLIZER = "stylizer"


def write(version: Path, card: Mapping[str, Any], markdown: str | None = None) -> None:
    """Writes the card into a version: JSON for programs, README.md beside it for people.

    Args:
      version: its folder.
      card: what is told.
      markdown: for people; None for a feature model's.
    """
    path = version / PATH
    path.parent.mkdir(exist_ok=True)
    files.write(path, json.dumps(card, indent=1))
    files.write(path.with_name("README.md"), _markdown(card) if markdown is None else markdown)


def read(version: Path) -> dict[str, Any]:
    """The card of a version.

    Raises:
      ExportError: it has none that can be read.
    """
    try:
        card: dict[str, Any] = reading.read_json(version / PATH)
        of_features = set() if card.get("what") == STYLIZER else {"settings", "layers"}
        missing = {"what", "size", "weights", "signatures"} | of_features
        missing -= card.keys()
        if missing:
            raise ValueError(missing)
        if of_features:
            Settings(**card["settings"])
    except (FileError, ValueError, TypeError, AttributeError) as error:
        raise ExportError(
            f"{version} was not written by nst-tf export: no {PATH} that it can read"
        ) from error
    return card


def _markdown(card: Mapping[str, Any]) -> str:
    facts = {
        "weights": card["weights"]["source"],
        "their SHA-256": card["weights"]["sha256"],
        "licence": card["license"],
        "preset": card["settings"]["preset"],
        "computed in": card["dtype"],
        "size": f"{card['size']} pixels, of `fixed` and of decoded files",
        "made by": f"nst_tf {card['nst_tf']}, TensorFlow {card['tensorflow']}",
    }
    lines = ["# A feature model of nst_tf", "", *tables(facts, card)]
    if "scales" in card:
        lines += ["", _run(card["settings"], card["scales"])]
    lines += [
        "",
        "Errors are those of a photo, against the model in Python in float32, each relative to the "
        "output's largest value; of files, against the pixels of `nst_tf.data`. `nst_tf.json` has "
        "every setting.",
        "",
        FILES,
        "",
        limits(card),
    ]
    if "tflite" in card:
        lines += ["", "## TFLite", "", *of_tflite(card["tflite"])]
    return "\n".join(lines) + "\n"


def tables(facts: Mapping[str, Any], card: Mapping[str, Any]) -> list[str]:
    """Lines of Markdown: what is known, and each signature with its inputs and its error."""
    lines = ["| | |", "| --- | --- |"]
    lines += [f"| {name} | {value} |" for name, value in facts.items()]
    lines += ["", "| signature | inputs | largest relative error |", "| --- | --- | --- |"]
    for name, inputs in card["signatures"].items():
        error = f"{card['parity'][name]:.1e}" if name in card["parity"] else "not measured"
        lines.append(f"| `{name}` | {', '.join(f'`{key}`' for key in inputs)} | {error} |")
    return lines


def limits(card: Mapping[str, Any]) -> str:
    """What is refused, and how."""
    of_file, of_files = (card[f"most_pixels_of_files{of}"] for of in ("", "_together"))
    return (
        f"Pictures are at least {card['least']} x {card['least']} pixels, and those of a request "
        f"have at most {card['most_pixels']:,} pixels together; files, before they are scaled, "
        f"{of_file:,} each and {of_files:,} together. What is no batch of pictures in [0, 1] is an "
        "error (InvalidArgument) that says so, and so is what has more pixels; of files that "
        "cannot be decoded, or promise more than one may, the error names the places in the batch: "
        "an error, since a mask beside the outputs goes unseen by who does not ask for it."
    )


def _run(settings: Mapping[str, Any], scales: list[int]) -> str:
    """What a client must know of the signature `stylize`."""
    ends = (f"`{name}={settings[name]}`" for name in ("evaluations", "iterations"))
    own = " and ".join(end for end in ends if "None" not in end)
    coarse_to_fine = ""
    if settings["min_scale"] is not None:
        listed = ", ".join(map(str, scales))
        coarse_to_fine = (
            f" It goes from coarse to fine, at {listed} pixels on the longer side: `steps` are "
            "those at 512 pixels, of which each of these gets as many times more as it is smaller."
        )
    return (
        "`stylize` is a run of `nst_tf.stylize` with these settings and `iterations=steps`; they "
        f"end at {own} by themselves.{coarse_to_fine} `loss` is L_total of the initial image and "
        "after every iteration, `scale` the longer side in pixels at which it was measured: losses "
        "compare within a scale."
    )


def of_tflite(told: Mapping[str, Any]) -> list[str]:
    """Of the files' own errors, of signatures that are not in them, and of what they do not say."""
    precisions = list(told["parity"])
    files = " | ".join(f"`tflite/{precision}.tflite`" for precision in precisions)
    lines = [f"| signature | {files} |", "| --- " * (1 + len(precisions)) + "|"]
    for name in told["parity"][precisions[0]]:
        errors = " | ".join(f"{told['parity'][precision][name]:.1e}" for precision in precisions)
        lines.append(f"| `{name}` | {errors} |")
    lines += [f"| `{name}` | cannot be converted: {why} |" for name, why in told["without"].items()]
    lines += [
        "",
        "TFLite has no way to refuse: conversion leaves every check out. These files answer "
        "pictures in another range, not finite, of one channel or too small as if they were right, "
        "and what has more or fewer axes is the interpreter's own error: look at pictures before.",
    ]
    return lines
