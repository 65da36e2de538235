"""Photos painted on many machines, each picture written once with its manifest beside it."""

from __future__ import annotations

import json
import posixpath
import time
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.utils.shared import Shared

from nst_tf import reading
from nst_tf.batch.one_pass import identity as identity_of_pass
from nst_tf.batch.one_pass import parse_shares
from nst_tf.beam.outcomes import Counts, Failure, Split, split
from nst_tf.beam.storing import exists, local_copy, read_file, write_file
from nst_tf.errors import FileError, NSTError
from nst_tf.pictures import images
from nst_tf.pictures.identity import identity_of
from nst_tf.recipe.settings import Settings
from nst_tf.version import __version__

#: Style images that a worker keeps as files.
_KEPT = 64


class Painting(NamedTuple):
    """One picture to be painted.

    Attributes:
      output: its name in the folder, such as `anna--night.png`.
      content: path of the photo, on any file system that the workers see.
      styles: paths of the paintings, which are blended; of a stylizer, names of its paintings or
        mixes of them, such as night=1+wave=3.
      settings: of the run.
      weights: the network, as `weights.load` takes it: a name, or a file on any file system.
    """

    output: str
    content: str
    styles: tuple[str, ...]
    settings: Settings
    weights: str


class Stylize(beam.PTransform):
    """`Painting`s to (output, record): what was made of each, and how long that took.

    Writes every picture and its manifest into a folder, the manifest last: what has one of the same
    pictures, settings and network is not made again, and a worker that is lost loses at most
    what it was painting. A process builds and compiles once, and measures a painting once.

    Args:
      folder: for the pictures, on any file system.
      stylizer: path of a trained stylizer, to paint in one pass; None for the optimiser.
      strength: how much that paints.
      **how: arguments of `StyleTransfer` that say how it is computed, such as `engine`.
    """

    def __init__(
        self, folder: str, *, stylizer: str | None = None, strength: float = 1.0, **how: Any
    ) -> None:
        super().__init__()
        self.outcomes = Paint(folder, stylizer=stylizer, strength=strength, **how)

    def expand(self, pcoll: Any) -> Split:
        return split(pcoll | "Paint" >> beam.ParDo(self.outcomes))


class Paint(beam.DoFn):
    """`Stylize` before what is good and what has failed are told apart; its arguments are those."""

    def __init__(
        self, folder: str, *, stylizer: str | None = None, strength: float = 1.0, **how: Any
    ) -> None:
        self._folder, self._stylizer, self._strength = folder, stylizer, strength
        self._how, self._shared = how, Shared()

    def setup(self) -> None:
        self._counts = Counts("stylize")
        self._studio: _Studio = self._shared.acquire(_Studio)

    def process(self, element: Painting) -> Iterator[tuple[str, Any]]:
        begun = time.perf_counter()
        try:
            outcome: Any = self._painted(Painting(*element))
        except (NSTError, MemoryError) as error:
            outcome = Failure(element[0], str(error) or "out of memory")
        self._counts.add(outcome, time.perf_counter() - begun)
        yield element[0], outcome

    def _painted(self, one: Painting) -> dict[str, Any]:
        """The record of a picture that is there now."""
        target = posixpath.join(self._folder, one.output)
        beside = str(PurePosixPath(one.output).with_suffix(".json"))
        manifest_path = posixpath.join(self._folder, beside)
        content = read_file(one.content)
        if self._stylizer:
            work: Any = self._studio.one_pass(self._stylizer, content, one, self._strength)
        else:
            work = self._studio.run(content, one, **self._how)
        manifest = _done(target, manifest_path, work.identity)
        if manifest is None:
            manifest, data = work.make(one.output)
            write_file(target, data)
            told = {**manifest, "content": {**manifest["content"], "path": one.content}}
            write_file(manifest_path, json.dumps(told, indent=1).encode())
        return {
            "output": one.output,
            "content": one.content,
            "styles": list(one.styles),
            "seconds": manifest["seconds"],
            "result_sha256": manifest["result_sha256"],
        }


