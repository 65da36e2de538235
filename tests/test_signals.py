"""What ends a program early: handlers that come and go, exit codes, runs ended at any moment."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from PIL import Image

from nst_tf import assets, locks, signals
from nst_tf.apps import command
from nst_tf.apps.main import main
from nst_tf.run.transfer import StyleTransfer

ROOT = assets.SCENE.parent.parent.parent
CODES: dict[int, int] = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


SAID: dict[int, str] = {
    signal.SIGINT: "interrupted",
    signal.SIGTERM: "ended by SIGTERM",
    signal.SIGHUP: "ended by SIGHUP",
}


@pytest.fixture(params=CODES, ids=lambda number: signal.Signals(number).name)
def number(request):
    return request.param


@pytest.fixture(autouse=True)
def before():
    """Whatever a test does, the handlers are afterwards what they were; none of it ends pytest."""
    known = {number: signal.getsignal(number) for number in signals.ENDING}
    yield known
    now = {number: signal.getsignal(number) for number in signals.ENDING}
    for number, handler in known.items():
        signal.signal(number, handler)
    assert now == known


def test_the_first_stops_and_the_second_interrupts(number, before, capfd):
    ended = []
    with (
        pytest.raises(signals.Signalled, match=SAID[number]) as caught,
        signals.stopping(lambda: ended.append(1)) as stop,
    ):
        assert stop.number is None
        signal.raise_signal(number)
        assert ended == [1] and stop.number == number and stop.code == CODES[number]
        signal.raise_signal(number)
    assert ended == [1] and caught.value.code == CODES[number]
    assert "stopping after this step" in capfd.readouterr().err


def test_with_nothing_to_save_the_first_interrupts(number):
    begun = []
    with pytest.raises(signals.Signalled), signals.stopping(pytest.fail, lambda: bool(begun)):
        signal.raise_signal(number)
    with signals.stopping(lambda: begun.append(2), lambda: begun != []):
        begun.append(1)
        signal.raise_signal(number)
    assert begun == [1, 2]


def test_one_that_was_swallowed_before_the_beginning_is_no_first_one(number, capfd):
    begun, ended = [], []
    with (
        pytest.raises(signals.Signalled),
        signals.stopping(lambda: ended.append(1), lambda: bool(begun)),
    ):
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(number)
        assert not ended
        begun.append(1)
        signal.raise_signal(number)  # it lets what is at work come to its end
        assert ended == [1]
        signal.raise_signal(number)
    assert capfd.readouterr().err.count("stopping after this step") == 1


def test_what_belongs_together_and_fails_loses_no_signal(number, capfd):
    ended = []
    with (
        signals.stopping(lambda: ended.append(1)),
        pytest.raises(OSError, match="full"),
        signals.deferred(),
    ):
        signal.raise_signal(number)
        assert not ended
        raise OSError("full")
    assert ended == [1]


def test_what_belongs_together_is_done_together(number):
    done = []
    with pytest.raises(signals.Signalled), signals.stopping(pytest.fail, lambda: False):
        with signals.deferred():
            done.append("picture")
            signal.raise_signal(number)
            done.append("manifest")
        done.append("more")
    assert done == ["picture", "manifest"]


def test_what_is_ignored_stays_ignored(number):
    """As SIGHUP under nohup, and SIGINT in the background of a script."""
    known = signal.signal(number, signal.SIG_IGN)
    try:
        with signals.stopping(pytest.fail), signals.deferred():
            signal.raise_signal(number)
        assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, known)


def test_other_threads_leave_the_handlers_alone(before):
    seen = []

    def work():
        with signals.stopping(lambda: None), signals.deferred(), signals.ignored():
            seen.append({number: signal.getsignal(number) for number in before})

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]


def test_processes_are_told_by_who_starts_them():
    """Ctrl-C and a closed terminal reach every process of a group; SIGTERM ends one alone."""
    ask = "import signal; print(*(int(signal.getsignal(n) is signal.SIG_IGN) for n in (2, 1, 15)))"
    with signals.ignored():
        told = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True)
    assert told.stdout.split() == ["1", "1", "0"]


@pytest.mark.parametrize("wrapped", [False, True])
def test_the_command_exits_with_the_signals_code(number, wrapped, capsys):
    def interrupted(argv):
        try:
            raise signals.Signalled(number)
        except KeyboardInterrupt as error:
            if wrapped:  # as StyleTransfer.run does
                raise KeyboardInterrupt("the best image is in .result") from error
            raise

    assert command.run("stylize", interrupted, []) == CODES[number]
    assert capsys.readouterr().err == f"nst-tf stylize: {SAID[number]}\n"


def test_a_command_is_interrupted_wherever_it_stands(number, capsys):
    cleared = []

    def working(argv):
        try:
            signal.raise_signal(number)
        finally:
            cleared.append("half of a file")

    assert command.run("stylize", working, []) == CODES[number]
    assert capsys.readouterr().err == f"nst-tf stylize: {SAID[number]}\n" and cleared


HALF = """
import os, signal
os.write(2, b"a notice\\n")
try:
    signal.raise_signal({number})
    raise AssertionError("it goes on")
