"""What people see: a page that shows two results of one pair, and the count of its answers.

A paired comparison with forced choice: nobody is told which method made which picture, the order
and the sides are drawn, and some pairs come again with their sides swapped, which shows how much of
an answer is more than chance.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from nst_tf import assets, files, reading
from nst_tf.errors import FileError, NSTError
from nst_tf.judge.intervals import wilson
from nst_tf.pictures import folders, images
from nst_tf.version import __version__

#: What is asked of every pair, by the name of the answer.
QUESTIONS = {
    "content": "Which one keeps the content?",
    "style": "Which one shows the style?",
    "wall": "Which one would hang on your wall?",
}

#: Between the names of content and style image in the name of a result.
_BETWEEN = "--"


@dataclass(frozen=True)
class Pair:
    """Two results of the same content and style image.

    Attributes:
      name: of both files, without suffix.
      results: of the first and of the second method.
      content: None where it is not known.
      styles: empty where they are not known.
    """

    name: str
    results: tuple[Path, Path]
    content: Path | None = None
    styles: tuple[Path, ...] = ()


class Found(NamedTuple):
    """The pairs of two folders, and the names that only one of them has."""

    pairs: list[Pair]
    only_first: list[str]
    only_second: list[str]


@dataclass(frozen=True)
class Showing:
    """A pair as it is shown.

    Attributes:
      pair: what is shown.
      swapped: whether the second method's result is on the left.
      repeat: whether it was shown before, the other way round.
    """

    pair: Pair
    swapped: bool
    repeat: bool


def find_pairs(
    first: Path, second: Path, contents: Path | None = None, styles: Path | None = None
) -> Found:
    """Pairs up the pictures of two folders by their names, whatever the suffix.

    Content and style images are those that the manifests of the runs name (`NAME.json` beside
    `NAME.png`, see `Result.save`), where these files are still what they were and both results'
    manifests agree; else those of the folders `contents` and `styles`, where the results are called
    CONTENT--STYLE.

    Args:
      first: the folder of one method's results.
      second: the folder of the other's.
      contents: the folder of the content images; likewise styles.

    Raises:
      FileError: no folder, a folder with two pictures of one name, nothing in common.
    """
    found = [_pictures(folder) for folder in (first, second)]
    common = sorted(found[0].keys() & found[1].keys())
    if not common:
        raise FileError(
            f"no picture of {first} has the name of one of {second}: {len(found[0])} and "
            f"{len(found[1])} pictures"
        )
    known = [_pictures(folder) if folder else {} for folder in (contents, styles)]
    pairs = []
    for name in common:
        results = (found[0][name], found[1][name])
        content, painted = _inputs_of(results)
        photo, _, painting = name.partition(_BETWEEN)
        content = content or known[0].get(photo)
        if not painted and painting in known[1]:
            painted = (known[1][painting],)
        pairs.append(Pair(name, results, content, painted))
    only = [sorted(one.keys() - other.keys()) for one, other in (found, found[::-1])]
    return Found(pairs, *only)


def draw(pairs: Sequence[Pair], seed: int, repeats: int) -> list[Showing]:
    """Draws the order of the pairs and, for each, which result is on the left.

    Those shown first come again at the end with their sides swapped, in the same order: that is as
    far from their first showing as can be.

    Args:
      pairs: each is shown once.
      seed: of the draw; the same gives the same.
      repeats: how many pairs come again; all where there are no more.
    """
    rng = np.random.default_rng(seed)
    order, sides = rng.permutation(len(pairs)), rng.integers(2, size=len(pairs))
    once = [Showing(pairs[k], bool(side), False) for k, side in zip(order, sides, strict=True)]
    return once + [Showing(one.pair, not one.swapped, True) for one in once[:repeats]]


def method_names(first: Path, second: Path) -> tuple[str, str]:
    """What two folders' methods are called: their names, with as many parents as tell them apart.

    Raises:
      FileError: it is one folder.
    """
    parts = [folder.resolve().parts for folder in (first, second)]
    if parts[0] == parts[1]:
        raise FileError(f"{first} and {second} are the same folder: name those of two methods")
    depth = 1
    while parts[0][-depth:] == parts[1][-depth:]:
        depth += 1
    one, other = ("/".join(part[-depth:]) for part in parts)
    return one, other


def write_page(
    path: Path,
    showings: Sequence[Showing],
    methods: tuple[str, str],
    seed: int = 0,
    missing: Sequence[str] = (),
    longest: int = 1024,
) -> None:
    """Writes the page: one file that holds its pictures and asks `QUESTIONS` of every showing.

    The methods' names are in its source, for the file of answers; they are not to be seen.

    Args:
      path: where it goes, atomically.
      showings: from `draw`.
      methods: what the answers call the first and the second.
      seed: of the draw, for the record.
      missing: names of pictures without a partner, to be listed.
      longest: the side in pixels that larger pictures are shrunk to.

    Raises:
      PictureError: a picture cannot be read.
      FileError: the page cannot be written.
      NSTError: jinja2 is missing.
    """
    try:
        import jinja2
    except ImportError as error:
        raise NSTError("the judge's page needs jinja2: pip install 'nst_tf[judge]'") from error
    files.check_writable(path)
    album: dict[Path, dict[str, Any]] = {}

    def indices(paths: Sequence[Path], side: int) -> list[int]:
        for picture in paths:
            if picture not in album:
                album[picture] = {"index": len(album), **_encoded(picture, side)}
        return [album[picture]["index"] for picture in paths]

    shown = []
    for showing in showings:
        pair, turn = showing.pair, -1 if showing.swapped else 1
        left, right = methods[::turn]
        contents = (pair.content,) if pair.content else ()
        shown.append(
            {
                "pair": pair.name,
                "repeat": showing.repeat,
                "left": left,
                "right": right,
                "results": indices(pair.results[::turn], longest),
                "content": indices(contents, longest // 2),
                "styles": indices(pair.styles, longest // 2),
            }
        )
    data = {
        "nst_tf": __version__,
        "seed": seed,
        "methods": methods,
        "questions": list(QUESTIONS),
        "showings": shown,
        "pictures": list(album.values()),
    }
    # What the browser keeps of one page is not mistaken for that of another.
    key = hashlib.sha256(json.dumps(data).encode()).hexdigest()[:16]
    template = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    page = template.from_string(assets.VOTE.read_text())
    files.write(path, page.render(data=data, key=key, questions=QUESTIONS, missing=missing))


def read_answers(path: Path) -> dict[str, Any]:
    """A file of answers that the page gave.

    Returns:
      `methods`, the two names; `sitting`, a word that no two voters share; `answers`, one for each
      showing that has any: `pair`, `repeat`, `left` and, by the names of `QUESTIONS`, the method
      that was chosen.

    Raises:
      FileError: it cannot be read, or is no such file.
    """
    try:
        votes = reading.read_json(path)
        first, second = methods = votes["methods"]
        fits = isinstance(votes["sitting"], str) and first != second
        seen = set()
        for answer in votes["answers"]:
            chosen = {answer["left"], *(answer[name] for name in QUESTIONS if name in answer)}
            fits &= chosen <= set(methods) and isinstance(answer["repeat"], bool)
            fits &= (answer["pair"], answer["repeat"]) not in seen
            seen.add((answer["pair"], answer["repeat"]))
        if not fits:
            raise ValueError("an answer that names no method of these, or a second one")
    except (ValueError, KeyError, TypeError) as error:
        raise FileError(f"{path} is no file of answers that a page of nst-tf vote gave") from error
    return dict(votes)


class Share(NamedTuple):
    """So many of so many."""

    hits: int
    total: int

    def interval(self) -> tuple[float, float] | None:
        """Wilson's of 95 %, its lower and its upper end; None of nothing."""
        return wilson(self.hits, self.total) if self.total else None


