"""The model card of an exported stylizer: of which paintings it is, and how it came to be."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nst_tf import reading
from nst_tf.errors import ExportError, FileError
from nst_tf.export import card
from nst_tf.stylizer.network import Stylizer
from nst_tf.stylizer.record import RECORD

#: Beside the card, a photo and what is painted of it.
PICTURE = "painted.png"

_VGG = (
    "VGG19 by K. Simonyan and A. Zisserman, Visual Geometry Group, University of Oxford, CC BY 4.0"
)
#: Whose work it is that a stylizer learnt from, by the losses' network.
_TEACHERS = {
    "mini": f"its losses were measured by `mini`, which was distilled from {_VGG}",
    "imagenet": f"its losses were measured by {_VGG}",
}


def training(file: Path, stylizer: Stylizer) -> dict[str, Any] | None:
    """What the record beside a stylizer's file says of its training; None where there is none.

    Raises:
      ExportError: it cannot be read, or is that of other paintings.
    """
    path = file.with_name(RECORD)
    if not path.is_file():
        return None
    try:
        found = dict(reading.read_json(path))
        paintings, history = dict(found["paintings"]), list(found["history"])
        counts = {name: len(list(found[name])) for name in ("photos", "held_out")}
        last = {name: float(history[-1][name]) for name in ("step", "held_out")} if history else {}
        known = ("weights", "preset", "overrides", "style_size", "steps", "width")
        course = {name: found[name] for name in known}
    except (FileError, ValueError, KeyError, TypeError) as error:
        raise ExportError(f"{path} is not the record of a training: move it away") from error
    if set(paintings) != set(stylizer.paintings):
        raise ExportError(
            f"{path} is the record of other paintings ({', '.join(paintings)}) than those of "
            f"{file.name} ({', '.join(stylizer.paintings)}): move it away"
        )
    return {**course, "paintings": paintings, **counts, "last": last}


def license_of(training: Mapping[str, Any] | None) -> str:
    """Whose rights there are, as far as it is known."""
    weights = None if training is None else training["weights"]
    unknown = "by which network its losses were measured is not told"
    by_file = f"its losses were measured by {weights}, whose licence is its own"
    told = unknown if weights is None else _TEACHERS.get(weights, by_file)
    return (
        f"Apache-2.0 for what nst_tf made; {told} (no number of it is in here); rights in the "
        "paintings and photos are their owners'"
    )


def markdown(told: Mapping[str, Any]) -> str:
    """The card for people."""
    training, styles = told["training"], ", ".join(told["paintings"])
    count = len(told["paintings"])
    facts = {
        "paintings": styles,
        **({} if training is None else _history(training)),
        "numbers": f"{told['weights']['count']:,}, computed in {told['dtype']}",
        "their SHA-256": told["weights"]["sha256"],
        "licence": told["license"],
        "size": f"{told['size']} pixels, of `fixed` and of decoded files",
        "made by": f"nst_tf {told['nst_tf']}, TensorFlow {told['tensorflow']}",
    }
    if training is None:
        facts["training"] = f"not told: no {RECORD} was beside the file"
    shares = (
        f"; `styles` the share of each style, in this order ({styles}), `[1, {count}]` or one row "
        "a picture: nothing but their proportions counts"
        if count > 1
        else ""
    )
    lines = [
        f"# A stylizer of nst_tf: {styles}",
        "",
        f"![A photo, and what is painted of it: {styles}]({PICTURE})",
        "",
        *card.tables(facts, told),
        "",
        "`content` are photos, RGB `[batch, height, width, 3]` of any size, float32 in [0, 1] (in "
        "`uint8` 0-255), or `image_bytes` JPEG, PNG, GIF or BMP files; `strength` is how much is "
        f"painted, from 0 (the photo) to 1, `[1]` or one a picture{shares}. `stylized` are "
        "pictures of that size, type and range; `stylized_bytes` PNG files. A server that batches "
        "wants one strength a picture. In Python `tf.saved_model.load(FOLDER)(content, strength)`.",
        "",
        "Errors are those of a photo, against the model in Python, relative to the largest value: "
        "where pixels are 0-255, a level that is rounded otherwise is 3.9e-03.",
        "",
        card.FILES,
        "",
        card.limits(told),
    ]
    if "tflite" in told:
        means = (f"{mean:.1e} in {name}" for name, mean in told["tflite"]["mean"].items())
        lines += ["", "## TFLite", "", *card.of_tflite(told["tflite"]), ""]
        lines += [f"They take one picture a call. On average, errors are {' and '.join(means)}."]
    return "\n".join(lines) + "\n"


def _history(training: Mapping[str, Any]) -> dict[str, Any]:
    changed = ", ".join(f"`{name}={value}`" for name, value in training["overrides"].items())
    last = training["last"]
    losses = f"those of `{training['preset']}`" + (f" with {changed}" if changed else "")
    facts = {
        "losses": f"{losses}, measured by `{training['weights']}`",
        "paintings' longer side": f"{training['style_size']} pixels",
        "photos": f"{training['photos']} to learn from, {training['held_out']} held out",
        "steps": training["steps"],
    }
    if last:
        facts["loss"] = f"{last['held_out']:.4g} of held-out photos, after {last['step']:g} steps"
    return facts
