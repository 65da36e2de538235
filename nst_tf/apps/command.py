"""What every command shares: its own flags, a help page one can read, one line for an error."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import tempfile
import textwrap
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import TextIO

from absl import flags

from nst_tf import signals
from nst_tf.apps import gpus
from nst_tf.errors import NSTError, is_out_of_memory, one_line

#: Exit code for wrong usage or input, as usual.
BAD_INPUT = 2
#: Exit code where some of many pictures could not be made, and all others were.
SOME_FAILED = 1
#: What TensorFlow's C++ part writes, and the least of it: fatal errors.
_LEVEL, _SILENT = "TF_CPP_MIN_LOG_LEVEL", "3"


class UsageError(Exception):
    """Arguments that cannot be used; its text is one line."""

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


class Helped(BaseException):
    """Help was all that was asked for, which is no error."""


def import_tensorflow() -> None:
    """Imports TensorFlow without its start-up notices, which concern nobody who makes pictures.

    Some are written before TensorFlow reads its log level, straight to file descriptor 2: that
    is put aside during the import, and shown after all where the import fails. Whoever has set
    another level sees what it shows.
    """
    if "tensorflow" not in sys.modules:
        silent = os.environ.setdefault(_LEVEL, _SILENT) == _SILENT
        with signals.heeded(), _silence() if silent else contextlib.nullcontext():
            importlib.import_module("tensorflow")
    if line := missing_gpu():
        print(line, file=sys.stderr)


def missing_gpu() -> str | None:
    """A line for people where a GPU is asked for, or there is one, and TensorFlow sees none."""

    def seen() -> bool:
        import tensorflow as tf

        return bool(tf.config.list_physical_devices("GPU"))

    return gpus.missing(seen)


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Puts aside what the block writes to file descriptor 2, and shows it where the block fails."""
    try:
        scratch = tempfile.TemporaryFile()  # noqa: SIM115
    except OSError:  # there is no room for it anywhere: it is shown
        yield
        return
    sys.stderr.flush()
    terminal = os.dup(2)
    with scratch as notices:
        os.dup2(notices.fileno(), 2)
        try:
            yield
        except Exception:
            notices.seek(0)
            os.write(terminal, notices.read())
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)


def parse(
    values: flags.FlagValues,
    usage: str,
    argv: Sequence[str],
    required: int,
    most: int = 1 << 30,
    others: list[str] | None = None,
) -> list[str]:
    """Parses a command line, flags and arguments in any order.

    Args:
      values: the command's flags, kept apart from absl's global ones.
      usage: what `--help` shows above the flags.
      argv: the command's name and what follows it.
      required: how many arguments there must be at least.
      most: how many there may be.
      others: where flags go that are another program's, as they stand; None to refuse them.

    Returns:
      The arguments that are no flags.

    Raises:
      Helped: help was asked for, and is printed.
      UsageError: an unknown flag, a value that does not fit, too few arguments or too many.
    """
    if any(argument in ("-h", "--h", "-help", "--help", "-?") for argument in argv[1:]):
        print_help(values, usage, sys.stdout)
        raise Helped
    try:
        arguments: list[str] = values(list(argv), known_only=others is not None)[1:]
    except flags.Error as error:
        raise UsageError(str(error)) from error
    if others is not None:
        others += [argument for argument in arguments if argument.startswith("--")]
        arguments = [argument for argument in arguments if not argument.startswith("--")]
    first = usage.strip().splitlines()[0]
    if len(arguments) < required:
        raise UsageError(f"too few arguments ({len(arguments)}); usage: {first}")
    if len(arguments) > most:
        raise UsageError(f"unexpected {arguments[most]!r}; usage: {first}")
    return arguments


def refuse_others(values: flags.FlagValues, known: Sequence[str], what: str) -> None:
    """Raises UsageError where a flag is set that would be ignored.

    Args:
      values: the command's flags.
      known: names of those that are not.
      what: the flag or the kind of call that ignores the others.
    """
    for flag in (values[name] for name in values):
        if flag.name not in known and flag.value != flag.default:
            raise UsageError(f"{what} knows no --{flag.name}: leave it out")


def print_help(values: flags.FlagValues, usage: str, stream: TextIO) -> None:
    """Writes the usage and every flag with its meaning and default."""
    print(usage.strip(), end="\n\nFlags:\n", file=stream)
    seen: set[str] = set()
    for flag in (flag for group in values.flags_by_module_dict().values() for flag in group):
        if flag.name in seen:
            continue
        seen.add(flag.name)
        name = f"-{flag.short_name}, --{flag.name}" if flag.short_name else f"--{flag.name}"
        default = "" if flag.default is None else f" (default: {flag.default_as_str})"
        text = textwrap.wrap(" ".join((flag.help + default).split()), 76, break_on_hyphens=False)
        print(f"  {name}", *(f"      {line}" for line in text), sep="\n", file=stream)


def run(name: str, main: Callable[[list[str]], int], argv: Sequence[str]) -> int:
    """Runs a command; what goes wrong becomes one line on standard error and an exit code."""
    try:
        with _warning_in_one_line(name), signals.interrupting():
            return main([name, *argv])
    except Helped:
        return 0
    except (NSTError, UsageError) as error:
        print(f"nst-tf {name}: {error}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt as interrupt:
        print(f"nst-tf {name}: {signals.reason(interrupt)}", file=sys.stderr)
        return signals.reason(interrupt).code
    except BrokenPipeError:
        # Whoever read the output has enough (`| head`). Python's own flush at exit would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if is_out_of_memory(error):
            print(
                f"nst-tf {name}: out of memory; try --tile=512, or a smaller --size",
                file=sys.stderr,
            )
            return BAD_INPUT
        raise


@contextlib.contextmanager
def _warning_in_one_line(name: str) -> Iterator[None]:
    """What the library warns of, as people who run a command want to read it."""
    others = warnings.showwarning

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if category is UserWarning:
            print(f"nst-tf {name}: {one_line(str(message))}", file=sys.stderr)
        else:
            others(message, category, filename, lineno, file, line)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


def weights_line(source: str, kind: str) -> str:
    """Which network was taken, and which other there is and how to get it.

    Args:
      source: of the weights (`Weights.source`); likewise kind.
    """
    others = {
        "mini": "for the whole VGG19: --weights=imagenet, or a file",
        "random": "no brush strokes; for these: --weights=mini or imagenet",
    }
    return f"weights: {source}; {others.get(kind, 'for a fast preview: --weights=mini')}"


def duration(seconds: float) -> str:
    """A time for people: `42 s`, `7 min`, `3.5 h`."""
    minutes = round(seconds / 60)
    if minutes < 2:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:.1f} h"