class Count(NamedTuple):
    """What was answered to a question.

    Attributes:
      chosen: how often the first method was chosen, where a pair was shown for the first time.
      alike: how often a repeated pair got the same answer.
    """

    chosen: Share
    alike: Share

    def ahead(self) -> int | None:
        """0 or 1, the method that is ahead; None where the interval holds one half."""
        low, high = self.chosen.interval() or (0.0, 1.0)
        return 0 if low > 0.5 else 1 if high < 0.5 else None


def count(paths: Sequence[Path]) -> tuple[tuple[str, str], dict[str, Count]]:
    """Counts files of answers.

    A repeated showing counts for consistency alone. The intervals take all answers for independent:
    with several voters on the same pairs they speak of these pairs, not of pictures in general.

    Args:
      paths: a file a voter, all about the same two methods; pairs may differ.

    Returns:
      The methods, the first file's first one first; and by the names of `QUESTIONS` the counts.

    Raises:
      FileError: a file that is none of answers, about other methods, or of a sitting that another
        file holds already.
    """
    read = [read_answers(path) for path in paths]
    first, second = read[0]["methods"]
    sittings: dict[str, Path] = {}
    for path, votes in zip(paths, read, strict=True):
        if {*votes["methods"]} != {first, second}:
            raise FileError(
                f"{path} compares {' and '.join(votes['methods'])}, {paths[0]} {first} and "
                f"{second}: count them apart"
            )
        if before := sittings.get(votes["sitting"]):
            raise FileError(f"{before} and {path} are of one sitting: count the later one alone")
        sittings[votes["sitting"]] = path
    counts = {}
    for question in QUESTIONS:
        once: dict[tuple[str, str], str] = {}
        again: dict[tuple[str, str], str] = {}
        for votes in read:
            for answer in votes["answers"]:
                if question in answer:
                    showings = again if answer["repeat"] else once
                    showings[votes["sitting"], answer["pair"]] = answer[question]
        both = once.keys() & again.keys()
        chosen = sum(method == first for method in once.values())
        alike = sum(once[key] == again[key] for key in both)
        counts[question] = Count(Share(chosen, len(once)), Share(alike, len(both)))
    return (first, second), counts


