"""Chromium as a test leads it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import subprocess
import sys
import time

#: Windows' numbers, by which Chromium knows what a key does.
KEYS = {"Tab": 9, "Enter": 13, "ArrowLeft": 37, "ArrowRight": 39, "1": 49, "2": 50}


#: A program's command line, with two of its files as those that Chromium's tools read and write.
AS_3_AND_4 = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.dup2(int(sys.argv[2]), 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


def high_pipe() -> list[int]:
    """Both ends of a pipe, away from 3 and 4."""
    low = os.pipe()
    high = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in low]
    for end in low:
        os.close(end)
    return high


class Browser:
    """Chromium without a window, led through the pipe that its developer tools speak over."""

    def __init__(self, program, folder):
        self.downloads = folder / "downloads"
        (its_input, self.output), (self.input, its_output) = high_pipe(), high_pipe()
        self.process = subprocess.Popen(
            [
                sys.executable, "-c", AS_3_AND_4, str(its_input), str(its_output),
                program, "--headless", "--no-sandbox", "--disable-gpu",
                "--disable-background-networking", "--disable-component-update", "--disable-sync",
                "--no-first-run", f"--user-data-dir={folder / 'profile'}",
                "--remote-debugging-pipe", "about:blank",
            ],
            pass_fds=(its_input, its_output),
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(its_input)
        os.close(its_output)
        self.count, self.pending, self.session = 0, b"", {}
        allowed = {"behavior": "allow", "downloadPath": str(self.downloads)}
        self.call("Browser.setDownloadBehavior", **allowed)
        (target,) = (
            target["targetId"]
            for target in self.call("Target.getTargets")["targetInfos"]
            if target["type"] == "page"
        )
        made = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self.session = {"sessionId": made["sessionId"]}

    def call(self, method, **params):
        self.count += 1
        message = {"id": self.count, "method": method, "params": params, **self.session}
        os.write(self.output, json.dumps(message).encode() + b"\0")
        while True:
            while b"\0" not in self.pending:
                assert select.select([self.input], [], [], 60)[0], f"no answer to {method}"
                part = os.read(self.input, 1 << 20)
                assert part, f"the browser ended at {method}"
                self.pending += part
            text, _, self.pending = self.pending.partition(b"\0")
            answer = json.loads(text)
            if answer.get("id") == self.count:
                assert "error" not in answer, answer
                return answer["result"]

    def run(self, script):
        given = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in given, given
        return given["result"].get("value")

    def open(self, path):
        self.call("Page.navigate", url=path.as_uri())
        self.wait("document.readyState === 'complete' && document.body.children.length > 0")

    def wait(self, condition):
        deadline = time.monotonic() + 30
        while not self.run(condition):
            assert time.monotonic() < deadline, condition
            time.sleep(0.02)

    def press(self, *keys):
        for key in keys:
            text = {"Enter": "\r", "1": "1", "2": "2"}.get(key)
            event = {"key": key, "windowsVirtualKeyCode": KEYS[key]}
            extra = {"text": text} if text else {}
            self.call("Input.dispatchKeyEvent", type="keyDown", **event, **extra)
            self.call("Input.dispatchKeyEvent", type="keyUp", **event)

    def click(self, selector, index=0, times=1):
        box = self.run(
            f"(() => {{ const found = document.querySelectorAll({json.dumps(selector)})[{index}];"
            "found.scrollIntoView({block: 'center'}); const box = found.getBoundingClientRect();"
            "return [box.x + box.width / 2, box.y + box.height / 2]; })()"
        )
        event = {"x": box[0], "y": box[1], "button": "left"}
        for click in range(1, times + 1):
            for kind in ("mousePressed", "mouseReleased"):
                self.call("Input.dispatchMouseEvent", type=kind, clickCount=click, **event)

    def text(self):
        return self.run("document.body.innerText")

    def downloaded(self):
        deadline = time.monotonic() + 30
        # The browser makes the file first and fills it then.
        while not (found := [p for p in self.downloads.glob("answers-*.json") if p.stat().st_size]):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        (path,) = found
        content = json.loads(path.read_text())
        path.unlink()
        return path.name, content

    def close(self):
        with contextlib.suppress(AssertionError, OSError):
            self.call("Browser.close")
        self.process.wait(30)
        os.close(self.input)
        os.close(self.output)
