"""A cluster of Dask on this machine, for `nst-tf beam ... --runner=DaskRunner`: one command.

    python scripts/dask_cluster.py --workers=2
    nst-tf beam stylize photos/ --styles=night.jpg --out=painted --runner=DaskRunner \\
        --dask_client_address=tcp://127.0.0.1:8786

A scheduler and worker processes, each looked after by a nanny, which starts it anew where it ends.
All of them listen to this machine alone. Ctrl-C ends them. On several machines the same is `dask
scheduler` on one, and `dask worker tcp://SCHEDULER:8786 --nthreads=1` on the others.
"""

from __future__ import annotations

import signal
import threading

from absl import app, flags
from distributed import LocalCluster

_WORKERS = flags.DEFINE_integer("workers", 2, "Processes.", lower_bound=1)
_PORT = flags.DEFINE_integer("port", 8786, "Of the scheduler; 0 for any that is free.")


def main(_: list[str]) -> None:
    with LocalCluster(
        n_workers=_WORKERS.value,
        threads_per_worker=1,  # TensorFlow has threads of its own
        host="127.0.0.1",
        scheduler_port=_PORT.value,
        dashboard_address=None,
    ) as cluster:
        print(f"scheduler: {cluster.scheduler_address}", flush=True)
        ended = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: ended.set())
        ended.wait()


if __name__ == "__main__":
    app.run(main)