except KeyboardInterrupt:
    {then}
"""
WAITING = "for _ in range(6000): time.sleep(0.01)"
IMPORTING = """
import sys
from nst_tf.apps import command
sys.exit(command.run("stylize", lambda argv: command.import_tensorflow(), []))
"""


@pytest.mark.parametrize("then", ["raise", "raise ImportError('half of it')", "pass"])
def test_a_signal_while_tensorflow_is_imported(tmp_path, number, then):
    """Modules in the making turn an interrupt into errors of their own, or catch it."""
    (tmp_path / "tensorflow.py").write_text(HALF.format(number=int(number), then=then))
    for level in ("3", "2"):
        more = {"PYTHONPATH": f"{tmp_path}:{ROOT}", "TF_CPP_MIN_LOG_LEVEL": level}
        done = subprocess.run(
            [sys.executable, "-c", IMPORTING],
            capture_output=True,
            text=True,
            env={**os.environ, **more},
        )
        assert done.returncode == CODES[number], done.stderr
        *notices, said = done.stderr.splitlines()
        assert said == f"nst-tf stylize: {SAID[number]}"
        assert notices == ["a notice"] * (level != "3" or "ImportError" in then)


def test_a_system_without_hangups():
    """Windows."""
    program = (
        "import signal; del signal.SIGHUP\n"
        "from nst_tf import signals\n"
        "with signals.interrupting(), signals.deferred(), signals.ignored():\n"
        "    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN\n"
        "print(*map(int, signals.ENDING))"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert told.stdout.split() == ["2", "15"], told.stderr


def ends_with_its_terminal(program: str, environment: dict[str, str]) -> int:
    """The exit code of a program that says `ready`, upon which its terminal is closed."""
    program = f"import os; os.open(os.ttyname(1), os.O_RDWR)\n{program}"  # is this session's now
    terminal, its_end = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=its_end,
        stdout=its_end,
        stderr=its_end,
        env=environment,
        start_new_session=True,
    )
    os.close(its_end)
    seen = b""
    while b"ready" not in seen:
        seen += os.read(terminal, 100)
    os.close(terminal)
    return child.wait(60)


def test_the_terminal_is_closed():
    """What is said from then on goes nowhere, in place of an error."""
    program = (
        "import sys, time; from nst_tf import signals\n"
        "ended = []\n"
        "with signals.stopping(lambda: ended.append(1)) as stop:\n"
        "    print('ready', flush=True)\n"
        "    while not ended: time.sleep(0.01)\n"
        "    print('saved', flush=True); print('bar', file=sys.stderr, flush=True)\n"
        "sys.exit(stop.code)"
    )
    assert ends_with_its_terminal(program, {"PYTHONPATH": str(ROOT)}) == 129


def test_the_terminal_is_closed_while_tensorflow_is_imported(tmp_path):
    (tmp_path / "tensorflow.py").write_text("import time; print('ready', flush=True)\n" + WAITING)
    paths = {"PYTHONPATH": f"{tmp_path}:{ROOT}"}
    assert ends_with_its_terminal(IMPORTING, paths) == 129


FLAGS = ["--size=32", "--weights=mini", "--optimizer=adam", "--preset=gatys2016", "--quiet"]
FLAGS += ["--content_layers=conv2_1", "--style_layers=conv1_1", "--iterations=40"]


class _Killed(BaseException):
    """What a signal does to a process that has no handler for it, in a test's process."""


