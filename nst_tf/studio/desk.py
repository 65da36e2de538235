"""Orders and the process that paints them: a queue, what becomes of each, and who is told.

The process is begun at once, so that TensorFlow is there when the first order comes; where it ends,
the order at hand says so, and another is begun.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import secrets
import statistics
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from nst_tf import signals
from nst_tf.errors import NSTError, SettingsError
from nst_tf.network import weights
from nst_tf.pictures import initial
from nst_tf.recipe import presets, sizes
from nst_tf.recipe.settings import Settings
from nst_tf.run import outlook
from nst_tf.run.memory import Need
from nst_tf.studio import painter
from nst_tf.studio.painter import Order
from nst_tf.studio.requests import PROTECT, alike, read
from nst_tf.studio.shelf import DONE, FAILED, STOPPED, Shelf, now

#: Orders that wait at most.
MOST_WAITING = 20
QUEUED, PAINTING = "queued", "painting"
#: Of an order's words those that are no flags of `nst-tf stylize`.
_OWN = ("network", "begin", "more", "film")


class Desk:
    """Takes orders and hands them to the painter, one at a time.

    Args:
      shelf: where everything is kept.
      networks: what `weights.load` takes, by the names that the page knows; the first one is
        taken where an order names none.
      stylizers: files of such, to begin with what they paint, by their names there.
      settings_of: settings of an order's `cells`, words by the names of flags; NSTError where they
        cannot be used.
      tell: told of everything that happens, a dict each, from any thread.
      prepare: what the painter's process does first (`painter.main`).
    """

    def __init__(
        self,
        shelf: Shelf,
        networks: dict[str, str],
        stylizers: dict[str, str],
        settings_of: Callable[[dict[str, str]], Settings],
        tell: Callable[[dict[str, Any]], None],
        prepare: Callable[[], None],
    ) -> None:
        self.shelf, self._settings_of, self._tell = shelf, settings_of, tell
        self.networks, self.stylizers = networks, stylizers
        self._prepare = prepare
        self._channels: dict[Any, Any] = {}
        self._context = multiprocessing.get_context("spawn")
        self._lock = threading.RLock()
        self._waiting: deque[str] = deque()
        self._at_hand: str | None = None
        self._orders: dict[str, dict[str, Any]] = {}
        self._previews: dict[str, tuple[int, bytes]] = {}
        self._ending = False
        #: Of the painter: empty until it is ready.
        self.engine = ""
        for order in shelf.orders():
            if order.get("state") in (QUEUED, PAINTING):  # the studio ended before it
                order |= {"state": STOPPED, "note": "the studio was ended: go on where it was"}
                shelf.keep_order(order)
            self._orders[order["id"]] = order
        self._begin()

    def _begin(self) -> None:
        """Begins the painter's process, and a thread that listens to it."""
        self._connection, other = self._context.Pipe()
        self._process = self._context.Process(
            target=painter.main, args=(other, self._prepare), daemon=True
        )
        with signals.ignored():
            self._process.start()
        other.close()
        threading.Thread(target=self._listen, args=(self._connection,), daemon=True).start()

    def orders(self) -> list[dict[str, Any]]:
        """All of them, the last one first, each with its place in the queue where it waits."""
        with self._lock:
            places = {number: place for place, number in enumerate(self._waiting, 1)}
            found = [{**one, "place": places.get(one["id"])} for one in self._orders.values()]
        return sorted(found, key=lambda one: -one["time"])

    def preview(self, number: str) -> bytes | None:
        """The picture as it came last, a JPEG; None where it has not come yet."""
        with self._lock:
            known = self._previews.get(number)
        return known[1] if known else None

    def take(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """Takes an order.

        Args:
          wanted: `content` and `styles`, IDs of pictures; `masks`, such by the ID of the style that
            goes where they are white, or by `protect`; `cells`, words by the names of flags.

        Returns:
          The order as it stands.

        Raises:
          NSTError: it cannot be painted, or too many wait.
        """
        content, styles, cells, masks = read(wanted)
        photo = self.shelf.about(content)
        paintings = [self.shelf.about(style) for style in styles]
        for mask in masks.values():
            self.shelf.about(mask)
        self._how(cells)
        order: dict[str, Any] = {
            "id": secrets.token_hex(10),
            "time": now(),
            "content": content,
            "styles": styles,
            "cells": cells,
            "masks": masks,
            "names": {"content": photo["name"], "styles": [one["name"] for one in paintings]},
        }
        with self._lock:
            if len(self._waiting) >= MOST_WAITING:
                raise SettingsError(f"{MOST_WAITING} orders wait already: stop one, or be patient")
            self._orders[order["id"]] = order
            self._queue(order)
            return dict(order)

    def foresee(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """The size, the memory and, by what earlier orders took, the time of an order.

        Args:
          wanted: as in `take`.

        Returns:
          `width`, `height` in pixels, `memory` in bytes, `seconds` or None.

        Raises:
          NSTError: it cannot be painted.
        """
        content, styles, cells, masks = read(wanted)
        photo = self.shelf.about(content)
        paintings = [self.shelf.about(style) for style in styles]
        settings, source = self._how(cells)
        source = presets.network(settings.preset, source)
        if source not in self._channels:
            self._channels[source] = weights.channels(weights.at_once(source))
        shapes = [(one["height"], one["width"]) for one in (photo, *paintings)]
        size = settings.size or max(shapes[0])
        shape = sizes.scaled(shapes[0], size)
        side = sizes.seen_at(settings, size)
        seen = [sizes.scaled(one, side or max(one)) for one in shapes[1:]]
        regions = len(styles) * any(style in masks for style in styles)
        need = Need(settings, self._channels[source], shape, seen, "winograd", "float32", regions)
        told = outlook.outlook("auto", need.scaled(size), outlook.room())
        with self._lock:
            paces = [
                one["seconds"] / (one["width"] * one["height"])
                for one in self._orders.values()
                if one.get("state") == DONE and alike(one["cells"], cells)
            ]
        seconds = statistics.median(paces[-5:]) * shape[0] * shape[1] if paces else None
        return {"width": shape[1], "height": shape[0], "memory": told.peak, "seconds": seconds}

    def stop(self, number: str) -> None:
        """Ends a run after its step, which is kept; takes one that waits out of the queue."""
        with self._lock:
            order = self._known(number)
            if number in self._waiting:
                self._waiting.remove(number)
                self._change(order, state=STOPPED)
            elif number == self._at_hand:
                self._send("stop")

    def go_on(self, number: str) -> None:
        """Takes up a run that was ended where it was.

        Raises:
          SettingsError: it was not.
        """
        with self._lock:
            order = self._known(number)
            if order["state"] not in (STOPPED, FAILED):
                raise SettingsError("it was not ended: there is nothing to go on with")
            self._queue(order)

    def forget(self, number: str) -> None:
        """Does away with an order and its result.

        Raises:
          SettingsError: it is being painted.
        """
        with self._lock:
            order = self._known(number)
            if order["state"] in (QUEUED, PAINTING):
                raise SettingsError("it is not done yet: stop it first")
            del self._orders[number]
            self.shelf.forget(number)
        self._tell({"event": "forgotten", "id": number})

    def close(self) -> None:
        """Ends the painter; what it has at hand is put aside."""
        with self._lock:
            self._ending = True
            self._send("stop")
        self._process.join(10)
        if self._process.is_alive():
            self._process.kill()

    def _how(self, cells: dict[str, str]) -> tuple[Settings, str]:
        """The settings and the network of an order. No file is named by a page: what it has sent
        is pictures.

        Raises:
          NSTError: they cannot be used.
        """
        name = cells.get("network") or next(iter(self.networks))
        if name not in self.networks:
            raise SettingsError(f"no network {name!r}: use {', '.join(self.networks)}")
        if "weights" in cells:
            raise SettingsError("weights: name one of the studio's networks, as network")
        others = {key: value for key, value in cells.items() if key not in _OWN}
        settings = self._settings_of(others)
        if initial.files(settings.init):
            raise SettingsError("init: name no file, but content, style, blurred, noise or blank")
        if begin := cells.get("begin"):
            if begin not in self.stylizers:
                raise SettingsError(f"no stylizer {begin!r} to begin with")
            settings = settings.replace(init=f"stylizer:{self.stylizers[begin]}")
        if more := cells.get("more"):  # from a result on, at its own size
            if not self.shelf.result(more).is_file():
                raise SettingsError("what it should go on with is not there any more")
            settings = settings.replace(init=str(self.shelf.result(more)), min_scale=None)
        return settings, self.networks[name]

    def _mask(self, order: dict[str, Any], what: str) -> str | None:
        number = order.get("masks", {}).get(what)
        return str(self.shelf.picture(number)) if number else None

    def _known(self, number: str) -> dict[str, Any]:
        if number not in self._orders:
            raise SettingsError("there is no such order")
        return self._orders[number]

    def _queue(self, order: dict[str, Any]) -> None:
        self._waiting.append(order["id"])
        self._change(order, state=QUEUED, note="")
        self._next()

    def _next(self) -> None:
        """Hands the painter an order, where it has none and there is one."""
        if self._at_hand or not self._waiting or not self.engine or self._ending:
            return
        number = self._waiting.popleft()
        order = self._orders[number]
        try:
            message = self._message(order)
        except NSTError as error:  # what it was made of has gone since
            self._change(order, state=FAILED, note=str(error))
            self._next()
            return
        self._at_hand = number
        self._change(order, state=PAINTING, note="", share=0.0, losses=[])
        self._send(message)
        for waiting in self._waiting:  # whose places have changed
            self._tell({"event": "order", "order": self._shown(waiting)})

    def _message(self, order: dict[str, Any]) -> Order:
        """An order as the painter takes it.

        Raises:
          NSTError: a picture, a network or a stylizer that was there is not any more.
        """
        settings, weights = self._how(order["cells"])
        return Order(
            order["id"],
            str(self.shelf.picture(order["content"])),
            tuple(str(self.shelf.picture(style)) for style in order["styles"]),
            settings,
            weights,
            self.shelf.result(order["id"]),
            self.shelf.aside(order["id"]),
            tuple(self._mask(order, style) for style in order["styles"]),
            self._mask(order, PROTECT),
            order["cells"].get("film") == "true",
        )

    def _send(self, message: Any) -> None:
        with contextlib.suppress(OSError, ValueError):  # it has ended, which the listener sees
            self._connection.send(message)

    def _listen(self, connection: Any) -> None:
        while True:
            try:
                told = connection.recv()
            except (EOFError, OSError):
                break
            self._heard(told)
        self._lost()

    def _heard(self, told: dict[str, Any]) -> None:
        with self._lock:
            event = told["event"]
            if event == "ready":
                self.engine = told["engine"]
                self._tell({"event": "ready", "engine": self.engine})
                self._next()
                return
            order = self._orders.get(told["id"])
            if order is None:
                return
            if event == "step":
                self._step(order, told)
            elif event in ("done", "failed"):
                self._end(order, told)

    def _step(self, order: dict[str, Any], told: dict[str, Any]) -> None:
        preview = told.pop("preview", None)
        if preview is not None:
            count = self._previews.get(order["id"], (0, b""))[0] + 1
            self._previews[order["id"]] = count, preview
            told["preview"] = count
        order |= {key: told[key] for key in ("iteration", "share", "seconds", "loss")}
        order["losses"].append(told["loss"])
        self._tell(told)

    def _end(self, order: dict[str, Any], told: dict[str, Any]) -> None:
        self._at_hand = None
        self._previews.pop(order["id"], None)
        order.pop("losses", None)  # which the manifest has
        if told["event"] == "failed":
            self._change(order, state=FAILED, note=told["reason"])
        else:
            ended = told["stopped"] == "interrupted"
            keys = ("seconds", "iterations", "loss", "height", "width", "stopped")
            told_of = {key: told[key] for key in keys}
            note = "" if told["stopped"] != "diverged" else "it diverged: the best so far"
            share = order.get("share", 1.0) if ended else 1.0
            state = STOPPED if ended else DONE
            self._change(order, **told_of, state=state, note=note, share=share)
        self._next()

    def _lost(self) -> None:
        """The process has ended, by itself or by somebody: another is begun."""
        with self._lock:
            if self._ending:
                return
            self._process.join(5)
            code = self._process.exitcode
            why = f"by signal {-code}" if code is not None and code < 0 else f"with {code}"
            number, self._at_hand, self.engine = self._at_hand, None, ""
            if number and number in self._orders:
                note = (
                    f"the painter's process was ended {why}, perhaps for want of memory; another "
                    "has begun: go on where it was"
                )
                self._change(self._orders[number], state=FAILED, note=note)
            self._tell({"event": "lost"})
            self._begin()

    def _change(self, order: dict[str, Any], **what: Any) -> None:
        order |= what
        try:
            self.shelf.keep_order(order)
        except NSTError as error:  # such as a full disk: the studio stays, and says so
            order["note"] = str(error)
        self._tell({"event": "order", "order": self._shown(order["id"])})

    def _shown(self, number: str) -> dict[str, Any]:
        places = {waiting: place for place, waiting in enumerate(self._waiting, 1)}
        return {**self._orders[number], "place": places.get(number)}
