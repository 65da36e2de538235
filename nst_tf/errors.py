"""The package's own errors: one clear line for people, saying what was wrong and what to do."""

from __future__ import annotations

from typing import Any


def one_line(text: str) -> str:
    """A text as a terminal can be shown it: without line breaks, what is not printed escaped.

    A file's name, or a library's own words, may hold line breaks, the escape sequences that colour
    or clear a terminal, and letters that turn its direction.
    """
    return "".join(
        letter if letter.isprintable() else ascii(letter)[1:-1]
        for letter in " ".join(text.splitlines())
    )


def in_bytes(count: float) -> str:
    """A number of bytes for people, in powers of 2: `1.5 GiB`, `512 MiB`, `7 bytes`."""
    count = min(count, 1 << 90)  # what a file says may be more than any float
    for unit, name in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if count >= unit:
            return f"{count / unit:.{int(unit == 2**30)}f} {name}"
    return f"{max(count, 0):.0f} bytes"


def is_out_of_memory(error: BaseException) -> bool:
    """Whether it says that there is not the memory: Python's error, or TensorFlow's, which is known
    by its name, so that nobody has to import TensorFlow for an error that came before it."""
    return isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError"


class NSTError(Exception):
    """Base of every error that nst_tf raises on purpose. Its text is one line."""

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


class SettingsError(NSTError, ValueError):
    """A setting, layer name or argument that cannot be used."""


class FileError(NSTError):
    """A file or folder that cannot be read or written."""


class OutputError(FileError):
    """A file or folder that cannot be written: no room, no permission, or another run has it. What
    else would be written there could not be, either."""


class CheckpointError(SettingsError):
    """A checkpoint that is of another run."""


class DamagedCheckpointError(FileError):
    """A checkpoint of which nothing can be read."""


class PictureError(FileError):
    """A picture that cannot be read or written."""


class WeightsError(NSTError):
    """Weights that cannot be had, or do not fit the network."""


class ExportError(NSTError):
    """A SavedModel that cannot be written, found or loaded, or does not give what it should."""


class DivergenceError(NSTError):
    """The loss or its gradient stayed non-finite however small the step.

    Attributes:
      result: the run up to its best image, a `run.record.Result`, so that nothing is lost; None
        where not even the initial image had a finite loss.
    """

    def __init__(self, message: str, result: Any = None) -> None:
        super().__init__(message)
        self.result = result


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during `nst_tf.stylize`: still a KeyboardInterrupt, but the work is not lost.

    Attributes:
      result: the run up to its best image, a `run.record.Result`.
    """

    def __init__(self, result: Any) -> None:
        super().__init__("interrupted; the best image so far is in .result")
        self.result = result
