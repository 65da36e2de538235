"""The studio as a test has it: in a process of its own, and what one asks it."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

#: An order that is painted in no time.
QUICK = {"preset": "gatys2016", "size": "48", "evaluations": "4", "min_scale": "0"}


class Studio:
    """A studio that serves a folder; by `with`."""

    def __init__(self, folder, *flags):
        self.folder = folder
        words = ("studio", "--nobrowser", "--port=0", f"--dir={folder}", "--weights=mini", *flags)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "nst_tf.apps.main", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        line = self.process.stdout.readline()
        assert line.startswith("the studio: http://"), line
        self.address = line.split()[-1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        """As Ctrl-C does; returns the exit code."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGINT)
        try:
            code = self.process.wait(30)
        except subprocess.TimeoutExpired:
            code = None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()
        return code

    def ask(self, path, data=None, method=None, **headers):
        """Status and body of an answer, as JSON where it is that."""
        if isinstance(data, (dict, list)):
            data = json.dumps(data).encode()
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(self.address + path, data, names, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                status, body = response.status, response.read()
                kind = response.headers.get("content-type", "")
        except urllib.error.HTTPError as error:
            status, body, kind = error.code, error.read(), error.headers.get("content-type", "")
        return status, json.loads(body) if "json" in kind else body

    def state(self):
        return self.ask("api/state")[1]

    def give(self, data, name="a.png"):
        return self.ask(f"api/pictures?name={name}", data)

    def order(self, number):
        return next((one for one in self.state()["orders"] if one["id"] == number), None)

    def wait(self, number, *states):
        """The order, once it is in one of these states."""
        deadline = time.monotonic() + 90
        while (order := self.order(number))["state"] not in states:
            assert time.monotonic() < deadline, order
            time.sleep(0.05)
        return order

    def begun(self, number):
        """Waits until the order has taken a step or more."""
        deadline = time.monotonic() + 60
        while not self.order(number).get("iteration"):
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def ordered(self, before):
        """All orders, once there is one more than before."""
        deadline = time.monotonic() + 60
        while len(orders := self.state()["orders"]) == before:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        return orders

    def painter(self):
        """The number of the process that paints: that which has TensorFlow."""
        deadline = time.monotonic() + 60
        while not self.state()["engine"]:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        for number in map(int, self.children()):
            with contextlib.suppress(OSError), open(f"/proc/{number}/maps") as maps:
                if "tensorflow" in maps.read():
                    return number
        raise AssertionError("no process of it has TensorFlow")

    def children(self):
        found = []
        tasks = f"/proc/{self.process.pid}/task"
        for task in os.listdir(tasks):
            with contextlib.suppress(OSError), open(f"{tasks}/{task}/children") as file:
                found += file.read().split()
        return found
