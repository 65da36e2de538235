"""What came before neural networks: texture synthesis and transfer, beside Gatys' own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nst_tf import assets, page
from nst_tf.classical import methods
from nst_tf.errors import SettingsError
from nst_tf.experiments import report
from nst_tf.experiments.plan import Inputs
from nst_tf.recipe.settings import Settings
from nst_tf.run.classical_work import Painting, Texture
from nst_tf.run.job import Job
from nst_tf.run.jobs import Manifest, Work
from nst_tf.version import __version__

#: What optimisation with a network is called among the methods.
_GATYS = "gatys"
#: Pixels a side of the textures that are grown, and of what they are grown from.
_GROWN, _TEXTURE = 160, 96


@dataclass(frozen=True)
class Classical:
    """The experiment: its work, and its page when that is done.

    Args:
      inputs: whose pair of pictures, network and settings; the values are methods.
      folder: for everything.

    Raises:
      SettingsError: a value that is no method; several style images.
    """

    inputs: Inputs
    folder: Path

    def __post_init__(self) -> None:
        known = (*methods.METHODS, _GATYS)
        for name in self._chosen:
            if name not in known:
                raise SettingsError(f"no method {name!r}: use one of {', '.join(known)}")
        if len(self.inputs.styles) > 1:
            raise SettingsError("classical methods take one style image: name one")

    @property
    def works(self) -> list[Work]:
        """All of its pictures, textures first."""
        grown = [
            self._grown(texture, name) for texture in assets.TEXTURES for name in self._growing
        ]
        return [*grown, *(self._painted(name) for name in self._painting)]

    def write(self, manifests: Mapping[str, Manifest]) -> Path:
        """Writes the page of what is done, results.csv and run.json.

        Args:
          manifests: by the work's name.

        Returns:
          The page's path.
        """
        done = [work for work in self.works if work.name in manifests]
        costs = ("seconds", "cpu_seconds", "peak_memory")
        head: list[Any] = ["picture", *costs]
        lines = [[work.name, *(manifests[work.name].get(key) for key in costs)] for work in done]
        runs = {work.name: manifests[work.name] for work in done}
        record = {"nst_tf": __version__, "experiment": "classical", "runs": runs}
        report.write_records(self.folder, [head, *lines], record)
        path = self.folder / "index.html"
        page.Page(
            "Before neural networks",
            [
                "Textures grown from a small piece. The oldest methods copy a pixel at a time from "
                "where its neighbourhood is alike; later ones copy blocks or patches and hide the "
                "seams; optimisation asks that every patch be found in the piece. Gatys et al. "
                "copy nothing: they ask for the same Gram matrices of a network's features.",
                "Below, one photo painted by each. What copies from the painting keeps its strokes "
                "as they are, and has no others; what moves colours alone leaves every edge.",
                *(f"{name}: {methods.METHODS[name].paper}." for name in methods.METHODS),
            ],
            self._rows({work.name for work in done}),
            table=[head, *([page.short(value) for value in line] for line in lines)],
            settings=f"size: {self._settings.size}\nseed: {self._settings.seed}\n"
            f"textures: {_TEXTURE} to {_GROWN} pixels",
            width=2 * _GROWN,
        ).write(path)
        return path

    @property
    def _chosen(self) -> list[str]:
        return self.inputs.words(*methods.METHODS, _GATYS)

    @property
    def _growing(self) -> list[str]:
        return [name for name in self._chosen if name in (*methods.SYNTHESES, _GATYS)]

    @property
    def _painting(self) -> list[str]:
        return [name for name in self._chosen if name in (*methods.TRANSFERS, _GATYS)]

    def _grown(self, texture: str, name: str) -> Work:
        work, source = f"{texture}-{name}", str(assets.TEXTURES[texture])
        output = self.folder / f"{work}.png"
        if name != _GATYS:
            return Texture(work, name, source, _GROWN, output, self._settings.seed)
        settings = self.inputs.comparable(init="noise").replace(
            content_layers={}, size=_GROWN, style_size=_TEXTURE
        )
        return Job(work, settings, source, (source,), self.inputs.weights, output)

    def _painted(self, name: str) -> Work:
        work, settings = f"photo-{name}", self._settings
        content, (style,) = self.inputs.content, self.inputs.styles
        output = self.folder / f"{work}.png"
        if name != _GATYS:
            return Painting(work, name, content, style, settings.size, output, settings.seed)
        return Job(work, settings, content, (style,), self.inputs.weights, output)

    @property
    def _settings(self) -> Settings:
        return self.inputs.settings()

    def _rows(self, done: set[str]) -> list[page.Row]:
        rows = []
        for texture, path in assets.TEXTURES.items():
            pictures = [page.Picture(path, f"{texture}, {_TEXTURE} pixels")]
            rows.append(page.Row(texture, pictures + self._pictures(texture, self._growing, done)))
        pair = [
            page.Picture(Path(self.inputs.content), "content", 512),
            page.Picture(Path(self.inputs.styles[0]), "style", 512),
        ]
        rows.append(
            page.Row("Style transfer", pair + self._pictures("photo", self._painting, done))
        )
        return rows

    def _pictures(self, kind: str, names: list[str], done: set[str]) -> list[page.Picture]:
        return [
            page.Picture(self.folder / f"{kind}-{name}.png", name)
            for name in names
            if f"{kind}-{name}" in done
        ]
