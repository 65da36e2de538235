"""What `nst-tf doctor` lets a process of its own try, which a broken TensorFlow may end.

Run as `python -m nst_tf.apps.self_test`: a line of JSON for each part, as it is done.
"""

from __future__ import annotations

import json
import time
from typing import Any

#: In their order; what is missing of them was not reached.
PARTS = ("tensorflow", "machine", "self-test")


def main() -> None:
    """Tells the versions, the machine as TensorFlow sees it, and what a tiny run gives."""
    from nst_tf.run import computer

    _tell("tensorflow", computer.versions())
    from nst_tf.network import machine

    chosen = {"engine": machine.choose_engine("auto"), "dtype": machine.choose_dtype("auto")}
    _tell("machine", {**computer.machine(), **chosen})
    _tell("self-test", tried())


def tried() -> dict[str, Any]:
    """Paints a tiny picture twice as this machine does it, and measures a gradient.

    Returns:
      `falls`, whether the loss does, and is finite; `same`, whether both have the same bytes;
      `gradient_error`, of the compiled gradient against a difference of two losses, relative; and
      `seconds`.
    """
    from nst_tf import assets
    from nst_tf.run.transfer import StyleTransfer

    began = time.perf_counter()
    pictures = (assets.SCENE, assets.PAINTING)
    told: dict[str, Any] = {
        "preset": "gatys2016",
        "size": 48,
        "weights": "mini",
        "content_layers": {"conv2_1": 1.0},
        "style_layers": {"conv1_1": 1.0, "conv2_1": 1.0},
        "optimizer": "adam",
        "iterations": 3,
    }
    run = StyleTransfer(*pictures, **told)
    first, second = run.run(), run.run()
    totals = [row["total"] for row in first.history]
    exact = run if run.dtype == "float32" else StyleTransfer(*pictures, dtype="float32", **told)
    return {
        "falls": bool(min(totals) < totals[0] < float("inf")),
        "same": first.array.tobytes() == second.array.tobytes(),
        "gradient_error": _gradient_error(exact),
        "seconds": round(time.perf_counter() - began, 2),
    }


def _gradient_error(run: Any) -> float:
    """The slope along the gradient, (L(x + h d) - L(x - h d)) / 2 h, is the gradient's length."""
    import tensorflow as tf

    objective = run.build_objective()
    image = tf.constant(0.5 * run.content[None] + 0.25)  # far from where the content loss is 0
    gradient = objective(image)[1]
    length = tf.linalg.global_norm([gradient])
    step = 0.002 * float(tf.size(image)) ** 0.5  # of 0.002 a value, black to white being 1
    ends = [objective(image + sign * step * gradient / length)[0] for sign in (1.0, -1.0)]
    return abs(float(ends[0] - ends[1]) / (2 * step) / float(length) - 1)


def _tell(part: str, told: dict[str, Any]) -> None:
    print(json.dumps({"part": part, **told}), flush=True)


if __name__ == "__main__":
    main()
