"""The process that paints for the studio: TensorFlow, one order at a time."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from nst_tf import signals
from nst_tf.recipe.settings import Settings

#: Seconds between two previews, and longer side and quality of their JPEGs.
EVERY, _SIDE, _QUALITY = 0.25, 640, 85


@dataclass(frozen=True)
class Order:
    """What is to be painted.

    Attributes:
      number: its ID.
      content: path of the photo; likewise styles.
      settings: of the run.
      weights: the network, as `weights.load` takes it.
      output: of the picture; `-16` and the small one go beside it.
      aside: the folder that the run puts itself aside in.
      masks: one for each style, the path of a picture that is white where it goes, or None.
      protect: likewise, where the photo stays.
      film: whether it is filmed, beside the picture; such a run begins anew where it was ended.
    """

    number: str
    content: str
    styles: tuple[str, ...]
    settings: Settings
    weights: str
    output: Path
    aside: Path
    masks: tuple[str | None, ...] = ()
    protect: str | None = None
    film: bool = False


def main(connection: Connection, prepare: Callable[[], None]) -> None:
    """Takes orders from the other end, one after the other, until there is none any more.

    It is sent an `Order`, or `stop`, which ends the order at hand after its step; it sends dicts
    with `event`: ready, step, done, failed.

    Args:
      connection: this end.
      prepare: called first of all; imports TensorFlow as the program wants it.
    """
    signals.end_with_parent()
    prepare()
    from nst_tf.network import machine
    from nst_tf.run.workshop import Workshop

    engine, dtype = machine.choose_engine("auto"), machine.choose_dtype("auto")
    workshop = Workshop()
    connection.send({"event": "ready", "engine": f"{engine} in {dtype}"})
    while True:
        try:
            order = connection.recv()
        except EOFError:
            return
        if isinstance(order, Order):
            _paint(order, connection, workshop)


def _paint(order: Order, connection: Connection, workshop: Any) -> None:
    from nst_tf.errors import (
        CheckpointError,
        DamagedCheckpointError,
        DivergenceError,
        NSTError,
        is_out_of_memory,
    )
    from nst_tf.pictures import images
    from nst_tf.pictures.masks import Masked
    from nst_tf.run import checkpoint
    from nst_tf.run.transfer import StyleTransfer

    def tell(event: str, **more: Any) -> None:
        connection.send({"event": event, "id": order.number, **more})

    masks = order.masks or (None,) * len(order.styles)
    styles = [
        Masked(style, mask) if mask else style
        for style, mask in zip(order.styles, masks, strict=True)
    ]

    def painted() -> Any:
        watching: list[Any] = [_Watching(connection, order.number)]
        if order.film:
            from nst_tf.watch.film import Film

            watching.append(Film(order.output.with_suffix(".mp4")))
        try:
            return StyleTransfer(
                order.content,
                styles,
                protect=order.protect,
                settings=order.settings,
                weights=order.weights,
                callbacks=watching,
                keep_snapshots=False,
                checkpoint=None if order.film else order.aside,
                checkpoint_every=15.0,
                workshop=workshop,
            ).run()
        except DivergenceError as error:
            if error.result is None:
                raise
            return error.result

    try:
        try:
            result = painted()
        except (CheckpointError, DamagedCheckpointError):  # of another version, say: it begins anew
            checkpoint.forget(order.aside)
            result = painted()
        result.save(order.output)
        images.save(result.array, order.output.with_name(f"{order.output.stem}-16.png"), 16)
        small = images.load(result.array, 320)
        images.save(small, order.output.with_suffix(".jpg"))
        stopped = result.stopped
        if stopped != "interrupted":
            checkpoint.forget(order.aside)
        last = result.history[-1]
        tell(
            "done",
            stopped=stopped,
            seconds=last["seconds"],
            iterations=last["iteration"],
            loss=result.manifest["total"],
            height=result.array.shape[0],
            width=result.array.shape[1],
        )
    except NSTError as error:
        tell("failed", reason=str(error))
    except Exception as error:  # whatever it is, the next order can be painted
        words = (
            "out of memory: try a smaller size" if is_out_of_memory(error) else repr(error)[:300]
        )
        tell("failed", reason=words)


class _Watching:
    """What the page sees of a run: a row of numbers a step, and a few pictures a second."""

    def __init__(self, connection: Connection, number: str) -> None:
        self._connection, self._number = connection, number
        self._shown = 0.0

    def on_begin(self, run: Any) -> None:
        pass

    def on_step(self, run: Any, step: Any) -> None:
        while self._connection.poll():
            if self._connection.recv() == "stop":
                run.stop()
        told = {
            "event": "step",
            "id": self._number,
            "iteration": step.iteration,
            "share": run.share,
            "seconds": round(step.seconds, 2),
            "loss": step.terms["total"],
        }
        now = time.monotonic()
        if now - self._shown >= EVERY:
            self._shown = now
            told["preview"] = _jpeg(step.image)
        self._connection.send(told)

    def on_end(self, run: Any) -> None:
        pass


def _jpeg(image: Any) -> bytes:
    image.thumbnail((_SIDE, _SIDE))
    data = io.BytesIO()
    image.save(data, "JPEG", quality=_QUALITY)
    return data.getvalue()