def _done(target: str, manifest_path: str, identity: Mapping[str, Any]) -> dict[str, Any] | None:
    """The manifest of a picture that is there and was made by this very work."""
    from nst_tf.run.record import same_work

    try:
        manifest: dict[str, Any] = json.loads(read_file(manifest_path))
        return manifest if same_work(identity, manifest) and exists(target) else None
    except (FileError, ValueError, TypeError, AttributeError):
        return None


class _Studio:
    """What a process keeps between pictures: networks, paintings. Any thread may ask."""

    def __init__(self) -> None:
        self._networks: dict[Any, Any] = {}
        self._files: dict[str, bytes] = {}

    def run(self, content: bytes, one: Painting, **how: Any) -> _Run:
        """A run of the optimiser, not begun."""
        return _Run(
            content, [self._file(path) for path in one.styles], one, self._weights(one), how
        )

    def one_pass(self, path: str, content: bytes, one: Painting, strength: float) -> _OnePass:
        """A pass of a stylizer, not begun."""
        kept = self._networks.get(path)
        if kept is None:
            from nst_tf.stylizer.network import Stylizer

            with local_copy(path) as file:
                kept = Stylizer.load(file), reading.sha256(file)
            self._networks = {path: kept}
        stylizer, sha256 = kept
        return _OnePass(stylizer, sha256, content, one, strength)

    def _weights(self, one: Painting) -> Any:
        from nst_tf.network import weights as weights_module
        from nst_tf.recipe import presets

        source = presets.network(one.settings.preset, one.weights)
        key = source, one.settings.seed if source == "random" else None
        kept = self._networks.get(key)
        if kept is None:
            with local_copy(source) as file:
                kept = weights_module.load(file, seed=one.settings.seed)
            self._networks = {key: kept}
        return kept  # not what another thread may have put in its place by now

    def _file(self, path: str) -> bytes:
        data = self._files.get(path)
        if data is None:
            data = read_file(path)
            # Another dictionary, for a thread that looks into this one meanwhile.
            self._files = dict([*self._files.items(), (path, data)][-_KEPT:])
        return data


class _Run:
    """A run of the optimiser."""

    def __init__(
        self,
        content: bytes,
        styles: list[bytes],
        one: Painting,
        network: Any,
        how: Mapping[str, Any],
    ) -> None:
        from nst_tf.run.transfer import StyleTransfer

        # In one of the process's workshops, of which runs in several threads each have their own.
        self._run = StyleTransfer(
            content, styles, settings=one.settings, weights=network, keep_snapshots=False, **how
        )

    @property
    def identity(self) -> dict[str, Any]:
        """What tells it from others."""
        return self._run.identity

    def make(self, name: str) -> tuple[dict[str, Any], bytes]:
        """The manifest and the file of the picture."""
        result = self._run.run()
        return result.manifest, images.encode(result.array, Path(Path(name).name))


class _OnePass:
    """A pass of a stylizer."""

    def __init__(
        self, stylizer: Any, sha256: str, content: bytes, one: Painting, strength: float
    ) -> None:
        self._stylizer, self._strength = stylizer, strength
        self._shares = tuple(share for style in one.styles for share in parse_shares(style))
        self._photo = images.load(content, one.settings.size)
        network = {"sha256": sha256}
        given = identity_of(content)
        how = self._shares, strength, self._photo.shape[:2]
        self.identity = identity_of_pass(network, *how, given)

    def make(self, name: str) -> tuple[dict[str, Any], bytes]:
        """The manifest and the file of the picture."""
        from nst_tf.run.meter import Meter
        from nst_tf.run.record import pixels_sha256

        meter = Meter()
        shares = self._stylizer.shares(dict(self._shares)) if self._shares else None
        made = self._stylizer.paint(self._photo, self._strength, shares)
        spent = {"seconds": round(meter.seconds, 4), **meter.spent()}
        manifest = {
            "nst_tf": __version__,
            **self.identity,
            "result_sha256": pixels_sha256(made),
            **spent,
        }
        return manifest, images.encode(made, Path(Path(name).name))
