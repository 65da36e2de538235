"""Loss against evaluations: our L-BFGS, SciPy's L-BFGS-B, PyTorch's and tfp's L-BFGS, and Adam.

    python benchmarks/optimizers.py CONTENT STYLE --size=256 --weights=VGG19.h5 --json=FILE

All run on the very same compiled objective, from the same image. The loss is the smallest one
found within the given number of evaluations, as a share of the initial loss.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf
from absl import app, flags
from scipy import optimize

from nst_tf.run.transfer import StyleTransfer

_SIZE = flags.DEFINE_integer("size", 256, "Longer side in pixels.")
_WEIGHTS = flags.DEFINE_string("weights", None, "VGG19's weights; $NST_TF_WEIGHTS by default.")
_PRESET = flags.DEFINE_string("preset", "gatys2016", "The recipe whose loss is minimised.")
_AT = flags.DEFINE_list("at", ["50", "100", "200"], "Evaluations to report at.")
_OPTIMIZERS = flags.DEFINE_list(
    "optimizers",
    ["scipy", "lbfgs", "torch", "tfp-lbfgs", "adam"],
    "Which to compare; scipy and torch must be installed (the extra `bench`).",
)
_JSON = flags.DEFINE_string("json", None, "Also write the table here.")

#: evaluations spent, loss, seconds since the start
Trace = list[tuple[int, float, float]]


def ours(run: StyleTransfer) -> Trace:
    return [(step.evaluations, step.terms["total"], step.seconds) for step in run]


def scipys(run: StyleTransfer, evaluations: int) -> Trace:
    """SciPy's L-BFGS-B, m = 10, without bounds, in its own float64."""
    objective, start = run.build_objective(), run.initial_image
    trace: Trace = []
    began = time.perf_counter()

    class EnoughError(Exception):
        pass

    def value_and_gradient(x: np.ndarray) -> tuple[float, np.ndarray]:
        if len(trace) == evaluations:
            raise EnoughError
        image = tf.constant(x.reshape(1, *start.shape), tf.float32)
        loss, gradient, _ = objective(image)
        trace.append((len(trace) + 1, float(loss), time.perf_counter() - began))
        return float(loss), gradient.numpy().ravel().astype(np.float64)

    options = {"maxcor": 10, "maxiter": 10**6, "maxfun": 10**6, "ftol": 0.0, "gtol": 0.0}
    with contextlib.suppress(EnoughError):
        optimize.minimize(
            value_and_gradient,
            start.ravel().astype(np.float64),
            jac=True,
            method="L-BFGS-B",
            options=options,
        )
    return trace


def torchs(run: StyleTransfer, evaluations: int) -> Trace:
    """PyTorch's L-BFGS as the PyTorch tutorial uses it: m = 100, no line search, step length 1."""
    import torch

    objective = run.build_objective()
    image = torch.tensor(run.initial_image[np.newaxis], requires_grad=True)
    trace: Trace = []
    began = time.perf_counter()

    def closure() -> torch.Tensor:
        loss, gradient, _ = objective(tf.constant(image.detach().numpy()))
        trace.append((len(trace) + 1, float(loss), time.perf_counter() - began))
        image.grad = torch.tensor(gradient.numpy())
        return torch.tensor(float(loss))

    optimizer = torch.optim.LBFGS([image], max_iter=evaluations, max_eval=evaluations)
    while len(trace) < evaluations:
        before = len(trace)
        optimizer.step(closure)
        if len(trace) - before <= 1:  # it thinks it has arrived
            break
    return trace[:evaluations]


def best_within(trace: Trace, evaluations: int) -> float:
    return min(loss for spent, loss, _ in trace if spent <= evaluations)


def main(argv: list[str]) -> None:
    if len(argv) != 3:
        raise app.UsageError("name a content image and a style image")
    at = [int(number) for number in _AT.value]
    table = {}
    others = {"scipy": scipys, "torch": torchs}
    for name in _OPTIMIZERS.value:
        run = StyleTransfer(
            argv[1],
            argv[2],
            preset=_PRESET.value,
            weights=_WEIGHTS.value,
            size=_SIZE.value,
            optimizer="lbfgs" if name in others else name,
            evaluations=max(at),
            iterations=None,
        )
        trace = others[name](run, max(at)) if name in others else ours(run)
        table[name] = {
            **{str(n): best_within(trace, n) / trace[0][1] for n in at},
            "seconds": trace[-1][2],
        }
        cells = "  ".join(f"{table[name][str(n)]:.5f}" for n in at)
        reference = table.get("scipy")
        ratio = "  ".join(f"{table[name][str(n)] / reference[str(n)]:.3f}" for n in at if reference)
        print(f"{name:10} {cells}  | x scipy {ratio} | {table[name]['seconds']:.1f} s", flush=True)
    if _JSON.value:
        Path(_JSON.value).write_text(json.dumps(table, indent=1))


if __name__ == "__main__":
    app.run(main)
