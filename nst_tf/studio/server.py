"""The studio's server: a page, pictures in and out, orders, and a stream of what happens.

It listens to its own machine, answers who knows the random token in its address, and looks at Host
and Origin, so that no other page that is open in the browser can speak with it. All addresses are
relative: a proxy may put a path before them.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from nst_tf import assets
from nst_tf.errors import NSTError
from nst_tf.studio.desk import Desk
from nst_tf.studio.shelf import MOST_BYTES, Shelf

#: Of a request that is no picture.
_MOST_WORDS = 100_000
#: Events that one client may be behind; then it reads all anew.
_BEHIND = 200
#: Previews a second of all clients together: each is a picture to send.
_PREVIEWS = 16
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Crowd:
    """Who listens to what happens; told from any thread."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._queues: set[asyncio.Queue[dict[str, Any]]] = set()
        self._last_preview = 0.0

    def tell(self, event: dict[str, Any]) -> None:
        """Tells all."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._spread, event)

    def _spread(self, event: dict[str, Any]) -> None:
        if "preview" in event:
            # At most 4 a second to each, and fewer where many look on: painting comes first.
            now = asyncio.get_running_loop().time()
            if now - self._last_preview < len(self._queues) / _PREVIEWS:
                event = {key: value for key, value in event.items() if key != "preview"}
            else:
                self._last_preview = now
        for queue in self._queues:
            if queue.qsize() < _BEHIND:
                queue.put_nowait(event)

    async def listen(self) -> AsyncIterator[str]:
        """What happens, as server-sent events."""
        self._loop = asyncio.get_running_loop()
        queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._queues.add(queue)
        try:
            yield "retry: 1000\n\n"
            while True:
                try:
                    event = await asyncio.wait_for(queue.get(), 15)
                    yield f"data: {json.dumps(event)}\n\n"
                except TimeoutError:
                    yield ": still here\n\n"
        finally:
            self._queues.discard(queue)


class _Guard:
    """Refuses who is not meant: another Host, another Origin, no token."""

    def __init__(self, app: Any, hosts: frozenset[str]) -> None:
        self._app, self._hosts = app, hosts

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        headers = {
            key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]
        }
        host = _name(headers.get("host", ""))
        origin = headers.get("origin")
        if self._hosts and host not in self._hosts:
            response = Response("this studio is not served under that name", 421)
            return await response(scope, receive, send)
        if origin is not None and _name(urlsplit(origin).netloc) != host:
            response = Response("another page may not ask", 403)
            return await response(scope, receive, send)

        async def with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                there = {key.lower() for key, _ in message["headers"]}
                message["headers"] += [
                    (key.lower().encode(), value.encode())
                    for key, value in _HEADERS.items()
                    if key.lower().encode() not in there
                ]
            await send(message)

        return await self._app(scope, receive, with_headers)


def _name(host: str) -> str:
    """A host without its port."""
    return (urlsplit(f"//{host}").hostname or "").lower()


def make_app(
    desk: Desk,
    crowd: Crowd,
    token: str,
    hosts: frozenset[str],
    words: dict[str, Any],
) -> Starlette:
    """The application.

    Args:
      desk: for orders, with its shelf.
      crowd: of those who listen; told by the desk.
      token: the beginning of every address.
      hosts: names that it may be asked under; empty for any.
      words: what the page knows of settings: `presets`, `fields`, `networks`.
    """
    shelf = desk.shelf

    async def page(_: Request) -> Response:
        return FileResponse(assets.STUDIO / "index.html")

    async def state(_: Request) -> Response:
        return await _answered(lambda: _state(desk, shelf, words))

    async def give(request: Request) -> Response:
        data = await _body(request, MOST_BYTES)
        if data is None:
            return _refused(f"the file has more than {MOST_BYTES >> 20} MiB", 413)
        name = request.query_params.get("name", "picture")
        mask = "mask" in request.query_params

        def add() -> dict[str, Any]:
            told = shelf.add(data, name, mask)
            if not mask:  # of which other tabs know nothing
                crowd.tell({"event": "picture", "picture": told})
            return told

        return await _answered(add)

    async def picture(request: Request) -> Response:
        number, small = request.path_params["number"], "small" in request.query_params
        return await _file(lambda: shelf.picture(number, small), "image/jpeg" if small else None)

    def of_words(act: Callable[[Any], Any]) -> Callable[[Request], Awaitable[Response]]:
        async def acted(request: Request) -> Response:
            data = await _body(request, _MOST_WORDS)
            try:
                wanted = json.loads(data or b"")
            except (ValueError, RecursionError):
                return _refused("that is no order", 400)
            return await _answered(lambda: act(wanted))

        return acted

    def of_order(act: Callable[[str], None]) -> Callable[[Request], Awaitable[Response]]:
        async def acted(request: Request) -> Response:
            def answer() -> dict[str, Any]:
                act(request.path_params["number"])
                return {}

            return await _answered(answer)

        return acted

    async def preview(request: Request) -> Response:
        data = desk.preview(request.path_params["number"])
        return Response(data, media_type="image/jpeg") if data else Response(status_code=404)

    async def result(request: Request) -> Response:
        number, _, ending = request.path_params["name"].partition(".")
        known = {"png": ".png", "16.png": "-16.png", "jpg": ".jpg", "json": ".json"}
        known["mp4"] = ".mp4"
        if ending not in known:
            return Response(status_code=404)
        return await _file(lambda: shelf.result(number, known[ending]), None)

    async def events(_: Request) -> Response:
        return StreamingResponse(crowd.listen(), media_type="text/event-stream")

    return Starlette(
        routes=[
            Mount(
                f"/{token}",
                routes=[
                    Route("/", page),
                    Route("/api/state", state),
                    Route("/api/events", events),
                    Route("/api/pictures", give, methods=["POST"]),
                    Route("/api/pictures/{number}", picture),
                    Route("/api/estimate", of_words(desk.foresee), methods=["POST"]),
                    Route("/api/orders", of_words(desk.take), methods=["POST"]),
                    Route("/api/orders/{number}/stop", of_order(desk.stop), methods=["POST"]),
                    Route("/api/orders/{number}/go-on", of_order(desk.go_on), methods=["POST"]),
                    Route("/api/orders/{number}/forget", of_order(desk.forget), methods=["POST"]),
                    Route("/api/orders/{number}/preview", preview),
                    Route("/api/results/{name}", result),
                    Mount("/static", StaticFiles(directory=assets.STUDIO)),
                ],
            )
        ],
        middleware=[Middleware(_Guard, hosts=hosts)],
    )


def _state(desk: Desk, shelf: Shelf, words: dict[str, Any]) -> dict[str, Any]:
    return {
        **words,
        "engine": desk.engine,
        "samples": shelf.samples,
        "pictures": shelf.pictures(),
        "orders": desk.orders(),
    }


async def _body(request: Request, most: int) -> bytes | None:
    """What a request brings; None where that is more than it may be."""
    data = bytearray()
    with contextlib.suppress(ClientDisconnect):
        async for part in request.stream():
            data += part
            if len(data) > most:
                return None
    return bytes(data)


async def _answered(work: Callable[[], Any]) -> Response:
    """What work gives, as JSON; an error of ours in its own words."""
    try:
        return JSONResponse(await run_in_threadpool(work))
    except NSTError as error:
        return _refused(str(error), 400)


async def _file(find: Callable[[], Path], kind: str | None) -> Response:
    try:
        path = find()
    except NSTError as error:
        return _refused(str(error), 404)
    if not path.is_file():
        return _refused("it is not there", 404)
    # What was uploaded is shown as a picture or not at all.
    return FileResponse(path, media_type=kind or _kind(path))


def _kind(path: Path) -> str:
    known = {".png": "image/png", ".jpg": "image/jpeg", ".json": "application/json"}
    known[".mp4"] = "video/mp4"
    if path.suffix in known:
        return known[path.suffix]
    with path.open("rb") as file:
        begin = file.read(12)
    for beginning, kind in ((b"\x89PNG", "image/png"), (b"\xff\xd8", "image/jpeg")):
        if begin.startswith(beginning):
            return kind
    return "image/webp" if begin[8:12] == b"WEBP" else "application/octet-stream"


def _refused(why: str, code: int) -> Response:
    return JSONResponse({"error": why}, code)
