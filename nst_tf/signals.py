"""What ends a program early, and how it ends then: with its exit code, and what is there saved."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

#: A terminal that is closed, which Windows does not tell.
_HANGUP: signal.Signals | None = getattr(signal, "SIGHUP", None)
#: Ctrl-C; a system that shuts down, or a container; a closed terminal, where that is a signal.
ENDING = (signal.SIGINT, signal.SIGTERM, *([_HANGUP] if _HANGUP else []))


class Signalled(KeyboardInterrupt):
    """One of these ends the program at once, as Ctrl-C does by Python's own handler.

    Attributes:
      number: of the signal.
      code: the exit code of the program, as shells have it: 130, 143, 129.
    """

    def __init__(self, number: int) -> None:
        name = signal.Signals(number).name
        super().__init__("interrupted" if number == signal.SIGINT else f"ended by {name}")
        self.number, self.code = number, 128 + number


class Stop:
    """Whether and by which signal a program was asked to end.

    Attributes:
      number: of the first signal; None where there was none.
    """

    def __init__(self) -> None:
        self.number: int | None = None

    @property
    def code(self) -> int:
        """The exit code of a program that a signal has ended, as shells have it."""
        return 128 + (self.number or signal.SIGINT)


def reason(interrupt: KeyboardInterrupt) -> Signalled:
    """The signal that an interrupt comes of, Python's own and what was raised of ours included."""
    for error in (interrupt, interrupt.__cause__):
        if isinstance(error, Signalled):
            return error
    return Signalled(signal.SIGINT)


@contextlib.contextmanager
def stopping(end: Callable[[], None], begun: Callable[[], bool] = lambda: True) -> Iterator[Stop]:
    """The first signal lets what is at work come to its end; a second one interrupts.

    Args:
      end: called at the first, such as `StyleTransfer.stop`.
      begun: whether there is anything to save yet; where not, the first one interrupts.
    """
    stop, graceful = Stop(), False
    terminals = [stream for stream in (1, 2) if _is_terminal(stream)]

    def handle(number: int, _frame: FrameType | None) -> None:
        nonlocal graceful
        if number == _HANGUP:
            _silence(terminals)
        stop.number = stop.number or number
        # One that has interrupted and yet was swallowed, as by imports, counts for nothing.
        if graceful or not begun():
            raise Signalled(number)
        graceful = True
        name = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
        # Not by sys.stderr, which may be in the middle of writing.
        with contextlib.suppress(OSError):
            text = f"\nstopping after this step ({name} again: at once, without a picture)\n"
            os.write(2, text.encode())
        end()

    with _handled(handle, ENDING):
        yield stop


def interrupting() -> contextlib.AbstractContextManager[Stop]:
    """Each of them interrupts, as Ctrl-C does anyway: half of a file goes, and a container's first
    process, which the system does not end by them, ends."""
    return stopping(lambda: None, begun=lambda: False)


@contextlib.contextmanager
def deferred() -> Iterator[None]:
    """A signal takes effect only after the block, however that ends: for files that belong
    together."""
    came: list[int] = []
    try:
        with _handled(lambda number, _frame: came.append(number), ENDING):
            yield
    finally:
        if came:
            signal.raise_signal(came[0])


@contextlib.contextmanager
def heeded() -> Iterator[None]:
    """A signal interrupts the block; where something in it swallowed that, or made another error of
    it, as imports do, the signal is raised again at the block's end."""
    stop = Stop()
    try:
        with interrupting() as stop:
            yield
    finally:
        if stop.number is not None:
            signal.raise_signal(stop.number)


@contextlib.contextmanager
def ignored() -> Iterator[None]:
    """Processes that begin in the block never see a Ctrl-C, nor that the terminal is closed: who
    starts them tells them to stop. SIGTERM still ends one of them alone."""
    numbers = tuple(one for one in ENDING if one != signal.SIGTERM)
    mask = getattr(signal, "pthread_sigmask", None)
    if mask is None or threading.current_thread() is threading.main_thread():
        with _handled(signal.SIG_IGN, numbers):
            yield
        return
    before = mask(signal.SIG_BLOCK, numbers)  # which a process takes over from the thread
    try:
        yield
    finally:
        mask(signal.SIG_SETMASK, before)


def end_with_parent() -> None:
    """From now on this process, of `multiprocessing`, ends with the one that began it: what goes on
    for nobody would be in the way of the command that takes up its work."""

    def wait() -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


@contextlib.contextmanager
def _handled(handler: Any, numbers: tuple[signal.Signals, ...]) -> Iterator[None]:
    """What these signals do in the block; afterwards what they did before.

    What is ignored stays so, as under nohup; and so does what is none of Python's.
    """
    before: dict[signal.Signals, Any] = {}
    try:
        if threading.current_thread() is threading.main_thread():  # no other one may say
            for number in numbers:
                known = signal.getsignal(number)
                if known not in (signal.SIG_IGN, None):
                    before[number] = known
                    signal.signal(number, handler)
        yield
    finally:
        for number, known in before.items():
            signal.signal(number, known)


def _is_terminal(stream: int) -> bool:
    try:
        return os.isatty(stream)
    except OSError:
        return False


def _silence(terminals: list[int]) -> None:
    """What is written to a terminal that is gone fails: from now on it goes nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in terminals:
        os.dup2(nowhere, stream)
    os.close(nowhere)