def _pictures(folder: Path) -> dict[str, Path]:
    """The pictures of a folder by their names without suffix."""
    found: dict[str, Path] = {}
    for path in folders.pictures(folder):
        if before := found.get(path.stem):
            raise FileError(f"{folder} has both {before.name} and {path.name}: keep one")
        found[path.stem] = path
    return found


def _inputs_of(results: tuple[Path, Path]) -> tuple[Path | None, tuple[Path, ...]]:
    """The content image and the style images that the results' manifests agree upon."""
    read = [manifest for result in results if (manifest := _manifest(result))]
    content = _agreed([[inputs["content"]] for inputs in read])
    return (content[0] if content else None), _agreed([inputs["styles"] for inputs in read])


def _manifest(result: Path) -> dict[str, Any] | None:
    """What a run left beside its result, if it did."""
    try:
        manifest = reading.read_json(result.with_suffix(".json"))
        for image in (manifest["content"], *manifest["styles"]):
            image["sha256"]
    except (FileError, KeyError, TypeError):
        return None  # the .json of something else is nothing to complain about
    return dict(manifest)


def _agreed(inputs: Sequence[Sequence[dict[str, Any]]]) -> tuple[Path, ...]:
    """The files of inputs, one sequence a manifest; none where they differ or one is missing."""
    if len({tuple(image["sha256"] for image in one) for one in inputs}) > 1:
        return ()
    for one in inputs:
        if all(map(_is_there, one)):
            return tuple(Path(image["path"]) for image in one)
    return ()


def _is_there(image: dict[str, Any]) -> bool:
    """Whether an input's file is there, and still what the run was given."""
    try:
        return reading.sha256(image["path"]) == image["sha256"]
    except (FileError, KeyError, TypeError):  # of an array there is no path
        return False


def _encoded(path: Path, longest: int) -> dict[str, Any]:
    """A picture as a data URL of a JPEG, shrunk where it is larger than needed, and its size."""
    image, encoded = images.to_pil(images.load(path)), io.BytesIO()
    image.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    image.save(encoded, "JPEG", quality=92, subsampling=0)
    url = f"data:image/jpeg;base64,{base64.b64encode(encoded.getvalue()).decode()}"
    return {"url": url, "width": image.width, "height": image.height}