def ended(out: Path, number: int, delay: float) -> int | None:
    """Runs the command to `out` and sends the signal after so many seconds. Returns the exit code,
    None where it was killed, as by a signal before it has a handler."""

    def kill(_number, _frame):
        raise _Killed

    known = {one: signal.signal(one, kill) for one in signals.ENDING}
    timer = threading.Timer(delay, os.kill, (os.getpid(), number))
    try:
        try:
            timer.start()
            return main(
                ["stylize", str(assets.SCENE), str(assets.PAINTING), "-o", str(out), *FLAGS]
            )
        finally:
            timer.cancel()
            timer.join()
    except _Killed:
        return None
    finally:
        with contextlib.suppress(_Killed):
            for one, handler in known.items():
                signal.signal(one, handler)


def whole_or_nothing(folder: Path, out: Path, code: int | None, number: int) -> str:
    """Checks what a run has left; returns how it ended, with a picture or not."""
    left = sorted(path.name for path in folder.iterdir())
    if not left:
        assert code in (None, CODES[number])
        return "nothing"
    assert left == [out.with_suffix(".json").name, out.name]
    with Image.open(out) as image:
        image.load()
    manifest = json.loads(out.with_suffix(".json").read_text())
    assert manifest["image"] == {"height": image.height, "width": image.width}
    assert manifest["stopped"] in ("interrupted", "finished")
    if code is not None:
        assert code == (CODES[number] if manifest["stopped"] == "interrupted" else 0)
    return str(manifest["stopped"])


@pytest.mark.parametrize("tries", [4, pytest.param(100, marks=pytest.mark.long)])
def test_a_picture_and_its_manifest_or_nothing_was_begun(tmp_path, tries):
    draw = random.Random(15)
    ended(tmp_path / "warm.png", signal.SIGTERM, 1e3)  # compiled, the others take as long as each
    manifest = json.loads((tmp_path / "warm.json").read_text())
    longest = manifest["seconds"] + 0.4
    ends = []
    # At once, after the end, and at any time in between.
    for attempt, share in enumerate([0, *(draw.random() for _ in range(tries - 2)), 1e3]):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        number = draw.choice(signals.ENDING)
        code = ended(folder / "out.png", number, share * longest)
        ends.append(whole_or_nothing(folder, folder / "out.png", code, number))
    assert ends[0] != "finished" and ends[-1] == "finished", ends
    assert tries < 100 or "interrupted" in ends, ends


def test_a_signal_in_the_middle_of_saving_waits(tmp_path, monkeypatch, number):
    """Between the picture and its manifest."""
    replace, seen = Path.replace, []

    def signalled(path, target):
        if target.suffix == ".json":
            seen.append(target)
            signal.raise_signal(number)
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", signalled)
    known = signal.getsignal(number)
    assert ended(tmp_path / "out.png", number, 1e3) == 0  # it was finished
    assert whole_or_nothing(tmp_path, tmp_path / "out.png", 0, number)
    assert seen == [tmp_path / "out.json"]
    assert signal.getsignal(number) is known


