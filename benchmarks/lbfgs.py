"""What L-BFGS itself costs, as a share of an evaluation of loss and gradient.

    python benchmarks/lbfgs.py --size=512 --weights=VGG19.h5

A compiled L-BFGS step on a quadratic, whose own evaluation costs next to nothing, and an evaluation
of the style transfer take turns. The quadratic's curvatures span four orders of magnitude, so that
it lasts; the memory is full before the clock runs.
"""

from __future__ import annotations

import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf
from absl import app, flags

from nst_tf.losses.objective import Evaluation
from nst_tf.optimizers.lbfgs import LBFGS
from nst_tf.run.transfer import StyleTransfer

_SIZE = flags.DEFINE_integer("size", 512, "Height and width in pixels.")
_WEIGHTS = flags.DEFINE_string("weights", "mini", "The network.")
_MEMORY = flags.DEFINE_integer("memory", 20, "m, the pairs that are kept.")
_REPEATS = flags.DEFINE_integer("repeats", 15, "Steps and evaluations.")


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"unexpected {argv[1]!r}")
    draw = np.random.default_rng(0)
    picture, other = draw.random((2, _SIZE.value, _SIZE.value, 3), np.float32)
    curvature = tf.constant(10 ** draw.uniform(-2, 2, (1, *picture.shape)), tf.float32)

    def quadratic(image: tf.Tensor) -> Evaluation:
        gradient = curvature * image
        loss = 0.5 * tf.reduce_sum(gradient * image)
        return Evaluation(loss, gradient, {"total": loss})

    options = {"preset": "gatys2016", "weights": _WEIGHTS.value, "size": _SIZE.value}
    run = StyleTransfer(picture, other, **options)
    objective, image = run.build_objective(), tf.constant(picture[np.newaxis])
    solver = LBFGS(memory=_MEMORY.value)
    step = tf.function(lambda state: solver.step(quadratic, state))
    state = solver.init(quadratic, image)
    for _ in range(_MEMORY.value + 2):
        state = step(state)
        objective(image).gradient.numpy()
    before = int(state.evaluations)
    steps, evaluations = [], []
    for _ in range(_REPEATS.value):
        began = time.perf_counter()
        state = step(state)
        state.point.loss.numpy()
        steps.append(time.perf_counter() - began)
        began = time.perf_counter()
        objective(image).gradient.numpy()
        evaluations.append(time.perf_counter() - began)
    tries = (int(state.evaluations) - before) / _REPEATS.value
    own, whole = float(np.median(steps)), float(np.median(evaluations))
    print(f"a step of L-BFGS {own:.4f} s ({tries:.2f} evaluations), an evaluation {whole:.4f} s")
    print(f"its own cost: {100 * own / whole:.1f} % of an evaluation")


if __name__ == "__main__":
    app.run(main)
