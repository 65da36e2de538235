"""A page of pictures, plots, tables: a file of HTML that holds them, or shows those beside it."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import io
import os
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from nst_tf import assets, files
from nst_tf.errors import NSTError
from nst_tf.pictures import images
from nst_tf.version import __version__

#: Pixels of the longer side up to which a picture keeps every one of them.
_SMALL = 128
#: What browsers show.
_SHOWN = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
_FILMS = {".mp4": "video/mp4", ".webp": "image/webp", ".gif": "image/gif"}


@dataclass(frozen=True)
class Picture:
    """A picture or film on the page.

    Attributes:
      path: of the file; its pixels become part of the page.
      caption: below it.
      longest: side in pixels to shrink a larger picture to; None keeps all pixels.
      beside: the page's folder, from which the page shows the file itself, where browsers know its
        kind: a page of a thousand pictures holds none of them. None for a page of one file.
    """

    path: Path
    caption: str
    longest: int | None = None
    beside: Path | None = None

    @property
    def link(self) -> str | None:
        """The way from the page to the file, as a URL; None where its pixels are in the page."""
        if self.beside is None or self.path.suffix.lower() not in _SHOWN:
            return None
        return quote(Path(os.path.relpath(self.path, self.beside)).as_posix())

    @property
    def video(self) -> bool:
        """Whether it is played rather than shown."""
        return self.path.suffix == ".mp4"

    @property
    def data(self) -> str:
        """The file as a data URL; large pictures as JPEG, a fifth of the size of their PNG."""
        kind, encoded = _FILMS.get(self.path.suffix, "image/jpeg"), io.BytesIO()
        if self.path.suffix in _FILMS:
            encoded.write(self.path.read_bytes())
        else:
            image = images.to_pil(images.load(self.path))
            if self.longest:
                image.thumbnail((self.longest, self.longest))
            if max(image.size) <= _SMALL:
                kind = "image/png"
                image.save(encoded, "PNG")
            else:
                image.save(encoded, "JPEG", quality=92, subsampling=0)
        return f"data:{kind};base64,{base64.b64encode(encoded.getvalue()).decode()}"


@dataclass(frozen=True)
class Row:
    """Pictures side by side.

    Attributes:
      label: what they have in common.
      pictures: from left to right.
      sharp: whether their pixels are to be seen when they are enlarged.
    """

    label: str
    pictures: list[Picture]
    sharp: bool = False


@dataclass(frozen=True)
class Page:
    """What is on it, from top to bottom.

    Attributes:
      title: the heading.
      text: paragraphs.
      rows: pictures.
      notes: in fainter letters.
      plots: SVG, from `plot`.
      table: the first line is its head.
      settings: in words; what is not in them is in the file `record`.
      width: of a picture, in pixels, where there is room.
      figures_first: whether table and plots come before the pictures.
    """

    title: str
    text: Sequence[str]
    rows: Sequence[Row]
    notes: Sequence[str] = ()
    plots: Sequence[str] = ()
    table: Sequence[Sequence[str]] = ()
    settings: str = ""
    record: str = "run.json"
    width: int = 256
    figures_first: bool = False
    version: str = field(default=__version__, init=False)

    def write(self, path: Path) -> None:
        """Writes it, atomically.

        Raises:
          NSTError: jinja2 is missing.
          FileError: it cannot be written there.
        """
        template = _jinja().from_string(assets.PAGE.read_text())
        files.write(path, template.render(page=self))


def plot(
    title: str,
    x: str,
    y: str,
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]],
) -> str:
    """Curves with a logarithmic y axis, as SVG.

    Args:
      title: above them.
      x: the label of the horizontal axis; y: likewise.
      curves: x and y values by name.

    Raises:
      NSTError: matplotlib is missing.
    """
    matplotlib = _matplotlib()
    figure = matplotlib.figure.Figure(figsize=(6.4, 4), layout="constrained")
    axes = figure.add_subplot()
    for name, (xs, ys) in curves.items():
        axes.plot(xs, ys, label=name, linewidth=1.4)
    axes.set(title=title, xlabel=x, ylabel=y, yscale="log")
    # A run from the photo starts with no content loss: that would leave no room for the rest.
    highest = max((max(ys, default=1.0) for _, ys in curves.values()), default=1.0)
    lowest = min((min(ys, default=1.0) for _, ys in curves.values()), default=1.0)
    if lowest < 1e-5 * highest:
        axes.set_ylim(bottom=1e-5 * highest)
    axes.grid(True, which="both", alpha=0.2)
    if len(curves) > 1:
        axes.legend(fontsize=8)
    return _svg(figure, title, x, y, *curves)


def scatter(
    title: str,
    x: str,
    y: str,
    dots: Mapping[str, tuple[Sequence[float], Sequence[float]]],
) -> str:
    """Dots, and a larger one at the medians of each kind, as SVG.

    Args:
      title: above them.
      x: the label of the horizontal axis; y: likewise.
      dots: x and y values by the kind's name.

    Raises:
      NSTError: matplotlib is missing.
    """
    matplotlib = _matplotlib()
    figure = matplotlib.figure.Figure(figsize=(6.4, 4.8), layout="constrained")
    axes = figure.add_subplot()
    for number, (name, (xs, ys)) in enumerate(dots.items()):
        colour, shape = f"C{number % 10}", "os^Dv"[number // 10 % 5]
        axes.scatter(xs, ys, s=10, alpha=0.35, color=colour, marker=shape, linewidths=0)
        middle = statistics.median(xs), statistics.median(ys)
        axes.scatter(*middle, s=70, color=colour, marker=shape, edgecolors="white", label=name)
    axes.set(title=title, xlabel=x, ylabel=y)
    axes.grid(True, alpha=0.2)
    figure.legend(fontsize=8, loc="outside right upper")
    return _svg(figure, title, x, y, *dots)


def _svg(figure: Any, *words: str) -> str:
    """A figure as an element for a page; the words tell it from others there."""
    svg = io.StringIO()
    with _matplotlib().rc_context({"svg.hashsalt": words[0], "svg.fonttype": "path"}):
        figure.savefig(svg, format="svg", metadata={"Date": None})
    text = svg.getvalue()
    # Names of its own for what several plots on a page would otherwise all call the same.
    own = hashlib.sha256("\0".join(words).encode()).hexdigest()[:8]
    text = re.sub(r'(\sid="|href="#|url\(#)', rf"\g<1>{own}-", text)
    return text[text.index("<svg") :]


def available() -> bool:
    """Whether pages without plots can be made."""
    return importlib.util.find_spec("jinja2") is not None


def check_installed() -> None:
    """Finds out before the long work whether a page can be made.

    Raises:
      NSTError: what it takes is missing; says what to install.
    """
    _jinja()
    _matplotlib()


def _matplotlib() -> Any:
    try:
        import matplotlib.figure
    except ImportError as error:
        raise _missing("matplotlib") from error
    return matplotlib


def _jinja() -> Any:
    try:
        import jinja2
    except ImportError as error:
        raise _missing("jinja2") from error
    return jinja2.Environment(autoescape=True, trim_blocks=True)


def _missing(name: str) -> NSTError:
    return NSTError(f"pages need {name}: pip install 'nst_tf[experiments]'")


def in_common(runs: Sequence[Mapping[str, Any]]) -> str:
    """The settings that all runs have in common, a line each; without those that say nothing."""
    first, others = (runs[0], runs[1:]) if runs else ({}, ())
    return "\n".join(
        f"{name}: {value}"
        for name, value in first.items()
        if value not in (None, [], ()) and all(run[name] == value for run in others)
    )


def short(value: Any) -> str:
    """A number or setting in a table."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (str, os.PathLike)):
        return Path(value).name
    return "" if value is None else str(value)