@pytest.mark.parametrize("at", [0, 3])
def test_a_signal_at_a_step_saves_that_step(tmp_path, monkeypatch, number, at):
    step = StyleTransfer.__iter__

    def signalled(run):
        for one in step(run):
            if one.iteration == at:
                signal.raise_signal(number)
            yield one

    monkeypatch.setattr(StyleTransfer, "__iter__", signalled)
    assert ended(tmp_path / "out.png", number, 1e3) == CODES[number]
    manifest = json.loads((tmp_path / "out.json").read_text())
    assert manifest["stopped"] == "interrupted" and manifest["iterations"] == at


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        ["experiment", "ratio", str(assets.SCENE), str(assets.PAINTING), "--values=1,10"],
        ["judge", "--protocol=small", "--methods=gatys2016", "--judges=mini"],
    ],
    ids=["experiment", "judge"],
)
def test_what_is_in_its_midst_is_put_aside(tmp_path, monkeypatch, command):
    """By the commands that make many pictures, which go on there."""
    flags = [flag for flag in FLAGS if not flag.startswith(("--preset", "--iterations"))]
    line = [*command, f"--out={tmp_path}", *flags, "--iterations=9", "--checkpoint_every=3600"]
    steps, seen = StyleTransfer.__iter__, []

    def signalled(run):
        for one in steps(run):
            seen.append(one.iteration)
            if seen == [0, 1, 2]:  # the jobs look whether to stop at the next one
                signal.raise_signal(signal.SIGTERM)
            yield one

    monkeypatch.setattr(StyleTransfer, "__iter__", signalled)
    assert main(line) == 143
    (kept,) = tmp_path.rglob(".*.aside/iteration-*")
    assert kept.name == "iteration-00000003"
    assert main(line) == 0
    assert seen[:11] == [0, 1, 2, 3, 3, 4, 5, 6, 7, 8, 9]
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith(".")]


@pytest.mark.long
@pytest.mark.parametrize("workers", [1, 2])
def test_a_grid_stops_and_goes_on(tmp_path, workers):
    """SIGTERM to every process at once, as a system that shuts down sends it. Whatever runs then is
    put aside."""
    line = ["experiment", "ratio", str(assets.SCENE), str(assets.PAINTING), f"--out={tmp_path}/out"]
    line += [*FLAGS[:-1], "--values=1,10", "--iterations=100000", f"--workers={workers}"]
    line.append("--checkpoint_every=5")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}

    def kept():
        """The last iteration of each run, of those that are past what compiles."""
        paths = sorted(tmp_path.glob("out/.*.aside/iteration-*[1-9]*"))
        return {path.parent: path.name for path in paths}

    with (tmp_path / "said").open("w") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "nst_tf.apps.main", *line],
            stdout=subprocess.PIPE,
            stderr=said,
            env=environment,
            start_new_session=True,
            text=True,
        )
        try:
            until = time.monotonic() + 300
            while len(before := kept()) < workers:
                assert process.poll() is None and time.monotonic() < until
                time.sleep(0.1)
            time.sleep(2)  # of steps that are not kept yet
            os.killpg(process.pid, signal.SIGTERM)
            out = process.communicate(timeout=200)[0]
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    text = (tmp_path / "said").read_text()
    assert process.returncode == 143, text
    assert "runs are left: the same command goes on with them" in out and "Traceback" not in text
    assert len(before) == workers and all(kept()[path] > name for path, name in before.items())


@pytest.mark.long
def test_where_who_shares_the_work_is_killed_the_others_end(tmp_path):
    """Else they would have in use what the same command is to go on with."""
    out, wanted = tmp_path / "out", tmp_path / "wanted"
    line = ["experiment", "ratio", str(assets.SCENE), str(assets.PAINTING), "--checkpoint_every=0"]
    line += [*FLAGS[:-1], "--values=1,10", "--iterations=150", "--workers=2"]
    command = [sys.executable, "-m", "nst_tf.apps.main", *line]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [*command, f"--out={out}"], env=environment, start_new_session=True
    ) as process:
        try:
            until = time.monotonic() + 300
            while len(list(out.glob(".*.aside/iteration-*"))) < 4:
                assert process.poll() is None and time.monotonic() < until
                time.sleep(0.05)
            process.kill()
            process.wait()
            time.sleep(5)
            for folder in (folders := list(out.glob(".*.aside"))):
                with locks.alone(folder):
                    pass
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    assert len(folders) == 2
    for folder in (out, wanted):
        again = [*command, f"--out={folder}"]
        done = subprocess.run(again, env=environment, capture_output=True, text=True, timeout=500)
        assert done.returncode == 0, done.stderr
    for name in ("beta-1.png", "beta-10.png"):
        assert (wanted / name).read_bytes() == (out / name).read_bytes()
    assert not list(out.glob(".*"))
